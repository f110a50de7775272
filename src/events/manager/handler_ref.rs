//! The handle to one handler.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::base::SharedStr;
use crate::call::Reply;
use crate::events::manager::context::{SwapTo, TYPED};
use crate::events::manager::request::{ManagerCall, Request};
use crate::events::{EventHandler, EventManager, HandlerError, HandlerId, HandlerOwner};
use crate::exit::Result;
use crate::runtime::CallError;
use crate::server::{CALL_TIMEOUT, ServerRef};

/// A handle to the handler of type `H` with a certain id, in an [`EventManager`]. It is cheap to
/// clone. Each request goes to the handler that has this id at the time of the request, in the
/// manager that the manager's handle reaches.
///
/// ```
/// use regrow::{EventHandler, EventManager, GenServer, HandlerContext, HandlerError, Removal, Reply, Result, Runtime};
///
/// struct Sum(u64);
///
/// impl EventHandler<u64> for Sum {
///     type Args = u64;
///     type Call = Reply<u64>;
///     type RemoveArg = &'static str;
///     type Output = String;
///
///     async fn init(start: u64, _: &mut HandlerContext<u64>) -> Result<Self> {
///         Ok(Sum(start))
///     }
///     async fn handle_event(&mut self, number: &u64, _: &mut HandlerContext<u64>) -> Result {
///         self.0 += number;
///         Ok(())
///     }
///     async fn handle_call(&mut self, call: Reply<u64>, _: &mut HandlerContext<u64>) -> Result {
///         call.send(self.0);
///         Ok(())
///     }
///     async fn terminate(self, why: Removal<&'static str>) -> String {
///         format!("{} after {why:?}", self.0)
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time()
/// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// let numbers = EventManager::start(&rt, Default::default()).await?;
/// let sum = numbers.add_handler::<Sum>("all", 40).await?;
/// numbers.notify(2);
/// assert_eq!(sum.call(|reply| reply).await?, 42);
///
/// let again = numbers.add_handler::<Sum>("all", 0).await.unwrap_err();
/// assert_eq!(again, HandlerError::AlreadyAdded(sum.id().clone()));
/// assert_eq!(sum.delete("the test").await?, "42 after Deleted(\"the test\")");
/// let gone = numbers.handler::<Sum>("all").call(|reply| reply).await.unwrap_err();
/// assert_eq!(gone, HandlerError::NotFound(sum.id().clone()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })).unwrap();
/// ```
pub struct HandlerRef<E: Send + Sync + 'static, H> {
    manager: ServerRef<EventManager<E>>,
    id: HandlerId,
    handler: PhantomData<fn() -> H>,
}

impl<E: Send + Sync + 'static, H: EventHandler<E>> HandlerRef<E, H> {
    pub(super) fn new(manager: ServerRef<EventManager<E>>, id: HandlerId) -> Self {
        HandlerRef { manager, id, handler: PhantomData }
    }

    /// Returns the id of the handler.
    pub fn id(&self) -> &HandlerId {
        &self.id
    }

    /// Calls the handler, and waits up to five seconds for the answer. `make` makes the call from the
    /// reply, as for [`ServerRef::call`]. No other handler notices. OTP: `gen_event:call/3`.
    /// [`HandlerRef`] has an example.
    ///
    /// # Errors
    ///
    /// [`NotFound`](HandlerError::NotFound); [`Failed`](HandlerError::Failed) if the handler failed
    /// without a reply; [`Manager`](HandlerError::Manager) with the errors of [`ServerRef::call`]:
    /// [`NoReply`](CallError::NoReply) if the handler dropped the reply.
    ///
    /// # Cancel safety
    ///
    /// As [`ServerRef::call`].
    pub async fn call<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> H::Call,
    ) -> Result<T, HandlerError> {
        self.call_timeout(make, CALL_TIMEOUT).await
    }

    /// Calls the handler as [`call`](Self::call) does, and waits up to `limit` for the answer. OTP:
    /// `gen_event:call/4`.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`ServerRef::call`].
    pub async fn call_timeout<T: Send + 'static>(
        &self,
        make: impl FnOnce(Reply<T>) -> H::Call,
        limit: Duration,
    ) -> Result<T, HandlerError> {
        let (failed, why) = oneshot::channel();
        let id = self.id.clone();
        let make = |reply| ManagerCall(Request::Call { id, call: Box::new(make(reply)), failed });
        match self.manager.call_timeout(make, limit).await {
            // This does not wait: the caller gets `NoReply` after the manager's handler has returned,
            // wherever the reply was dropped, and `failed` was sent or dropped by then.
            Err(CallError::NoReply) => {
                Err(why.await.unwrap_or(HandlerError::Manager(CallError::NoReply)))
            }
            answer => Ok(answer?),
        }
    }

    /// Removes the handler, and returns the output of its `terminate`, which gets
    /// [`Deleted`](crate::Removal::Deleted) with `arg`. Waits without a limit. OTP:
    /// `gen_event:delete_handler/3`. [`HandlerRef`] has an example.
    ///
    /// # Errors
    ///
    /// [`NotFound`](HandlerError::NotFound); [`Failed`](HandlerError::Failed) if `terminate` panicked:
    /// the handler is removed nevertheless; [`Manager`](HandlerError::Manager) with the errors of
    /// [`ServerRef::call_unlimited`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the handler may be removed nevertheless.
    pub async fn delete(&self, arg: H::RemoveArg) -> Result<H::Output, HandlerError> {
        let (id, arg) = (self.id.clone(), Box::new(arg));
        let delete = |reply| ManagerCall(Request::Delete { id, arg, reply });
        let output = self.manager.call_unlimited(delete).await??;
        Ok(*output.downcast().expect(TYPED))
    }

    /// Replaces the handler by one of type `New`, at the same place in the order. The manager runs
    /// `terminate` of this handler with [`Swapped`](crate::Removal::Swapped) and `arg`, then `make`
    /// with the output of `terminate`, and then the `init` of the new handler. It handles no event
    /// between these steps. If this handler has an owner, the new handler has the same owner, and
    /// the owner gets a [`HandlerEnd::Swapped`](crate::HandlerEnd::Swapped). Waits without a limit.
    /// OTP: `gen_event:swap_handler/3`.
    ///
    /// If there is no such handler, or if its `terminate` panics, `make` gets the error, and the new
    /// handler is added nevertheless.
    ///
    /// # Errors
    ///
    /// [`AlreadyAdded`](HandlerError::AlreadyAdded) if another handler has the new id: then nothing has
    /// changed. [`InitFailed`](HandlerError::InitFailed) if `make` panics or `init` fails: then the old
    /// handler is removed, no new one is added, and the owner gets a
    /// [`Failed`](crate::HandlerEnd::Failed) with the id of the new one. In OTP the owner gets no such
    /// message. [`Manager`](HandlerError::Manager) with the errors of [`ServerRef::call_unlimited`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the handler may be replaced nevertheless.
    ///
    /// ```
    /// use regrow::{EventHandler, EventManager, GenServer, HandlerContext, Removal, Result, Runtime};
    ///
    /// struct Plain(Vec<String>);
    /// struct Loud(Vec<String>);
    ///
    /// impl EventHandler<String> for Plain {
    /// #     type Args = ();
    /// #     type Call = ();
    /// #     type RemoveArg = ();
    /// #     type Output = Vec<String>;
    /// #     async fn init((): (), _: &mut HandlerContext<String>) -> Result<Self> { Ok(Plain(vec![])) }
    /// #     async fn handle_event(&mut self, e: &String, _: &mut HandlerContext<String>) -> Result {
    /// #         self.0.push(e.clone());
    /// #         Ok(())
    /// #     }
    ///     async fn terminate(self, _: Removal<()>) -> Vec<String> {
    ///         self.0 // the next handler goes on with it
    ///     }
    /// }
    /// impl EventHandler<String> for Loud {
    /// #     type Args = Vec<String>;
    /// #     type Call = ();
    /// #     type RemoveArg = ();
    /// #     type Output = Vec<String>;
    ///     async fn init(lines: Vec<String>, _: &mut HandlerContext<String>) -> Result<Self> {
    ///         Ok(Loud(lines))
    ///     }
    /// #     async fn handle_event(&mut self, e: &String, _: &mut HandlerContext<String>) -> Result {
    /// #         self.0.push(e.to_uppercase());
    /// #         Ok(())
    /// #     }
    /// #     async fn terminate(self, _: Removal<()>) -> Vec<String> { self.0 }
    /// }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time()
    /// # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
    /// let rt = Runtime::new();
    /// let manager = EventManager::start(&rt, Default::default()).await?;
    /// let plain = manager.add_handler::<Plain>("lines", ()).await?;
    /// manager.notify("one".to_owned());
    /// let loud = plain.swap::<Loud>((), "lines", |lines| lines.unwrap_or_default()).await?;
    /// manager.notify("two".to_owned());
    /// assert_eq!(loud.delete(()).await?, ["one", "TWO"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })).unwrap();
    /// ```
    pub async fn swap<New: EventHandler<E>>(
        &self,
        arg: H::RemoveArg,
        text: impl Into<SharedStr>,
        make: impl FnOnce(Result<H::Output, HandlerError>) -> New::Args + Send + 'static,
    ) -> Result<HandlerRef<E, New>, HandlerError> {
        self.replace(SwapTo::new::<H, New>(arg, text.into(), make), None).await
    }

    /// Replaces the handler as [`swap`](Self::swap) does, and gives the new one this owner. OTP:
    /// `gen_event:swap_sup_handler/3`.
    ///
    /// # Errors
    ///
    /// As [`swap`](Self::swap), and [`NoOwner`](HandlerError::NoOwner): then nothing has changed.
    ///
    /// # Cancel safety
    ///
    /// As [`swap`](Self::swap).
    pub async fn swap_sup<New: EventHandler<E>>(
        &self,
        arg: H::RemoveArg,
        text: impl Into<SharedStr>,
        make: impl FnOnce(Result<H::Output, HandlerError>) -> New::Args + Send + 'static,
        owner: impl Into<HandlerOwner>,
    ) -> Result<HandlerRef<E, New>, HandlerError> {
        let to = SwapTo::new::<H, New>(arg, text.into(), make);
        self.replace(to, Some(owner.into())).await
    }

    async fn replace<New: EventHandler<E>>(
        &self,
        to: SwapTo<E>,
        owner: Option<HandlerOwner>,
    ) -> Result<HandlerRef<E, New>, HandlerError> {
        let (id, new) = (self.id.clone(), to.id.clone());
        let swap = |reply| ManagerCall(Request::Swap { id, to, owner, reply });
        self.manager.call_unlimited(swap).await??;
        Ok(HandlerRef::new(self.manager.clone(), new))
    }
}

impl<E: Send + Sync + 'static, H> Clone for HandlerRef<E, H> {
    fn clone(&self) -> Self {
        let (manager, id) = (self.manager.clone(), self.id.clone());
        HandlerRef { manager, id, handler: PhantomData }
    }
}

impl<E: Send + Sync + 'static, H> fmt::Debug for HandlerRef<E, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandlerRef({} in {:?})", self.id, self.manager)
    }
}
