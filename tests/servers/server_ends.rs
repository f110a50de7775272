//! The ends of a server, and the errors that its callers get.

use crate::support;

use std::future::pending;
use std::sync::Arc;

use regrow::{
    CallError, ChildSpec, DynamicSupervisor, ExitReason, GenServer, Name, Pid, Reply, Result,
    Runtime, ServerContext, ServerRef, StartError, Supervisor, TaskSupervisor,
};
use support::ledger::{Call, Cast, Ledger, Parent, ParentCall, Setup, ledger};
use support::settled;
use tokio::sync::mpsc::unbounded_channel;

/// GS-016, GS-040.
#[tokio::test]
async fn a_panic_in_a_handler_fails_every_open_call_with_that_panic() {
    let rt = Runtime::new();
    let (ends, mut ended) = unbounded_channel();
    let server = Ledger::start(&rt, Setup { ends: Some(ends), ..Setup::default() }).await.unwrap();
    let calls = [Call::Panic, Call::Later, Call::Panic];
    let answers = calls.map(|call| server.call(call));
    for answer in futures_util::future::join_all(answers).await {
        let Err(CallError::Exited(reason)) = answer else { panic!("{answer:?}") };
        assert_eq!(reason.crash().unwrap().message(), "handler fell over");
    }
    assert_eq!(ended.recv().await.unwrap().crash().unwrap().message(), "handler fell over");
    assert!(ended.recv().await.is_none(), "terminate ran twice");
}

/// GS-017.
#[tokio::test]
async fn a_stop_in_a_handler_fails_the_call_with_its_reason() {
    let rt = Runtime::new();
    for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::crashed("custom")] {
        let server = Ledger::start(&rt, Setup::default()).await.unwrap();
        let answer = server.call(|reply| Call::Stop(reason.clone(), reply)).await;
        assert_eq!(answer, Err(CallError::Exited(reason)));
    }
}

/// GS-035.
#[tokio::test]
async fn stop_returns_after_the_server_has_ended() {
    let rt = Runtime::new();
    let (ends, mut ended) = unbounded_channel();
    let server = Ledger::start(&rt, Setup { ends: Some(ends), ..Setup::default() }).await.unwrap();
    let reason = ExitReason::crashed("enough");
    assert_eq!(server.stop(reason.clone()).await, Ok(reason.clone()));
    assert_eq!((rt.process_count(), ended.try_recv()), (0, Ok(reason)));
}

/// A server that ends by itself at a cast, and whose `terminate` may panic.
struct Careless(bool);

impl GenServer for Careless {
    type Args = bool;
    type Call = Reply<()>;
    type Cast = ();

    async fn init(panics: bool, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Careless(panics))
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::Normal)
    }

    async fn terminate(&mut self, _: &ExitReason) {
        assert!(!self.0, "not written");
    }
}

/// `stop` is an error if the exit reason differs, so that `?` does not hide a crash. In OTP,
/// `gen_server:stop` exits in this case.
#[tokio::test(start_paused = true)]
async fn stop_is_an_error_when_the_server_ends_with_another_reason() {
    let rt = Runtime::new();
    let asked = || ExitReason::Shutdown;
    let limit = std::time::Duration::from_secs(1);
    for limited in [false, true] {
        let stop = async |server: &ServerRef<Careless>| match limited {
            false => server.stop(asked()).await,
            true => server.stop_timeout(asked(), limit).await,
        };
        for by_name in [false, true] {
            let name = Name::new("careless");
            let server = Careless::start_named(&rt, name, true).await.unwrap();
            let server = if by_name { rt.server(name) } else { server };
            let Err(CallError::Exited(reason)) = stop(&server).await else { panic!("swallowed") };
            assert!(reason.crash().unwrap().message().contains("not written"), "{reason}");
            assert_eq!(rt.process_count(), 0);
        }
        let server = Careless::start(&rt, false).await.unwrap();
        server.cast(()); // the server ends by itself before it gets to the stop
        assert_eq!(stop(&server).await, Err(CallError::Exited(ExitReason::Normal)));
        let server = Careless::start(&rt, false).await.unwrap();
        assert_eq!(stop(&server).await, Ok(asked()));
    }
}

/// A supervisor is killed while it stops, so its exit reason is not the requested one.
#[tokio::test(start_paused = true)]
async fn stop_of_a_supervisor_is_an_error_when_it_ends_with_another_reason() {
    let rt = Runtime::new();
    let deaf = || {
        ChildSpec::task("deaf", |mut ctx| async move {
            let stop = ctx.cancellation_token(); // the child ignores the stop request
            stop.cancelled().await;
            pending().await
        })
    };
    let killed = Err(CallError::Exited(ExitReason::Killed));
    let kill = async |pid: Option<Pid>| {
        settled().await;
        rt.kill(pid.unwrap());
    };
    for with in [false, true] {
        let fixed = Supervisor::one_for_one().child(deaf()).start(&rt).await.unwrap();
        let stop = async {
            match with {
                false => fixed.stop().await,
                true => fixed.stop_with(ExitReason::Normal).await,
            }
        };
        assert_eq!(tokio::join!(stop, kill(fixed.pid())).0, killed);
    }
    let dynamic = DynamicSupervisor::new().start(&rt).await.unwrap();
    dynamic.start_child(deaf()).await.unwrap();
    assert_eq!(tokio::join!(dynamic.stop(), kill(dynamic.pid())).0, killed);

    let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
    tasks.start_child(|_| pending()).await.unwrap();
    let ended_alike = tokio::join!(tasks.stop(), tasks.ended());
    assert_eq!(ended_alike, (Ok(ExitReason::Shutdown), ExitReason::Shutdown));
}

/// GS-044, GS-045.
#[tokio::test]
async fn neither_a_kill_nor_an_untrapped_exit_runs_terminate() {
    let rt = Runtime::new();
    for (trap, kill) in [(false, false), (false, true), (true, true)] {
        let (ends, mut ended) = unbounded_channel();
        let setup = Setup { trap, ends: Some(ends), ..Setup::default() };
        let server = Ledger::start(&rt, setup).await.unwrap();
        let pid = server.pid().unwrap();
        let waiting = server.call(Call::Later);
        let ending = async {
            if kill {
                rt.kill(pid)
            } else {
                rt.exit(pid, ExitReason::Shutdown)
            };
            rt.ended(pid).await
        };
        let (answer, reason) = tokio::join!(waiting, ending);
        let expected = if kill { ExitReason::Killed } else { ExitReason::Shutdown };
        assert_eq!((answer, &reason), (Err(CallError::Exited(reason.clone())), &expected));
        assert!(ended.recv().await.is_none(), "terminate ran");
    }
}

/// GS-002, GS-041: the exit of its parent stops a trapping server, and `terminate` runs. A failed
/// start is reported only by its result.
#[tokio::test]
async fn a_parents_exit_stops_a_trapping_server() {
    let rt = Runtime::new();
    let (ends, mut ended) = unbounded_channel();
    let parent = Parent::start(&rt, ends).await.unwrap();
    let (pid, failed) = parent.call(ParentCall::StartChild).await.unwrap();
    assert_eq!(failed, StartError::Failed(ExitReason::crashed("no")));
    assert_eq!(parent.call(ParentCall::Infos).await, Ok(0), "the failed start sent an Exit");
    let child_ended = rt.ended(pid);
    parent.stop(ExitReason::crashed("parent gone")).await.unwrap();
    assert_eq!(child_ended.await, ExitReason::crashed("parent gone"));
    assert_eq!(ended.recv().await, Some(ExitReason::crashed("parent gone")));
}

/// `?` in a handler ends the server with the error itself as the reason.
#[tokio::test]
async fn an_error_returned_by_a_handler_is_the_exit_reason() {
    let rt = Runtime::new();
    let server = ledger(&rt).await;
    server.cast(Cast::Fail);
    let reason = server.ended().await;
    let crash = reason.crash().unwrap();
    assert!(crash.downcast_ref::<std::num::ParseIntError>().is_some());
    assert!(crash.location().unwrap().file().ends_with("ledger.rs"));
}

/// Calls to servers that end at random moments: each call resolves once, with the true outcome.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_call_to_an_ending_server_resolves_with_the_true_reason() {
    let rt = Runtime::new();
    for round in 0..500 {
        let server = Arc::new(Ledger::start(&rt, Setup::default()).await.unwrap());
        let callers: Vec<_> = (0..4)
            .map(|_| {
                let server = server.clone();
                tokio::spawn(async move { server.call(Call::Later).await })
            })
            .collect();
        let pid = server.pid().unwrap();
        let ended = rt.ended(pid);
        match round % 3 {
            0 => drop(rt.kill(pid)),
            1 => drop(server.stop(ExitReason::Shutdown).await),
            _ => drop(server.call(Call::Panic).await),
        }
        let reason = ended.await;
        for caller in callers {
            match caller.await.unwrap() {
                Err(CallError::NoProc) => {}
                Err(CallError::Exited(told)) => assert_eq!(told, reason),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(rt.leftovers(), regrow::Leftovers::default());
}

/// Any exit that the parent of a trapping server sends stops the server, also a normal one. The process
/// that has started a server without a link is not its parent.
#[tokio::test(start_paused = true)]
async fn an_exit_that_is_sent_stops_a_trapping_server_only_if_its_parent_sends_it() {
    let reasons = || [ExitReason::Normal, ExitReason::Shutdown, ExitReason::crashed("x")];
    let linked = reasons().map(|reason| (true, reason));
    for (is_linked, reason) in linked.into_iter().chain(reasons().map(|reason| (false, reason))) {
        let rt = Runtime::new();
        let (ends, mut ended) = unbounded_channel();
        let setup = Setup { trap: true, ends: Some(ends), ..Setup::default() };
        let sent = reason.clone();
        let starter = rt.spawn_fallible(move |ctx| async move {
            ctx.runtime().set_trap_exit(ctx.pid(), true);
            let spec = Ledger::spec(setup);
            let server = match is_linked {
                true => spec.start_link(&ctx).await?,
                false => spec.start(&ctx.runtime()).await?,
            };
            ctx.runtime().exit(server.pid().unwrap(), sent);
            pending().await
        });
        settled().await;
        let expected = is_linked.then_some(reason);
        assert_eq!(ended.try_recv().ok(), expected);
        assert_eq!(rt.process_count(), 2 - usize::from(is_linked));
        starter.kill();
    }
}
