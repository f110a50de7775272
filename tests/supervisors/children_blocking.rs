//! Blocking functions as children: properties that apply only to threads.

use crate::support;

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use regrow::{
    ChildSpec, CrashKind, ExitReason, Received, Runtime, Shutdown, StartCause, Supervisor,
};
use support::injected_panics::hush_injected_panics;
use support::kinds::only_end;
use support::log::Log;
use support::{OnDrop, until};
use tokio::sync::mpsc::unbounded_channel;

const HOUR: Duration = Duration::from_secs(3600);

/// T37: a thread cannot be killed. If it exceeds its shutdown time, this is logged with its name
/// every five seconds, its name stays held, and the next incarnation waits for its end.
#[tokio::test(start_paused = true)]
async fn an_overrunning_thread_is_logged_every_five_seconds_and_waited_for() {
    let rt = Runtime::new();
    let (open, gate) = mpsc::channel::<()>();
    let (up, mut is_up) = unbounded_channel();
    let gate = Arc::new(Mutex::new(gate));
    let stuck = ChildSpec::blocking("stuck", move |ctx| {
        up.send(ctx.pid())?;
        // The thread waits only for the test, and ignores every stop request.
        gate.lock().unwrap().recv().ok();
        Ok(())
    });
    let stuck = stuck.named("stuck").shutdown(Shutdown::Timeout(Duration::from_secs(2)));
    let tree = Supervisor::one_for_one().child(stuck).start(&rt).await.unwrap();
    let old = is_up.recv().await.unwrap();
    let log = Log::listen();
    let begin = tokio::time::Instant::now();
    let stopping = tokio::spawn({
        let tree = tree.clone();
        async move { tree.terminate_child("stuck").await }
    });
    tokio::time::sleep(Duration::from_secs(18)).await;
    assert!(!stopping.is_finished());
    let told = log.take();
    let heads: Vec<_> = told.iter().map(support::log::Line::head).collect();
    assert_eq!(heads, ["WARN killed, but not yielding"; 3], "after 7, 12 and 17 s");
    assert!(told.iter().all(|line| line.field("child") == "stuck"));
    assert_eq!(rt.whereis("stuck"), Some(old), "its name is held until its true end");
    open.send(()).unwrap();
    stopping.await.unwrap().unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(18));
    assert!(log.heads().contains(&"WARN shutdown error: it overran its time".to_owned()));

    let new = tree.restart_child("stuck").await.unwrap();
    assert_eq!(is_up.recv().await, Some(new));
    open.send(()).unwrap();
    rt.shutdown();
    tree.ended().await;
}

/// The next incarnation starts only after the thread of the killed one has ended.
#[tokio::test]
async fn a_restart_waits_for_the_thread_of_a_killed_child() {
    let rt = Runtime::new();
    let (open, gate) = mpsc::channel::<()>();
    let (say, mut said) = unbounded_channel();
    let gate = Arc::new(Mutex::new(gate));
    let child = ChildSpec::blocking("child", move |ctx| {
        say.send(("up", ctx.pid()))?;
        assert!(ctx.wait_stop(HOUR));
        gate.lock().unwrap().recv().ok();
        say.send(("down", ctx.pid()))?;
        Ok(())
    });
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let (_, first) = said.recv().await.unwrap();
    let ended = rt.ended(first);
    rt.kill(first);
    tokio::task::yield_now().await;
    assert!(rt.is_alive(first), "its function has not returned");
    open.send(()).unwrap();
    assert_eq!(ended.await, ExitReason::Killed);
    assert_eq!(said.recv().await, Some(("down", first)));
    let (up, second) = said.recv().await.unwrap();
    assert!(up == "up" && second != first);
    open.send(()).unwrap();
    tree.stop().await.unwrap();
}

/// A panic is caught on its thread, with its message and location.
#[tokio::test]
async fn a_panic_on_a_thread_keeps_its_message_and_location() {
    hush_injected_panics();
    regrow::install_panic_hook();
    let rt = Runtime::new();
    let (line, boom) = (line!() + 1, support::injected_panics::BOOM);
    let child = ChildSpec::blocking("child", move |_| panic!("{boom} on a thread"));
    let reason = only_end(&rt, child).await;
    let crash = reason.crash().unwrap();
    assert_eq!((crash.kind(), crash.message()), (CrashKind::Panic, "boom on a thread"));
    let place = crash.location().unwrap();
    assert_eq!((place.file(), place.line()), (file!(), line));
}

/// The thread acts as its process, has the name of the child, and runs inside tokio.
#[tokio::test]
async fn a_blocking_thread_acts_as_its_process() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let child = ChildSpec::blocking("a\0name", move |mut ctx| {
        let (rt, me) = (ctx.runtime(), ctx.pid());
        say.send(std::thread::current().name().map(str::to_owned))?;
        let helper = rt.spawn_link(me, |_| std::future::pending());
        rt.send(me, b"to itself".to_vec());
        assert_eq!(ctx.recv(), Some(Received::Message(b"to itself".to_vec())));
        rt.set_trap_exit(me, true);
        rt.exit(helper.pid(), ExitReason::crashed("by its process"));
        let reason = ExitReason::crashed("by its process");
        assert_eq!(ctx.recv(), Some(Received::Exit { from: helper.pid(), reason }));
        assert_eq!(ctx.block_on(tokio::spawn(async { 7 })).unwrap()?, 7);
        assert_eq!(*ctx.start_cause(), StartCause::First);
        Ok(())
    });
    assert_eq!(only_end(&rt, child).await, ExitReason::Normal);
    assert_eq!(said.recv().await, Some(Some("aname".to_owned())));
}

/// Every kind of wait ends when the child is asked to stop.
#[tokio::test]
async fn every_blocking_wait_ends_at_a_stop() {
    type Wait = fn(&mut regrow::BlockingContext) -> bool;
    let waits: [Wait; 5] = [
        |ctx| ctx.recv().is_none(),
        |ctx| ctx.recv_timeout(HOUR).is_none(),
        |ctx| ctx.wait_stop(Duration::MAX),
        |ctx| ctx.block_on(std::future::pending::<()>()).is_none(),
        |ctx| {
            let token = ctx.cancellation_token();
            ctx.block_on(async move { token.cancelled().await });
            true
        },
    ];
    for wait in waits {
        let rt = Runtime::new();
        let (say, mut said) = unbounded_channel();
        let child = ChildSpec::blocking("child", move |mut ctx| {
            say.send("up")?;
            assert!(wait(&mut ctx) && ctx.is_stopping());
            assert!(ctx.recv().is_none() && ctx.wait_stop(Duration::ZERO), "and all later ones");
            Ok(())
        });
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        let pid = tree.which_child("child").await.unwrap().pid().unwrap();
        let ended = rt.ended(pid);
        assert_eq!(said.recv().await, Some("up"));
        tree.stop().await.unwrap();
        assert_eq!(ended.await, ExitReason::Shutdown);
    }
}

/// A crash of a linked process asks the thread to stop, and is its exit reason.
#[tokio::test]
async fn a_linked_crash_stops_a_blocking_child() {
    let rt = Runtime::new();
    let child = ChildSpec::blocking("child", |ctx| {
        let peer = ctx.runtime().spawn_link(ctx.pid(), |_| std::future::pending());
        ctx.runtime().exit(peer.pid(), ExitReason::crashed("peer"));
        assert!(ctx.wait_stop(HOUR));
        Ok(())
    });
    assert_eq!(only_end(&rt, child).await, ExitReason::crashed("peer"));
}

/// A tokio runtime that shuts down does not wait for threads, but signals them to stop.
#[test]
fn dropping_tokio_signals_a_blocking_thread_to_stop() {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let rt = Runtime::new();
    let (say, said) = mpsc::channel();
    tokio.block_on(async {
        let ready = say.clone();
        let child = ChildSpec::blocking("child", move |ctx| {
            let _gone = OnDrop::new(move || say.send("gone").unwrap());
            ready.send("up").unwrap();
            assert!(ctx.wait_stop(HOUR));
            Ok(())
        });
        Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    });
    assert_eq!(said.recv(), Ok("up"));
    drop(tokio);
    assert_eq!(said.recv(), Ok("gone"));
    assert_eq!(rt.process_count(), 0);
}

/// Many threads start and end concurrently, and nothing of them is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_stops_and_exits_of_threads_leave_nothing() {
    for _ in 0..20 {
        let rt = Runtime::new();
        let spec = Supervisor::one_for_one().intensity(u32::MAX, HOUR);
        let spec = (0..20).fold(spec, |spec, n| {
            let id = format!("child {n}");
            spec.child(ChildSpec::blocking(id, move |ctx| {
                let _ = ctx.wait_stop(Duration::from_micros(n * 50));
                Ok(())
            }))
        });
        let tree = spec.start(&rt).await.unwrap();
        until("some restarts", || rt.spawned() > 100).await;
        tree.stop().await.unwrap();
        until("all have ended", || rt.process_count() == 0).await;
        assert_eq!(rt.leftovers(), regrow::Leftovers::default());
    }
}

/// The future may block the thread and consume the wake-up of the stop. `block_on` still returns at
/// the stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn block_on_returns_at_a_stop_after_its_future_blocked_the_thread() {
    let rt = Runtime::new();
    let (open, gate) = mpsc::channel::<()>();
    let (up, mut is_up) = unbounded_channel();
    let gate = Arc::new(Mutex::new(gate));
    let waits = ChildSpec::blocking("waits", move |ctx| {
        let blocks = async {
            up.send(ctx.cancellation_token()).unwrap();
            gate.lock().unwrap().recv().ok();
            std::future::pending::<()>().await;
        };
        assert_eq!(ctx.block_on(blocks), None);
        Ok(())
    });
    let tree = Supervisor::one_for_one().child(waits).start(&rt).await.unwrap();
    let stop = is_up.recv().await.unwrap();
    let stopping = tokio::spawn(async move { tree.stop().await });
    stop.cancelled().await;
    open.send(()).unwrap();
    assert_eq!(stopping.await.unwrap(), Ok(ExitReason::Shutdown));
}
