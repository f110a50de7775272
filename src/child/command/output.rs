//! What a child's program prints, line by line in the log.
//!
//! Target `regrow::command`; fields `child`, `pid`, `os_pid`. Standard output is INFO, standard
//! error WARN, and the line is the message.

use std::future::{Future, poll_fn};
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

use crate::base::catch::ignore_panic;
use crate::base::coop::consume_budget;
use crate::base::one_line::{name, one_line};
use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::child::stop_request::Orders;

const TARGET: &str = "regrow::command";

/// A line of more bytes than this is logged in pieces, each of whole characters.
const LONGEST: usize = 8 * 1024;

/// A line takes one unit of the cooperative budget, and one more for each of so many bytes.
const BYTES_A_TURN: usize = 1024;

/// How long the output of other processes is logged that still hold the pipes of a program which
/// has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// More than the pipes of a program hold, unless it has made them larger itself.
const IN_PIPES: usize = 256 * 1024;

/// How much of a program's output was logged.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// How many bytes were logged; counted anew from the end of the program on.
    bytes: AtomicUsize,
    /// Whether each pipe was found empty since then.
    empty: [AtomicBool; 2],
    /// Whether each pipe is closed.
    closed: [AtomicBool; 2],
}

impl Told {
    pub(crate) fn program_ended(&self) {
        self.bytes.store(0, Ordering::Relaxed);
        self.empty.iter().for_each(|empty| empty.store(false, Ordering::Relaxed));
    }

    /// Whether all that the program printed itself is logged: it has ended, and since then its
    /// pipes were empty, or have given more than they hold.
    pub(crate) fn is_all(&self) -> bool {
        let mut both = self.empty.iter().zip(&self.closed);
        both.all(|(empty, closed)| [empty, closed].iter().any(|is| is.load(Ordering::Relaxed)))
            || self.bytes.load(Ordering::Relaxed) > IN_PIPES
    }

    fn found_empty(&self, which: usize) {
        self.empty[which].store(true, Ordering::Relaxed);
    }

    fn found_closed(&self, which: usize) {
        self.closed[which].store(true, Ordering::Relaxed);
    }
}

/// Who it is that prints.
#[derive(Debug, Clone)]
pub(crate) struct Printing {
    pub(crate) child: SharedStr,
    pub(crate) pid: Pid,
    pub(crate) os_pid: Option<u32>,
}

impl Printing {
    /// Tells all that a program prints where it is piped, until its pipes are closed.
    pub(crate) async fn all_of(
        &self,
        (output, errors): (Option<ChildStdout>, Option<ChildStderr>),
        told: &Told,
    ) {
        let (child, Printing { pid, os_pid, .. }) = (name(&self.child), self);
        let output = each_line(output, (told, 0), |line| {
            tracing::info!(target: TARGET, %child, %pid, os_pid, "{}", one_line(line));
        });
        let errors = each_line(errors, (told, 1), |line| {
            tracing::warn!(target: TARGET, %child, %pid, os_pid, "{}", one_line(line));
        });
        in_turn(output, errors).await;
    }

    /// Tells how a program ended that was stopped otherwise than by its own supervisor, by a signal
    /// to all processes for example.
    pub(crate) fn stopped_by_another(&self, status: ExitStatus) {
        let (child, Printing { pid, os_pid, .. }) = (name(&self.child), self);
        ignore_panic(|| {
            tracing::info!(target: TARGET, %child, %pid, os_pid, %status, "ended beside its stop");
        });
    }
}

/// Logs what is left in the pipes of a program that has ended. All that it printed itself is
/// logged, however long that takes; processes that it has started may hold its pipes, and print
/// for ever.
pub(crate) async fn last_words(
    mut printed: Pin<&mut impl Future<Output = ()>>,
    told: &Told,
    orders: &Orders,
) {
    told.program_ended();
    let mut limit = LAST_WORDS;
    while timeout(limit, printed.as_mut()).await.is_err() {
        if told.is_all() || orders.were_to_kill() {
            return;
        }
        limit = LAST_WORDS / 10;
    }
}

/// Runs both to their end, and polls each first in turn. In a fixed order the first could use up
/// the budget of every poll, and the second would never run.
async fn in_turn(one: impl Future<Output = ()>, other: impl Future<Output = ()>) {
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

/// Logs all lines until the other side is closed, or can't be read. A line takes units of the
/// cooperative budget by its length, so that a program that prints without a pause leaves the
/// thread to other tasks.
async fn each_line(
    pipe: Option<impl AsyncRead + Unpin>,
    (told, which): (&Told, usize),
    tell: impl Fn(&str),
) {
    let Some(pipe) = pipe else { return told.found_closed(which) };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::with_capacity(LONGEST);
    // Whether a piece of this line was logged before.
    let mut goes_on = false;
    loop {
        let room = (LONGEST - line.len()) as u64;
        let mut limited = (&mut pipe).take(room);
        let mut reading = pin!(limited.read_until(b'\n', &mut line));
        let read = poll_fn(|cx| {
            let read = reading.as_mut().poll(cx);
            // It waits for the program, and not for its turn.
            if read.is_pending() && coop::has_budget_remaining() {
                told.found_empty(which);
            }
            read
        });
        let is_over = matches!(read.await, Ok(0) | Err(_));
        let is_whole = is_over || line.ends_with(b"\n");
        let piece = match is_whole {
            true => line.trim_ascii_end(),
            false if line.len() < LONGEST => continue,
            false => &line[..whole_characters(&line)],
        };
        // The end of a line may come after its last piece.
        if !piece.is_empty() || !(goes_on || is_over) {
            for _ in 0..=piece.len() / BYTES_A_TURN {
                consume_budget().await;
            }
            ignore_panic(|| tell(String::from_utf8_lossy(piece).as_ref()));
            told.bytes.fetch_add(line.len(), Ordering::Relaxed);
        }
        if is_over {
            return told.found_closed(which);
        }
        goes_on = !is_whole;
        let told = if is_whole { line.len() } else { piece.len() };
        line.drain(..told);
    }
}

/// How many of these bytes are left when the last character is only begun; at least one.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(4);
    let started_processes = bytes.iter().skip(last).rposition(|byte| byte & 0xC0 != 0x80);
    let Some(begin) = started_processes.map(|at| last + at).filter(|&at| at > 0) else {
        return bytes.len();
    };
    match std::str::from_utf8(&bytes[begin..]) {
        Err(error) if error.error_len().is_none() => begin,
        _ => bytes.len(),
    }
}
