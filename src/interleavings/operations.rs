//! Operations that targets run at the same time: closures for [`World::both`] and [`World::three`].

use crate::base::pid::{MonitorRef, Pid};
use crate::exit::reason::ExitReason;
use crate::exit::signal::ExitKind;
use crate::interleavings::world::World;
use crate::kernel::exits::ExitSignal;
use crate::message::received::Received;

pub(crate) fn link(a: Pid, b: Pid) -> impl FnOnce(&World) -> bool {
    move |world| world.link(a, b)
}

pub(crate) fn unlink(a: Pid, b: Pid) -> impl FnOnce(&World) {
    move |world| world.unlink(a, b)
}

pub(crate) fn monitor(watcher: Pid, target: Pid) -> impl FnOnce(&World) -> MonitorRef {
    move |world| world.monitor(watcher, target)
}

pub(crate) fn demonitor(reference: MonitorRef) -> impl FnOnce(&World) -> bool {
    move |world| world.demonitor(reference)
}

pub(crate) fn demonitor_flush(reference: MonitorRef) -> impl FnOnce(&World) -> bool {
    move |world| world.demonitor_flush(reference)
}

pub(crate) fn send(pid: Pid, text: &'static str) -> impl FnOnce(&World) -> bool {
    move |world| world.send(pid, text.into())
}

pub(crate) fn received(pid: Pid) -> impl FnOnce(&World) -> Vec<Received> {
    move |world| world.received(pid)
}

pub(crate) fn run_task(pid: Pid) -> impl FnOnce(&World) -> Vec<Received> {
    move |world| world.run_task(pid)
}

pub(crate) fn end(pid: Pid, reason: ExitReason) -> impl FnOnce(&World) {
    move |world| world.end(pid, reason)
}

/// Kills a process, and ends it as if its task had been dropped.
pub(crate) fn kill(pid: Pid) -> impl FnOnce(&World) {
    move |world| {
        world.kill(pid);
        world.drop_task(pid);
    }
}

/// Sends an exit signal from outside of any process, and returns whether the receiver was alive.
/// Does not use the thread-local for the current process, because all threads of a checker share
/// it.
pub(crate) fn signal(pid: Pid, reason: ExitReason, kind: ExitKind) -> impl FnOnce(&World) -> bool {
    move |world| {
        let signal = ExitSignal { from: Pid::OUTSIDE, reason: &reason, kind };
        world.kernel.signal_exit(&*world.process_of(pid), signal).was_alive()
    }
}
