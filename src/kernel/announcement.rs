//! The notifications of an end: the second half of step 6 of a
//! [teardown](crate::kernel::teardown), and steps 7 and 8.
//!
//! **Guarantee.** Every link, monitor and waiter is notified of the end exactly once, also if tokio
//! shuts down meanwhile. Tasks that wait for the end are woken after all other notifications.
//!
//! The teardown sends at most [`SLICE_SIZE`] notifications of links and monitors. A task of the
//! runtime sends all others in slices. Between two slices the task goes to the end of the queue of
//! its worker, behind the processes that it has woken.
//!
//! The order of the notifications is as follows. If there are slices, the parent is notified before
//! all others.
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
//!   is pending. A new link or monitor is notified at once, by the code that makes it.
//! * A process that is not notified yet ends, or removes its link or monitor: its entry is gone, so
//!   the notification has no effect.
//! * A task begins to wait for the end: its waker is in the record, and step 5 takes the waker out.
//! * tokio shuts down, and drops the task: the drop sends all remaining notifications at once.

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

/// The number of processes that are notified in one slice. The queue of a worker of tokio has 256
/// places, so the tasks of these processes fit into that queue.
const SLICE_SIZE: usize = 128;

#[cfg(not(regrow_proof))]
fn slice_size() -> usize {
    SLICE_SIZE
}

/// With failpoints a slice is small, so that the end of a process in a test takes several slices.
#[cfg(regrow_proof)]
fn slice_size() -> usize {
    if crate::base::failpoint::are_ends_announced_at_once() { SLICE_SIZE } else { 2 }
}

/// An end that is to be announced, with the relations of the process.
pub(super) struct Announced {
    pub(super) pid: Pid,
    pub(super) reason: ExitReason,
    pub(super) relations: Box<Relations>,
    /// Dropped when the end is announced.
    pub(super) deferred: DeferredDrops,
}

/// Announces an end. If there are more notifications than one slice has, a task of the runtime
/// sends the others, and keeps `owned`, the record of the process.
pub(super) fn announce(
    kernel: &Arc<Kernel>,
    record: &dyn AnyProcess,
    owned: Option<Arc<dyn AnyProcess>>,
    mut end: Announced,
) {
    if count(&end.relations) > slice_size()
        && let Some(process) = owned
    {
        return announce_in_slices(kernel, process, end);
    }
    let of = (end.pid, &end.reason);
    if let Some(watchers) = end.relations.watchers.take() {
        queue_downs(kernel, of, watchers.into_iter());
    }
    crate::base::failpoint::point!("teardown between monitors and links");
    signal_links(kernel, of, end.relations.links.take().into_iter());
    release_monitors(kernel, end.pid, end.relations.monitors.take().into_iter());
    finish(kernel, record, end);
}

/// The number of notifications of links and monitors.
fn count(relations: &Relations) -> usize {
    let watchers = relations.watchers.as_ref().map_or(0, |watchers| watchers.len());
    watchers + relations.links.len() + relations.monitors.len()
}

/// Notifies a first slice, and spawns a task for the other slices. Without a tokio runtime,
/// notifies all at once.
#[cold]
#[inline(never)]
fn announce_in_slices(kernel: &Arc<Kernel>, process: Arc<dyn AnyProcess>, mut end: Announced) {
    notify_parent(kernel, &mut end);
    let left = Some(Box::new(Unnotified::of(end)));
    let mut sliced = Sliced { kernel: kernel.clone(), process, left, is_queued: false };
    sliced.advance(slice_size());
    match kernel.tokio() {
        Some(tokio) => drop(tokio.spawn(sliced)),
        None => drop(sliced),
    }
}

/// Notifies the parent before all others, so that a restart does not wait for the handlers of the
/// watchers. The `Down`s of the parent are queued before its exit signal, as in an end without
/// slices.
fn notify_parent(kernel: &Arc<Kernel>, end: &mut Announced) {
    let Some(parent) = end.relations.parent.map(|parent| parent.pid) else { return };
    let of = (end.pid, &end.reason);
    if let Some(watchers) = &mut end.relations.watchers {
        let own = watchers.iter().filter(|(_, watcher)| watcher.pid() == parent);
        let own: Vec<u64> = own.map(|(id, _)| *id).collect();
        let own = own.into_iter().filter_map(|id| Some((id, watchers.remove(&id)?)));
        queue_downs(kernel, of, own);
    }
    if let Some(link) = end.relations.links.remove(&parent) {
        signal_links(kernel, of, std::iter::once((parent, link)));
    }
}

/// Completes an announcement when all links and monitors have been notified.
fn finish(kernel: &Arc<Kernel>, record: &dyn AnyProcess, end: Announced) {
    let Announced { pid, reason, mut relations, deferred } = end;
    if let Some(registrations) = &mut relations.registrations {
        resolve_requests(registrations, &reason);
    }
    crate::base::failpoint::point!("teardown before announced");
    let mut late_waiters = Vec::new();
    while let Some(mut late) = enter_announced(record) {
        late_waiters.extend(late.waiters.take());
        if late.links.is_empty() {
            break;
        }
        signal_links(kernel, (pid, &reason), late.links.take().into_iter());
    }
    let waiters = relations.waiters.take().into_iter().chain(late_waiters);
    wake(waiters.map(|(_, waiter)| waiter));
    ignore_panic(|| drop(relations));
    deferred.drop_all();
}

/// An announcement in slices, with the notifications that are still to be sent.
struct Unnotified {
    watchers: IntoIter<u64, Watcher>,
    links: IntoIter<Pid, Link>,
    monitors: IntoIter<u64, MonitorEntry>,
    end: Announced,
}

impl Unnotified {
    fn of(mut end: Announced) -> Self {
        let watchers = end.relations.watchers.take().map(|watchers| *watchers);
        Unnotified {
            watchers: watchers.unwrap_or_default().into_iter(),
            links: end.relations.links.take().into_iter(),
            monitors: end.relations.monitors.take().into_iter(),
            end,
        }
    }

    /// The number of notifications of links and monitors that are left.
    fn left(&self) -> usize {
        self.watchers.len() + self.links.len() + self.monitors.len()
    }

    /// Sends at most this number of notifications.
    fn notify(&mut self, kernel: &Arc<Kernel>, mut most: usize) {
        let of = (self.end.pid, &self.end.reason);
        queue_downs(kernel, of, take(&mut self.watchers, &mut most));
        crate::base::failpoint::point!("teardown between monitors and links");
        signal_links(kernel, of, take(&mut self.links, &mut most));
        release_monitors(kernel, self.end.pid, take(&mut self.monitors, &mut most));
    }
}

fn queue_downs(
    kernel: &Kernel,
    (target, reason): (Pid, &ExitReason),
    watchers: impl Iterator<Item = (u64, Watcher)>,
) {
    for (id, watcher) in watchers {
        let reference = MonitorRef::new(id, watcher.pid());
        kernel.queue_down(reference, Some(target), &watcher, reason);
    }
}

fn release_monitors(
    kernel: &Kernel,
    watcher: Pid,
    monitors: impl Iterator<Item = (u64, MonitorEntry)>,
) {
    for (id, held) in monitors {
        kernel.release_monitor(MonitorRef::new(id, watcher), held);
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
        match kernel.find(peer) {
            Some(peer) => drop(kernel.signal_exit(&*peer, signal)),
            #[cfg(feature = "cluster")]
            None if peer.is_foreign() => kernel.break_foreign_link(from, peer, reason),
            None => {}
        }
    }
}

/// Takes at most `most` of the next entries, and reduces `most` by their number.
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
    left: Option<Box<Unnotified>>,
    /// The task has been polled once: see [`poll`](Self::poll).
    is_queued: bool,
}

impl Sliced {
    /// Sends at most this number of notifications. Completes the announcement if none is left.
    fn advance(&mut self, most: usize) {
        let Some(mut left) = self.left.take() else { return };
        // Wakers and destructors run as in the teardown.
        let _current = CurrentGuard::enter(self.kernel.number(), left.end.pid);
        left.notify(&self.kernel, most);
        match left.left() {
            0 => finish(&self.kernel, &*self.process, left.end),
            _ => self.left = Some(left),
        }
    }
}

impl Future for Sliced {
    type Output = ();

    /// The first poll only yields. tokio runs a new task before the tasks that its creator has
    /// woken, and the yield moves this task behind them.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.is_queued, true) {
            self.advance(slice_size());
            if self.left.is_none() {
                return Poll::Ready(());
            }
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
