//! A server that writes the numbers of its casts on a page, which outlives it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{ExitReason, GenServer, Received, Reply, Result, Runtime, ServerContext, ServerRef};
use tokio::sync::oneshot;
use tokio::sync::watch;

/// The number that `terminate` writes.
pub const TERMINATED: u32 = u32::MAX;

#[derive(Clone, Default)]
pub struct Page(Arc<Mutex<Vec<u32>>>);

impl Page {
    pub fn lines(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }

    fn write(&self, line: u32) {
        self.0.lock().unwrap().push(line);
    }
}

#[derive(Clone, Default)]
pub struct Setup {
    pub page: Page,
    pub trap: bool,
    pub drain: Option<Duration>,
    /// How long each line takes.
    pub takes: Duration,
    /// `terminate` waits until this is true, or its sender is gone.
    pub may_end: Option<watch::Receiver<bool>>,
}

pub struct Scribe(Setup);

pub type Act = Box<dyn FnOnce(&mut ServerContext<Scribe>) + Send>;

pub enum Cast {
    Write(u32),
    Hold(oneshot::Receiver<()>),
    Act(Act),
    Crash,
}

impl GenServer for Scribe {
    type Args = Setup;
    type Call = Reply<usize>;
    type Cast = Cast;

    async fn init(setup: Setup, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(setup.trap);
        if let Some(limit) = setup.drain {
            ctx.drain_on_stop(limit);
        }
        Ok(Scribe(setup))
    }

    async fn handle_call(&mut self, reply: Reply<usize>, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0.page.lines().len());
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Write(line) => {
                if !self.0.takes.is_zero() {
                    tokio::time::sleep(self.0.takes).await;
                }
                self.0.page.write(line);
            }
            Cast::Hold(gate) => drop(gate.await),
            Cast::Act(act) => act(ctx),
            Cast::Crash => panic!("as asked"),
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        if let Some(bytes) = info.message() {
            self.0.page.write(u32::from(bytes[0]));
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        if let Some(may_end) = &mut self.0.may_end {
            drop(may_end.wait_for(|&may_end| may_end).await);
        }
        self.0.page.write(TERMINATED);
    }
}

/// Starts a scribe with the settings, and returns it with its page.
pub async fn scribe(rt: &Runtime, setup: Setup) -> (ServerRef<Scribe>, Page) {
    let page = setup.page.clone();
    (Scribe::start(rt, setup).await.unwrap(), page)
}

/// Puts the scribe into a handler that returns when the sender is dropped.
pub async fn hold(scribe: &ServerRef<Scribe>) -> oneshot::Sender<()> {
    let (release, gate) = oneshot::channel();
    assert!(scribe.cast(Cast::Hold(gate)));
    super::settled().await;
    release
}
