//! The interface of a manager for the callbacks of a handler.

use std::fmt;

use crate::base::{Pid, SharedStr};
use crate::events::manager::any_handler::init_of;
use crate::events::manager::request::SwapTo;
use crate::events::{EventHandler, EventManager, HandlerError, HandlerId};
use crate::exit::{ExitReason, Result};
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

    /// Asks for the removal of this handler: a callback returns the result. The manager then runs
    /// its `terminate` with [`OwnRequest`](crate::Removal::OwnRequest). OTP: the result
    /// `remove_handler`. [`EventHandler`] has an example.
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
    /// this one. If its `init` fails, that is reported like the failure of a handler. OTP: the result
    /// `{swap_handler, ...}`.
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
        use crate::events::manager::any_handler::TYPED;
        let init = move |output: Result<_, HandlerError>| {
            init_of::<E, New>(make(output.map(|output: Box<dyn std::any::Any + Send>| {
                *output.downcast::<Old::Output>().expect(TYPED)
            })))
        };
        SwapTo { arg: Box::new(arg), id: HandlerId::of::<New>(text), init: Box::new(init) }
    }
}

impl<E: Send + Sync + 'static> fmt::Debug for HandlerContext<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerContext({} of {})", self.id, self.pid)
    }
}
