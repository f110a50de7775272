//! Catches panics of users' destructors, wakers and formatters, and bounds the stack that drops of
//! nested values take.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// Runs what may be a user's destructor, waker or formatter: its panic ends here.
pub(crate) fn ignore_panic(act: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act)) {
        // Dropping the payload might panic as well.
        std::mem::forget(payload);
    }
}

/// What this gives, or the text of its panic.
pub(crate) fn catch_panic<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| {
        let text = panic_text(payload.as_ref());
        ignore_panic(|| drop(payload));
        text
    })
}

/// What a panic said.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        return (*text).to_owned();
    }
    match payload.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => "a panic whose payload is not text".to_owned(),
    }
}

/// Whoever it is of, nobody else is harmed by what it does.
#[inline]
pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        ignore_panic(|| waker.wake());
    }
}

/// A waker that calls another one and catches its panic. Made once for each waker.
///
/// tokio wakes many waiters one after the other; a waker that panics would keep all waiters after
/// it from being woken.
#[derive(Debug, Default)]
pub(crate) struct CaughtWakers(Option<(Waker, Waker)>);

struct CatchingWaker(Waker);

impl Wake for CatchingWaker {
    fn wake(self: Arc<Self>) {
        ignore_panic(|| self.0.wake_by_ref());
    }
}

impl CaughtWakers {
    /// Polls with such a waker.
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

/// This future, polled with such a waker.
pub(crate) async fn with_caught_wakers<F: Future>(future: F) -> F::Output {
    let (mut future, mut waker) = (pin!(future), CaughtWakers::default());
    poll_fn(|cx| waker.poll(cx, |cx| future.as_mut().poll(cx))).await
}

/// Drops these one by one: whatever the destructor of one does, the next is dropped as well.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    for value in values {
        ignore_panic(|| drop(value));
    }
}

/// How many drops by [`drop_nested`] may be nested on one thread.
const MAX_NESTED_DROPS: usize = 16;

thread_local! {
    /// How many are nested now.
    static DROP_DEPTH: Cell<usize> = const { Cell::new(0) };
    /// What the outermost of them drops before it returns.
    static DEFERRED: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Drops a value that may contain a value of its kind, at any depth: the description of a child may
/// be that of a supervisor, with descriptions of children. From the sixteenth level on a value is
/// put aside, and the outermost call drops it before it returns, so the stack does not grow with
/// the depth.
pub(crate) fn drop_nested<T: 'static>(value: T) {
    // At the end of a thread, when its locals are gone, all are dropped in place.
    let depth = DROP_DEPTH.try_with(Cell::get).unwrap_or(0);
    if depth < MAX_NESTED_DROPS {
        return drop_at(depth, value);
    }
    let mut value = Some(value);
    let deferred = DEFERRED.try_with(|deferred| {
        let mut deferred = deferred.try_borrow_mut().ok()?;
        deferred.push(Box::new(value.take()));
        Some(())
    });
    if let Ok(Some(())) = deferred {
        return;
    }
    ignore_panic(|| drop(value));
}

fn drop_at<T>(depth: usize, value: T) {
    let under_way = |count| DROP_DEPTH.try_with(|under_way| under_way.set(count)).is_ok();
    under_way(depth + 1);
    ignore_panic(|| drop(value));
    while depth == 0
        && let Ok(Some(next)) = DEFERRED.try_with(|deferred| deferred.borrow_mut().pop())
    {
        ignore_panic(|| drop(next));
    }
    under_way(depth);
}

/// A user's value whose destructor harms nobody who happens to drop it last, however deep
/// values of this kind are nested.
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
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for CaughtDrop<T> {
    fn drop(&mut self) {
        drop_nested(self.0.take());
    }
}
