//! A handler that is added to a manager of another type of events.
use regrow::{EventHandler, EventManager, GenServer, HandlerContext, Removal, Result, Runtime};

struct Alarm;

impl EventHandler<String> for Alarm {
    type Args = ();
    type Call = ();
    type RemoveArg = ();
    type Output = ();

    async fn init((): (), _: &mut HandlerContext<String>) -> Result<Self> {
        Ok(Alarm)
    }

    async fn handle_event(&mut self, _: &String, _: &mut HandlerContext<String>) -> Result {
        Ok(())
    }

    async fn terminate(self, _: Removal<()>) {}
}

async fn add(rt: &Runtime) {
    let numbers = EventManager::<u32>::start(rt, Default::default()).await.unwrap();
    numbers.add_handler::<Alarm>("alarm", ()).await.unwrap();
}

fn main() {}
