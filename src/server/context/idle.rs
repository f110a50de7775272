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
pub(crate) enum Idle {
    #[default]
    Off,
    /// Set by a handler; counted from when the server begins to wait.
    Set(Duration),
    Waiting(Pin<Box<Sleep>>),
}

impl Idle {
    /// What is left of the time, if one was set.
    pub(crate) fn limit(&self) -> Option<Duration> {
        match self {
            Idle::Off => None,
            Idle::Set(limit) => Some(*limit),
            Idle::Waiting(sleep) => {
                Some(sleep.deadline().saturating_duration_since(Instant::now()))
            }
        }
    }

    /// Stops its clock; the server's next wait sets it going again.
    pub(crate) fn hold(&mut self) {
        if let Some(left) = self.limit() {
            *self = Idle::Set(left);
        }
    }

    /// Ready once, when the time is up. Polled only when the mailbox had nothing.
    pub(crate) fn poll_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Idle::Off => return Poll::Pending,
            // A zero time-out loses to a queued message: without budget the mailbox was
            // not looked into.
            Idle::Set(Duration::ZERO) => ready!(poll_budget(cx)),
            Idle::Set(limit) => {
                *self = Idle::Waiting(Box::pin(tokio::time::sleep(*limit)));
                return self.poll_up(cx);
            }
            Idle::Waiting(sleep) => {
                if sleep.as_mut().poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        }
        *self = Idle::Off;
        Poll::Ready(())
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Idle::Off => "Off",
            Idle::Set(_) => "Set",
            Idle::Waiting(_) => "Waiting",
        })
    }
}
