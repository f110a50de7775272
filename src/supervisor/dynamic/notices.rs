//! The queue of results that a dynamic supervisor has not handled yet: those of its background
//! tasks, and the notices of [half-started servers](super::half_started).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::Pid;
use crate::child::Spec;
use crate::runtime::{Ack, AckReceiver, Runtime, StartGuard};
use crate::supervisor::dynamic::{Child, Completion, Requester};

/// The first start of a server whose `init` is running.
pub(super) struct HalfStarted {
    pub(super) child: Child,
    pub(super) requester: Requester,
    pub(super) spec: Arc<Spec>,
    pub(super) guard: StartGuard<Runtime>,
}

/// The notice of a server, by its pid.
pub(super) type Notice = (Pid, Option<Ack>);

/// The unhandled results and notices, and a function that asks the supervisor to handle notices.
pub(crate) struct Completions {
    notify: Box<dyn Fn() + Send + Sync>,
    unhandled: Mutex<Unhandled>,
}

#[derive(Default)]
pub(super) struct Unhandled {
    /// The results of background tasks.
    pub(super) completions: Vec<Completion>,
    /// The notices of half-started servers.
    pub(super) notices: Vec<Notice>,
}

impl Completions {
    pub(super) fn new(notify: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Completions { notify: Box::new(notify), unhandled: Mutex::default() })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Unhandled> {
        self.unhandled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AckReceiver for Completions {
    fn acknowledged(&self, server: Pid, ack: Option<Ack>) {
        self.lock().notices.push((server, ack));
        (self.notify)();
    }
}
