//! Children with scripted starts and stops, which report both.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{
    ChildSpec, ChildState, ExitReason, GenServer, Pid, Reply, RestartLimitReached, Result, Runtime,
    ServerContext, ServerRef, SupervisorRef,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::settled;

/// The outcome of one start of a child.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    Good,
    GoodAfter(Duration),
    Fails,
    FailsAfter(Duration),
    Ignores,
    GivesUp,
    EndsTree,
}

/// How a child reacts to a stop request.
#[derive(Debug, Clone, Copy)]
pub enum Stop {
    Deaf,
    Takes(Duration),
    Panics,
}

#[derive(Default)]
struct Plans {
    /// The outcomes of the next starts. All later starts are good.
    starts: HashMap<&'static str, VecDeque<Start>>,
    stops: HashMap<&'static str, Stop>,
}

/// The script and the log that all children of one test share.
#[derive(Clone)]
pub struct Script {
    plans: Arc<Mutex<Plans>>,
    log: UnboundedSender<String>,
}

/// The runtime of a test, the scripts of its children, and their reports.
pub struct ScriptedChildren {
    pub rt: Runtime,
    pub script: Script,
    told: UnboundedReceiver<String>,
}

/// A child that follows its script.
pub struct ScriptedServer {
    id: &'static str,
    script: Script,
    slow: bool,
}

impl GenServer for ScriptedServer {
    type Args = (&'static str, Script);
    type Call = Reply<Pid>;
    type Cast = ExitReason;

    async fn init((id, script): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        let planned = script.plans.lock().unwrap().starts.get_mut(id).and_then(VecDeque::pop_front);
        match planned.unwrap_or(Start::Good) {
            Start::Good => script.say(format!("{id} starts")),
            Start::GoodAfter(time) => {
                pause(time).await;
                script.say(format!("{id} starts"));
            }
            Start::GivesUp => return Err(ctx.give_up(format!("{id} gives up"))),
            Start::EndsTree => return Err(ctx.end_tree(format!("{id} ends the tree"))),
            Start::Ignores => {
                script.say(format!("{id} ignores"));
                return Err(ctx.ignore());
            }
            Start::Fails => return Err(script.fails(id)),
            Start::FailsAfter(time) => {
                pause(time).await;
                return Err(script.fails(id));
            }
        }
        Ok(ScriptedServer { id, script, slow: false })
    }

    async fn handle_call(&mut self, reply: Reply<Pid>, ctx: &mut ServerContext<Self>) -> Result {
        reply.send(ctx.pid());
        Ok(())
    }

    async fn handle_cast(&mut self, end: ExitReason, _: &mut ServerContext<Self>) -> Result {
        Err(end)
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.script.say(format!("{} stops: {reason}", self.id));
        let planned = self.script.plans.lock().unwrap().stops.get(self.id).copied();
        match planned {
            None => {}
            Some(Stop::Deaf) => pending().await,
            Some(Stop::Panics) => panic!("boom, while it stopped"),
            Some(Stop::Takes(time)) => {
                pause(time).await;
                self.slow = true;
            }
        }
    }
}

async fn pause(time: Duration) {
    let _ = timeout(time, pending::<()>()).await;
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        if self.slow {
            self.script.say(format!("{} is gone", self.id));
        }
    }
}

impl Script {
    fn say(&self, what: String) {
        // A child may outlive its test, so this send may fail.
        let _ = self.log.send(what);
    }

    fn fails(&self, id: &str) -> ExitReason {
        self.say(format!("{id} fails"));
        ExitReason::crashed(format!("{id} has no luck"))
    }
}

impl ScriptedChildren {
    pub fn new() -> ScriptedChildren {
        ScriptedChildren::on(Runtime::new())
    }

    pub fn on(rt: Runtime) -> ScriptedChildren {
        let (log, told) = unbounded_channel();
        ScriptedChildren { rt, script: Script { plans: Arc::default(), log }, told }
    }

    /// Returns a child whose name is its id.
    pub fn child(&self, id: &'static str) -> ChildSpec {
        ScriptedServer::child((id, self.script.clone())).with_id(id).named(id)
    }

    pub fn children<const N: usize>(&self, ids: [&'static str; N]) -> [ChildSpec; N] {
        ids.map(|id| self.child(id))
    }

    /// Sets the outcomes of the next starts of a child.
    pub fn next_starts(&self, id: &'static str, starts: impl IntoIterator<Item = Start>) {
        let mut plans = self.script.plans.lock().unwrap();
        plans.starts.entry(id).or_default().extend(starts);
    }

    pub fn forget_starts(&self, id: &'static str) {
        self.script.plans.lock().unwrap().starts.remove(id);
    }

    pub fn on_stop(&self, id: &'static str, stop: Stop) {
        self.script.plans.lock().unwrap().stops.insert(id, stop);
    }

    pub fn server(&self, id: &'static str) -> ServerRef<ScriptedServer> {
        self.rt.server(id)
    }

    /// Ends a child with this reason, which its handler returns.
    pub fn end(&self, id: &'static str, reason: ExitReason) {
        assert!(self.server(id).cast(reason), "{id} does not run");
    }

    pub fn crash(&self, id: &'static str) {
        self.end(id, ExitReason::crashed("boom"));
    }

    /// Takes one report, and returns whether there was one.
    pub fn try_report(&mut self) -> bool {
        self.told.try_recv().is_ok()
    }

    /// Waits until every task is idle, and returns the reports since the last call.
    pub async fn reports(&mut self) -> Vec<String> {
        settled().await;
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }
}

/// Returns the pids of all children, in start order.
pub async fn pids(tree: &SupervisorRef) -> Vec<Option<Pid>> {
    tree.which_children().await.unwrap().iter().map(|child| child.pid()).collect()
}

/// Returns the state of all children, in start order: `"a runs"`.
pub async fn states(tree: &SupervisorRef) -> Vec<String> {
    let state = |child: &regrow::ChildInfo| match child.state {
        ChildState::Running(_) => format!("{} runs", child.id),
        ChildState::Restarting { retry_in: None } => format!("{} restarting", child.id),
        ChildState::Restarting { retry_in: Some(left) } => {
            format!("{} restarting in {} ms", child.id, left.as_millis())
        }
        ChildState::Stopped => format!("{} stopped", child.id),
        ChildState::GivenUp => format!("{} given up", child.id),
        other => panic!("{other:?}"),
    };
    tree.which_children().await.unwrap().iter().map(state).collect()
}

/// Returns the details in the exit reason of a supervisor that gave up.
pub fn limit(reason: &ExitReason) -> &RestartLimitReached {
    let limit = reason.crash().and_then(|crash| crash.downcast_ref());
    limit.unwrap_or_else(|| panic!("it didn't give up, but ended with {reason}"))
}
