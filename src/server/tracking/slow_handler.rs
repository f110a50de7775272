//! Telling of a handler that runs long, while it does.
//!
//! Who tells is a task of its own, since the server is busy, maybe without ever awaiting. It
//! looks at the server's record whenever a handler may be due, and sleeps while the server
//! waits for something to handle. No handler pays for a timer.
//!
//! It must be on its way before the handler begins: what a task wakes may sit in a slot of
//! its worker that no other worker takes from, until that task yields. So a server that finds
//! something to handle while it sleeps wakes it, and yields once; it then sets its timer. If
//! it is awake it looks again in time anyway.
//!
//! It knows its server weakly, and ends with the server's watch.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use crate::base::catch::ignore_panic;
use crate::base::one_line::name;
use crate::kernel::timers::NO_TOKIO;
use crate::mailbox::inbox::Item;
use crate::mailbox::record::Process;
use crate::observe::activity::{Handling, Look};
use crate::process::AnyProcess;

/// A step of tokio's timer. With a shorter limit the task would look without a pause, and under a
/// paused clock time would stand still.
pub(crate) const SHORTEST: Duration = Duration::from_millis(1);

/// Who tells of one server's slow handlers, until it is dropped.
pub(crate) struct SlowHandlerWatch {
    next: Arc<Notify>,
    task: AbortHandle,
}

impl SlowHandlerWatch {
    pub(crate) fn start<M: Item>(process: Arc<Process<M>>) -> Self {
        let next = Arc::new(Notify::new());
        let handle = process.kernel.tokio().expect(NO_TOKIO).clone();
        let process: Arc<dyn AnyProcess> = process;
        let telling = tell(Arc::downgrade(&process), Arc::clone(&next));
        SlowHandlerWatch { next, task: handle.spawn(telling).abort_handle() }
    }

    /// A handler is about to begin.
    pub(crate) fn wake(&self) {
        self.next.notify_one();
    }
}

impl Drop for SlowHandlerWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn tell(process: Weak<dyn AnyProcess>, next: Arc<Notify>) {
    loop {
        let look = match process.upgrade() {
            Some(process) => look(&*process),
            None => return,
        };
        match look {
            Look::Sleep => next.notified().await,
            Look::Until(at) => sleep_until(at).await,
            Look::Report(_) => {}
        }
    }
}

/// Looks, and tells if it is time to.
fn look(process: &dyn AnyProcess) -> Look {
    let (look, label) = process.with(|locked| {
        let core = locked.core();
        let activity =
            core.registrations().and_then(|registrations| registrations.activity.as_mut());
        let look = activity.map_or(Look::Sleep, |activity| activity.look(Instant::now()));
        (look, core.relations().and_then(|relations| relations.label.clone()))
    });
    if let Look::Report(Handling { callback, elapsed }) = look {
        let (pid, label) = (process.pid(), label.map(|label| name(&label).to_string()));
        ignore_panic(|| {
            tracing::warn!(
                target: "regrow::server", %pid, label, %callback, ?elapsed, "a handler runs long"
            );
        });
    }
    look
}
