//! Waits for the end of a process, and for its restart.

use crate::base::{Pid, consume_budget, with_caught_wakers};
use crate::exit::ExitReason;
use crate::runtime::Runtime;
use crate::testing::{CallSite, wait_for};

/// Waits until a process has ended, and returns its exit reason, as [`Runtime::ended`] does. For a
/// process that is dead already the reason is [`NoProc`](ExitReason::NoProc).
///
/// # Panics
///
/// If the process does not end within a day. Under a paused clock this panic comes at once when no
/// other timer is pending.
///
/// # Cancel safety
///
/// Cancel safe. The function looks the process up when it is called, not when the future is
/// awaited.
///
/// ```
/// use regrow::testing::await_exit;
/// use regrow::{ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let worker = rt.spawn(|_| std::future::pending()).pid();
/// let exit = await_exit(&rt, worker); // before the end, so that the reason is known
/// rt.kill(worker);
/// assert_eq!(exit.await, ExitReason::Killed);
/// # }));
/// ```
#[track_caller]
pub fn await_exit(runtime: &Runtime, pid: Pid) -> impl Future<Output = ExitReason> + Send + use<> {
    let (site, ended) = (CallSite::here(), runtime.ended(pid));
    wait_for(site, move || format!("the end of {pid}"), ended)
}

/// Waits until the name has a new holder, which differs from the holder at the time of the call,
/// and returns the pid of the new holder. Call this before the crash, and await the future
/// afterwards. If no process holds the name at the time of the call, the future waits for the next
/// holder.
///
/// A server registers its name before its `init` runs. A call to the server waits for the `init`.
///
/// # Panics
///
/// If there is no new holder within a day. Under a paused clock this panic comes at once when no
/// other timer is pending, for example after a supervisor gave up.
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
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
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
/// let second = restart.await; // ten minutes of paused time pass at once
/// assert_eq!(start.elapsed(), pause);
/// assert_ne!(first, second);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[track_caller]
pub fn await_restart(runtime: &Runtime, name: &str) -> impl Future<Output = Pid> + Send + use<> {
    let site = CallSite::here();
    let (runtime, name) = (runtime.clone(), name.to_owned());
    let before = runtime.whereis(&name);
    async move {
        let new_holder = new_holder(&runtime, &name, before);
        wait_for(site, || format!("a new holder of {name:?}"), new_holder).await
    }
}

async fn new_holder(runtime: &Runtime, name: &str, before: Option<Pid>) -> Pid {
    loop {
        consume_budget().await;
        let name_change = runtime.kernel.name_changes.notified();
        tokio::pin!(name_change);
        // From here on no change of the name is missed.
        name_change.as_mut().enable();
        match runtime.whereis(name) {
            Some(holder) if Some(holder) != before => return holder,
            _ => with_caught_wakers(name_change).await,
        }
    }
}
