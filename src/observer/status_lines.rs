//! The lines that servers publish by `format_status`, which a page asks for while it shows one process.
//!
//! **Invariants**
//! 1. At most one request of an observer is queued at a server: a reader joins the one that is there. So a
//!    server that is stuck is not sent a request each second by each page.
//! 2. A reader waits at most [`WITHIN`]. A request that is late stays queued, and says since when.
//!
//! **What happens if** …
//!
//! | | |
//! |---|---|
//! | the server ends before its answer | the answer is closed, and there is no line |
//! | `format_status` panics | the server runs on, and the reader gets that |
//! | all readers have left | the answer is dropped with the entry, at the next request for any server |

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::base::{PAGE, Pid, PlainMutex, excerpt, with_caught_wakers};
use crate::observation::StatusLine;
use crate::process::{AnyProcess, StatusAnswer, StatusRequest, SystemRequest};
use crate::runtime::Runtime;
use crate::supervisor::PublishedCell;

/// How long a reader waits for a line.
const WITHIN: Duration = Duration::from_millis(250);

/// How many servers may be asked at a time.
const MOST: usize = 256;

/// The servers that were asked and have not answered. Clones share them.
#[derive(Clone, Default)]
pub(super) struct StatusLines(Arc<PlainMutex<HashMap<Pid, Asked>>>);

/// A request that is queued at a server.
#[derive(Clone)]
struct Asked {
    at: Instant,
    answer: watch::Receiver<Option<StatusAnswer>>,
}

impl Asked {
    /// Whether the server is alive and has not answered.
    fn is_open(&self) -> bool {
        matches!(self.answer.has_changed(), Ok(false))
    }
}

impl StatusLines {
    /// Returns the line of a process; `None` if the process is no server, is a supervisor, publishes
    /// nothing, or has ended.
    pub(super) async fn ask(&self, runtime: &Runtime, pid: Pid) -> Option<StatusLine> {
        let process = runtime.kernel.find(pid)?;
        if PublishedCell::of(&*process).is_some() {
            return None;
        }
        let Asked { at, mut answer } = self.asked(&*process)?;
        let answered =
            timeout(WITHIN, with_caught_wakers(pin!(answer.wait_for(Option::is_some)))).await;
        match answered {
            Err(_) => Some(StatusLine::Busy(at.elapsed())),
            Ok(Err(_)) => None,
            Ok(Ok(answer)) => match &*answer {
                Some(Ok(line)) => {
                    line.as_ref().map(|line| StatusLine::Line(excerpt(line, PAGE).to_string()))
                }
                Some(Err(())) => Some(StatusLine::Panicked),
                None => None,
            },
        }
    }

    /// Returns the request that is queued at this server, or queues one.
    fn asked(&self, process: &dyn AnyProcess) -> Option<Asked> {
        let (pid, (request, answer)) = (process.pid(), StatusRequest::new());
        {
            let mut open = self.0.lock();
            open.retain(|_, asked| asked.is_open());
            if let Some(asked) = open.get(&pid) {
                return Some(asked.clone());
            }
            if open.len() >= MOST {
                return None;
            }
            open.insert(pid, Asked { at: Instant::now(), answer: answer.clone() });
        }
        // The lock of the process is taken after that of the table was released.
        process.request_system(SystemRequest::Status(request)).ok()?;
        Some(Asked { at: Instant::now(), answer })
    }
}
