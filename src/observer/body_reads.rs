//! The control requests whose bodies are being read.
//!
//! **Invariant.** At most [`AT_ONCE`] bodies are waited for. One more ends the wait for the oldest one. So
//! slow bodies delay no request whose body arrives with it, such as a kill: that is not refused because of
//! others.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::future::{Either, select};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::base::PlainMutex;

/// How many bodies are waited for at a time.
const AT_ONCE: usize = 16;

/// The longest body, in bytes.
const BODY: usize = 4 << 10;

/// How long a body may take to arrive.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// A refused request: its status, and the reason.
pub(super) type Refusal = (StatusCode, &'static str);

pub(super) const TOO_MANY: Refusal =
    (StatusCode::SERVICE_UNAVAILABLE, "too many control requests are in progress: try again\n");

/// The bodies that are being read, the oldest first. Clones share them.
#[derive(Clone, Default)]
pub(super) struct BodyReads(Arc<PlainMutex<VecDeque<oneshot::Sender<()>>>>);

impl BodyReads {
    /// Reads a body.
    pub(super) async fn read(&self, body: Body) -> Result<Vec<u8>, Refusal> {
        let mut read = pin!(read(body));
        if let Some(read) = read.as_mut().now_or_never() {
            return read;
        }
        let late = || Err((StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time\n"));
        match select(pin!(timeout(BODY_WITHIN, read)), self.enter()).await {
            Either::Left((read, _)) => read.unwrap_or_else(|_| late()),
            Either::Right(_) => Err(TOO_MANY),
        }
    }

    /// Adds a body, in place of the oldest one if there are too many. The receiver is closed when the
    /// new one has to make room.
    fn enter(&self) -> oneshot::Receiver<()> {
        let (stays, displaced) = oneshot::channel();
        let oldest = {
            let mut reads = self.0.lock();
            reads.retain(|read| !read.is_closed());
            reads.push_back(stays);
            if reads.len() > AT_ONCE { reads.pop_front() } else { None }
        };
        // Wakes its reader, so the lock is released before.
        drop(oldest);
        displaced
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Refusal> {
    let (mut parts, mut all) = (body.into_data_stream(), Vec::new());
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| (StatusCode::BAD_REQUEST, "the body broke off\n"))?;
        if all.len() + part.len() > BODY {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 4 KiB\n"));
        }
        all.extend_from_slice(&part);
    }
    Ok(all)
}
