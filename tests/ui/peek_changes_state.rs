//! A closure of `peek` that changes the state: `update` is meant.
use regrow::{GenServer, Result, Runtime, ServerContext};

struct Counter(u64);

impl GenServer for Counter {
    type Args = u64;
    type Call = std::convert::Infallible;
    type Cast = std::convert::Infallible;

    async fn init(start: u64, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counter(start))
    }
}

async fn reset(rt: &Runtime) {
    let counter = Counter::start(rt, 7).await.unwrap();
    counter.peek(|state| state.0 = 0).await.unwrap();
}

fn main() {}
