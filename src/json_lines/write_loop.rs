//! The loop of a child of [`json_lines`](crate::json_lines()).
//!
//! **Steps**
//! 1. Open the writer.
//! 2. Wait for an event, or for the request to stop. The request comes first.
//! 3. Take all events that are there, up to [`BATCH`] bytes of lines. If the listener has missed
//!    events, a line that says so stands where they would be.
//! 4. Write the lines with one call and flush. Continue with step 2.
//! 5. After the request to stop: write the events that are queued at that moment, and end. Events
//!    that happen later are not written, so a runtime that makes events all the time does not delay
//!    the stop.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio_util::sync::CancellationToken;

use crate::child::TaskContext;
use crate::exit::Result;
use crate::json_lines::JsonLinesError;
use crate::json_lines::event::{line_of, missed_line};
use crate::json_lines::shared_listener::{Lines, Listening, Queue};
use crate::json_lines::writer::Held;
use crate::observe::LifecycleEvent;

/// The number of bytes from which on no further line is added to a batch.
const BATCH: usize = 64 * 1024;

/// Lines that are written together.
#[derive(Debug, Default)]
struct Batch {
    text: String,
    /// For each line, the number of events that it stands for.
    weights: Vec<u64>,
}

impl Batch {
    fn push(&mut self, line: &str, weight: u64) {
        self.text.push_str(line);
        self.text.push('\n');
        self.weights.push(weight);
    }

    fn push_missed(&mut self, missed: u64) {
        if missed > 0 {
            self.push(&missed_line(missed), missed);
        }
    }
}

/// The body of the child.
pub(super) async fn run<W, F>(
    // Keeps the mailbox open.
    _ctx: TaskContext,
    stop: CancellationToken,
    mut listening: Listening,
    open: Arc<F>,
) -> Result
where
    F: Fn() -> io::Result<W> + Send + Sync + 'static,
    W: Write + Send + 'static,
{
    let held = Held::new(&listening.queue).await;
    let opened = move |writer: &mut Option<W>| {
        *writer = Some(open()?);
        Ok(())
    };
    let mut held = held.blocking(opened, JsonLinesError::Open).await?;
    let mut no_limit = u64::MAX;
    loop {
        let next = {
            let (stopped, next) = (pin!(stop.cancelled()), pin!(listening.events().next()));
            match select(stopped, next).await {
                Either::Left(_) => break,
                Either::Right((event, _)) => event,
            }
        };
        let Some(event) = next else { break };
        held = write_some(&mut listening, held, Some(event), &mut no_limit).await?;
    }
    listening.stops = true;
    let mut left = listening.events().queued() as u64;
    loop {
        let next = take_next(&mut listening, &mut left);
        let is_last = next.is_none();
        held = write_some(&mut listening, held, next, &mut left).await?;
        if is_last {
            held.close().await;
            return Ok(());
        }
    }
}

/// Takes the next of the events that are left to write.
fn take_next(listening: &mut Listening, left: &mut u64) -> Option<LifecycleEvent> {
    if *left == 0 { None } else { listening.events().try_next() }
}

/// Takes steps 3 and 4, for at most `left` events, which it counts down. Without an event it writes
/// what an earlier incarnation has lost.
async fn write_some<W: Write + Send + 'static>(
    listening: &mut Listening,
    held: Held<W>,
    first: Option<LifecycleEvent>,
    left: &mut u64,
) -> Result<Held<W>> {
    let mut batch = Batch::default();
    let (mut missed, mut next) = (listening.unwritten(), first);
    while let Some(event) = next {
        let lagged = listening.count_taken();
        *left = left.saturating_sub(lagged + 1);
        batch.push_missed(missed + lagged);
        missed = 0;
        batch.push(&line_of(&event), 1);
        let is_full = batch.text.len() >= BATCH;
        next = if is_full { None } else { take_next(listening, left) };
    }
    batch.push_missed(missed);
    if batch.weights.is_empty() {
        return Ok(held);
    }
    let queue = Arc::clone(&listening.queue);
    let written = move |writer: &mut Option<W>| match writer {
        Some(writer) => write_batch(writer, &queue, &batch),
        None => Ok(()),
    };
    held.blocking(written, JsonLinesError::Write).await
}

/// Writes the lines and flushes. Counts the events whose lines were flushed as written.
fn write_batch<W: Write>(writer: &mut W, queue: &Queue, batch: &Batch) -> io::Result<()> {
    // A writer that panics has perhaps written a part of a line.
    let was_torn = std::mem::replace(&mut queue.lines.lock().is_torn, true);
    let text = if was_torn { format!("\n{}", batch.text) } else { batch.text.clone() };
    let (taken, outcome) = write_all(writer, text.as_bytes());
    // Without the flush a writer with a buffer may lose what it has taken.
    let flushed = writer.flush();
    if flushed.is_ok() {
        let taken = &text.as_bytes()[..taken];
        note_taken(&mut queue.lines.lock(), taken, was_torn, &batch.weights);
    }
    outcome.and(flushed)
}

/// Writes the bytes. Returns how many the writer has taken, and the error that ended the write.
fn write_all<W: Write>(writer: &mut W, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut taken = 0;
    while taken < bytes.len() {
        match writer.write(&bytes[taken..]) {
            Ok(0) => return (taken, Err(io::ErrorKind::WriteZero.into())),
            Ok(more) => taken += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (taken, Err(error)),
        }
    }
    (taken, Ok(()))
}

/// Notes that these bytes were flushed: the lines that are whole stand for the first `weights`.
fn note_taken(lines: &mut Lines, taken: &[u8], was_torn: bool, weights: &[u64]) {
    let breaks = taken.iter().filter(|byte| **byte == b'\n').count();
    let first_break = usize::from(was_torn && !taken.is_empty());
    let written: u64 = weights.iter().take(breaks - first_break).sum();
    lines.unwritten = lines.unwritten.saturating_sub(written);
    lines.is_torn = match taken.last() {
        Some(last) => *last != b'\n',
        None => was_torn,
    };
}
