//! The way back of a call.
//!
//! A reply that is dropped unsent inside of its server is [kept](crate::call::unanswered) until the handler
//! is over; one that is dropped elsewhere says so in its [slot](crate::call::reply_slot), and the caller
//! finds out why. A question that a full mailbox drops was never handled: its caller is told
//! that at once.

use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use crate::base::eviction::is_evicting;
use crate::call::reply_slot::{AwaitedReply, Lost, ReplySlot};
use crate::call::unanswered;
use crate::mailbox::record::Process;

/// Where the answer of one call goes. It travels inside the call; the server sends it
/// now, later, or from another process.
///
/// Dropped unsent, it tells the caller: [`NoReply`](crate::CallError::NoReply) while
/// the server lives, [`Overloaded`](crate::CallError::Overloaded) if its mailbox dropped the
/// question unread, or else the reason the server ended with. It does not say who called, which
/// need not be a process: where the server has to know, the question carries a pid. OTP: `From`,
/// which holds the caller's pid, and `gen_server:reply/2`; there a caller that nobody answers waits
/// until its time is up.
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
    slot: Option<Arc<ReplySlot<T>>>,
    /// The address of its record: as long as the caller waits, no other has it.
    server: usize,
}

impl<T: Send + 'static> Reply<T> {
    /// Of this server; whoever waits is woken by this waker, until it is polled by another.
    #[inline]
    pub(crate) fn new<M>(server: &Arc<Process<M>>, waker: Waker) -> (Self, AwaitedReply<T>) {
        let (slot, awaited) = ReplySlot::new(waker);
        (Reply { slot: Some(slot), server: Arc::as_ptr(server).addr() }, awaited)
    }

    /// Sends the answer. If the caller has stopped waiting, it goes nowhere. [`Reply`] has an
    /// example.
    #[inline]
    pub fn send(mut self, value: T) {
        crate::base::failpoint::point!("reply send");
        if let Some(slot) = self.slot.take() {
            slot.answer(Ok(value));
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
        self.slot.as_ref().is_some_and(ReplySlot::is_shared)
    }
}

impl<T: Send + 'static> Drop for Reply<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            unsent(self.server, slot);
        }
    }
}

#[cold]
#[inline(never)]
fn unsent<T: Send + 'static>(server: usize, slot: Arc<ReplySlot<T>>) {
    if !slot.is_shared() {
        return;
    }
    if is_evicting(server) {
        return slot.answer(Err(Lost::Overloaded));
    }
    if !unanswered::keep(server, &slot) {
        slot.mark_dropped();
    }
}

impl<T: Send + 'static> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("awaited", &self.is_awaited()).finish_non_exhaustive()
    }
}
