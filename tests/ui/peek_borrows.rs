//! A closure of `peek` that returns a reference into the state: the result leaves the server.
use regrow::{GenServer, Result, Runtime, ServerContext};

struct Room(Vec<String>);

impl GenServer for Room {
    type Args = ();
    type Call = std::convert::Infallible;
    type Cast = std::convert::Infallible;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Room(Vec::new()))
    }
}

async fn lines(rt: &Runtime) {
    let room = Room::start(rt, ()).await.unwrap();
    room.peek(|state| state.0.first()).await.unwrap();
}

fn main() {}
