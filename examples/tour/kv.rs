//! A key-value store: the state that all connections share, and the first process to crash.

use std::collections::HashMap;

use regrow::{GenServer, Name, Pid, Reply, Result, ServerContext};

/// The name of the store: clients call it by name, so its pid may change.
pub(crate) const KV: Name<Kv> = Name::new("kv");

pub(crate) struct Kv(HashMap<String, String>);

pub(crate) enum Call {
    Get { key: String, reply: Reply<Option<String>> },
    WhoAreYou(Reply<Pid>),
}

pub(crate) enum Cast {
    Put { key: String, value: String },
    Crash,
}

impl GenServer for Kv {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Kv(HashMap::new()))
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Get { key, reply } => reply.send(self.0.get(&key).cloned()),
            Call::WhoAreYou(reply) => reply.send(ctx.pid()),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Put { key, value } => drop(self.0.insert(key, value)),
            Cast::Crash => panic!("the store crashed"),
        }
        Ok(())
    }
}
