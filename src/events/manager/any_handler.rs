//! Handlers of any type, and their callbacks with panics caught.
//!
//! The id of a handler contains its type, so a call or an argument that is found by the id has the
//! type that the handler expects.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::events::{EventHandler, HandlerContext, HandlerError, Removal};
use crate::exit::{Crash, ExitReason, Result};
use crate::message::Received;

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
