//! A server that executes the actions in its messages, and a server that starts such servers.

use std::time::Duration;

use regrow::{
    CallError, ExitReason, GenServer, Name, Pid, Received, Reply, Result, Runtime, ServerContext,
    ServerRef, StartCause, StartError,
};
use tokio::sync::mpsc::UnboundedSender;

pub const LEDGER: Name<Ledger> = Name::new("ledger");

/// A server that acts on request, and reports how it ended.
pub struct Ledger {
    lines: Vec<u32>,
    kept: Vec<Reply<usize>>,
    pub ends: Option<UnboundedSender<ExitReason>>,
}

#[derive(Clone, Default)]
pub struct Setup {
    pub init: Init,
    pub trap: bool,
    pub ends: Option<UnboundedSender<ExitReason>>,
}

#[derive(Clone, Default)]
pub enum Init {
    #[default]
    Fine,
    Fails(ExitReason),
    Panics,
    Ignores,
    Continues,
    Hangs,
}

pub enum Call {
    Lines(Reply<Vec<u32>>),
    Later(Reply<usize>),
    Drop(Reply<usize>),
    Panic(Reply<usize>),
    Stop(ExitReason, Reply<usize>),
    AskItself(Reply<CallError>),
    StopItself(Reply<CallError>),
    Cause(Reply<StartCause>),
    Slow(Duration, Reply<usize>),
}

pub enum Cast {
    Write(u32),
    ReplyAll,
    Fail,
}

impl GenServer for Ledger {
    type Args = Setup;
    type Call = Call;
    type Cast = Cast;

    async fn init(setup: Setup, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(setup.trap);
        match setup.init {
            Init::Fine => {}
            Init::Fails(reason) => return Err(reason),
            Init::Panics => panic!("no init today"),
            Init::Ignores => return Err(ctx.ignore()),
            Init::Continues => {
                ctx.this().cast(Cast::Write(3));
                ctx.continue_with(Cast::Write(1));
                ctx.continue_with(Cast::Write(2));
            }
            Init::Hangs => std::future::pending().await,
        }
        Ok(Ledger { lines: Vec::new(), kept: Vec::new(), ends: setup.ends })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Lines(reply) => reply.send(self.lines.clone()),
            Call::Later(reply) => self.kept.push(reply),
            Call::Drop(reply) => drop(reply),
            Call::Panic(reply) => {
                self.kept.push(reply);
                panic!("handler fell over")
            }
            Call::Stop(reason, reply) => {
                self.kept.push(reply);
                return Err(reason);
            }
            Call::AskItself(reply) => {
                let by_handle = ctx.this().call(Call::Lines).await.unwrap_err();
                let by_name = ctx.runtime().server(LEDGER).call(Call::Lines).await.unwrap_err();
                assert_eq!(by_handle, by_name);
                reply.send(by_handle);
            }
            Call::StopItself(reply) => {
                reply.send(ctx.this().stop(ExitReason::Normal).await.unwrap_err());
            }
            Call::Cause(reply) => reply.send(ctx.start_cause().clone()),
            Call::Slow(time, reply) => {
                tokio::time::sleep(time).await;
                reply.send(self.lines.len());
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Write(line) => self.lines.push(line),
            Cast::ReplyAll => self.kept.drain(..).for_each(|reply| reply.send(self.lines.len())),
            Cast::Fail => {
                "not a number".parse::<u32>()?;
            }
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        match info {
            Received::Message(bytes) => self.lines.push(u32::from(bytes[0])),
            Received::Exit { .. } | Received::Down { .. } => self.lines.push(999),
            _ => {}
        }
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        if let Some(ends) = &self.ends {
            ends.send(reason.clone()).unwrap();
        }
    }
}

pub async fn ledger(rt: &Runtime) -> ServerRef<Ledger> {
    Ledger::start_named(rt, LEDGER, Setup::default()).await.unwrap()
}

/// A server that starts `Ledger` servers linked to itself, and counts the other items that it
/// receives.
pub struct Parent {
    ends: UnboundedSender<ExitReason>,
    infos: usize,
}

pub enum ParentCall {
    StartChild(Reply<(Pid, StartError)>),
    Infos(Reply<usize>),
}

impl GenServer for Parent {
    type Args = UnboundedSender<ExitReason>;
    type Call = ParentCall;
    type Cast = ();

    async fn init(ends: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        Ok(Parent { ends, infos: 0 })
    }

    async fn handle_call(&mut self, call: ParentCall, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            ParentCall::StartChild(reply) => {
                let init = Init::Fails(ExitReason::crashed("no"));
                let failing = ctx.start_link::<Ledger>(Setup { init, ..Setup::default() }).await;
                let setup = Setup { trap: true, ends: Some(self.ends.clone()), ..Setup::default() };
                let child = ctx.start_link::<Ledger>(setup).await?;
                reply.send((child.pid().unwrap(), failing.unwrap_err()));
            }
            ParentCall::Infos(reply) => reply.send(self.infos),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_info(&mut self, _: Received, _: &mut ServerContext<Self>) -> Result {
        self.infos += 1;
        Ok(())
    }
}
