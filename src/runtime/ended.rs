//! The future that waits for the end of a process, for code inside and outside of processes.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::task::coop;

use crate::base::Pid;
use crate::base::sync::atomic::Ordering;
use crate::exit::ExitReason;
use crate::kernel::Kernel;
use crate::process::{AnyProcess, flag};
use crate::runtime::Runtime;

/// A future that waits for the end of a process and resolves with the reason.
///
/// The future resolves after all other notifications of the end: the names of the process are free
/// by then, every `Down` is queued, and every linked process has received its exit signal.
///
/// [`Runtime::ended`], [`ProcessHandle::join`] and the handles of servers and supervisors return
/// it. A process that awaits its own end waits until another process ends it.
///
/// # Cancel safety
///
/// Cancel safe. The end can be awaited again, any number of times.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let worker = rt.spawn_fallible(|_| async { Err(ExitReason::crashed("tired")) });
/// let ended = rt.ended(worker.pid()); // made while the process lives: gets the reason
/// assert_eq!(ended.await, ExitReason::crashed("tired"));
///
/// // Made after the end, by pid. Only handles keep the reason.
/// assert_eq!(rt.ended(worker.pid()).await, ExitReason::NoProc);
/// assert_eq!(worker.join().await, ExitReason::crashed("tired"));
/// # }));
/// ```
#[must_use = "it does nothing unless awaited"]
#[derive(Debug)]
pub struct Ended {
    process: Option<Arc<dyn AnyProcess>>,
    /// The number under which the record of the process holds the waker of this future.
    waiter: u64,
    /// Whether the record may hold that waker.
    is_registered: bool,
}

impl Ended {
    pub(crate) fn of(kernel: &Kernel, process: Option<Arc<dyn AnyProcess>>) -> Self {
        Ended { process, waiter: kernel.fresh_id(), is_registered: false }
    }
}

impl Future for Ended {
    type Output = ExitReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let this = &mut *self;
        // This consumes budget, so that a loop that awaits ended processes lets other tasks run.
        let budget = ready!(coop::poll_proceed(cx));
        let Some(process) = &this.process else {
            budget.made_progress();
            return Poll::Ready(ExitReason::NoProc);
        };
        // Once the process is in no table, its end is most likely announced. Then no waker is
        // cloned.
        let has_left = process.flags().load(Ordering::Acquire) & flag::ENDED != 0;
        if has_left && let Some(reason) = announced_reason(&**process) {
            this.is_registered = false;
            budget.made_progress();
            return Poll::Ready(reason);
        }
        let mut waker = Some(cx.waker().clone());
        let (reason, old) = process.with(|locked| {
            let core = locked.core();
            if core.end_is_announced() {
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

/// The reason of an end that all links, monitors and waiters have been notified of.
fn announced_reason(process: &dyn AnyProcess) -> Option<ExitReason> {
    process.with(|locked| {
        let core = locked.core();
        if core.end_is_announced() { core.reason.clone() } else { None }
    })
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
    /// Waits for the end of a process and resolves with the reason. If the process is not alive
    /// when this method is called, the future resolves at once with [`NoProc`](ExitReason::NoProc),
    /// so call the method before you cause the end. Use this method in code outside of any process,
    /// and [`monitor`](Self::monitor) inside a process. A process of another node is not waited for: the
    /// future resolves at once, with `NoProc`. OTP has no counterpart.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`Ended`] is.
    ///
    /// ```
    /// use regrow::{ExitReason, Pid, Runtime};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let pid = rt.spawn(|_| async {}).pid();
    /// assert_eq!(rt.ended(pid).await, ExitReason::Normal);
    /// assert_eq!(rt.ended(Pid::from_raw(99)).await, ExitReason::NoProc);
    /// # }));
    /// ```
    pub fn ended(&self, pid: Pid) -> Ended {
        Ended::of(&self.kernel, self.kernel.find(pid))
    }
}

/// A handle of a spawned process. Cheap to clone. Dropping the handle does not affect the process.
///
/// A handle refers to one process, and keeps the reason of the end of that process for as long as
/// the handle exists. OTP: a pid, which does not keep the reason.
///
/// # Examples
///
/// ```
/// use regrow::{ExitReason, Runtime};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let worker = rt.spawn(|_| std::future::pending());
/// assert!(rt.is_alive(worker.pid()));
/// assert!(worker.kill());
/// assert_eq!(worker.join().await, ExitReason::Killed);
/// assert_eq!(worker.join().await, ExitReason::Killed); // a handle keeps the reason
/// assert!(!worker.kill());
/// # }));
/// ```
#[derive(Clone, Debug)]
pub struct ProcessHandle {
    pub(crate) runtime: Runtime,
    pub(crate) process: Arc<dyn AnyProcess>,
}

impl ProcessHandle {
    /// The pid of the process, also after its end. [`ProcessHandle`] has an example.
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Kills the process at its next await, as [`Runtime::kill`] does. The process is torn down as
    /// at any other end. Returns false if the process is not alive. [`ProcessHandle`] has an
    /// example.
    pub fn kill(&self) -> bool {
        self.runtime.kill(self.pid())
    }

    /// Waits for the end of the process and resolves with the reason, also long after the end. A
    /// panic or a kill is a reason here, not an error. [`ProcessHandle`] has an example.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`Ended`] is.
    pub fn join(&self) -> Ended {
        Ended::of(&self.runtime.kernel, Some(Arc::clone(&self.process)))
    }
}
