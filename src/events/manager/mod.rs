//! [`EventManager`]: a server whose handlers are added and removed at run time.
//!
//! **Guarantees**
//! 1. Each handler gets the events in the order in which the manager receives them, and all handlers
//!    have handled an event before any of them gets the next one.
//! 2. A handler that fails is removed, and neither the manager nor another handler notices.
//! 3. The owner of a handler gets one message about its end, whatever ends it: [`owner`].
//!
//! **The other side ends:**
//!
//! | | |
//! |---|---|
//! | the owner, before the handler is added | its `Down` is handled after the `init`: the handler is added, and removed with `OwnerEnded` |
//! | the owner, later | the handler is removed with `OwnerEnded` |
//! | the caller of a request | the request is handled all the same |
//! | the manager is stopped, while a request is queued | the request is handled first |
//! | the manager is killed, while a request is queued or handled | the caller gets `Exited`, the owners `ManagerEnded` |
//! | a handler calls its manager | the call fails at once with `CallingSelf` |

use std::fmt;
use std::future::{Future, ready};

use crate::exit::Result;
use crate::message::Received;

mod id;
mod error;
mod removal_reason;
mod owner;
mod context;
mod request;
mod handler_list;
mod swap;
mod initial;
mod serve;
mod handler_ref;
mod client;

use handler_list::HandlerList;

pub use context::HandlerContext;
pub use error::HandlerError;
pub use handler_ref::HandlerRef;
pub use id::HandlerId;
pub use initial::EventHandlers;
pub use owner::{HandlerEnd, HandlerEnded, HandlerExits, HandlerOwner};
pub use removal_reason::Removal;
pub use request::{HandlerInfo, ManagerCall, Notify};

/// A server that passes each event to all its handlers. Handlers are added and removed while it runs,
/// several of one type under different ids. OTP: `gen_event`.
///
/// An event manager is a [`GenServer`](crate::GenServer): it is started, named, supervised, stopped, suspended and
/// inspected as any server. Its handle has methods of its own:
///
/// | OTP | here |
/// |---|---|
/// | `gen_event:notify/2`, `sync_notify/2` | [`notify`](crate::ServerRef::notify), [`sync_notify`](crate::ServerRef::sync_notify) |
/// | `add_handler/3`, `add_sup_handler/3` | [`add_handler`](crate::ServerRef::add_handler), [`add_sup_handler`](crate::ServerRef::add_sup_handler) |
/// | `call/3`, `delete_handler/3`, `swap_handler/3` | [`HandlerRef::call`], [`delete`](HandlerRef::delete), [`swap`](HandlerRef::swap) |
/// | `which_handlers/1`, `stop/1` | [`which_handlers`](crate::ServerRef::which_handlers), [`stop`](crate::ServerRef::stop) |
///
/// Its arguments are the [`EventHandlers`] that it has from its start. It traps exits, so its handlers
/// run `terminate` when its supervisor stops it. [`EventHandler`] has an example.
///
/// The type of an event should be an own type or a `String`, and not a reference such as `&'static str`:
/// for a reference, the compiler can't prove that a future that holds the handle is `Send`.
///
/// # When not to use it
///
/// All handlers run in one process, one after the other, so the slowest one sets the pace. Receivers
/// that must not delay each other are processes: subscribers of a [`PubSub`](crate::PubSub). For one
/// receiver, a cast is enough.
pub struct EventManager<E: Send + Sync + 'static> {
    handlers: HandlerList<E>,
}

/// A handler of an [`EventManager`]: a state, and callbacks that run in the
/// process of the manager, one at a time. OTP: the callback module of a `gen_event` handler.
///
/// A callback that returns an error or panics removes its handler, and no other: the manager runs
/// the handler's [`terminate`](Self::terminate), writes a line to the log, at Error, publishes a
/// [`HandlerFailed`](crate::LifecycleEvent::HandlerFailed) and notifies the owner of the handler, if
/// it has one. A callback that returns a [clean](crate::ExitReason::is_clean) reason asks for the removal:
/// [`HandlerContext::remove`] makes such a result.
///
/// All handlers of a manager wait while one of them runs, and so do the callers. A handler that
/// waits for something slow should pass the event on to a process of its own.
///
/// # Examples
///
/// ```
/// use regrow::{EventHandler, EventManager, GenServer, HandlerContext, Removal, Reply, Result, Runtime};
///
/// /// Counts alarms, and removes itself at the third.
/// struct Count(u32);
///
/// impl EventHandler<String> for Count {
///     type Args = u32;
///     type Call = Reply<u32>;
///     type RemoveArg = ();
///     type Output = u32;
///
///     async fn init(start: u32, _: &mut HandlerContext<String>) -> Result<Self> {
///         Ok(Count(start))
///     }
///     async fn handle_event(&mut self, _: &String, ctx: &mut HandlerContext<String>) -> Result {
///         self.0 += 1;
///         if self.0 == 3 { ctx.remove() } else { Ok(()) }
///     }
///     async fn handle_call(&mut self, call: Reply<u32>, _: &mut HandlerContext<String>) -> Result {
///         call.send(self.0);
///         Ok(())
///     }
///     async fn terminate(self, _: Removal<()>) -> u32 {
///         self.0
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let alarms = EventManager::<String>::start(&rt, Default::default()).await?;
/// let kitchen = alarms.add_handler::<Count>("kitchen", 0).await?;
/// let cellar = alarms.add_handler::<Count>("cellar", 2).await?;
/// alarms.sync_notify("smoke".into()).await?;
/// assert_eq!(kitchen.call(|reply| reply).await?, 1);
/// assert_eq!(alarms.which_handlers().await?.len(), 1); // the cellar has removed itself
/// assert!(cellar.delete(()).await.is_err());
/// assert_eq!(kitchen.delete(()).await?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub trait EventHandler<E: Send + Sync + 'static>: Sized + Send + 'static {
    /// The arguments of `init`.
    type Args: Send + 'static;

    /// The calls of this handler: an enum whose variants hold a [`Reply`](crate::Reply), a `Reply`,
    /// or `()` if there are none.
    type Call: Send + 'static;

    /// The argument with which the handler is deleted or swapped; `()` if it needs none.
    type RemoveArg: Send + 'static;

    /// What `terminate` returns: the caller of [`HandlerRef::delete`](crate::HandlerRef::delete)
    /// gets it, and the handler that replaces this one.
    type Output: Send + 'static;

    /// Creates the state. The manager handles nothing meanwhile. OTP: `init/1`.
    ///
    /// # Errors
    ///
    /// After `Err(reason)` or a panic the handler is not added, and the caller gets the reason.
    ///
    /// # Cancel safety
    ///
    /// As for every callback: it is dropped at its await only if the manager is killed.
    fn init(
        args: Self::Args,
        ctx: &mut HandlerContext<E>,
    ) -> impl Future<Output = Result<Self>> + Send;

    /// Handles an event. All handlers get a reference to the same event. OTP: `handle_event/2`.
    ///
    /// # Errors
    ///
    /// `Err(reason)`, `?` on any error, and a panic remove the handler.
    ///
    /// # Cancel safety
    ///
    /// As [`init`](Self::init).
    fn handle_event(
        &mut self,
        event: &E,
        ctx: &mut HandlerContext<E>,
    ) -> impl Future<Output = Result> + Send;

    /// Handles a call of [`HandlerRef::call`](crate::HandlerRef::call). The reply may be kept and
    /// sent later. By default the call is dropped, so the caller gets
    /// [`NoReply`](crate::CallError::NoReply). OTP: `handle_call/2`, which must reply at once.
    ///
    /// # Errors
    ///
    /// As [`handle_event`](Self::handle_event). A caller without a reply gets
    /// [`HandlerError::Failed`].
    ///
    /// # Cancel safety
    ///
    /// As [`init`](Self::init).
    fn handle_call(
        &mut self,
        call: Self::Call,
        ctx: &mut HandlerContext<E>,
    ) -> impl Future<Output = Result> + Send {
        let _ = ctx;
        drop(call);
        ready(Ok(()))
    }

    /// Handles any other message that the manager receives: bytes, a `Down`, an exit signal. The
    /// manager traps exits. By default the message is ignored. OTP: `handle_info/2`.
    ///
    /// # Errors
    ///
    /// As [`handle_event`](Self::handle_event).
    ///
    /// # Cancel safety
    ///
    /// As [`init`](Self::init).
    fn handle_info(
        &mut self,
        info: &Received,
        ctx: &mut HandlerContext<E>,
    ) -> impl Future<Output = Result> + Send {
        let (_, _) = (info, ctx);
        ready(Ok(()))
    }

    /// Runs once, when the handler has been removed. If the manager is killed, only destructors
    /// run. If a callback has panicked, `self` is the state as this callback left it. A panic of
    /// `terminate` is reported, and removes no other handler. OTP: `terminate/2`.
    ///
    /// # Cancel safety
    ///
    /// As [`init`](Self::init).
    fn terminate(self, why: Removal<Self::RemoveArg>) -> impl Future<Output = Self::Output> + Send;

    /// Returns a line about the state, for [`get_status`](crate::ServerRef::get_status) of the
    /// manager. The line must contain nothing secret. By default `None`. OTP: `format_status/1`.
    fn format_status(&self) -> Option<String> {
        None
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for EventManager<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventManager").finish_non_exhaustive()
    }
}
