//! The scripted children of a run, and the specifications of the real supervisors.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{
    AutoShutdown, ChildSpec, ExitReason, GenServer, Pid, Result, ServerContext, Supervisor,
    SupervisorSpec,
};
use tokio::time::Instant;

use super::plan::{
    Auto, Backoff, Kind, ROOT, Restart, Script, Shutdown, Spec, Start, Stop, Strategy, Sup,
};
use crate::injected_panics::BOOM;

/// The shared state of all workers of a run: their reports, and the number of starts of each.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) zero: Instant,
    pub(crate) trace: Arc<Mutex<Vec<(u64, String)>>>,
    pub(crate) starts: Arc<Mutex<HashMap<u32, usize>>>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Stage { zero: Instant::now(), trace: Arc::default(), starts: Arc::default() }
    }

    pub(crate) fn now(&self) -> u64 {
        self.zero.elapsed().as_millis() as u64
    }

    fn tell(&self, what: String) {
        self.trace.lock().unwrap().push((self.now(), what));
    }
}

/// A worker that follows its script.
pub(crate) struct Worker {
    id: u32,
    script: Script,
    stage: Stage,
}

impl GenServer for Worker {
    type Args = (u32, Script, Stage);
    type Call = ();
    type Cast = ExitReason;

    async fn init((id, script, stage): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(script.stop != Stop::Unasked);
        let nth = {
            let mut starts = stage.starts.lock().unwrap();
            let nth = starts.entry(id).or_default();
            *nth += 1;
            *nth - 1
        };
        match script.starts.get(nth).copied().unwrap_or(Start::Good) {
            start @ (Start::Good | Start::Takes(_) | Start::Lives(_)) => {
                if let Start::Takes(time) = start {
                    tokio::time::sleep(Duration::from_millis(time)).await;
                }
                if let Start::Lives(time) = start {
                    let end = ExitReason::crashed("its time is up");
                    ctx.cast_after(Duration::from_millis(time), end);
                }
                let sibling = script.link.and_then(|other| ctx.runtime().whereis(&name(other)));
                // A supervisor may have the id of the sibling by now.
                let is_worker = |pid: &Pid| ctx.runtime().server_at::<Worker>(*pid).is_ok();
                let sibling = sibling.filter(is_worker);
                if let Some(sibling) = sibling {
                    ctx.runtime().link(ctx.pid(), sibling);
                }
                stage.tell(format!("{id} starts"));
                Ok(Worker { id, script, stage })
            }
            Start::Fails => {
                stage.tell(format!("{id} fails"));
                Err(ExitReason::crashed("no luck"))
            }
            Start::Ignores => {
                stage.tell(format!("{id} ignores"));
                Err(ctx.ignore())
            }
        }
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    /// Ends the worker by itself. Its end is not traced as a stop.
    async fn handle_cast(&mut self, end: ExitReason, _: &mut ServerContext<Self>) -> Result {
        self.script.stop = Stop::AtOnce;
        self.id = 0;
        Err(end)
    }

    async fn terminate(&mut self, _: &ExitReason) {
        if self.id != 0 {
            self.stage.tell(format!("{} stops", self.id));
        }
        match self.script.stop {
            Stop::AtOnce | Stop::Unasked => {}
            Stop::Panics => panic!("{BOOM}, at its end"),
            Stop::Takes(time) => tokio::time::sleep(Duration::from_millis(time)).await,
            Stop::Deaf => std::future::pending().await,
        }
    }
}

pub(crate) fn name(id: u32) -> String {
    format!("node {id}")
}

pub(crate) fn number(name: &str) -> Option<u32> {
    name.strip_prefix("node ")?.parse().ok()
}

pub(crate) fn supervisor(number: u32, sup: &Sup, stage: &Stage) -> SupervisorSpec {
    let spec = match sup.strategy {
        Strategy::OneForOne => Supervisor::one_for_one(),
        Strategy::OneForAll => Supervisor::one_for_all(),
        Strategy::RestForOne => Supervisor::rest_for_one(),
    };
    let auto = match sup.auto {
        Auto::Never => AutoShutdown::Never,
        Auto::Any => AutoShutdown::AnySignificant,
        Auto::All => AutoShutdown::AllSignificant,
    };
    let spec = spec
        .named(name(number))
        .intensity(sup.restarts, Duration::from_millis(sup.period))
        .auto_shutdown(auto);
    sup.children.iter().fold(spec, |spec, spec_of| spec.child(child(spec_of, stage)))
}

pub(crate) fn child(spec: &Spec, stage: &Stage) -> ChildSpec {
    let child = match &spec.kind {
        Kind::Supervisor(sup) => ChildSpec::from(supervisor(spec.id, sup, stage)),
        Kind::Worker(script) => Worker::child((spec.id, script.clone(), stage.clone())),
    };
    let shutdown = match spec.shutdown {
        Shutdown::Brutal => regrow::Shutdown::BrutalKill,
        Shutdown::Time(limit) => regrow::Shutdown::Timeout(Duration::from_millis(limit)),
        Shutdown::Infinity => regrow::Shutdown::Infinity,
    };
    let restart = match spec.restart {
        Restart::Permanent => regrow::Restart::Permanent,
        Restart::Transient => regrow::Restart::Transient,
        Restart::Temporary => regrow::Restart::Temporary,
    };
    let child = match spec.backoff {
        None => child,
        Some(Backoff { first, max, healthy, patience }) => {
            let [first, max, healthy] = [first, max, healthy].map(Duration::from_millis);
            let backoff = regrow::Backoff::new().first(first).max(max).jitter(0.0);
            let backoff = backoff.reset_after(healthy);
            child.backoff(match patience {
                None => backoff,
                Some(limit) => backoff.give_up_after(Duration::from_millis(limit)),
            })
        }
    };
    debug_assert_ne!(spec.id, ROOT);
    let child = child.with_id(name(spec.id)).named(name(spec.id));
    child.shutdown(shutdown).restart(restart).significant(spec.significant)
}
