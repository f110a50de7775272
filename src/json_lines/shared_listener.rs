//! What happens to events between two incarnations of a child of
//! [`json_lines`](crate::json_lines()): all incarnations share the listener, and the number of
//! events that were not written.
//!
//! **Invariants**
//! 1. At most one incarnation has the listener. An incarnation that ends without having been asked to
//!    stop puts the listener back, also if it is killed, and the next one takes it. So no event is
//!    missed between the two, within the 1,024 that a listener may be behind.
//! 2. An incarnation that has begun to stop drops the listener, also if it is killed or its writer
//!    fails meanwhile, so that the runtime makes no events for it.
//! 3. At most one writer exists at a time: an incarnation holds the permit of `writing` from before
//!    its writer is opened until its writer was dropped. A killed incarnation leaves both to a thread
//!    for blocking work, and the next one waits for the permit.
//! 4. An event counts in `unwritten` from the moment in which it is taken from the listener, or in
//!    which the listener is seen to have missed it, until the line that stands for it was flushed.
//!    That is its own line, or a `missed` line, which stands for as many events as it says. Each
//!    incarnation begins with a `missed` line for what the one before it has left here.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::base::PlainMutex;
use crate::runtime::{Events, Runtime};

/// The state that outlives an incarnation.
#[derive(Debug)]
pub(super) struct Queue {
    /// The listener, with the number of its runtime.
    listener: PlainMutex<Option<(usize, Events)>>,
    /// Invariant 3.
    pub(super) writing: Arc<Semaphore>,
    pub(super) lines: PlainMutex<Lines>,
}

/// The lines that the writer did not take.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Invariant 4.
    pub(super) unwritten: u64,
    /// Whether the writer may have taken only a part of a line.
    pub(super) is_torn: bool,
    /// How many of the events that the listener has missed were reported.
    pub(super) reported: u64,
}

/// The listener of one incarnation, which puts it back when it is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    runtime: usize,
    /// `None` only while this value is dropped.
    events: Option<Events>,
    /// Whether the incarnation has begun to stop (invariant 2).
    pub(super) stops: bool,
    pub(super) queue: Arc<Queue>,
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            listener: PlainMutex::default(),
            writing: Arc::new(Semaphore::new(1)),
            lines: PlainMutex::default(),
        }
    }
}

impl Queue {
    /// Takes the listener of the incarnation before, or makes one.
    pub(super) fn listen(queue: &Arc<Queue>, runtime: &Runtime) -> Listening {
        let number = runtime.kernel.number();
        let kept = queue.listener.lock().take().filter(|(of, _)| *of == number);
        let events = kept.map_or_else(
            || {
                queue.lines.lock().reported = 0;
                runtime.events()
            },
            |(_, events)| events,
        );
        Listening { runtime: number, events: Some(events), stops: false, queue: Arc::clone(queue) }
    }
}

impl Listening {
    pub(super) fn events(&mut self) -> &mut Events {
        self.events.as_mut().expect("only the destructor takes the listener")
    }

    /// The number of events without a line that was flushed.
    pub(super) fn unwritten(&self) -> u64 {
        self.queue.lines.lock().unwritten
    }

    /// Counts an event that was taken from the listener, and those before it that the listener has
    /// missed. Returns the number of the latter.
    pub(super) fn count_taken(&mut self) -> u64 {
        let missed = self.events().missed();
        let mut lines = self.queue.lines.lock();
        let lagged = missed.saturating_sub(lines.reported);
        lines.reported += lagged;
        lines.unwritten += lagged + 1;
        lagged
    }
}

/// Invariants 1 and 2.
impl Drop for Listening {
    fn drop(&mut self) {
        let events = self.events.take().filter(|_| !self.stops);
        if let Some(events) = events {
            let before = self.queue.listener.lock().replace((self.runtime, events));
            drop(before);
        }
    }
}
