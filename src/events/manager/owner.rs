//! The owners of handlers, and the one message that an owner gets when its handler has been removed.
//!
//! **Guarantee.** An owner gets one [`HandlerEnded`] for each handler that was added for it, unless
//! the owner itself has ended. No other process gets this message, not even a later holder of the
//! owner's name.
//!
//! **Invariants**
//! 1. The manager monitors the owner before it runs the `init` of the handler. So a `Down` arrives
//!    whenever the owner ends, even if it had ended before. The manager handles the `Down` after
//!    the `init`, and removes the handler.
//! 2. An [`Ownership`] is armed when its handler is in the list. If an armed `Ownership` is
//!    dropped, the manager was killed, and the drop sends [`HandlerEnd::ManagerEnded`]. The end of
//!    the owner disarms the `Ownership`.
//! 3. The function that notifies the owner sends only to the process that is monitored.

use std::fmt;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::base::{MonitorRef, Pid, consume_budget, ignore_panic};
use crate::events::HandlerId;
use crate::exit::ExitReason;
use crate::runtime::{Inside, Runtime};
use crate::server::Sender;

/// The process that owns a handler: it gets one [`HandlerEnded`] when the handler has been removed,
/// and the handler is removed when the process ends. OTP: the process that calls `add_sup_handler/3`.
///
/// * A server makes it from a [`Sender`] of its own: the message is a cast. If the mailbox of the
///   server is full and refuses the cast, the message is lost, and counted as such. The owner is the
///   process that the sender reaches now. A later holder of the name gets nothing, and adds a handler
///   of its own in its `init`.
/// * Any other process makes it from its context, by [`process`](Self::process).
///
/// OTP links the owner and the manager. Here the manager monitors the owner: no end of a manager ends
/// an owner.
///
/// ```
/// # use regrow::{EventHandler, HandlerContext, Removal, Result};
/// use regrow::{EventManager, GenServer, HandlerEnd, HandlerOwner, Runtime};
///
/// struct Fragile;
/// impl EventHandler<u32> for Fragile {
/// #     type Args = ();
/// #     type Call = ();
/// #     type RemoveArg = ();
/// #     type Output = ();
/// #     async fn init((): (), _: &mut HandlerContext<u32>) -> Result<Self> { Ok(Fragile) }
///     async fn handle_event(&mut self, event: &u32, _: &mut HandlerContext<u32>) -> Result {
///         panic!("can't handle {event}")
///     }
/// #     async fn terminate(self, _: Removal<()>) {}
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let manager = EventManager::start(&rt, Default::default()).await?;
/// let owner = rt.spawn_fallible(|ctx| async move {
///     let (owner, mut exits) = HandlerOwner::process(&ctx);
///     manager.add_sup_handler::<Fragile>("only", (), owner).await?;
///     manager.notify(7);
///     let ended = exits.next().await.unwrap();
///     assert_eq!(ended.handler.text(), "only");
///     assert!(matches!(ended.end, HandlerEnd::Failed(_)));
///     Ok(())
/// });
/// assert_eq!(owner.join().await, regrow::ExitReason::Normal);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
#[derive(Clone)]
pub struct HandlerOwner {
    /// `None` if no process holds the name of the server.
    pub(super) pid: Option<Pid>,
    notify: Arc<dyn Fn(HandlerEnded) + Send + Sync>,
}

impl HandlerOwner {
    /// Makes the process of this context the owner, and returns what will receive the end of its
    /// handler. [`HandlerOwner`] has an example.
    pub fn process(inside: &impl Inside) -> (Self, HandlerExits) {
        let (sender, exits) = unbounded_channel();
        // A receiver that was dropped needs no message.
        let notify = Arc::new(move |ended| drop(sender.send(ended)));
        (HandlerOwner { pid: Some(inside.pid()), notify }, HandlerExits(exits))
    }

    /// Notifies the owner.
    pub(super) fn notify(&self, handler: HandlerId, end: HandlerEnd) {
        ignore_panic(|| (self.notify)(HandlerEnded { handler, end }));
    }
}

/// Makes the server behind the sender the owner.
impl From<Sender<HandlerEnded>> for HandlerOwner {
    fn from(sender: Sender<HandlerEnded>) -> Self {
        let Some((pid, send)) = sender.bound() else {
            return HandlerOwner { pid: None, notify: Arc::new(drop) };
        };
        // A cast that is not accepted is counted as a dead letter.
        HandlerOwner { pid: Some(pid), notify: Arc::new(move |ended| _ = send(ended)) }
    }
}

impl fmt::Debug for HandlerOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HandlerOwner").field(&self.pid).finish()
    }
}

/// The message to the owner of a handler that has been removed. OTP: `{gen_event_EXIT, Handler,
/// Reason}`. [`HandlerOwner`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerEnded {
    /// The handler.
    pub handler: HandlerId,
    /// Why it was removed.
    pub end: HandlerEnd,
}

/// Why a handler was removed, for its owner. [`HandlerOwner`] has an example.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandlerEnd {
    /// It was deleted, or asked for its removal. OTP: `normal`.
    Removed,
    /// The manager was stopped. OTP: `shutdown`.
    Shutdown,
    /// Another handler replaces it. OTP: `{swapped, NewHandler, Pid}`.
    Swapped {
        /// The new handler.
        by: HandlerId,
        /// The owner of the new handler.
        owner: Option<Pid>,
    },
    /// A callback returned this error, or panicked. OTP: the error, or `{'EXIT', Reason}`.
    Failed(ExitReason),
    /// The manager ended before it could run `terminate`: it was killed. OTP: the exit signal of the
    /// link.
    ManagerEnded,
}

/// Receives the ends of the handlers of a process: the counterpart of [`HandlerOwner::process`],
/// which has an example.
#[derive(Debug)]
#[must_use = "it receives the end of the handler"]
pub struct HandlerExits(UnboundedReceiver<HandlerEnded>);

impl HandlerExits {
    /// Waits for the end of a handler. Returns `None` if none can follow: no handler was added, or each
    /// has ended. After a [`Swapped`](HandlerEnd::Swapped) the end of the new handler may follow.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a wait that is dropped has received nothing.
    pub async fn next(&mut self) -> Option<HandlerEnded> {
        consume_budget().await;
        self.0.recv().await
    }
}

/// The relation of a manager to the owner of one handler.
pub(super) struct Ownership {
    owner: HandlerOwner,
    pub(super) pid: Pid,
    pub(super) monitor: MonitorRef,
    /// The handler, if it is in the list and its owner was not notified.
    armed: Option<HandlerId>,
}

impl Ownership {
    /// Monitors the owner. Returns `None` if it has no process.
    pub(super) fn begin(owner: HandlerOwner, runtime: &Runtime, manager: Pid) -> Option<Self> {
        let pid = owner.pid?;
        Some(Ownership { owner, pid, monitor: runtime.monitor(manager, pid), armed: None })
    }

    /// Notes that the handler is in the list.
    pub(super) fn arm(&mut self, handler: HandlerId) {
        self.armed = Some(handler);
    }

    /// Notes that the owner has ended, so that it gets no message.
    pub(super) fn disarm(&mut self) {
        self.armed = None;
    }

    pub(super) fn owner(&self) -> HandlerOwner {
        self.owner.clone()
    }

    /// Removes the monitor, and notifies the owner if the handler was in the list.
    pub(super) fn finish(mut self, runtime: &Runtime, end: HandlerEnd) {
        runtime.demonitor_flush(self.monitor);
        if let Some(handler) = self.armed.take() {
            self.owner.notify(handler, end);
        }
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        if let Some(handler) = self.armed.take() {
            self.owner.notify(handler, HandlerEnd::ManagerEnded);
        }
    }
}
