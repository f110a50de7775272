//! How often a supervisor may start each of its children before it gives up, computed from its
//! description.
//!
//! What is assumed: every child fails as soon as it is started, and stops at once when it is
//! asked to, unless its description says how long its stop may take. What brings a child back is
//! its own failure, and under a group strategy the failure of others of its group:
//!
//! * failures without a backoff share the budget of the supervisor;
//! * failures with a backoff are as many as fit into the time without a healthy run, at the
//!   shortest delays that the jitter may draw;
//! * where the stops between two restarts take so long that the budget's window has forgotten
//!   the first of them in the meantime, there is no limit.

use std::time::Duration;

use crate::backoff::Backoff;
use crate::child::{ChildType, Restart, Spec};
use crate::shutdown::Shutdown;
use crate::supervisor::intensity::Intensity;
use crate::supervisor::spec::SupervisorSpec;
use crate::supervisor::strategy::{Place, Strategy};

/// How often one child may be started by one incarnation of its supervisor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Starts {
    /// `None`: any number of times.
    pub(crate) most: Option<u64>,
    /// How often without a delay or a slow stop in between.
    pub(crate) burst: Option<u64>,
}

impl Starts {
    pub(crate) const ONCE: Starts = Starts { most: Some(1), burst: Some(1) };

    /// Of a child that is started so often by each incarnation of a supervisor that is itself
    /// started as often as this says.
    pub(crate) fn times(self, each: Starts) -> Starts {
        let product = |above: Option<u64>, each: Option<u64>| Some(above?.saturating_mul(each?));
        let Starts { most, burst } = self;
        Starts { most: product(most, each.most), burst: product(burst, each.burst) }
    }
}

/// A window that forgets restarts while a group stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlowStop {
    /// How long the stops of one restart may take.
    pub(crate) takes: Duration,
    pub(crate) restarts: u32,
    pub(crate) period: Duration,
}

/// Of each child, in their order; and whether the window forgets.
pub(crate) fn of(spec: &SupervisorSpec) -> (Vec<Starts>, Option<SlowStop>) {
    let failures: Vec<Failures> =
        spec.children.iter().map(|c| Failures::of(spec, &c.spec)).collect();
    let slow = (0..failures.len()).filter_map(|failed| slow_stop(spec, &failures, failed));
    let slow = slow.max_by_key(|slow| slow.takes);
    let starts = (0..failures.len()).map(|at| starts(spec, &failures, at, slow.is_some()));
    (starts.collect(), slow)
}

/// How often a child may fail by itself, and be started again for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failures {
    Never,
    /// As often as the budget, which is everybody's, allows.
    Budget,
    /// So many delayed restarts; `None`: any number.
    Delayed(Option<u64>),
}

impl Failures {
    fn of(spec: &SupervisorSpec, child: &Spec) -> Self {
        if child.restart == Restart::Temporary {
            return Failures::Never;
        }
        match child.backoff.or(spec.backoff).filter(Backoff::waits) {
            None => Failures::Budget,
            Some(_) if spec.intensity.is_none() => Failures::Budget,
            Some(backoff) => {
                let within = backoff.patience(spec.intensity == Intensity::Unlimited);
                Failures::Delayed(within.and_then(|within| backoff.most_tries(within)))
            }
        }
    }
}

fn starts(spec: &SupervisorSpec, failures: &[Failures], at: usize, slow: bool) -> Starts {
    if failures[at] == Failures::Never {
        // Not by its group's restart either.
        return Starts::ONCE;
    }
    let fails = (0..failures.len()).filter(|failed| is_hit(spec.strategy, *failed, at));
    let (mut delayed, mut shared) = (Some(0_u64), false);
    for failed in fails {
        match failures[failed] {
            Failures::Never => {}
            Failures::Budget => shared = true,
            Failures::Delayed(tries) => {
                delayed = delayed.zip(tries).map(|(sum, n)| sum.saturating_add(n));
            }
        }
    }
    let counted = match spec.intensity {
        _ if !shared => Some(0),
        Intensity::Unlimited => None,
        Intensity::Limited { .. } if slow => None,
        Intensity::Limited { restarts, .. } => Some(u64::from(restarts)),
    };
    let plus_one = |restarts: Option<u64>| restarts.map(|restarts| restarts.saturating_add(1));
    // After each delay the window may have forgotten what was counted before.
    let most = plus_one(delayed).zip(plus_one(counted));
    Starts {
        most: most.map(|(delayed, counted)| delayed.saturating_mul(counted)),
        burst: if slow { Some(1) } else { plus_one(counted) },
    }
}

/// Whether this child is started again when that one failed.
fn is_hit(strategy: Strategy, failed: usize, child: usize) -> bool {
    strategy.group(failed as Place).contains(&(child as Place))
}

/// Whether this child can fail for ever without the budget being spent, since each restart takes
/// so long.
fn slow_stop(spec: &SupervisorSpec, failures: &[Failures], failed: usize) -> Option<SlowStop> {
    let Intensity::Limited { restarts, period } = spec.intensity else { return None };
    if restarts == 0 || failures[failed] != Failures::Budget {
        return None;
    }
    // A supervisor that gives up stops its other children first.
    let own = nested(&spec.children[failed].spec).map_or(Duration::ZERO, stop_in_giving_up);
    let others = spec.children.iter().enumerate();
    let others = others.filter(|(at, _)| *at != failed && is_hit(spec.strategy, failed, *at));
    let takes = others.fold(own, |sum, (_, child)| sum.saturating_add(said_stop(&child.spec)));
    let is_forgotten = takes.saturating_mul(restarts) >= period;
    is_forgotten.then_some(SlowStop { takes, restarts, period })
}

/// How long a child may take to stop, as far as its description says so.
fn said_stop(child: &Spec) -> Duration {
    let below = nested(child).map(longest_stop);
    match child.shutdown {
        Shutdown::BrutalKill => Duration::ZERO,
        Shutdown::Timeout(limit) if child.shutdown_is_set => {
            below.map_or(limit, |below| below.min(limit))
        }
        Shutdown::Timeout(_) => below.unwrap_or(Duration::ZERO),
        Shutdown::Infinity => below.unwrap_or(match child.kind {
            ChildType::Worker => Duration::MAX,
            // A dynamic supervisor's children are not known.
            ChildType::Supervisor => Duration::ZERO,
        }),
    }
}

fn longest_stop(spec: &SupervisorSpec) -> Duration {
    let stops = spec.children.iter().map(|child| said_stop(&child.spec));
    stops.fold(Duration::ZERO, Duration::saturating_add)
}

/// All but the child that fails, which may be the one with the shortest stop.
fn stop_in_giving_up(spec: &SupervisorSpec) -> Duration {
    let fail = spec.children.iter().filter(|child| child.spec.restart != Restart::Temporary);
    let shortest = fail.map(|child| said_stop(&child.spec)).min();
    longest_stop(spec).saturating_sub(shortest.unwrap_or(Duration::ZERO))
}

/// The description of the fixed supervisor that this child is.
pub(crate) fn nested(child: &Spec) -> Option<&SupervisorSpec> {
    child.nested.as_ref()?.description.downcast_ref()
}
