//! Catches panics of users' destructors, wakers and formatters, and bounds the stack depth of
//! nested drops.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Runs a closure that may call user code (a destructor, a waker, a formatter), and discards its
/// panic.
pub(crate) fn ignore_panic(act: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act)) {
        // The destructor of the payload may panic as well.
        std::mem::forget(payload);
    }
}

/// Runs a closure, and returns its value, or the text of its panic.
pub(crate) fn catch_panic<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| {
        let text = panic_text(payload.as_ref());
        ignore_panic(|| drop(payload));
        text
    })
}

/// The message of the panic with this payload.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        return (*text).to_owned();
    }
    match payload.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => "a panic whose payload is not text".to_owned(),
    }
}

/// Wakes the wakers one by one. A waker may be user code, so its panic is discarded.
#[inline]
pub(crate) fn wake(wakers: impl IntoIterator<Item = Waker>) {
    for waker in wakers {
        ignore_panic(|| waker.wake());
    }
}

/// Wraps the waker of a poll in a waker that catches panics. The wrapper is kept, and used again
/// while the waker stays the same.
///
/// tokio wakes its waiters one after the other: if a waker panicked, tokio would not wake the
/// waiters after it.
#[derive(Debug, Default)]
pub(crate) struct CaughtWakers(
    /// A waker and its wrapper.
    Option<(Waker, Waker)>,
);

struct CatchingWaker(Waker);

impl Wake for CatchingWaker {
    fn wake(self: Arc<Self>) {
        ignore_panic(|| self.0.wake_by_ref());
    }
}

impl CaughtWakers {
    /// Polls with the wrapper of the context's waker.
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let known = self.0.take().filter(|(of, _)| of.will_wake(cx.waker()));
        let (_, with_caught_wakers) = self.0.insert(known.unwrap_or_else(|| {
            let of = cx.waker().clone();
            (of.clone(), Waker::from(Arc::new(CatchingWaker(of))))
        }));
        poll(&mut Context::from_waker(with_caught_wakers))
    }
}

/// Polls the future with wakers that catch panics, until it is ready.
pub(crate) async fn with_caught_wakers<F: Future>(future: F) -> F::Output {
    let (mut future, mut waker) = (pin!(future), CaughtWakers::default());
    poll_fn(|cx| waker.poll(cx, |cx| future.as_mut().poll(cx))).await
}

/// Drops the values one by one. If a destructor panics, the next values are dropped nevertheless.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    for value in values {
        ignore_panic(|| drop(value));
    }
}

/// The maximum number of nested drops by [`drop_nested`] on one thread. Values nested deeper are
/// deferred.
const MAX_NESTED_DROPS: usize = 16;

thread_local! {
    /// The current number of nested drops.
    static DROP_DEPTH: Cell<usize> = const { Cell::new(0) };
    /// Deferred values, which the outermost call of [`drop_nested`] drops before it returns.
    static DEFERRED: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Drops a value that may contain values of its own kind, at any depth, on a stack of bounded
/// depth.
///
/// For example, the description of a child may describe a supervisor, and contain the descriptions
/// of its children. A value at depth [`MAX_NESTED_DROPS`] or deeper is deferred: the outermost call
/// drops it before it returns.
pub(crate) fn drop_nested<T: 'static>(value: T) {
    // At the end of a thread its thread-locals no longer exist. Then values are dropped in place.
    let depth = DROP_DEPTH.try_with(Cell::get).unwrap_or(0);
    if depth < MAX_NESTED_DROPS {
        return drop_at(depth, value);
    }
    let mut value = Some(value);
    let _ = DEFERRED.try_with(|deferred| {
        if let Ok(mut deferred) = deferred.try_borrow_mut() {
            deferred.push(Box::new(value.take()));
        }
    });
    // A value that could not be deferred is dropped in place.
    ignore_panic(|| drop(value));
}

fn drop_at<T>(depth: usize, value: T) {
    let set_depth = |depth| DROP_DEPTH.try_with(|current| current.set(depth)).is_ok();
    set_depth(depth + 1);
    ignore_panic(|| drop(value));
    while depth == 0
        && let Ok(Some(next)) = DEFERRED.try_with(|deferred| deferred.borrow_mut().pop())
    {
        ignore_panic(|| drop(next));
    }
    set_depth(depth);
}

/// A user's value that is dropped by [`drop_nested`]: a panic of its destructor does not reach the
/// code that drops it, and its nesting does not exhaust the stack.
#[derive(Clone)]
pub(crate) struct CaughtDrop<T: 'static>(Option<T>);

impl<T> CaughtDrop<T> {
    pub(crate) fn new(value: T) -> Self {
        CaughtDrop(Some(value))
    }
}

impl<T> Deref for CaughtDrop<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("the value is taken only by Drop")
    }
}

impl<T> Drop for CaughtDrop<T> {
    fn drop(&mut self) {
        drop_nested(self.0.take());
    }
}
