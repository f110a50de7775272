//! A net under what is a user's and may panic, and a bound on the stack that its drop takes.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs what may be a user's destructor, waker or formatter: its panic ends here.
pub(crate) fn quietly(act: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(act)) {
        // Dropping the payload might panic as well.
        std::mem::forget(payload);
    }
}

/// Whoever it is of, nobody else is harmed by what it does.
#[inline]
pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        quietly(|| waker.wake());
    }
}

/// Drops these one by one: whatever the destructor of one does, the next is dropped as well.
pub(crate) fn drop_each<T>(values: impl IntoIterator<Item = T>) {
    for value in values {
        quietly(|| drop(value));
    }
}

/// So many drops by [`drop_nested`] lie inside of each other on one thread.
const IN_PLACE: usize = 16;

thread_local! {
    /// How many of them are under way.
    static UNDER_WAY: Cell<usize> = const { Cell::new(0) };
    /// What the outermost of them drops when it comes to its end.
    static LATER: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Drops a value that may hold another one of its kind, which may hold a third, and so on
/// without end, such as a description of a child that is a supervisor with a description of a
/// child. From the sixteenth level on a value is put aside, and dropped by the outermost call
/// before that returns: so the stack does not grow with the depth.
pub(crate) fn drop_nested<T: 'static>(value: T) {
    // Where a thread ends, and its locals are gone, all are dropped in place.
    let depth = UNDER_WAY.try_with(Cell::get).unwrap_or(0);
    if depth < IN_PLACE {
        return drop_at(depth, value);
    }
    let mut value = Some(value);
    let put_aside = LATER.try_with(|later| {
        let mut later = later.try_borrow_mut().ok()?;
        later.push(Box::new(value.take()));
        Some(())
    });
    if let Ok(Some(())) = put_aside {
        return;
    }
    quietly(|| drop(value));
}

fn drop_at<T>(depth: usize, value: T) {
    let under_way = |count| UNDER_WAY.try_with(|under_way| under_way.set(count)).is_ok();
    under_way(depth + 1);
    quietly(|| drop(value));
    while depth == 0
        && let Ok(Some(next)) = LATER.try_with(|later| later.borrow_mut().pop())
    {
        quietly(|| drop(next));
    }
    under_way(depth);
}

/// A user's value whose destructor harms nobody who happens to drop it last, however deep
/// values of this kind are nested.
#[derive(Clone)]
pub(crate) struct Quiet<T: 'static>(Option<T>);

impl<T> Quiet<T> {
    pub(crate) fn new(value: T) -> Self {
        Quiet(Some(value))
    }
}

impl<T> Deref for Quiet<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl<T> Drop for Quiet<T> {
    fn drop(&mut self) {
        drop_nested(self.0.take());
    }
}
