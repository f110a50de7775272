//! A start that fails leaves nothing: every process that it started has ended, its name is free,
//! and the supervisor receives no exit from it.

use crate::support;

use std::future::pending;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use regrow::{
    ChildSpec, ChildState, DynamicSupervisor, DynamicSupervisorRef, Ended, ExitReason, GenServer,
    Leftovers, Pid, Reply, Restart, Result, Runtime, ServerContext, Shutdown, StartChild,
    StartContext, StartError, Started, Supervisor, SupervisorRef,
};
use support::log::Log;
use support::{crash, settled, until};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// A server that starts at once, or never.
struct Server;

impl GenServer for Server {
    type Args = bool;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(up: bool, _: &mut ServerContext<Self>) -> Result<Self> {
        if up { Ok(Server) } else { pending().await }
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// The kinds of processes that a start function starts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Begins {
    Task,
    /// A task that crashes before the start function continues.
    EndedTask,
    Server,
    /// A server whose start is dropped before it is complete.
    HalfServer,
    Blocking,
    Serve,
    #[cfg(feature = "process")]
    Command,
}

/// What the start function does after that.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Then {
    Fails,
    Ignores,
    Panics,
    Hangs,
    /// Returns the first process that it started.
    ReturnsFirst,
    /// Returns the last process that it started.
    ReturnsLast,
    /// Keeps the process that it started, and returns the one that an earlier start kept.
    Swaps,
}

/// A scripted start function. It records the ends of the processes that it starts.
#[derive(Clone)]
struct Told {
    begins: Vec<Begins>,
    /// What each start does afterwards; the last entry applies to all later starts.
    then: Vec<Then>,
    starts: Arc<AtomicU32>,
    ends: Arc<Mutex<Vec<Ended>>>,
    kept: Arc<Mutex<Option<Started>>>,
}

impl Told {
    fn new(begins: &[Begins], then: &[Then]) -> Self {
        Told {
            begins: begins.into(),
            then: then.into(),
            starts: Arc::default(),
            ends: Arc::default(),
            kept: Arc::default(),
        }
    }

    fn child(&self) -> ChildSpec {
        ChildSpec::new("told", self.clone())
    }

    fn starts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Returns the exit reasons of all started processes, which must have ended by now.
    async fn reasons(&self) -> Vec<ExitReason> {
        let ends = std::mem::take(&mut *self.ends.lock().unwrap());
        let mut reasons = Vec::new();
        for ended in ends {
            let reason = timeout(Duration::ZERO, ended).await;
            reasons.push(reason.expect("it had ended before the start returned"));
        }
        reasons
    }

    async fn begin(&self, what: Begins, ctx: &mut StartContext) -> Option<Started> {
        Some(match what {
            Begins::Task => ctx.task(|_| pending()).await.unwrap(),
            Begins::EndedTask => {
                let started = ctx.task(|_| async { Err(crash("at once")) }).await.unwrap();
                ctx.runtime().ended(started.pid()).await;
                started
            }
            Begins::Server => ctx.server::<Server>(true).await.unwrap(),
            Begins::HalfServer => {
                drop(timeout(Duration::from_millis(1), ctx.server::<Server>(false)).await);
                return None;
            }
            Begins::Blocking => {
                let body = |mut ctx: regrow::BlockingContext| {
                    ctx.recv();
                    Ok(())
                };
                ctx.blocking(body).await.unwrap()
            }
            Begins::Serve => {
                let serve = |signal: regrow::ShutdownSignal| async move {
                    signal.await;
                    Ok::<_, std::io::Error>(())
                };
                ctx.serve(serve).await.unwrap()
            }
            #[cfg(feature = "process")]
            Begins::Command => {
                let mut command = tokio::process::Command::new("sleep");
                command.arg("1000");
                ctx.command(command).await.unwrap()
            }
        })
    }
}

#[async_trait::async_trait]
impl StartChild for Told {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        let number = self.starts.fetch_add(1, Ordering::Relaxed) as usize;
        let mut begun = Vec::new();
        for &what in &self.begins {
            if let Some(started) = self.begin(what, ctx).await {
                let handle = ctx.runtime().ended(started.pid());
                self.ends.lock().unwrap().push(handle);
                begun.push(started);
            }
        }
        match self.then[number.min(self.then.len() - 1)] {
            Then::Fails => Err(StartError::Failed(crash("second thoughts"))),
            Then::Ignores => Err(StartError::Ignored),
            Then::Panics => panic!("in its start"),
            Then::Hangs => pending().await,
            Then::ReturnsFirst => Ok(begun.swap_remove(0)),
            Then::ReturnsLast => Ok(begun.pop().unwrap()),
            Then::Swaps => {
                let now = begun.pop().unwrap();
                let before = self.kept.lock().unwrap().replace(now);
                before.ok_or(StartError::Failed(crash("nothing was kept")))
            }
        }
    }
}

/// Both kinds of supervisors.
#[derive(Clone)]
enum Above {
    Fixed(SupervisorRef),
    Dynamic(DynamicSupervisorRef),
}

impl Above {
    /// Starts one supervisor of each kind, each in its own runtime.
    fn each() -> [BoxFuture<'static, (Runtime, Above)>; 2] {
        let fixed = async {
            let rt = Runtime::new();
            let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
            (rt, Above::Fixed(tree))
        };
        let dynamic = async {
            let rt = Runtime::new();
            let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
            (rt, Above::Dynamic(jobs))
        };
        [fixed.boxed(), dynamic.boxed()]
    }

    fn pid(&self) -> Pid {
        match self {
            Above::Fixed(tree) => tree.pid().unwrap(),
            Above::Dynamic(jobs) => jobs.pid().unwrap(),
        }
    }

    async fn start_child(&self, child: ChildSpec) -> Result<Pid, StartError> {
        match self {
            Above::Fixed(tree) => tree.start_child(child).await,
            Above::Dynamic(jobs) => jobs.start_child(child).await,
        }
    }

    async fn stop(&self) {
        let ended = match self {
            Above::Fixed(tree) => tree.stop().await,
            Above::Dynamic(jobs) => jobs.stop().await,
        };
        assert_eq!(ended, Ok(ExitReason::Shutdown));
    }
}

/// Returns the log lines about anything except the failed start itself.
fn complaints(log: &Log) -> Vec<String> {
    let mut lines = log.take();
    lines.retain(|line| line.target == "regrow::supervisor" && line.message != "start failed");
    lines.iter().map(|line| format!("{} {}", line.head(), line.field("info"))).collect()
}

#[tokio::test]
async fn processes_of_a_failed_start_have_ended_before_the_error_is_returned() {
    let log = Log::listen();
    let kinds = [
        Begins::Task,
        Begins::EndedTask,
        Begins::Server,
        Begins::HalfServer,
        Begins::Blocking,
        Begins::Serve,
        #[cfg(feature = "process")]
        Begins::Command,
    ];
    for above in Above::each() {
        let (rt, above) = above.await;
        for kind in kinds {
            let told = Told::new(&[kind], &[Then::Fails]);
            let failed = above.start_child(told.child().named("held")).await;
            assert_eq!(failed, Err(StartError::Failed(crash("second thoughts"))), "{kind:?}");
            let reason = match kind {
                Begins::HalfServer => vec![],
                // The reason is requested after the end of the task.
                Begins::EndedTask => vec![ExitReason::NoProc],
                _ => vec![ExitReason::Shutdown],
            };
            assert_eq!(told.reasons().await, reason, "{kind:?}");
            assert_eq!((rt.whereis("held"), rt.process_count()), (None, 1), "{kind:?}");
        }
        let all = Told::new(&kinds, &[Then::Fails]);
        above.start_child(all.child()).await.unwrap_err();
        assert_eq!(all.reasons().await.len(), kinds.len() - 1);
        assert_eq!(rt.process_count(), 1);
        // The supervisor has now handled all messages that it had received.
        assert!(above.start_child(ChildSpec::task("last", |_| pending())).await.is_ok());
        assert_eq!(complaints(&log), Vec::<String>::new(), "{kinds:?}");
        above.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_ignored_start_stops_the_processes_it_began() {
    for above in Above::each() {
        let (rt, above) = above.await;
        let told = Told::new(&[Begins::Task], &[Then::Ignores]);
        let ignored = above.start_child(told.child().named("held")).await;
        assert_eq!(ignored, Err(StartError::Ignored));
        assert_eq!(told.reasons().await, [ExitReason::Shutdown]);
        assert_eq!(rt.whereis("held"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn processes_of_a_failed_start_are_stopped_with_the_shutdown_setting_of_the_child() {
    for above in Above::each() {
        let (_rt, above) = above.await;
        let told = Told::new(&[Begins::Task], &[Then::Fails]);
        above.start_child(told.child().shutdown(Shutdown::BrutalKill)).await.unwrap_err();
        assert_eq!(told.reasons().await, [ExitReason::Killed]);
        above.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn init_timeout_bounds_the_whole_start() {
    for above in Above::each() {
        let (rt, above) = above.await;
        for begins in [vec![], vec![Begins::Task], vec![Begins::Server, Begins::Task]] {
            let told = Told::new(&begins, &[Then::Hangs]);
            let began = Instant::now();
            let child = told.child().init_timeout(SECOND);
            let failed = timeout(3 * SECOND, above.start_child(child)).await;
            assert_eq!(failed, Ok(Err(StartError::InitTimeout(SECOND))), "{begins:?}");
            assert_eq!(began.elapsed(), SECOND);
            assert_eq!(told.reasons().await, vec![ExitReason::Shutdown; begins.len()]);
        }
        above.stop().await;
        assert_eq!(rt.leftovers(), Leftovers::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_start_stops_the_processes_it_began() {
    let rt = Runtime::new();
    let told = Told::new(&[Begins::Task, Begins::Server], &[Then::Panics]);
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let Err(StartError::Failed(reason)) = jobs.start_child(told.child()).await else { panic!() };
    assert_eq!(reason.crash().unwrap().message(), "in its start");
    assert_eq!(told.reasons().await, [ExitReason::Shutdown, ExitReason::Shutdown]);
    jobs.stop().await.unwrap();

    // The panic is a crash of the supervisor, both during its start and while it runs.
    let told = Told::new(&[Begins::Task], &[Then::Panics]);
    let tree = Supervisor::one_for_one().child(told.child()).start(&rt).await;
    let Err(StartError::Failed(reason)) = tree else { panic!("{tree:?}") };
    assert_eq!(reason.crash().unwrap().message(), "in its start");
    assert_eq!(told.reasons().await, [ExitReason::Shutdown]);

    let told = Told::new(&[Begins::Task], &[Then::Panics]);
    let tree = Supervisor::one_for_one().start(&rt).await.unwrap();
    let ended = tree.ended();
    assert!(matches!(tree.start_child(told.child()).await, Err(StartError::Unreachable(_))));
    assert_eq!(ended.await.crash().unwrap().message(), "in its start");
    assert_eq!(told.reasons().await, [ExitReason::Shutdown]);
    assert_eq!(rt.leftovers(), Leftovers::default());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_start_stops_the_processes_it_began() {
    for begins in [Begins::Task, Begins::EndedTask, Begins::Server, Begins::Serve] {
        for kill in [false, true] {
            for above in Above::each() {
                let (rt, above) = above.await;
                if !kill && matches!(above, Above::Fixed(_)) {
                    continue; // This supervisor is asked to stop only after the start.
                }
                let told = Told::new(&[begins, Begins::Task], &[Then::Hangs]);
                let (asked, child) = (above.clone(), told.child());
                let starting = tokio::spawn(async move { asked.start_child(child).await });
                until("both are begun", || told.ends.lock().unwrap().len() == 2).await;
                let ended = rt.ended(above.pid());
                match kill {
                    true => drop(rt.kill(above.pid())),
                    false => above.stop().await,
                }
                ended.await;
                settled().await;
                let reasons = told.reasons().await;
                assert_eq!(reasons[1], ExitReason::Killed, "{begins:?} {kill}");
                assert!(matches!(starting.await, Ok(Err(StartError::Unreachable(_)))));
                assert_eq!(rt.leftovers(), Leftovers::default(), "{begins:?} {kill}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_restart_stops_its_processes_and_is_retried() {
    for above in Above::each() {
        let (rt, above) = above.await;
        let then = [Then::ReturnsFirst, Then::Fails, Then::ReturnsFirst];
        let told = Told::new(&[Begins::Task], &then);
        let first = above.start_child(told.child().named("held")).await.unwrap();
        support::killed(&rt, first).await;
        settled().await;
        assert_eq!(told.starts(), 3);
        let now = rt.whereis("held").unwrap();
        assert_eq!(rt.process_count(), 2, "the supervisor and the child");
        assert!(rt.is_alive(now));
        above.stop().await;
        assert_eq!(
            told.reasons().await,
            [ExitReason::Killed, ExitReason::Shutdown, ExitReason::Shutdown]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_stops_the_processes_it_began_beside_its_child() {
    let log = Log::listen();
    for above in Above::each() {
        let (rt, above) = above.await;
        let both = [Begins::Task, Begins::Server];
        for (then, kept) in [(Then::ReturnsFirst, 0), (Then::ReturnsLast, 1)] {
            let told = Told::new(&both, &[then]);
            let child = told.child().with_id(format!("{then:?}")).restart(Restart::Temporary);
            let pid = above.start_child(child).await.unwrap();
            assert!(rt.is_alive(pid));
            let mut ends = std::mem::take(&mut *told.ends.lock().unwrap());
            let other = timeout(Duration::ZERO, ends.remove(1 - kept)).await;
            assert_eq!(other, Ok(ExitReason::Shutdown));
            let warning = "WARN stopped: the child's start returned another process ";
            assert_eq!(complaints(&log), [warning]);
            support::killed(&rt, pid).await;
            assert_eq!(ends.remove(0).await, ExitReason::Killed);
            settled().await;
            log.take();
        }
        above.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_of_an_earlier_start_is_refused() {
    for above in Above::each() {
        let (_rt, above) = above.await;
        let told = Told::new(&[Begins::Task], &[Then::Swaps]);
        let failed = above.start_child(told.child()).await;
        assert_eq!(failed, Err(StartError::Failed(crash("nothing was kept"))));
        let failed = above.start_child(told.child()).await;
        let Err(StartError::Invalid(what)) = failed else { panic!("{failed:?}") };
        assert!(what.contains("\"told\"") && what.contains("did not start"), "{what}");
        // Neither the old process nor the new one is left.
        assert_eq!(told.reasons().await, [ExitReason::Shutdown, ExitReason::Shutdown]);
        above.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ended_during_its_start_is_treated_as_an_exit() {
    for above in Above::each() {
        let (rt, above) = above.await;
        let told = Told::new(&[Begins::EndedTask], &[Then::ReturnsFirst]);
        let child = told.child().restart(Restart::Temporary);
        let pid = above.start_child(child).await.unwrap();
        assert!(!rt.is_alive(pid));
        settled().await;
        let left = match &above {
            Above::Fixed(tree) => tree.which_children().await.unwrap(),
            Above::Dynamic(jobs) => jobs.which_children().await.unwrap(),
        };
        assert!(left.is_empty(), "{left:?}");

        let told = Told::new(&[Begins::EndedTask], &[Then::ReturnsFirst, Then::Ignores]);
        above.start_child(told.child()).await.unwrap();
        settled().await;
        assert_eq!(told.starts(), 2, "it ended, and was started again");
    }
}

/// The first start never returns; a stop of the child cancels it.
#[tokio::test(start_paused = true)]
async fn terminate_child_during_a_hanging_restart_stops_its_processes() {
    let rt = Runtime::new();
    let jobs = DynamicSupervisor::new().start(&rt).await.unwrap();
    let told = Told::new(&[Begins::Task], &[Then::ReturnsFirst, Then::Hangs]);
    let pid = jobs.start_child(told.child().init_timeout(SECOND)).await.unwrap();
    support::killed(&rt, pid).await;
    until("the restart hangs", || told.ends.lock().unwrap().len() == 2).await;
    let state = jobs.which_children().await.unwrap()[0].state;
    assert_eq!(state, ChildState::Restarting { retry_in: None });
    jobs.terminate_child(pid).await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(told.reasons().await, [ExitReason::Killed, ExitReason::Shutdown]);
    assert_eq!(rt.process_count(), 1);
}
