//! What the incarnations of one child of [`json_lines`](crate::json_lines()) share: the listener, and
//! what its writer did not take.
//!
//! **Invariants**
//! 1. At most one incarnation has the listener. An incarnation that ends without having been asked to
//!    stop puts the listener back, also if it is killed, and the next one takes it. So no event is
//!    missed between the two, within the 1,024 that a listener may be behind.
//! 2. An incarnation that was asked to stop drops the listener, so that the runtime makes no events
//!    for it.
//! 3. Blocking work of two incarnations never runs at the same time: it holds the permit of
//!    `writing`. A killed incarnation leaves such work behind, and the next one waits for it before
//!    it opens its writer.
//! 4. A line is counted in `unwritten` before it is passed to the writer, until the writer has taken
//!    it. The next incarnation reports the rest as missed.

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
    /// Whether the writer has taken only a part of a line.
    pub(super) is_torn: bool,
    /// How many of the events that the listener has missed were reported.
    pub(super) reported: u64,
}

/// The listener of one incarnation, which puts it back when it is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    runtime: usize,
    /// `None` once the incarnation has been asked to stop.
    pub(super) events: Option<Events>,
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
        Listening { runtime: number, events: Some(events), queue: Arc::clone(queue) }
    }
}

impl Listening {
    /// The number of events that were missed and not reported yet. They count as reported from now
    /// on.
    pub(super) fn take_missed(&self) -> u64 {
        let missed = self.events.as_ref().map_or(0, Events::missed);
        let mut lines = self.queue.lines.lock();
        let lost = std::mem::take(&mut lines.unwritten);
        let lagged = missed.saturating_sub(lines.reported);
        lines.reported += lagged;
        lost + lagged
    }
}

/// Invariant 1.
impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(events) = self.events.take() {
            let before = self.queue.listener.lock().replace((self.runtime, events));
            drop(before);
        }
    }
}
