//! A key whose servers are of another type.
use std::time::Duration;

use regrow::{GenServer, KeyedServers, Reply, Result, ServerContext};

macro_rules! server {
    ($name:ident, $call:ty) => {
        struct $name;

        impl GenServer for $name {
            type Args = ();
            type Call = $call;
            type Cast = ();

            async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
                Ok($name)
            }
        }
    };
}

server!(Device, Reply<u64>);
server!(Session, (u8, Reply<String>));

async fn ask(devices: KeyedServers<u32, Device>) {
    let limit = Duration::from_secs(1);
    let _ = devices.call_or_start(&7, || Session::spec(()), |reply| reply, limit).await;
}

fn main() {}
