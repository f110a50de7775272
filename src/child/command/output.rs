//! Logs the output of a child's program, line by line.
//!
//! Each line is the message of an event with the target `regrow::command` and the fields `child`,
//! `pid` and `os_pid`. Standard output is logged at INFO, standard error at WARN.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::FusedFuture;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::task::coop;
use tokio::time::timeout;

use crate::base::{Pid, SharedStr, consume_budget, ignore_panic, name, one_line};
use crate::child::StopRequests;

const TARGET: &str = "regrow::command";

/// The maximum length of a logged piece, in bytes. A longer line is logged in pieces of whole
/// characters.
const MAX_PIECE: usize = 8 * 1024;

/// A line consumes one unit of the cooperative budget, and one more for each of this many bytes.
const BYTES_PER_BUDGET_UNIT: usize = 1024;

/// How long output is logged after the program has ended, if other processes still hold the
/// program's pipes.
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// A number of bytes that is larger than the capacity of a program's pipes, unless the program has
/// enlarged them.
const PIPE_CAPACITY: usize = 256 * 1024;

/// The progress of the log of a program's output.
#[derive(Debug, Default)]
pub(crate) struct LogProgress {
    /// The number of logged bytes. Once the program has ended, only the bytes logged since its end
    /// count.
    bytes: AtomicUsize,
    /// Whether each pipe was empty at some time since the start of the program, or, once the
    /// program has ended, since its end.
    empty: [AtomicBool; 2],
    /// Whether each pipe is closed.
    closed: [AtomicBool; 2],
}

impl LogProgress {
    /// Restarts the measurement at the end of the program.
    pub(crate) fn program_ended(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.empty.iter().for_each(|empty| empty.store(false, Ordering::Relaxed));
    }

    /// Returns whether all output of an ended program itself is logged. The output is complete
    /// when, since the end of the program, each pipe was empty or closed, or more bytes were logged
    /// than the pipes hold.
    pub(crate) fn is_complete(&self) -> bool {
        let mut both = self.empty.iter().zip(&self.closed);
        both.all(|(empty, closed)| [empty, closed].iter().any(|is| is.load(Ordering::Relaxed)))
            || self.bytes.load(Ordering::Relaxed) > PIPE_CAPACITY
    }

    fn set_empty(&self, pipe_index: usize) {
        self.empty[pipe_index].store(true, Ordering::Relaxed);
    }

    fn set_closed(&self, pipe_index: usize) {
        self.closed[pipe_index].store(true, Ordering::Relaxed);
    }
}

/// The log of one program, with the fields of its events.
#[derive(Debug, Clone)]
pub(crate) struct OutputLog {
    pub(crate) child: SharedStr,
    pub(crate) pid: Pid,
    pub(crate) os_pid: Option<u32>,
}

impl OutputLog {
    /// Logs all piped output of a program, until its pipes are closed.
    pub(crate) async fn log_all(
        &self,
        (output, errors): (Option<ChildStdout>, Option<ChildStderr>),
        progress: &LogProgress,
    ) {
        let (child, OutputLog { pid, os_pid, .. }) = (name(&self.child), self);
        let output = log_lines(output, (progress, 0), |line| {
            tracing::info!(target: TARGET, %child, %pid, os_pid, "{}", one_line(line));
        });
        let errors = log_lines(errors, (progress, 1), |line| {
            tracing::warn!(target: TARGET, %child, %pid, os_pid, "{}", one_line(line));
        });
        join_alternating(output, errors).await;
    }

    /// Logs the status of a program that was stopped, but not by its own supervisor: for example by
    /// a signal to all processes.
    pub(crate) fn log_external_stop(&self, status: ExitStatus) {
        let (child, OutputLog { pid, os_pid, .. }) = (name(&self.child), self);
        ignore_panic(|| {
            tracing::info!(target: TARGET, %child, %pid, os_pid, %status, "stopped externally");
        });
    }
}

/// Logs the remaining output of a program that has ended: all output of the program itself, unless
/// the process is killed first. Processes that the program has started may hold its pipes and print
/// for ever, so the log ends when the output of the program itself is complete.
pub(crate) async fn drain_output(
    mut printed: Pin<&mut impl Future<Output = ()>>,
    progress: &LogProgress,
    requests: &StopRequests,
) {
    progress.program_ended();
    let mut limit = DRAIN_TIME;
    while timeout(limit, printed.as_mut()).await.is_err() {
        if progress.is_complete() || requests.is_killed() {
            return;
        }
        limit = DRAIN_TIME / 10;
    }
}

/// Runs both futures to completion, and alternates which of them is polled first. In a fixed order
/// the first could use up the budget of every poll, and the second would never run.
async fn join_alternating(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
    let (mut one, mut other) = (pin!(one.fuse()), pin!(other.fuse()));
    let mut other_first = false;
    poll_fn(|cx| {
        other_first = !other_first;
        if other_first {
            let _ = other.as_mut().poll(cx);
        }
        let _ = one.as_mut().poll(cx);
        if !other_first {
            let _ = other.as_mut().poll(cx);
        }
        match one.is_terminated() && other.is_terminated() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}

/// Logs all lines until the pipe is closed or can't be read. A line consumes cooperative budget in
/// proportion to its length, so that a program that prints without a pause does not block the
/// thread for other tasks.
async fn log_lines(
    pipe: Option<impl AsyncRead + Unpin>,
    (progress, pipe_index): (&LogProgress, usize),
    log: impl Fn(&str),
) {
    let Some(pipe) = pipe else { return progress.set_closed(pipe_index) };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::with_capacity(MAX_PIECE);
    // Whether an earlier piece of this line was logged.
    let mut is_continued = false;
    loop {
        let room = (MAX_PIECE - line.len()) as u64;
        let mut limited = (&mut pipe).take(room);
        let mut reading = pin!(limited.read_until(b'\n', &mut line));
        let read = poll_fn(|cx| {
            let read = reading.as_mut().poll(cx);
            // With budget left, a pending read means that the pipe is empty.
            if read.is_pending() && coop::has_budget_remaining() {
                progress.set_empty(pipe_index);
            }
            read
        });
        let is_over = matches!(read.await, Ok(0) | Err(_));
        let is_whole = is_over || line.ends_with(b"\n");
        let piece = match is_whole {
            true => line.trim_ascii_end(),
            false if line.len() < MAX_PIECE => continue,
            false => &line[..len_of_whole_characters(&line)],
        };
        // The line break may arrive after the last piece of its line.
        if !piece.is_empty() || !(is_continued || is_over) {
            for _ in 0..=piece.len() / BYTES_PER_BUDGET_UNIT {
                consume_budget().await;
            }
            ignore_panic(|| log(String::from_utf8_lossy(piece).as_ref()));
            progress.bytes.fetch_add(line.len(), Ordering::Relaxed);
        }
        if is_over {
            return progress.set_closed(pipe_index);
        }
        is_continued = !is_whole;
        let logged = if is_whole { line.len() } else { piece.len() };
        line.drain(..logged);
    }
}

/// Returns the number of bytes before an incomplete last character. Returns the number of all bytes
/// if the last character is complete, or if no bytes would be left.
fn len_of_whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(4);
    let last_start = bytes.iter().skip(last).rposition(|byte| byte & 0xC0 != 0x80);
    let Some(begin) = last_start.map(|at| last + at).filter(|&at| at > 0) else {
        return bytes.len();
    };
    match std::str::from_utf8(&bytes[begin..]) {
        Err(error) if error.error_len().is_none() => begin,
        _ => bytes.len(),
    }
}
