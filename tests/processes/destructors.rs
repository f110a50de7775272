//! User values with panicking destructors, wherever they are dropped: no other process is affected,
//! and the steps that follow still run.

use crate::support;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{
    ChildSpec, Context, DynamicSupervisor, ExitReason, GenServer, Received, Reply, Restart, Result,
    Runtime, ServerContext, Supervisor,
};
use support::scripted_children::ScriptedChildren;
use support::{idle, idler, settled};
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);

/// Panics when it is dropped.
#[derive(Debug)]
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("as expected");
    }
}

impl std::fmt::Display for Bomb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("bomb")
    }
}

impl std::error::Error for Bomb {}

/// A server that handles its first message and never receives another one.
struct Busy;

impl GenServer for Busy {
    type Args = ();
    type Call = Reply<()>;
    type Cast = Bomb;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Busy)
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        pending().await
    }

    async fn handle_cast(&mut self, _: Bomb, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// A server handles its first message while messages with panicking destructors are queued. The
/// server has received the first one alone, or together with the others. A panic while another
/// panic unwinds would abort the program, so the messages are dropped one by one.
#[tokio::test(start_paused = true)]
async fn queued_messages_with_panicking_destructors_are_dropped_one_by_one() {
    let rt = Runtime::new();
    for at_once in [false, true] {
        let busy = Busy::start(&rt, ()).await.unwrap();
        let caller = tokio::spawn({
            let busy = busy.clone();
            async move { busy.call_unlimited(|reply| reply).await }
        });
        if !at_once {
            settled().await;
        }
        tokio::task::yield_now().await;
        for _ in 0..3 {
            busy.cast(Bomb);
        }
        settled().await;
        rt.kill(busy.pid().unwrap());
        assert_eq!(busy.ended().await, ExitReason::Killed);
        assert!(caller.await.unwrap().is_err());
    }
}

/// The messages of these timers have panicking destructors: one timer without a target, and several
/// that are discarded with their target. The other timers fire, and the end of the target is
/// announced.
#[tokio::test(start_paused = true)]
async fn a_panicking_destructor_in_a_timer_does_not_stop_other_timers() {
    let rt = Runtime::new();
    let second = Duration::from_secs(1);
    rt.exit_after("nobody", second, ExitReason::from(Bomb));
    let process = rt.spawn(|mut ctx: Context| async move {
        assert_eq!(ctx.recv().await, Received::Message(b"tick".to_vec()));
    });
    rt.send_after(process.pid(), 2 * second, b"tick".to_vec());
    assert_eq!(timeout(HOUR, process.join()).await, Ok(ExitReason::Normal));

    let target = idler(&rt);
    for _ in 0..3 {
        rt.exit_after(target.pid(), HOUR, ExitReason::from(Bomb));
    }
    target.kill();
    assert_eq!(timeout(HOUR, target.join()).await, Ok(ExitReason::Killed));

    let left = idle(&rt);
    for _ in 0..3 {
        rt.exit_after(left, HOUR, ExitReason::from(Bomb));
    }
    let ended = rt.ended(left);
    rt.shutdown();
    assert_eq!(timeout(HOUR, ended).await, Ok(ExitReason::Killed));
}

/// A value that panics when it is dropped, and counts its drops.
struct Last(Arc<AtomicUsize>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("as expected");
    }
}

/// Returns a child with a specification that contains a value with a panicking destructor.
fn mined(id: &str, dropped: &Arc<AtomicUsize>, ends: bool) -> ChildSpec {
    let captured = Arc::new(Last(dropped.clone()));
    ChildSpec::task(id, move |_| async move {
        let _captured = captured;
        if !ends {
            pending::<()>().await;
        }
        Ok(())
    })
}

/// The specification of a child is dropped when the child is stopped, when it ends, and when it is
/// refused. None of these drops crashes the supervisor, which then stops its other children in
/// order.
#[tokio::test(start_paused = true)]
async fn a_panicking_destructor_in_a_child_spec_does_not_crash_the_supervisor() {
    let mut t = ScriptedChildren::new();
    let dropped = Arc::default();
    let short = mined("short", &dropped, true).restart(Restart::Temporary);
    let tree = Supervisor::one_for_one().child(t.child("a")).child(mined("b", &dropped, false));
    let tree = tree.child(short).start(&t.rt).await.unwrap();
    settled().await;
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "the short one's");
    assert!(tree.start_child(mined("b", &dropped, false)).await.is_err());
    assert_eq!(dropped.load(Ordering::SeqCst), 2, "the refused one's");
    assert_eq!(t.reports().await, ["a starts"]);
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(t.reports().await, ["a stops: shutdown"]);
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

/// The same holds for a dynamic supervisor.
#[tokio::test(start_paused = true)]
async fn a_panicking_destructor_in_a_spec_does_not_crash_a_dynamic_supervisor() {
    let rt = Runtime::new();
    let dropped = Arc::default();
    let jobs = DynamicSupervisor::new().max_children(2).start(&rt).await.unwrap();
    let other = jobs.start_child(ChildSpec::task("other", |_| pending())).await.unwrap();
    let short = mined("short", &dropped, true).restart(Restart::Transient);
    jobs.start_child(short).await.unwrap();
    settled().await;
    assert_eq!(dropped.load(Ordering::SeqCst), 1, "the short one's");
    let long = jobs.start_child(mined("long", &dropped, false)).await.unwrap();
    assert!(jobs.start_child(mined("third", &dropped, false)).await.is_err());
    assert_eq!(dropped.load(Ordering::SeqCst), 2, "the refused one's");
    assert_eq!(jobs.terminate_child(long).await, Ok(()));
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
    assert!(rt.is_alive(other));
    assert_eq!(jobs.stop().await, Ok(ExitReason::Shutdown));
}
