//! The loop of a child of [`json_lines`](crate::json_lines()).
//!
//! **Steps**
//! 1. Open the writer.
//! 2. Wait for an event, or for the request to stop.
//! 3. Take all events that are there, up to [`BATCH`] bytes of lines. If events were missed, a line
//!    that says so comes first.
//! 4. Write the lines with one call and flush. Continue with step 2.
//! 5. After the request to stop: write what is left, and end.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio_util::sync::CancellationToken;

use crate::child::TaskContext;
use crate::exit::{ExitReason, Result};
use crate::json_lines::JsonLinesError;
use crate::json_lines::event::{line_of, missed_line};
use crate::json_lines::queue::{Lines, Listening, Queue};
use crate::observe::LifecycleEvent;

/// The number of bytes from which on no further line is added to a batch.
const BATCH: usize = 64 * 1024;

/// Lines that are written together.
#[derive(Debug, Default)]
struct Batch {
    text: String,
    lines: u64,
}

impl Batch {
    fn push(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
        self.lines += 1;
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
    let mut writer = blocking(&listening.queue, move || open(), JsonLinesError::Open).await?;
    loop {
        let Some(events) = &mut listening.events else { return Ok(()) };
        let next = {
            let (next, stopped) = (pin!(events.next()), pin!(stop.cancelled()));
            match select(next, stopped).await {
                Either::Left((event, _)) => event,
                Either::Right(_) => break,
            }
        };
        let Some(event) = next else { return Ok(()) };
        writer = write_some(&mut listening, writer, Some(event)).await?;
    }
    loop {
        let Some(event) = listening.events.as_mut().and_then(|events| events.try_next()) else {
            // The last missed events have no event after them.
            write_some(&mut listening, writer, None).await?;
            listening.events = None;
            return Ok(());
        };
        writer = write_some(&mut listening, writer, Some(event)).await?;
    }
}

/// Takes steps 3 and 4. Returns the writer.
async fn write_some<W: Write + Send + 'static>(
    listening: &mut Listening,
    mut writer: W,
    first: Option<LifecycleEvent>,
) -> Result<W> {
    let mut batch = Batch::default();
    let missed = listening.take_missed();
    if missed > 0 {
        batch.push(&missed_line(missed));
    }
    let mut next = first;
    while let Some(event) = next {
        batch.push(&line_of(&event));
        let is_full = batch.text.len() >= BATCH;
        let more = listening.events.as_mut().filter(|_| !is_full);
        next = more.and_then(|events| events.try_next());
    }
    if batch.lines == 0 {
        return Ok(writer);
    }
    listening.queue.lines.lock().unwritten += batch.lines;
    let queue = Arc::clone(&listening.queue);
    let written = move || {
        write_batch(&mut writer, &queue, &batch)?;
        Ok(writer)
    };
    blocking(&listening.queue, written, JsonLinesError::Write).await
}

/// Runs blocking work of one incarnation at a time, on a thread of its own.
async fn blocking<T: Send + 'static>(
    queue: &Arc<Queue>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
    failed: fn(io::Error) -> JsonLinesError,
) -> Result<T> {
    // The semaphore is never closed.
    let permit = Arc::clone(&queue.writing).acquire_owned().await.ok();
    let exclusive = move || {
        let done = work();
        drop(permit);
        done
    };
    match tokio::task::spawn_blocking(exclusive).await {
        Ok(done) => done.map_err(|error| ExitReason::from_library(failed(error))),
        Err(panicked) if panicked.is_panic() => std::panic::resume_unwind(panicked.into_panic()),
        Err(cancelled) => Err(ExitReason::from_library(cancelled)),
    }
}

/// Writes the lines, and counts those that the writer has taken.
fn write_batch<W: Write>(writer: &mut W, queue: &Queue, batch: &Batch) -> io::Result<()> {
    let is_torn = std::mem::take(&mut queue.lines.lock().is_torn);
    let text = if is_torn { format!("\n{}", batch.text) } else { batch.text.clone() };
    let (taken, outcome) = write_all(writer, text.as_bytes());
    note_taken(&mut queue.lines.lock(), &text.as_bytes()[..taken], is_torn);
    outcome?;
    writer.flush()
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

fn note_taken(lines: &mut Lines, taken: &[u8], was_torn: bool) {
    let breaks = taken.iter().filter(|byte| **byte == b'\n').count() as u64;
    let first_break = u64::from(was_torn && !taken.is_empty());
    lines.unwritten = lines.unwritten.saturating_sub(breaks - first_break);
    lines.is_torn = match taken.last() {
        Some(last) => *last != b'\n',
        None => was_torn,
    };
}
