//! Waiting for the end of a process, from anywhere.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::coop;

use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::process::AnyProcess;
use crate::runtime::Runtime;

/// Resolves with the reason when a process has ended, after everybody else was told:
/// its names are free, every `Down` and every link's exit has been delivered.
///
/// It is made by [`Runtime::ended`], [`ProcessHandle::join`] and the handles of servers
/// and supervisors. A process that awaits its own end waits until it is ended by another.
///
/// # Cancel safety
///
/// Cancel safe; ask again as often as you like.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let worker = rt.spawn_fallible(|_| async { Err(ExitReason::crashed("tired")) });
/// let ended = rt.ended(worker.pid()); // made while it lives, so it will know why
/// assert_eq!(ended.await, ExitReason::crashed("tired"));
///
/// // Made afterwards: of a dead pid nothing is remembered, a handle remembers.
/// assert_eq!(rt.ended(worker.pid()).await, ExitReason::NoProc);
/// assert_eq!(worker.join().await, ExitReason::crashed("tired"));
/// # });
/// ```
#[must_use = "it does nothing unless awaited"]
#[derive(Debug)]
pub struct Ended {
    process: Option<Arc<dyn AnyProcess>>,
    /// The number of our waker in the record.
    waiter: u64,
    /// Whether it may be there.
    is_registered: bool,
}

impl Ended {
    pub(crate) fn of(runtime: &Runtime, process: Option<Arc<dyn AnyProcess>>) -> Self {
        Ended { process, waiter: runtime.kernel.fresh_id(), is_registered: false }
    }
}

impl Future for Ended {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let this = &mut *self;
        // Who waits for one that has ended, over and over, lets others run.
        let budget = ready!(coop::poll_proceed(cx));
        let Some(process) = &this.process else {
            budget.made_progress();
            return Poll::Ready(ExitReason::NoProc);
        };
        let mut waker = Some(cx.waker().clone());
        let (reason, old) = process.with(|locked| {
            let core = locked.core();
            if core.end_announced {
                return (core.reason.clone(), None);
            }
            let old =
                waker.take().and_then(|w| core.relations_mut().waiters.insert(this.waiter, w));
            (None, old)
        });
        drop(old);
        this.is_registered = reason.is_none();
        let Some(reason) = reason else { return Poll::Pending };
        budget.made_progress();
        Poll::Ready(reason)
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|_| self.is_registered) {
            let old = process.with(|locked| {
                locked
                    .core()
                    .relations()
                    .and_then(|relations| relations.waiters.remove(&self.waiter))
            });
            drop(old);
        }
    }
}

impl Runtime {
    /// The reason of a process' end, when it has come. Of a process that is not alive:
    /// [`NoProc`](ExitReason::NoProc), at once; so ask before the end that you cause. For code
    /// outside of any process; inside, [`monitor`](Self::monitor). OTP has no counterpart.
    ///
    /// # Cancel safety
    ///
    /// As [`Ended`].
    ///
    /// ```
    /// use regrow::{ExitReason, Pid, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let pid = rt.spawn(|_| async {}).pid();
    /// assert_eq!(rt.ended(pid).await, ExitReason::Normal);
    /// assert_eq!(rt.ended(Pid::from_raw(99)).await, ExitReason::NoProc);
    /// # });
    /// ```
    pub fn ended(&self, pid: Pid) -> Ended {
        Ended::of(self, self.kernel.find(pid))
    }
}

/// A process that was spawned. Cheap to clone. Dropping the handle does nothing to the
/// process.
///
/// A handle is this very incarnation, and remembers the reason of its end for as long
/// as it is kept. OTP: a pid, which remembers nothing.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let worker = rt.spawn(|_| std::future::pending());
/// assert!(rt.is_alive(worker.pid()));
/// assert!(worker.kill());
/// assert_eq!(worker.join().await, ExitReason::Killed);
/// assert_eq!(worker.join().await, ExitReason::Killed); // it remembers
/// assert!(!worker.kill());
/// # });
/// ```
#[derive(Clone, Debug)]
pub struct ProcessHandle {
    pub(crate) runtime: Runtime,
    pub(crate) process: Arc<dyn AnyProcess>,
}

impl ProcessHandle {
    /// Its pid, also when it has ended. [`ProcessHandle`] has an example.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Kills it, as [`Runtime::kill`] does: at its next await; teardown still runs.
    /// False if it is not alive. [`ProcessHandle`] has an example.
    pub fn kill(&self) -> bool {
        self.runtime.kill(self.pid())
    }

    /// Resolves with the reason when the process has ended, also long after it did. A
    /// panic or a kill is no error here. [`ProcessHandle`] has an example.
    ///
    /// # Cancel safety
    ///
    /// As [`Ended`].
    pub fn join(&self) -> Ended {
        Ended::of(&self.runtime, Some(Arc::clone(&self.process)))
    }
}
