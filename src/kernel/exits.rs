//! Exit signals: one function through which every one of them goes.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::catch::ignore_panic;
use crate::base::pid::Pid;
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::exit::signal::{ExitKind, Verdict, verdict};
use crate::kernel::Kernel;
use crate::message::dest::Dest;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyProcess, Core, Link, LinkRole, LinkState, Parent, Stage};
use crate::time::timer_queue::Action;

/// An exit signal on its way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExitSignal<'a> {
    pub(crate) from: Pid,
    pub(crate) reason: &'a ExitReason,
    pub(crate) kind: ExitKind,
}

/// What became of an exit signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalOutcome {
    /// The target is ending or has ended.
    Gone,
    /// An earlier signal was accepted; this one changes nothing.
    Dying,
    /// The link it came by was no more.
    Unlinked,
    Ignored,
    Delivered,
    /// Delivered to a child whose supervisor is dead: it has this long to end.
    Orphaned(Duration),
    /// The target will end of it.
    Accepted,
}

impl SignalOutcome {
    /// Whether the target was there when the signal arrived.
    pub(crate) fn was_alive(self) -> bool {
        self != SignalOutcome::Gone
    }

    /// Whether the signal ends the target, or is a message in its mailbox or a stop request.
    fn is_arrival(self) -> bool {
        matches!(
            self,
            SignalOutcome::Accepted | SignalOutcome::Delivered | SignalOutcome::Orphaned(_)
        )
    }
}

impl Kernel {
    /// Sends an exit signal: decides its effect under the target's lock.
    pub(crate) fn signal_exit(
        self: &Arc<Self>,
        to: &dyn AnyProcess,
        signal: ExitSignal<'_>,
    ) -> SignalOutcome {
        // Both are made before the lock, and what isn't used is dropped after it.
        let mut reason = Some(signal.reason.clone());
        let received = Received::Exit { from: signal.from, reason: signal.reason.clone() };
        let mut envelope = Some(Envelope::plain(received));
        let mut stop = None;
        crate::base::failpoint::point!("exit signal");
        let outcome = to.with(|locked| {
            let (outcome, link) = arrive(locked.core(), signal);
            if outcome.is_arrival() && is_of_parent(locked.core(), signal) {
                locked.core().asked = true;
            }
            match outcome {
                SignalOutcome::Accepted => {
                    let core = locked.core();
                    to.advance(core, Stage::ExitPending);
                    core.reason = reason.take();
                    core.wake_task();
                }
                SignalOutcome::Delivered | SignalOutcome::Orphaned(_) => {
                    stop = stop_token(locked.core(), signal, link);
                    if stop.is_none() {
                        let link = link.map_or(0, |link| link.id);
                        locked.push_exit(link, signal.from, &mut envelope);
                    }
                }
                _ => {}
            }
            #[cfg(regrow_proof)]
            self.trace_signal(to.pid(), signal, outcome);
            outcome
        });
        if let Some(stop) = stop {
            ignore_panic(|| stop.cancel());
        }
        if let SignalOutcome::Orphaned(grace) = outcome {
            self.arm_timer(Dest::Pid(to.pid()), grace, None, Action::Kill);
        }
        outcome
    }
}

impl Kernel {
    /// Kills all of these: how many of them were alive and not ending already. They are counted
    /// before the first is killed: its end, on another thread, may end others by their links
    /// before their own kill arrives.
    pub(crate) fn kill_all(
        self: &Arc<Self>,
        mut processes: Vec<Arc<dyn AnyProcess>>,
        from: Pid,
    ) -> usize {
        processes.retain(|process| process.with(|locked| locked.core().stage == Stage::Live));
        let signal = ExitSignal { from, reason: &ExitReason::Killed, kind: ExitKind::Kill };
        for process in &processes {
            self.signal_exit(&**process, signal);
        }
        processes.len()
    }
}

/// What a wish that it stop cancels in this process, if it asked for that: its parent's
/// exit, and for a task the failure of its caller.
fn stop_token(
    core: &Core,
    signal: ExitSignal<'_>,
    link: Option<Link>,
) -> Option<CancellationToken> {
    let relations = core.relations.as_ref()?;
    let registrations = relations.registrations.as_ref()?;
    let by_parent = is_of_parent(core, signal);
    let by_caller = link.is_some_and(|link| link.role == LinkRole::Caller);
    let wanted = by_parent || (by_caller && signal.reason.is_abnormal());
    (wanted || signal.kind == ExitKind::Stop).then(|| registrations.stop.clone()).flatten()
}

/// Whether it is the parent's exit, and this process asked for that as a wish that it stop.
fn is_told_to_stop(core: &Core, signal: ExitSignal<'_>) -> bool {
    core.relations.as_ref().is_some_and(|relations| {
        relations.registrations.as_ref().is_some_and(|registrations| registrations.stop.is_some())
            && is_of_parent(core, signal)
    })
}

fn is_of_parent(core: &Core, signal: ExitSignal<'_>) -> bool {
    let parent = core.relations.as_ref().and_then(|relations| relations.parent);
    parent.is_some_and(|parent| parent.pid == signal.from)
}

/// What the signal does to a process in this state. A link's exit acts only if the
/// link is still listed here, and then it is no more, but told.
fn arrive(core: &mut Core, signal: ExitSignal<'_>) -> (SignalOutcome, Option<Link>) {
    if signal.kind != ExitKind::Link {
        return (effect(core, signal, None), None);
    }
    let Some(relations) = core.relations.as_mut() else { return (SignalOutcome::Unlinked, None) };
    let Some(link) = relations.links.remove(&signal.from) else {
        return (SignalOutcome::Unlinked, None);
    };
    if link.state != LinkState::Active {
        return (SignalOutcome::Ignored, Some(link));
    }
    let outcome = match link.role {
        LinkRole::Task | LinkRole::Helper if !signal.reason.is_abnormal() => SignalOutcome::Ignored,
        LinkRole::Owner | LinkRole::Helper if core.stage == Stage::Live => SignalOutcome::Accepted,
        LinkRole::Peer | LinkRole::Task | LinkRole::Helper | LinkRole::Owner | LinkRole::Caller => {
            let orphan = relations.parent.filter(|p| p.pid == signal.from && p.role.is_some());
            effect(core, signal, orphan)
        }
    };
    (outcome, Some(link))
}

/// What the signal does where it counts. `orphan`: it is the end of its supervisor.
fn effect(core: &Core, signal: ExitSignal<'_>, orphan: Option<Parent>) -> SignalOutcome {
    match core.stage {
        Stage::Live => {}
        Stage::ExitPending => return SignalOutcome::Dying,
        Stage::Closing | Stage::Ended | Stage::Announced => return SignalOutcome::Gone,
    }
    let traps = core.trap || is_told_to_stop(core, signal);
    match verdict(signal.kind, traps, signal.reason) {
        Verdict::Ignore => SignalOutcome::Ignored,
        Verdict::Die => SignalOutcome::Accepted,
        Verdict::Deliver => match orphan.map(|parent| parent.shutdown) {
            Some(Shutdown::Timeout(grace)) => SignalOutcome::Orphaned(grace),
            Some(Shutdown::BrutalKill) => SignalOutcome::Accepted,
            Some(Shutdown::Infinity) | None => SignalOutcome::Delivered,
        },
    }
}
