//! The idle time-out of a server.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::base::poll_budget;

/// How long a server waits for its next message before `handle_timeout` runs.
#[derive(Default)]
pub(crate) enum IdleTimeout {
    #[default]
    Off,
    /// A handler has set this limit. The time counts from the moment at which the server begins to
    /// wait.
    Set(Duration),
    /// The server waits, and the clock runs.
    Waiting(Pin<Box<Sleep>>),
}

impl IdleTimeout {
    /// Returns the time that is left, if a time-out is set.
    pub(crate) fn limit(&self) -> Option<Duration> {
        match self {
            IdleTimeout::Off => None,
            IdleTimeout::Set(limit) => Some(*limit),
            IdleTimeout::Waiting(sleep) => {
                Some(sleep.deadline().saturating_duration_since(Instant::now()))
            }
        }
    }

    /// Stops the clock. The server's next wait starts it again.
    pub(crate) fn pause(&mut self) {
        if let Some(left) = self.limit() {
            *self = IdleTimeout::Set(left);
        }
    }

    /// Returns `Ready` once, when the time has elapsed. The server polls this only after a poll of
    /// the mailbox that has found no item.
    pub(crate) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            IdleTimeout::Off => return Poll::Pending,
            // Without budget the mailbox was not checked, and a queued message takes precedence
            // over a zero time-out. So the time-out needs budget as well.
            IdleTimeout::Set(Duration::ZERO) => ready!(poll_budget(cx)),
            IdleTimeout::Set(limit) => {
                *self = IdleTimeout::Waiting(Box::pin(tokio::time::sleep(*limit)));
                return self.poll_elapsed(cx);
            }
            IdleTimeout::Waiting(sleep) => {
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        }
        *self = IdleTimeout::Off;
        Poll::Ready(())
    }
}
