//! Idle time-outs: what a server does when nothing comes.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::base::coop::poll_budget;

/// How long a server waits for its next message before it is told that none came.
#[derive(Default)]
pub(crate) enum IdleTimeout {
    #[default]
    Off,
    /// Set by a handler; counted from when the server begins to wait.
    Set(Duration),
    Waiting(Pin<Box<Sleep>>),
}

impl IdleTimeout {
    /// What is left of the time, if one was set.
    pub(crate) fn limit(&self) -> Option<Duration> {
        match self {
            IdleTimeout::Off => None,
            IdleTimeout::Set(limit) => Some(*limit),
            IdleTimeout::Waiting(sleep) => {
                Some(sleep.deadline().saturating_duration_since(Instant::now()))
            }
        }
    }

    /// Stops its clock; the server's next wait sets it going again.
    pub(crate) fn pause(&mut self) {
        if let Some(left) = self.limit() {
            *self = IdleTimeout::Set(left);
        }
    }

    /// Ready once, when the time is up. Polled only when the mailbox had nothing.
    pub(crate) fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            IdleTimeout::Off => return Poll::Pending,
            // A zero time-out loses to a queued message: without budget the mailbox was
            // not looked into.
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

impl fmt::Debug for IdleTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IdleTimeout::Off => "Off",
            IdleTimeout::Set(_) => "Set",
            IdleTimeout::Waiting(_) => "Waiting",
        })
    }
}
