//! The interface of a manager for the callbacks of a handler, and handlers of any type.
//!
//! The types are in one file because they refer to each other: a context may hold the `init` of the
//! handler that is to replace its own handler, and an `init` receives a context.
//!
//! **Invariant.** The id of a handler contains its type. So a call or an argument for the handler that
//! is found by the id has the type that the handler expects.

use std::any::Any;
use std::fmt;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::base::{Pid, SharedStr};
use crate::events::{EventHandler, EventManager, HandlerError, HandlerId, Removal};
use crate::exit::{Crash, ExitReason, Result};
use crate::message::Received;
use crate::runtime::Runtime;
use crate::server::ServerRef;

/// What the callbacks of an [`EventHandler`] get: the manager, and requests to remove or to replace
/// the handler. [`EventHandler`] has an example.
pub struct HandlerContext<E: Send + Sync + 'static> {
    manager: ServerRef<EventManager<E>>,
    pid: Pid,
    id: HandlerId,
    /// The handler that replaces this one, if a callback has asked for that.
    swap: Option<SwapTo<E>>,
}

impl<E: Send + Sync + 'static> HandlerContext<E> {
    pub(super) fn new(manager: &ServerRef<EventManager<E>>, pid: Pid, id: HandlerId) -> Self {
        HandlerContext { manager: manager.clone(), pid, id, swap: None }
    }

    /// Returns the id of this handler.
    pub fn id(&self) -> &HandlerId {
        &self.id
    }

    /// Returns the pid of the manager, in whose process the handler runs.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Returns the runtime of the manager.
    pub fn runtime(&self) -> Runtime {
        Runtime { kernel: self.manager.kernel().clone() }
    }

    /// Returns a handle to the manager. An event that the handler sends by it is handled later. A
    /// call of the manager by one of its handlers fails at once, with
    /// [`CallingSelf`](crate::CallError::CallingSelf): the manager can't answer while the handler
    /// waits. Give the handle to a task to let the task call.
    pub fn manager(&self) -> &ServerRef<EventManager<E>> {
        &self.manager
    }

    /// Asks for the removal of this handler. The callback must return the result of this method.
    /// The manager then runs the handler's `terminate` with
    /// [`OwnRequest`](crate::Removal::OwnRequest). OTP: the result `remove_handler`.
    /// [`EventHandler`] has an example.
    ///
    /// # Errors
    ///
    /// Always `Err`, so that `return ctx.remove()` and `ctx.remove()?` end the callback.
    pub fn remove<T>(&self) -> Result<T> {
        Err(ExitReason::Normal)
    }

    /// Asks for another handler in the place of this one: a callback returns the result. The manager
    /// runs the `terminate` of this handler with [`Swapped`](crate::Removal::Swapped) and `arg`, then
    /// `make` with the output, and then the `init` of the new handler. If `terminate` panics, `make`
    /// gets the error, and the new handler is added nevertheless. The new handler has the owner of
    /// this one. If its `init` fails, that is reported like the failure of a handler. If another
    /// handler has the new id, this handler fails and is removed: its `terminate` gets a
    /// [`Failed`](crate::Removal::Failed), and `make` does not run. OTP: the result
    /// `{swap_handler, ...}`, which adds a second handler with the same id.
    ///
    /// # Errors
    ///
    /// Always `Err`, as [`remove`](Self::remove).
    ///
    /// ```
    /// use regrow::{EventHandler, EventManager, GenServer, HandlerContext, Removal, Reply, Result, Runtime};
    ///
    /// struct Before(u32);
    /// struct After(u32);
    ///
    /// impl EventHandler<()> for Before {
    /// #     type Args = ();
    /// #     type Call = ();
    /// #     type RemoveArg = ();
    /// #     type Output = u32;
    /// #     async fn init((): (), _: &mut HandlerContext<()>) -> Result<Self> { Ok(Before(41)) }
    ///     async fn handle_event(&mut self, (): &(), ctx: &mut HandlerContext<()>) -> Result {
    ///         ctx.swap::<Self, After>((), "second", |output| output.unwrap_or_default() + 1)
    ///     }
    ///     async fn terminate(self, _: Removal<()>) -> u32 {
    ///         self.0
    ///     }
    /// }
    /// impl EventHandler<()> for After {
    /// #     type Args = u32;
    /// #     type Call = Reply<u32>;
    /// #     type RemoveArg = ();
    /// #     type Output = ();
    ///     async fn init(count: u32, _: &mut HandlerContext<()>) -> Result<Self> {
    ///         Ok(After(count))
    ///     }
    /// #     async fn handle_event(&mut self, (): &(), _: &mut HandlerContext<()>) -> Result { Ok(()) }
    /// #     async fn handle_call(&mut self, r: Reply<u32>, _: &mut HandlerContext<()>) -> Result {
    /// #         r.send(self.0);
    /// #         Ok(())
    /// #     }
    /// #     async fn terminate(self, _: Removal<()>) {}
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let manager = EventManager::<()>::start(&rt, Default::default()).await?;
    /// manager.add_handler::<Before>("first", ()).await?;
    /// manager.sync_notify(()).await?;
    /// assert_eq!(manager.handler::<After>("second").call(|reply| reply).await?, 42);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub fn swap<Old: EventHandler<E>, New: EventHandler<E>>(
        &mut self,
        arg: Old::RemoveArg,
        text: impl Into<SharedStr>,
        make: impl FnOnce(Result<Old::Output, HandlerError>) -> New::Args + Send + 'static,
    ) -> Result {
        if self.id.is::<Old>() {
            self.swap = Some(SwapTo::new::<Old, New>(arg, text.into(), make));
            return self.remove();
        }
        Err(ExitReason::crashed("a handler can be swapped only as its own type"))
    }

    /// Takes the handler that a callback has asked for.
    pub(super) fn take_swap(&mut self) -> Option<SwapTo<E>> {
        self.swap.take()
    }
}

impl<E: Send + Sync + 'static> SwapTo<E> {
    /// Describes the swap of a handler for another one.
    pub(super) fn new<Old: EventHandler<E>, New: EventHandler<E>>(
        arg: Old::RemoveArg,
        text: SharedStr,
        make: impl FnOnce(Result<Old::Output, HandlerError>) -> New::Args + Send + 'static,
    ) -> Self {
        let init = move |output: Result<_, HandlerError>| {
            init_of::<E, New>(make(
                output.map(|output: Value| *output.downcast::<Old::Output>().expect(TYPED)),
            ))
        };
        SwapTo { arg: Box::new(arg), id: HandlerId::of::<New>(text), init: Box::new(init) }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for HandlerContext<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerContext({} of {})", self.id, self.pid)
    }
}

/// The handler that is to replace another one.
pub(super) struct SwapTo<E: Send + Sync + 'static> {
    /// The argument for the `terminate` of the old handler.
    pub(super) arg: Value,
    pub(super) id: HandlerId,
    pub(super) init: InitAfter<E>,
}

/// A call, an argument or an output of a handler.
pub(super) type Value = Box<dyn Any + Send>;

/// A handler of any type.
pub(super) type DynHandler<E> = Box<dyn AnyHandler<E>>;

/// Runs the `init` of a handler.
pub(super) type Init<E> =
    Box<dyn for<'a> FnOnce(&'a mut HandlerContext<E>) -> Callback<'a, DynHandler<E>> + Send>;

/// Makes the `init` of a handler from the output of the handler that it replaces.
pub(super) type InitAfter<E> = Box<dyn FnOnce(Result<Value, HandlerError>) -> Init<E> + Send>;

/// A callback that runs.
pub(super) type Callback<'a, T = ()> = BoxFuture<'a, Result<T>>;

/// Why values have the right type.
pub(super) const TYPED: &str = "the id of a handler contains its type";

/// An [`EventHandler`] of any type.
pub(super) trait AnyHandler<E: Send + Sync + 'static>: Send {
    fn event<'a>(&'a mut self, event: &'a E, ctx: &'a mut HandlerContext<E>) -> Callback<'a>;
    fn call<'a>(&'a mut self, call: Value, ctx: &'a mut HandlerContext<E>) -> Callback<'a>;
    fn info<'a>(&'a mut self, info: &'a Received, ctx: &'a mut HandlerContext<E>) -> Callback<'a>;
    fn end(self: Box<Self>, why: Removal<Value>) -> Callback<'static, Value>;
    fn status(&self) -> Option<String>;
}

impl<E: Send + Sync + 'static, H: EventHandler<E>> AnyHandler<E> for H {
    fn event<'a>(&'a mut self, event: &'a E, ctx: &'a mut HandlerContext<E>) -> Callback<'a> {
        Box::pin(async move { self.handle_event(event, ctx).await })
    }

    fn call<'a>(&'a mut self, call: Value, ctx: &'a mut HandlerContext<E>) -> Callback<'a> {
        let call = call.downcast::<H::Call>().expect(TYPED);
        Box::pin(async move { self.handle_call(*call, ctx).await })
    }

    fn info<'a>(&'a mut self, info: &'a Received, ctx: &'a mut HandlerContext<E>) -> Callback<'a> {
        Box::pin(async move { self.handle_info(info, ctx).await })
    }

    fn end(self: Box<Self>, why: Removal<Value>) -> Callback<'static, Value> {
        let why = why.map(|arg| *arg.downcast::<H::RemoveArg>().expect(TYPED));
        Box::pin(async move { Ok(Box::new((*self).terminate(why).await) as Value) })
    }

    fn status(&self) -> Option<String> {
        self.format_status()
    }
}

/// Returns the `init` of a handler with these arguments.
pub(super) fn init_of<E: Send + Sync + 'static, H: EventHandler<E>>(args: H::Args) -> Init<E> {
    Box::new(move |ctx| {
        Box::pin(async move { Ok(Box::new(H::init(args, ctx).await?) as DynHandler<E>) })
    })
}

/// Runs a callback. A panic becomes an error.
pub(super) async fn guarded<T>(callback: Callback<'_, T>) -> Result<T> {
    let done = AssertUnwindSafe(callback).catch_unwind().await;
    done.unwrap_or_else(|panic| Err(ExitReason::Crashed(Crash::from_panic(panic))))
}
