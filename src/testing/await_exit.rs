//! Waiting for ends and for successors.

use std::future::Future;

use crate::base::catch::with_caught_wakers;
use crate::base::coop::consume_budget;
use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::runtime::Runtime;
use crate::testing::time_limit::wait_for;

/// Waits until a process has ended, and gives the reason, as [`Runtime::ended`] does: of one
/// that is dead already, [`NoProc`](ExitReason::NoProc).
///
/// # Panics
///
/// If it does not end within a day: under paused time that is at once when nothing else is
/// due.
///
/// # Cancel safety
///
/// Cancel safe. The process is looked up when this is called, not when it is awaited.
///
/// ```
/// use regrow::testing::await_exit;
/// use regrow::{ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let worker = rt.spawn(|_| std::future::pending()).pid();
/// let exit = await_exit(&rt, worker); // made while it lives, so it will know why
/// rt.kill(worker);
/// assert_eq!(exit.await, ExitReason::Killed);
/// # });
/// ```
pub fn await_exit(runtime: &Runtime, pid: Pid) -> impl Future<Output = ExitReason> + Send + use<> {
    let ended = runtime.ended(pid);
    async move { wait_for(format!("the end of {pid}"), ended).await }
}

/// Waits until somebody else holds the name than when this is called, and gives its pid: so
/// call it before the crash, and await it afterwards. Of a name that nobody holds it awaits
/// the first holder.
///
/// A server holds its name from before its `init` on; a call to it waits for that.
///
/// # Panics
///
/// If nobody comes within a day: under paused time that is at once when nothing else is due,
/// as after a supervisor gave up.
///
/// # Cancel safety
///
/// Cancel safe.
///
/// ```
/// use std::time::Duration;
/// use regrow::testing::await_restart;
/// use regrow::{Backoff, ChildSpec, Runtime, Supervisor};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let pause = Duration::from_secs(600);
/// let feed = ChildSpec::task("feed", |_| std::future::pending())
///     .named("feed")
///     .backoff(Backoff::new().first(pause).max(pause).jitter(0.0));
/// let tree = Supervisor::one_for_one().child(feed).start(&rt).await?;
///
/// let start = tokio::time::Instant::now();
/// let first = rt.whereis("feed").unwrap();
/// let restart = await_restart(&rt, "feed");
/// rt.kill(first);
/// let second = restart.await; // ten minutes, which pass at once
/// assert_eq!(start.elapsed(), pause);
/// assert_ne!(first, second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn await_restart(runtime: &Runtime, name: &str) -> impl Future<Output = Pid> + Send + use<> {
    let (runtime, name) = (runtime.clone(), name.to_owned());
    let before = runtime.whereis(&name);
    async move {
        let new_holder = new_holder(&runtime, &name, before);
        wait_for(format!("a new holder of {name:?}"), new_holder).await
    }
}

async fn new_holder(runtime: &Runtime, name: &str, before: Option<Pid>) -> Pid {
    loop {
        consume_budget().await;
        let name_change = runtime.kernel.name_changes.notified();
        tokio::pin!(name_change);
        // From here on no change is missed.
        name_change.as_mut().enable();
        match runtime.whereis(name) {
            Some(holder) if Some(holder) != before => return holder,
            _ => with_caught_wakers(name_change).await,
        }
    }
}
