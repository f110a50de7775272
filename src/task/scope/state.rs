//! The tasks of a scope, and whether the scope accepts more.
//!
//! # Invariants
//!
//! 1. Each live task of the scope is in `tasks`. A task is added under the lock that reads `closed`,
//!    before its body can run. So after `closed` was set under that lock, no further body runs, and
//!    the tasks that were taken out under the lock are all there are.
//! 2. `closed` is never reset.
//!
//! The effect of an end of one side between two steps of a spawn, which are *admit the process*, *add
//! it to `tasks`*, *run it*:
//!
//! * The scope closes before the second step: the process ends with `NoProc`, and its body never
//!   runs.
//! * The scope closes before the third step: the process is stopped or killed as the other tasks,
//!   and ends when its first poll finds the signal.
//! * The owner ends before the first step: the process ends with `NoProc`. It is added to `tasks`
//!   nevertheless, so that the scope fails, unless the scope has closed.
//! * The owner ends after the first step: the link ends the task.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::{Notify, Semaphore};

use crate::base::{Pid, PlainMutex};
use crate::exit::{ExitReason, Shutdown};
use crate::kernel::NewProcess;
use crate::mailbox::Process;
use crate::message::Envelope;
use crate::process::{AnyProcess, Link};
use crate::runtime::{ProcessHandle, Runtime};

/// The state that the handles of a scope and its driver share.
pub(super) struct ScopeState {
    pub(super) runtime: Runtime,
    pub(super) owner: Option<Pid>,
    inner: PlainMutex<Inner>,
    /// Wakes the driver after a task was added, or a stop was requested.
    pub(super) changed: Notify,
}

struct Inner {
    tasks: HashMap<Pid, ProcessHandle>,
    /// The tasks that the driver has not taken yet.
    added: Vec<ProcessHandle>,
    closed: bool,
    stop_requested: bool,
    shutdown: Shutdown,
    limit: Option<Arc<Semaphore>>,
}

impl ScopeState {
    pub(super) fn new(runtime: Runtime, owner: Option<Pid>) -> Arc<Self> {
        let inner = PlainMutex::new(Inner {
            tasks: HashMap::new(),
            added: Vec::new(),
            closed: false,
            stop_requested: false,
            shutdown: Shutdown::default(),
            limit: None,
        });
        Arc::new(ScopeState { runtime, owner, inner, changed: Notify::new() })
    }

    /// Admits the process of a task, and adds it to the tasks. Returns whether its body may run.
    pub(super) fn admit(&self) -> (Arc<Process<Envelope>>, bool) {
        let kernel = &self.runtime.kernel;
        let link = self.owner.map(|owner| (owner, Link::owned(kernel.fresh_id())));
        let new_process = NewProcess { link, ..NewProcess::default() };
        let (process, admitted) = self.runtime.admit::<Envelope>(&new_process);
        let any: Arc<dyn AnyProcess> = process.clone();
        let handle = ProcessHandle { runtime: self.runtime.clone(), process: any };
        let added = self.add(handle);
        if added {
            self.changed.notify_one();
        } else if admitted.is_ok() {
            kernel.end_unstarted(&*process, ExitReason::NoProc);
        }
        (process, added && admitted.is_ok())
    }

    /// Adds a task, unless the scope is closed. Invariant 1.
    fn add(&self, task: ProcessHandle) -> bool {
        let mut inner = self.inner.lock();
        if inner.closed {
            return false;
        }
        inner.tasks.insert(task.pid(), task.clone());
        inner.added.push(task);
        true
    }

    /// Returns the tasks that were added since the last call.
    pub(super) fn take_added(&self) -> Vec<ProcessHandle> {
        std::mem::take(&mut self.inner.lock().added)
    }

    /// Returns the live tasks, and those whose end the driver has not handled yet.
    pub(super) fn tasks(&self) -> Vec<ProcessHandle> {
        let mut tasks: Vec<_> = self.inner.lock().tasks.values().cloned().collect();
        tasks.sort_by_key(ProcessHandle::pid);
        tasks
    }

    /// Removes a task that has ended.
    pub(super) fn remove(&self, task: Pid) {
        let removed = self.inner.lock().tasks.remove(&task);
        drop(removed);
    }

    /// Closes the scope. Returns the remaining tasks.
    pub(super) fn close(&self) -> Vec<ProcessHandle> {
        self.inner.lock().closed = true;
        self.tasks()
    }

    /// Closes the scope if it has no tasks. Returns whether it is closed and has none.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut inner = self.inner.lock();
        let is_empty = inner.tasks.is_empty();
        inner.closed |= is_empty;
        is_empty
    }

    /// Closes the scope, and asks the driver to stop the tasks.
    pub(super) fn request_stop(&self) {
        let mut inner = self.inner.lock();
        inner.stop_requested = true;
        inner.closed = true;
        drop(inner);
        self.changed.notify_one();
    }

    pub(super) fn is_stop_requested(&self) -> bool {
        self.inner.lock().stop_requested
    }

    pub(super) fn set_shutdown(&self, how: Shutdown) {
        self.inner.lock().shutdown = how;
    }

    pub(super) fn shutdown(&self) -> Shutdown {
        self.inner.lock().shutdown
    }

    pub(super) fn set_limit(&self, tasks: usize) {
        let limit = Arc::new(Semaphore::new(tasks.min(Semaphore::MAX_PERMITS)));
        let old = self.inner.lock().limit.replace(limit);
        drop(old);
    }

    pub(super) fn limit(&self) -> Option<Arc<Semaphore>> {
        self.inner.lock().limit.clone()
    }
}
