//! What the policy `Resume` means for a failure of each callback, by an error and by a panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use regrow::FailurePolicy::Resume;
use regrow::{
    Callback, ChildSpec, ExitReason, GenServer, LifecycleEvent, Received, Reply, Result, Runtime,
    ServerContext, Supervisor,
};

use super::{SECOND, idle};

#[derive(Debug, Clone, Copy, PartialEq)]
enum How {
    Error,
    Panic,
}

fn fail(how: How) -> Result {
    match how {
        How::Error => Err(ExitReason::crashed("as asked")),
        How::Panic => panic!("as asked"),
    }
}

enum Cast {
    Fail(How),
    /// Fails in a cast that is given to `continue_with`, in front of another one.
    Continue(How),
    /// Fails in the cast of a timer.
    Timer(How),
    /// Fails in `handle_timeout`.
    Idle(How),
    Add,
}

/// A server that counts the casts that have added one.
struct Fragile {
    added: u32,
    at_timeout: How,
}

impl GenServer for Fragile {
    type Args = ();
    type Call = (Option<How>, Reply<u32>);
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Fragile { added: 0, at_timeout: How::Error })
    }

    async fn handle_call(&mut self, call: Self::Call, _: &mut ServerContext<Self>) -> Result {
        if let Some(how) = call.0 {
            return fail(how);
        }
        call.1.send(self.added);
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Fail(how) => return fail(how),
            Cast::Continue(how) => {
                ctx.continue_with(Cast::Fail(how));
                ctx.continue_with(Cast::Add);
            }
            Cast::Timer(how) => {
                ctx.cast_after(SECOND, Cast::Fail(how));
            }
            Cast::Idle(how) => {
                self.at_timeout = how;
                ctx.idle_timeout(SECOND);
            }
            Cast::Add => self.added += 1,
        }
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        fail(self.at_timeout)
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        fail(if info == crate::support::text("panic") { How::Panic } else { How::Error })
    }
}

/// Makes each callback fail once, and sends a cast behind each.
async fn fail_in_each_callback(rt: &Runtime, how: How) {
    let server = rt.server::<Fragile>("a");
    let text = if how == How::Panic { "panic" } else { "error" };
    server.call(|reply| (Some(how), reply)).await.unwrap_err();
    server.cast(Cast::Fail(how));
    rt.send(server.pid().unwrap(), text.into());
    server.cast(Cast::Continue(how));
    server.cast(Cast::Add);
    idle().await;
    for cast in [Cast::Timer(how), Cast::Idle(how)] {
        server.cast(cast);
        tokio::time::sleep(2 * SECOND).await;
        server.cast(Cast::Add);
        idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_goes_on_after_a_failure_of_each_handler() {
    for how in [How::Error, How::Panic] {
        let rt = Runtime::new();
        let child = Fragile::child(()).named("a").on_failure(|_| Resume);
        let child = child.resume_budget(100, SECOND);
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        let (pid, mut events) = (rt.whereis("a"), rt.events());
        fail_in_each_callback(&rt, how).await;
        let server = rt.server::<Fragile>("a");
        assert_eq!(server.call(|reply| (None, reply)).await, Ok(4), "{how:?}");
        assert_eq!((rt.whereis("a"), rt.counters().resumed), (pid, 6));
        let mut callbacks = Vec::new();
        while callbacks.len() < 6 {
            if let LifecycleEvent::Resumed { callback, .. } = events.next().await.unwrap() {
                callbacks.push(callback);
            }
        }
        let expected = [
            Callback::HandleCall,
            Callback::HandleCast,
            Callback::HandleInfo,
            Callback::HandleCast,
            Callback::HandleCast,
            Callback::HandleTimeout,
        ];
        assert_eq!(callbacks, expected, "{how:?}");
        tree.stop().await.unwrap();
    }
}

/// A server that fails in the first so many `init`s, or in `terminate`.
struct AtTheEnds {
    at_end: Option<How>,
}

#[derive(Clone)]
struct Ends {
    how: How,
    /// The `init`s of the runs with these numbers fail.
    failing_inits: std::ops::Range<u32>,
    runs: Arc<AtomicU32>,
    fails_at_end: bool,
}

impl GenServer for AtTheEnds {
    type Args = Ends;
    type Call = ();
    type Cast = ();

    async fn init(ends: Ends, _: &mut ServerContext<Self>) -> Result<Self> {
        if ends.failing_inits.contains(&ends.runs.fetch_add(1, SeqCst)) {
            fail(ends.how)?;
        }
        Ok(AtTheEnds { at_end: ends.fails_at_end.then_some(ends.how) })
    }

    async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result {
        ctx.stop(ExitReason::Normal)
    }

    async fn terminate(&mut self, _: &ExitReason) {
        if self.at_end.is_some() {
            panic!("as asked");
        }
    }
}

fn at_the_ends(how: How, failing_inits: std::ops::Range<u32>, fails_at_end: bool) -> ChildSpec {
    let ends = Ends { how, failing_inits, runs: Arc::default(), fails_at_end };
    AtTheEnds::child(ends).with_id("a").named("a").on_failure(|_| Resume)
}

/// There is no state to go on with: at the first start, and at a restart.
#[tokio::test(start_paused = true)]
async fn a_failed_init_is_not_resumed_and_a_failed_restart_is_repeated() {
    for how in [How::Error, How::Panic] {
        let rt = Runtime::new();
        let child = at_the_ends(how, 0..1, false);
        assert!(Supervisor::one_for_one().child(child).start(&rt).await.is_err());

        let child = at_the_ends(how, 1..3, false);
        let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        crate::support::killed(&rt, rt.whereis("a").unwrap()).await;
        idle().await;
        assert!(rt.whereis("a").is_some(), "the third restart has succeeded");
        let restarts = tree.which_child("a").await.unwrap().restarts;
        assert_eq!((restarts, rt.counters().resumed), (3, 0), "{how:?}");
        tree.stop().await.unwrap();
    }
}

/// The server ends with the crash of `terminate`: a restart follows, unless its supervisor stops it.
#[tokio::test(start_paused = true)]
async fn a_failed_terminate_is_not_resumed_and_followed_by_a_restart() {
    let rt = Runtime::new();
    let child = at_the_ends(How::Panic, 0..0, true);
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let pid = rt.whereis("a");
    rt.server::<AtTheEnds>("a").cast(());
    idle().await;
    assert_ne!(rt.whereis("a"), pid);
    assert_eq!(tree.which_child("a").await.unwrap().restarts, 1);
    tree.terminate_child("a").await.unwrap();
    assert_eq!((rt.whereis("a"), rt.counters().resumed), (None, 0));
    tree.stop().await.unwrap();
}
