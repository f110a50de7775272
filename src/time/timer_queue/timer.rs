//! One timer: what it does, how it is found, and what is left of it when it is due.

use std::time::Duration;

use crate::base::pid::Pid;
use crate::base::shared_str::SharedStr;
use crate::exit::reason::ExitReason;
use crate::message::dest::Dest;
use crate::message::metadata::Metadata;
use crate::message::received::Message;
use crate::time::timer_queue::clock::nanos;

/// The index of no entry.
pub(super) const NONE: u32 = u32::MAX;

/// The action of a timer that is due.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Send(Message, Metadata),
    Exit(ExitReason),
    Kill,
    /// Sends a server the number of the timer. By the number the server finds the purpose of the
    /// timer.
    Tick,
}

/// A timer that is to be armed.
#[derive(Debug)]
pub(crate) struct NewTimer {
    pub(crate) to: Dest,
    pub(crate) action: Action,
    pub(crate) delay: Duration,
    /// The period of an interval: the time from one instant at which it is due to the next.
    pub(crate) period: Option<Duration>,
}

/// Where a timer is found, while it is pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimerKey {
    /// The process whose end drops the timer; [`Pid::OUTSIDE`] for a timer with a name as
    /// destination.
    pub(crate) target: Pid,
    /// The number of the timer, which is greater than those of all timers that were armed before.
    pub(crate) id: u64,
    /// The entry of the timer. Another timer may use the entry once this one is no longer pending.
    pub(crate) entry: u32,
}

impl TimerKey {
    /// The key of a timer that is not pending.
    pub(crate) fn not_pending(target: Pid, id: u64) -> Self {
        TimerKey { target, id, entry: NONE }
    }
}

/// The action of a pending timer, with what few timers have.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) action: Action,
    pub(super) extra: Option<Box<Extra>>,
}

#[derive(Debug, Clone)]
pub(super) struct Extra {
    /// The name that is the destination.
    pub(super) name: Option<SharedStr>,
    /// The period of an interval, in nanoseconds.
    pub(super) period: Option<u64>,
}

impl NewTimer {
    /// The process whose end drops the timer, and the plan.
    #[inline]
    pub(super) fn into_parts(self) -> (Pid, Plan) {
        let (target, name) = match self.to {
            Dest::Pid(pid) => (pid, None),
            Dest::Name(name) => (Pid::OUTSIDE, Some(name)),
        };
        let extra = (name.is_some() || self.period.is_some())
            .then(|| Box::new(Extra { name, period: self.period.map(nanos) }));
        (target, Plan { action: self.action, extra })
    }
}

impl Plan {
    pub(super) fn period(&self) -> Option<u64> {
        self.extra.as_ref()?.period
    }
}

/// A timer that is due. Unless it is an interval, it is no longer pending.
#[derive(Debug)]
pub(crate) struct DueTimer {
    pub(crate) key: TimerKey,
    pub(super) due: u64,
    pub(super) plan: Plan,
}

impl DueTimer {
    pub(crate) fn action(&self) -> &Action {
        &self.plan.action
    }

    pub(crate) fn is_interval(&self) -> bool {
        self.plan.period().is_some()
    }

    /// The name that is the destination. If there is none, the target is the destination.
    pub(crate) fn name(&self) -> Option<&SharedStr> {
        self.plan.extra.as_ref()?.name.as_ref()
    }
}
