//! Exit signals. All exit signals go through [`Kernel::signal_exit`], except for the `NoProc` exit
//! of a link that was never made, which [`links`](crate::kernel::links) queues.
//!
//! **Guarantee.** The effect of a signal is decided at once, under the lock of the receiver.
//!
//! **Steps**
//!
//! 1. For the exit signal of a link, the entry of the sender is removed from the record of the
//!    receiver.
//! 2. The [`SignalOutcome`] is decided, by the state of the link, the role of the peer, the stage
//!    of the receiver and OTP's table ([`verdict`]).
//! 3. The outcome takes effect: an accepted signal moves the receiver to *exit pending* and wakes
//!    its task; a delivered signal cancels a stop token, or is queued as a message.
//!
//! Invariants:
//! 1. The exit signal of a link has an effect only if the receiver lists the peer. Since step 1
//!    removes the entry, the signal has an effect at most once.
//! 2. At most one signal is accepted, since only a live process accepts a signal. The reason of the
//!    accepted signal becomes the exit reason of the receiver, unless the body panics.
//! 3. User code runs only after unlock. So the stop token is cancelled, and the timer of an orphan
//!    is armed, after unlock. The reason is cloned under the lock only if the record stores the
//!    clone: a clone that is not stored would be dropped under the lock.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::base::pid::Pid;
use crate::base::user_panics::{ignore_panic, wake};
use crate::exit::reason::ExitReason;
use crate::exit::shutdown::Shutdown;
use crate::exit::signal::{ExitKind, Verdict, verdict};
use crate::kernel::Kernel;
use crate::message::dest::Dest;
use crate::message::received::{Envelope, Received};
use crate::process::{AnyProcess, Core, Intake, Link, LinkRole, LinkState, Locked, Stage};
use crate::time::timer_queue::{Action, NewTimer};

/// An exit signal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExitSignal<'a> {
    pub(crate) from: Pid,
    pub(crate) reason: &'a ExitReason,
    pub(crate) kind: ExitKind,
}

/// The effect of an exit signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignalOutcome {
    /// None: the receiver is being torn down or has ended.
    Gone,
    /// None: OTP's table says so, an earlier signal was accepted, the receiver does not list the
    /// link, the link is muted, or the peer is a task or a helper that ended normally.
    Ignored,
    /// A stop token was cancelled, or a message was queued.
    Delivered,
    /// A stop token was cancelled, or a message was queued. In addition, the receiver is a child
    /// whose supervisor has ended, and is killed if it has not ended after this time.
    Orphaned(Duration),
    /// The receiver will end, with the reason of the signal unless the body panics.
    Accepted,
}

impl SignalOutcome {
    /// Whether the receiver was alive when the signal arrived. Call this only for a signal that is
    /// not the exit signal of a link: such a signal to an ended process may be `Ignored`.
    pub(crate) fn was_alive(self) -> bool {
        self != SignalOutcome::Gone
    }

    /// Whether the signal ends the receiver, or reaches the receiver as a message or as a stop
    /// request.
    fn is_arrival(self) -> bool {
        matches!(
            self,
            SignalOutcome::Accepted | SignalOutcome::Delivered | SignalOutcome::Orphaned(_)
        )
    }
}

impl Kernel {
    /// Sends an exit signal, and decides its effect under the lock of the receiver.
    pub(crate) fn signal_exit(
        self: &Arc<Self>,
        to: &dyn AnyProcess,
        signal: ExitSignal<'_>,
    ) -> SignalOutcome {
        let (mut stop, mut refused) = (None, Vec::new());
        crate::base::failpoint::point!("exit signal");
        let outcome = to.with(|locked| {
            let core = locked.core();
            let sender = Sender::of(core, signal.from);
            let (outcome, link) = arrive(core, signal, sender);
            if outcome.is_arrival() && sender.is_parent {
                core.stop_requested = true;
            }
            match outcome {
                SignalOutcome::Accepted => {
                    to.advance(core, Stage::ExitPending);
                    // Invariant 3.
                    core.reason = Some(signal.reason.clone());
                    core.wake_task();
                }
                SignalOutcome::Delivered | SignalOutcome::Orphaned(_) => {
                    stop = stop_token(core, signal, sender, link);
                    if stop.is_none() {
                        let link = link.map_or(0, |link| link.id);
                        let (from, reason) = (signal.from, signal.reason.clone());
                        let received = Received::Exit { from, reason };
                        locked.push_exit(link, from, &mut Some(Envelope::plain(received)));
                        refused = self.refuse_after_exit(to, locked, signal, sender);
                    }
                }
                _ => {}
            }
            #[cfg(regrow_proof)]
            self.trace_signal(to.pid(), signal, outcome);
            outcome
        });
        wake(refused);
        if let Some(stop) = stop {
            ignore_panic(|| stop.cancel());
        }
        if let SignalOutcome::Orphaned(grace) = outcome {
            // A tokio runtime without time panics here. The other processes must be notified
            // nevertheless.
            ignore_panic(|| self.kill_after(grace, to.pid()));
        }
        outcome
    }

    fn kill_after(self: &Arc<Self>, grace: Duration, pid: Pid) {
        let to = Dest::Pid(pid);
        self.arm_timer(NewTimer { to, action: Action::Kill, delay: grace, period: None });
    }

    /// Closes the mailbox of a server in which the exit of its parent was queued. The server stops
    /// when it takes that exit from the mailbox.
    fn refuse_after_exit(
        &self,
        to: &dyn AnyProcess,
        locked: &mut Locked,
        signal: ExitSignal<'_>,
        sender: Sender,
    ) -> Vec<Waker> {
        match sender.is_parent {
            true => self.close_intake(to, locked, Intake::ClosedByParent, signal.reason),
            false => Vec::new(),
        }
    }

    /// Kills these processes, and returns how many of them were live. The count comes before the
    /// first kill, because the end of a killed process may end others of these processes by their
    /// links.
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

/// The relation of the sender of a signal to the receiver.
#[derive(Debug, Clone, Copy)]
struct Sender {
    /// Whether the sender is the parent of the receiver.
    is_parent: bool,
    /// How long the receiver may outlive the sender. Set if the sender is the supervisor of the
    /// receiver.
    outlives: Option<Shutdown>,
    /// Whether the sender is the parent, and the receiver has a stop token. In that case the effect
    /// is decided as if the receiver trapped exits, and a delivered signal cancels the token.
    requests_stop: bool,
    /// Whether the sender is the parent, and the receiver drains its mailbox before it stops. In
    /// that case the effect is decided as if the receiver trapped exits.
    begins_drain: bool,
}

impl Sender {
    fn of(core: &Core, from: Pid) -> Self {
        let parent = core.relations.as_ref().and_then(|relations| relations.parent.as_ref());
        let Some(parent) = parent.filter(|parent| parent.pid == from) else {
            let (is_parent, outlives) = (false, None);
            return Sender { is_parent, outlives, requests_stop: false, begins_drain: false };
        };
        let own = core.held_registrations();
        Sender {
            is_parent: true,
            outlives: parent.role.is_some().then_some(parent.shutdown),
            requests_stop: own.is_some_and(|own| own.stop.is_some()),
            begins_drain: own.is_some_and(|own| own.drain.is_some()),
        }
    }
}

/// Returns the stop token that a delivered signal cancels; `None` if the signal is queued instead.
/// The token is cancelled by any exit signal of the parent, by a stop request, and by an abnormal
/// exit of the caller of a task.
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

/// Takes steps 1 and 2: removes the link entry of the sender, and decides the outcome. Returns
/// both.
fn arrive(
    core: &mut Core,
    signal: ExitSignal<'_>,
    sender: Sender,
) -> (SignalOutcome, Option<Link>) {
    let traps = core.trap || sender.requests_stop || sender.begins_drain;
    #[cfg(feature = "cluster")]
    if let ExitKind::LostLink(last) = signal.kind
        && core.link_to(signal.from).is_none_or(|link| link.id > last)
    {
        return (SignalOutcome::Ignored, None);
    }
    if !signal.kind.is_of_link() {
        return (effect(core.stage, traps, signal, None), None);
    }
    // Invariant 1.
    let Some(link) = core.relations().and_then(|relations| relations.links.remove(&signal.from))
    else {
        return (SignalOutcome::Ignored, None);
    };
    if link.state != LinkState::Active {
        return (SignalOutcome::Ignored, Some(link));
    }
    let outcome = match link.role {
        LinkRole::Task | LinkRole::Helper if !signal.reason.is_abnormal() => SignalOutcome::Ignored,
        LinkRole::Owner | LinkRole::Helper if core.stage == Stage::Live => SignalOutcome::Accepted,
        _ => effect(core.stage, traps, signal, sender.outlives),
    };
    (outcome, Some(link))
}

/// Decides the outcome by the stage of the receiver and OTP's table, after the state of the link
/// and the role of the peer have left it open. `outlives` is set if the signal reports the end of
/// the receiver's supervisor, and says how long the receiver may outlive that supervisor.
fn effect(
    stage: Stage,
    traps: bool,
    signal: ExitSignal<'_>,
    outlives: Option<Shutdown>,
) -> SignalOutcome {
    match stage {
        Stage::Live => {}
        Stage::ExitPending => return SignalOutcome::Ignored,
        Stage::Closing | Stage::Ended | Stage::Announced => return SignalOutcome::Gone,
    }
    match verdict(signal.kind, traps, signal.reason) {
        Verdict::Ignore => SignalOutcome::Ignored,
        Verdict::Die => SignalOutcome::Accepted,
        Verdict::Deliver => match outlives {
            Some(Shutdown::Timeout(grace)) => SignalOutcome::Orphaned(grace),
            Some(Shutdown::BrutalKill) => SignalOutcome::Accepted,
            Some(Shutdown::Infinity) | None => SignalOutcome::Delivered,
        },
    }
}
