//! Children that report their starts and ends, and end on request.

use regrow::{
    ChildCounts, ChildSpec, ExitReason, GenServer, Name, Pid, Reply, Result, Runtime,
    ServerContext, SupervisorRef,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A report of a child.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Started(&'static str, Pid),
    Stopped(&'static str, ExitReason),
}

pub type Log = UnboundedSender<Said>;

/// A child that reports its start and its end, and ends on request.
pub struct Reporter(&'static str, Log);

pub enum Tell {
    End(ExitReason),
    Panic,
}

impl GenServer for Reporter {
    type Args = (&'static str, Log);
    type Call = Reply<Pid>;
    type Cast = Tell;

    async fn init((name, log): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        log.send(Said::Started(name, ctx.pid())).unwrap();
        if name == "bad" {
            return Err(ExitReason::crashed("bad child"));
        }
        Ok(Reporter(name, log))
    }

    async fn handle_call(&mut self, reply: Reply<Pid>, ctx: &mut ServerContext<Self>) -> Result {
        reply.send(ctx.pid());
        Ok(())
    }

    async fn handle_cast(&mut self, tell: Tell, _: &mut ServerContext<Self>) -> Result {
        match tell {
            Tell::End(reason) => Err(reason),
            Tell::Panic => panic!("told to"),
        }
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.1.send(Said::Stopped(self.0, reason.clone())).unwrap();
    }
}

pub struct Fixture {
    pub rt: Runtime,
    pub log: Log,
    pub said: UnboundedReceiver<Said>,
}

impl Fixture {
    pub fn new() -> Self {
        let (log, said) = unbounded_channel();
        Fixture { rt: Runtime::new(), log, said }
    }

    pub fn child(&self, name: &'static str) -> ChildSpec {
        Reporter::child((name, self.log.clone())).with_id(name).named(name)
    }

    pub async fn started(&mut self, name: &'static str) -> Pid {
        match self.said.recv().await {
            Some(Said::Started(who, pid)) if who == name => pid,
            other => panic!("expected the start of {name}, got {other:?}"),
        }
    }

    pub async fn stopped(&mut self, name: &'static str) -> ExitReason {
        match self.said.recv().await {
            Some(Said::Stopped(who, reason)) if who == name => reason,
            other => panic!("expected the stop of {name}, got {other:?}"),
        }
    }

    pub fn tell(&self, name: &'static str, tell: Tell) {
        // The names in these tests are constants.
        assert!(self.rt.server(Name::<Reporter>::new(name)).cast(tell));
    }
}

/// Returns the numbers of specifications, active children, supervisors and workers.
pub fn counts(tree: &ChildCounts) -> (usize, usize, usize, usize) {
    (tree.specs, tree.active, tree.supervisors, tree.workers)
}

/// Requests the counts until they are `expected`. The supervisor answers each request after the
/// messages that were queued before it.
pub async fn settle(tree: &SupervisorRef, expected: (usize, usize, usize, usize)) {
    while counts(&tree.count_children().await.unwrap()) != expected {
        tokio::task::yield_now().await;
    }
}
