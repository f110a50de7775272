//! A server whose calls and casts cross nodes, for several tests.

use std::time::Duration;

use regrow::{GenServer, Name, Pid, Reply, Result, ServerContext};
use serde::{Deserialize, Serialize};

pub(crate) const KV: Name<Kv> = Name::new("kv");

#[allow(dead_code)] // A skipped variant is never decoded.
#[derive(Serialize, Deserialize)]
pub(crate) enum Call {
    Size(Reply<usize>),
    Get {
        key: String,
        reply: Reply<Option<String>>,
    },
    Put(String, u32, Reply<()>),
    /// Answered with a text.
    Text(Reply<u32>),
    Slow(u64, Reply<u8>),
    Later(u64, Reply<u8>),
    Crash(Reply<()>),
    Stop(Reply<()>),
    Drop(Reply<()>),
    HasCaller(Reply<bool>),
    /// Answered with whether the client is the caller, and with the pid of the server.
    Pids {
        client: Pid,
        reply: Reply<(bool, Pid)>,
    },
    /// Not decoded by the server of the other program.
    #[serde(skip_deserializing)]
    New(f64, Reply<()>),
}

#[allow(dead_code)] // The number is not read.
#[derive(Serialize, Deserialize)]
pub(crate) enum Cast {
    Note(String),
    Number(f64),
}

pub(crate) struct Kv(Vec<String>);

impl GenServer for Kv {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Kv(Vec::new()))
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Size(reply) => reply.send(self.0.len()),
            Call::Get { key, reply } => reply.send(self.0.iter().find(|n| **n == key).cloned()),
            Call::Put(key, times, reply) => {
                (0..times).for_each(|_| self.0.push(key.clone()));
                reply.send(());
            }
            Call::Text(reply) => drop(reply),
            Call::Slow(millis, reply) => {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                reply.send(3);
            }
            Call::Later(millis, reply) => {
                ctx.runtime().spawn(move |_| async move {
                    tokio::time::sleep(Duration::from_millis(millis)).await;
                    reply.send(4);
                });
            }
            Call::Crash(_reply) => return Err("no luck".into()),
            Call::Stop(_reply) => return Err(regrow::ExitReason::Normal),
            Call::Drop(reply) => drop(reply),
            Call::HasCaller(reply) => {
                let has_caller = reply.caller().is_some();
                reply.send(has_caller);
            }
            Call::Pids { client, reply } => {
                let is_caller = reply.caller() == Some(client);
                reply.send((is_caller, ctx.pid()));
            }
            Call::New(..) => unreachable!("not decoded"),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        if let Cast::Note(note) = cast {
            self.0.push(note);
        }
        Ok(())
    }
}
