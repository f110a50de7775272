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
            let core = locked.core();
            let sender = Sender::of(core, signal.from);
            let (outcome, link) = arrive(core, signal, sender);
            if outcome.is_arrival() && sender.parent.is_some() {
                core.asked = true;
            }
            match outcome {
                SignalOutcome::Accepted => {
                    to.advance(core, Stage::ExitPending);
                    core.reason = reason.take();
                    core.wake_task();
                }
                SignalOutcome::Delivered | SignalOutcome::Orphaned(_) => {
                    stop = stop_token(core, signal, sender, link);
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

/// What the record of the receiver says about the sender of a signal.
#[derive(Debug, Clone, Copy)]
struct Sender {
    /// The sender is the parent of the receiver.
    parent: Option<Parent>,
    /// The sender is the parent, and its exit cancels a stop token of the receiver.
    requests_stop: bool,
}

impl Sender {
    fn of(core: &Core, from: Pid) -> Self {
        let relations = core.relations.as_deref();
        let parent = relations.and_then(|relations| relations.parent);
        let parent = parent.filter(|parent| parent.pid == from);
        let has_token = || {
            let registrations = relations.and_then(|relations| relations.registrations.as_ref());
            registrations.is_some_and(|registrations| registrations.stop.is_some())
        };
        Sender { parent, requests_stop: parent.is_some() && has_token() }
    }
}

/// The stop token that a delivered signal cancels, in place of being queued: for the exit of the
/// parent, a stop request, and the failure of the caller of a task.
fn stop_token(
    core: &mut Core,
    signal: ExitSignal<'_>,
    sender: Sender,
    link: Option<Link>,
) -> Option<CancellationToken> {
    let caller_failed =
        || link.is_some_and(|link| link.role == LinkRole::Caller) && signal.reason.is_abnormal();
    let requests_stop = sender.requests_stop || signal.kind == ExitKind::Stop || caller_failed();
    requests_stop.then(|| core.registrations()?.stop.clone()).flatten()
}

/// What the signal does to a process in this state. A link's exit acts only if the
/// link is still listed here, and then it is no more, but told.
fn arrive(
    core: &mut Core,
    signal: ExitSignal<'_>,
    sender: Sender,
) -> (SignalOutcome, Option<Link>) {
    let traps = core.trap || sender.requests_stop;
    if signal.kind != ExitKind::Link {
        return (effect(core.stage, traps, signal, None), None);
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
            let supervisor = sender.parent.filter(|parent| parent.role.is_some());
            effect(core.stage, traps, signal, supervisor)
        }
    };
    (outcome, Some(link))
}

/// What a signal does that the link, if any, lets through. `ended_supervisor` is set where the
/// signal reports the end of the receiver's supervisor.
fn effect(
    stage: Stage,
    traps: bool,
    signal: ExitSignal<'_>,
    ended_supervisor: Option<Parent>,
) -> SignalOutcome {
    match stage {
        Stage::Live => {}
        Stage::ExitPending => return SignalOutcome::Dying,
        Stage::Closing | Stage::Ended | Stage::Announced => return SignalOutcome::Gone,
    }
    match verdict(signal.kind, traps, signal.reason) {
        Verdict::Ignore => SignalOutcome::Ignored,
        Verdict::Die => SignalOutcome::Accepted,
        Verdict::Deliver => match ended_supervisor.map(|parent| parent.shutdown) {
            Some(Shutdown::Timeout(grace)) => SignalOutcome::Orphaned(grace),
            Some(Shutdown::BrutalKill) => SignalOutcome::Accepted,
            Some(Shutdown::Infinity) | None => SignalOutcome::Delivered,
        },
    }
}
