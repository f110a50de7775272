//! What a child's program prints, line by line in the log.
//!
//! Target `regrow::command`; fields `child`, `pid`, `os_pid`. Standard output is INFO, standard
//! error WARN, and the line is the message.

use std::process::ExitStatus;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{ChildStderr, ChildStdout};

use crate::one_line::{name, one_line};
use crate::pid::Pid;
use crate::quietly::quietly;
use crate::shared_str::SharedStr;

const TARGET: &str = "regrow::command";

/// What is longer than this many bytes is told in pieces.
const LONGEST: u64 = 8 * 1024;

/// Who it is that prints.
#[derive(Debug, Clone)]
pub(crate) struct Printing {
    pub(crate) child: SharedStr,
    pub(crate) pid: Pid,
    pub(crate) os_pid: Option<u32>,
}

impl Printing {
    /// Tells all of its standard output, if that is piped.
    pub(crate) async fn output(&self, pipe: Option<ChildStdout>) {
        let (child, Printing { pid, os_pid, .. }) = (name(&self.child), self);
        each_line(pipe, |line| {
            tracing::info!(target: TARGET, %child, %pid, os_pid, "{}", one_line(line));
        })
        .await;
    }

    /// The same of its standard error.
    pub(crate) async fn errors(&self, pipe: Option<ChildStderr>) {
        let (child, Printing { pid, os_pid, .. }) = (name(&self.child), self);
        each_line(pipe, |line| {
            tracing::warn!(target: TARGET, %child, %pid, os_pid, "{}", one_line(line));
        })
        .await;
    }

    /// Tells how a program ended that was stopped otherwise than by its own supervisor, by a signal
    /// to all processes for example.
    pub(crate) fn stopped_by_another(&self, status: ExitStatus) {
        let (child, Printing { pid, os_pid, .. }) = (name(&self.child), self);
        quietly(|| {
            tracing::info!(target: TARGET, %child, %pid, os_pid, %status, "ended beside its stop");
        });
    }
}

/// Until the other side is closed, or can't be read.
async fn each_line(pipe: Option<impl AsyncRead + Unpin>, tell: impl Fn(&str)) {
    let Some(pipe) = pipe else { return };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut pipe).take(LONGEST).read_until(b'\n', &mut line).await;
        if matches!(read, Ok(0) | Err(_)) {
            return;
        }
        quietly(|| tell(String::from_utf8_lossy(line.trim_ascii_end()).as_ref()));
    }
}
