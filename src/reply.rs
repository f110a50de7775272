//! The way back of a call.
//!
//! What happens when the server ends between any two steps: a reply that is dropped
//! unsent puts its slot on the server's list, under the server's lock. A live server
//! settles that list between two handlers: nobody will answer. Teardown takes the list
//! in the step that makes the process *ended*: it ended, for that reason. Whoever
//! comes after finds it ended, and tells its caller itself. So the caller always hears
//! the truth, and once. A question that a full mailbox drops was never handled: its
//! caller is told that at once.

use std::fmt;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::evicting::is_evicting;
use crate::exit::ExitReason;
use crate::process::core::Unanswered;
use crate::process::{AnyProcess, Stage, flag};
use crate::sync::atomic::Ordering;

/// What a caller waits for.
pub(crate) type Answer<T> = Result<T, Lost>;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    NoReply,
    Exited(ExitReason),
    /// The question was evicted from a full mailbox.
    Overloaded,
}

/// Where the answer of one call goes. It travels inside the call; the server sends it
/// now, later, or from another process.
///
/// Dropped unsent, it tells the caller: [`NoReply`](crate::CallError::NoReply) while
/// the server lives, [`Overloaded`](crate::CallError::Overloaded) if its mailbox dropped the
/// question unread, or else the reason the server ended with. OTP: `From`, and
/// `gen_server:reply/2`; there a caller that nobody answers waits until its time is up.
///
/// # Examples
///
/// The plain use is in [`GenServer`](crate::GenServer)'s example: the handler answers at
/// once. It is tempting to wait in the handler for what isn't there yet; then nobody else
/// is served, and what it waits for can't arrive. Keep the reply, and return:
///
/// ```
/// use std::collections::VecDeque;
/// use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
///
/// /// Hands out jobs in the order they come, to workers in the order they asked.
/// struct Jobs(VecDeque<Reply<u32>>);
///
/// impl GenServer for Jobs {
///     type Args = ();
///     type Call = Reply<u32>;
///     type Cast = u32;
///
///     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
///         Ok(Jobs(VecDeque::new()))
///     }
///
///     async fn handle_call(&mut self, job: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
///         self.0.push_back(job); // answered when there is a job
///         Ok(())
///     }
///
///     async fn handle_cast(&mut self, job: u32, _: &mut ServerContext<Self>) -> Result {
///         if let Some(worker) = self.0.pop_front() {
///             worker.send(job);
///         }
///         Ok(())
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(async {
/// let rt = Runtime::new();
/// let jobs = Jobs::start(&rt, ()).await?;
/// let (job, sent) = tokio::join!(jobs.call(|reply| reply), async { jobs.cast(7) });
/// assert!(sent);
/// assert_eq!(job?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
///
/// Long work moves the reply along, out of the handler:
/// `tokio::spawn(async move { reply.send(work().await) })`. If that work panics, the
/// caller is told `NoReply`.
pub struct Reply<T: Send + 'static> {
    slot: Option<oneshot::Sender<Answer<T>>>,
    server: Arc<dyn AnyProcess>,
}

impl<T: Send + 'static> Reply<T> {
    #[inline]
    pub(crate) fn new(server: Arc<dyn AnyProcess>) -> (Self, oneshot::Receiver<Answer<T>>) {
        let (slot, answer) = oneshot::channel();
        (Reply { slot: Some(slot), server }, answer)
    }

    /// Sends the answer. If the caller has stopped waiting, it goes nowhere. [`Reply`] has an
    /// example.
    #[inline]
    pub fn send(mut self, value: T) {
        crate::failpoint::point!("reply send");
        if let Some(slot) = self.slot.take() {
            // A caller that is gone needs no answer.
            let _ = slot.send(Ok(value));
        }
    }

    /// Whether somebody still waits for the answer: long work may look, and save itself.
    ///
    /// ```
    /// use std::time::Duration;
    /// use regrow::CallError;
    /// # use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
    /// # use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
    /// # struct Desk(UnboundedSender<Reply<u32>>);
    /// # impl GenServer for Desk {
    /// #     type Args = UnboundedSender<Reply<u32>>;
    /// #     type Call = Reply<u32>;
    /// #     type Cast = ();
    /// #     async fn init(to: Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
    /// #         Ok(Desk(to))
    /// #     }
    /// #     async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(self.0.send(reply).map_err(|_| "no worker")?)
    /// #     }
    /// #     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    /// #         Ok(())
    /// #     }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
    /// # .build().unwrap().block_on(async {
    /// let rt = Runtime::new();
    /// let (questions, mut worker) = unbounded_channel();
    /// let desk = Desk::start(&rt, questions).await?; // passes every question on to the worker
    /// let asking = desk.call_timeout(|reply| reply, Duration::from_secs(1));
    /// let (answer, reply) = tokio::join!(asking, worker.recv());
    /// assert_eq!(answer, Err(CallError::Timeout));
    /// assert!(!reply.unwrap().is_awaited()); // no need to begin
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn is_awaited(&self) -> bool {
        self.slot.as_ref().is_some_and(|slot| !slot.is_closed())
    }
}

impl<T: Send + 'static> Drop for Reply<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.unsent(slot);
        }
    }
}

impl<T: Send + 'static> Reply<T> {
    #[cold]
    #[inline(never)]
    fn unsent(&self, slot: oneshot::Sender<Answer<T>>) {
        if slot.is_closed() {
            return;
        }
        if is_evicting(Arc::as_ptr(&self.server).addr()) {
            // A caller that is gone needs no answer.
            let _ = slot.send(Err(Lost::Overloaded));
            return;
        }
        let mut caller: Option<Box<dyn Unanswered>> = Some(Box::new(slot));
        let ended = self.server.with(|locked| {
            let core = locked.core();
            if core.stage == Stage::Ended {
                return core.reason.clone();
            }
            core.standing_mut().unanswered.extend(caller.take());
            self.server.raise(flag::UNANSWERED);
            core.notify();
            // A test's stand-in for a server is not parked at its mailbox.
            core.wake_task();
            None
        });
        if let Some(caller) = caller {
            caller.settle(ended.as_ref());
        }
    }
}

/// The server lives, and nobody will answer these callers.
pub(crate) fn settle_unanswered(server: &dyn AnyProcess) {
    server.flags().fetch_and(!flag::UNANSWERED, Ordering::AcqRel);
    let callers = server.with(|locked| {
        let standing = locked.core().standing();
        standing.map(|standing| std::mem::take(&mut standing.unanswered)).unwrap_or_default()
    });
    callers.into_iter().for_each(|caller| caller.settle(None));
}

impl<T: Send> Unanswered for oneshot::Sender<Answer<T>> {
    fn settle(self: Box<Self>, ended: Option<&ExitReason>) {
        let lost = ended.map_or(Lost::NoReply, |reason| Lost::Exited(reason.clone()));
        // A caller that is gone needs no answer.
        let _ = self.send(Err(lost));
    }
}

impl<T: Send + 'static> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("awaited", &self.is_awaited()).finish_non_exhaustive()
    }
}
