//! The notifications of an end: the second half of step 6 of a
//! [teardown](crate::kernel::teardown), and steps 7 and 8.
//!
//! **Guarantee.** Every link, monitor and waiter is notified of the end exactly once, also if tokio
//! shuts down meanwhile. Tasks that wait for the end are woken after everything else.
//!
//! An end that few processes are notified of is announced in the teardown. If there are more than
//! [`SLICE`], the teardown notifies the first of them, and a task of the runtime notifies the others
//! in slices. Between two slices the task goes to the end of the queue of its worker, behind the
//! processes that it has woken.
//!
//! The order of the notifications:
//!
//! 1. `Down`s of monitors,
//! 2. exit signals of links,
//! 3. the removal of the monitors that the process has set,
//! 4. the unanswered callers of the process,
//! 5. the stage *announced*; exit signals of links that were made since the stage *ended*,
//! 6. tasks that wait for the end,
//! 7. the drop of the unread items.
//!
//! What happens between two slices:
//!
//! * The process is in the stage *ended*: its names are free, it is in no table, and no timer for it
//!   is left. A new link or monitor is notified at once, by the code that makes it.
//! * A process that has a notification still to come ends, or removes its link or monitor: its entry
//!   is gone, so the notification has no effect.
//! * A task begins to wait for the end: its waker is in the record, and step 5 takes it.
//! * tokio shuts down, and drops the task: the drop sends all other notifications at once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::base::current_process::CurrentGuard;
use crate::base::pid::{MonitorRef, Pid};
use crate::base::small_map::IntoIter;
use crate::base::user_panics::{ignore_panic, wake};
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::kernel::Kernel;
use crate::kernel::closing::DeferredDrops;
use crate::kernel::exits::ExitSignal;
use crate::process::{AnyProcess, Link, MonitorEntry, Registrations, Relations, Stage, Watcher};

/// The number of processes that are notified in one slice. Their tasks fit into the queue of a
/// worker, which has 256 places. With failpoints slices are small, so that tests with few processes
/// interleave with them.
const SLICE: usize = if cfg!(regrow_proof) { 2 } else { 128 };

/// The notifications of one end that are still to be sent.
pub(super) struct Announcement {
    pub(super) pid: Pid,
    pub(super) reason: ExitReason,
    watchers: Option<IntoIter<u64, Watcher>>,
    links: IntoIter<Pid, Link>,
    monitors: IntoIter<u64, MonitorEntry>,
    relations: Box<Relations>,
    deferred: DeferredDrops,
}

impl Announcement {
    /// `relations` are those of the process, and `deferred` are dropped when all is done.
    pub(super) fn new(
        pid: Pid,
        reason: ExitReason,
        mut relations: Box<Relations>,
        deferred: DeferredDrops,
    ) -> Self {
        Announcement {
            pid,
            reason,
            watchers: relations.watchers.take().map(|watchers| watchers.into_iter()),
            links: relations.links.take().into_iter(),
            monitors: relations.monitors.take().into_iter(),
            relations,
            deferred,
        }
    }

    /// Announces the end, in a task of the runtime if there is much to do. `owned` is the record that
    /// the task uses.
    pub(super) fn run(
        mut self,
        kernel: &Arc<Kernel>,
        record: &dyn AnyProcess,
        owned: Option<Arc<dyn AnyProcess>>,
    ) {
        let is_short = self.left() <= SLICE;
        match owned.zip(kernel.tokio()).filter(|_| !is_short) {
            Some((process, tokio)) => {
                self.notify(kernel, SLICE);
                let sliced = Sliced { kernel: kernel.clone(), process, left: Some(self) };
                drop(tokio.spawn(sliced));
            }
            None => {
                self.notify(kernel, usize::MAX);
                self.finish(kernel, record);
            }
        }
    }

    /// The number of notifications of links and monitors that are left.
    fn left(&self) -> usize {
        let watchers = self.watchers.as_ref().map_or(0, IntoIter::len);
        watchers + self.links.len() + self.monitors.len()
    }

    /// Sends at most this number of notifications.
    fn notify(&mut self, kernel: &Arc<Kernel>, most: usize) {
        let mut most = most;
        let (pid, reason) = (self.pid, &self.reason);
        if let Some(watchers) = &mut self.watchers {
            for (id, watcher) in take(watchers, &mut most) {
                let reference = MonitorRef::new(id, watcher.process.pid());
                kernel.queue_down(reference, Some(pid), &watcher, reason);
            }
        }
        crate::base::failpoint::point!("teardown between monitors and links");
        let links = take(&mut self.links, &mut most);
        signal_links(kernel, (pid, reason), links);
        for (id, held) in take(&mut self.monitors, &mut most) {
            kernel.release_monitor(MonitorRef::new(id, pid), held);
        }
    }

    /// Completes the announcement when all links and monitors have been notified.
    fn finish(mut self, kernel: &Arc<Kernel>, record: &dyn AnyProcess) {
        if let Some(registrations) = &mut self.relations.registrations {
            resolve_requests(registrations, &self.reason);
        }
        crate::base::failpoint::point!("teardown before announced");
        let mut late_waiters = Vec::new();
        while let Some(mut late) = enter_announced(record) {
            late_waiters.extend(late.waiters.take());
            if late.links.is_empty() {
                break;
            }
            let links = late.links.take().into_iter();
            signal_links(kernel, (self.pid, &self.reason), links);
        }
        let Announcement { mut relations, deferred, .. } = self;
        let waiters = relations.waiters.take().into_iter().chain(late_waiters);
        wake(waiters.map(|(_, waiter)| waiter));
        ignore_panic(|| drop(relations));
        deferred.drop_all();
    }
}

/// Signals the end of a process to these links.
fn signal_links(
    kernel: &Arc<Kernel>,
    (from, reason): (Pid, &ExitReason),
    links: impl Iterator<Item = (Pid, Link)>,
) {
    let signal = ExitSignal { from, reason, kind: ExitKind::Link };
    for (peer, _) in links {
        if let Some(peer) = kernel.find(peer) {
            kernel.signal_exit(&*peer, signal);
        }
    }
}

/// The next entries, at most this number, which is reduced by that of the entries.
fn take<K, V>(entries: &mut IntoIter<K, V>, most: &mut usize) -> impl Iterator<Item = (K, V)> {
    let taken = entries.len().min(*most);
    *most -= taken;
    entries.by_ref().take(taken)
}

/// The announcement of an end in slices.
struct Sliced {
    kernel: Arc<Kernel>,
    process: Arc<dyn AnyProcess>,
    /// `None` when the end is announced.
    left: Option<Announcement>,
}

impl Sliced {
    /// Sends at most this number of notifications. Completes the announcement if none is left.
    fn advance(&mut self, most: usize) {
        let Some(mut left) = self.left.take() else { return };
        // Wakers and destructors run as in the teardown.
        let _current = CurrentGuard::enter(self.kernel.number(), left.pid);
        left.notify(&self.kernel, most);
        match left.left() {
            0 => left.finish(&self.kernel, &*self.process),
            _ => self.left = Some(left),
        }
    }
}

impl Future for Sliced {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.advance(SLICE);
        if self.left.is_none() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Sliced {
    fn drop(&mut self) {
        self.advance(usize::MAX);
    }
}

/// Cancels the stop token, and resolves the callers whose replies were dropped.
#[inline(never)]
fn resolve_requests(registrations: &mut Registrations, reason: &ExitReason) {
    if let Some(stop) = registrations.stop.take() {
        ignore_panic(|| stop.cancel());
    }
    for caller in std::mem::take(&mut registrations.unanswered) {
        ignore_panic(|| caller.resolve(Some(reason)));
    }
}

/// Takes step 7: enters the stage *announced*, unless links have been made since the last round.
/// Returns these links, and the waiters that were added since then.
fn enter_announced(process: &dyn AnyProcess) -> Option<Box<Relations>> {
    process.with(|locked| {
        let core = locked.core();
        let late = core.relations.take();
        if late.as_ref().is_none_or(|late| late.links.is_empty()) {
            process.advance(core, Stage::Announced);
        }
        late
    })
}
