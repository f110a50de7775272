//! The reply of a call, on the side of the server.
//!
//! The place where a reply is dropped unsent determines how its call is resolved:
//!
//! | dropped | |
//! |---|---|
//! | with a request that a full mailbox evicts | the caller gets `Overloaded` at once: the request was not handled |
//! | by its own server, in a handler or with the state | [kept](crate::call::unanswered) until the handler has returned |
//! | elsewhere | marked as dropped in its [slot](crate::call::reply_slot), and the caller asks the server's record for the reason |

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::Waker;

use crate::base::eviction::is_evicting;
use crate::base::{Pid, current_process};
use crate::call::{AwaitedReply, CallDeadline, Lost, ReplySlot, unanswered};
use crate::mailbox::{CallerWaits, Process};

/// The reply address of one call. The request contains it. The server answers with
/// [`send`](Self::send), in the handler, later, or from another process.
///
/// If a reply is dropped unsent, its call fails: with [`Overloaded`](crate::CallError::Overloaded)
/// if a full mailbox dropped the request, with [`NoReply`](crate::CallError::NoReply) if the server
/// lives, and otherwise with the reason of the server's end. OTP: `From`, and `gen_server:reply/2`.
/// In OTP, a caller that gets no answer waits until its time is up.
///
/// # Examples
///
/// The example of [`GenServer`](crate::GenServer) shows the plain use: the handler answers at once.
/// A handler that waits until an answer is available blocks its server: the server handles no other
/// message until the handler returns, so it never handles the message that would bring the answer.
/// Instead, keep the reply and return:
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
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let jobs = Jobs::start(&rt, ()).await?;
/// let (job, sent) = tokio::join!(jobs.call(|reply| reply), async { jobs.cast(7) });
/// assert!(sent);
/// assert_eq!(job?, 7);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
///
/// For long work, move the reply out of the handler:
/// `tokio::spawn(async move { reply.send(work().await) })`. If the work panics, the call fails with
/// `NoReply`.
pub struct Reply<T: Send + 'static> {
    slot: Option<Arc<ReplySlot<T>>>,
    /// The address of the server's record. No other record has this address while the caller waits.
    server: usize,
}

impl<T: Send + 'static> Reply<T> {
    /// Creates a reply of this server, and the caller's side of it. The answer wakes this waker,
    /// unless the caller's side has been polled with another one by then.
    #[inline]
    pub(crate) fn new<M>(server: &Arc<Process<M>>, waker: Waker) -> (Self, AwaitedReply<T>) {
        let caller = current_process::current_pid(server.kernel.number());
        let (slot, awaited) = ReplySlot::new(caller, waker);
        (Reply { slot: Some(slot), server: server.head.address() }, awaited)
    }

    /// Creates the reply of a call from another node to the server whose record has this address.
    #[cfg(feature = "cluster")]
    pub(crate) fn of_slot(slot: Arc<ReplySlot<T>>, server: usize) -> Self {
        Reply { slot: Some(slot), server }
    }

    /// Creates the reply in a call that goes to another node, and stays behind.
    #[cfg(feature = "cluster")]
    pub(crate) fn unconnected() -> Self {
        Reply { slot: None, server: 0 }
    }

    /// Whether an answer would reach a caller through this value.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_connected(&self) -> bool {
        self.slot.is_some()
    }

    /// Sends the answer. If the caller has stopped waiting, the answer is dropped. [`Reply`] has an
    /// example.
    #[inline]
    pub fn send(mut self, value: T) {
        crate::base::failpoint::point!("reply send");
        if let Some(slot) = self.slot.take() {
            slot.answer(Ok(value));
        }
    }

    /// Returns the process that made the call: the process whose code polled the call first. `None`
    /// if that code belonged to no process of this runtime. OTP: the pid in `From`.
    ///
    /// | the call is made by | the caller is |
    /// |---|---|
    /// | a process, a handler of a server, a task of this crate | that process, the server, the task itself |
    /// | a blocking child, by any kind of call | that child |
    /// | a call by a name, or one that waits for a restart or [starts its server](crate::KeyedServers::call_or_start) | as for any other call |
    /// | a plain tokio task or a thread, also one that a process has started | `None` |
    /// | a process of another [`Runtime`](crate::Runtime) | `None` |
    /// | a [start function](crate::StartChild) of a supervisor | the supervisor |
    /// | a start function of a dynamic supervisor | the supervisor; `None` once the function has waited |
    ///
    /// A reply that is kept knows its caller as long as it is kept.
    ///
    /// With the pid, a server can monitor its client, and release what the client has borrowed when
    /// the client ends. The caller may have ended by now: a monitor then reports that at once. A
    /// [`Pool`](crate::Pool) does so.
    ///
    /// ```
    /// use regrow::{GenServer, Pid, Received, Reply, Result, Runtime, ServerContext};
    ///
    /// /// One lock, which is free again when its owner ends.
    /// struct Lock(Option<Pid>);
    ///
    /// impl GenServer for Lock {
    ///     type Args = ();
    ///     type Call = Reply<bool>;
    ///     type Cast = ();
    ///
    ///     async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
    ///         Ok(Lock(None))
    ///     }
    ///
    ///     async fn handle_call(&mut self, reply: Reply<bool>, ctx: &mut ServerContext<Self>) -> Result {
    ///         let (client, free) = (reply.caller(), self.0.is_none());
    ///         if free && let Some(client) = client {
    ///             ctx.monitor(client);
    ///             self.0 = Some(client);
    ///         }
    ///         reply.send(free && client.is_some());
    ///         Ok(())
    ///     }
    ///
    ///     async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
    ///         Ok(())
    ///     }
    ///
    ///     async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
    ///         if let Received::Down { pid, .. } = info && self.0 == Some(pid) {
    ///             self.0 = None;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let lock = Lock::start(&rt, ()).await?;
    /// assert!(!lock.call(|reply| reply).await?); // this code is no process
    /// for _ in 0..2 {
    ///     let lock = lock.clone();
    ///     let client = rt.spawn_fallible(async move |_| {
    ///         assert!(lock.call(|reply| reply).await?);
    ///         assert!(!lock.call(|reply| reply).await?); // locked until this process ends
    ///         Ok(())
    ///     });
    ///     assert!(client.join().await.is_clean());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn caller(&self) -> Option<Pid> {
        self.slot.as_ref().and_then(|slot| slot.caller())
    }

    /// Returns how long the caller still waits, while
    /// [deadlines are propagated](crate::Runtime::propagate_deadlines). A deferred reply keeps its
    /// deadline. [`CallDeadline`] has an example.
    pub fn deadline(&self) -> CallDeadline {
        CallDeadline::new(self.slot.as_ref().and_then(|slot| slot.limit()))
    }

    /// Whether the caller still waits for the answer. Check this before you start long work for the
    /// caller.
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
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let (requests, mut worker) = unbounded_channel();
    /// let desk = Desk::start(&rt, requests).await?; // passes every request on to the worker
    /// let asking = desk.call_timeout(|reply| reply, Duration::from_secs(1));
    /// let (answer, reply) = tokio::join!(asking, worker.recv());
    /// assert_eq!(answer, Err(CallError::Timeout));
    /// assert!(!reply.unwrap().is_awaited()); // no need to start
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn is_awaited(&self) -> bool {
        self.slot.as_ref().is_some_and(ReplySlot::is_shared)
    }
}

impl<T: Send + 'static> Reply<T> {
    /// Returns a reference that shows, wherever this value is moved to, whether the caller waits.
    pub(crate) fn caller_waits(&self) -> Option<CallerWaits> {
        let slot: Weak<ReplySlot<T>> = Arc::downgrade(self.slot.as_ref()?);
        Some(slot)
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
