//! How often a supervisor may start each of its children before it gives up, computed from its
//! description.
//!
//! The computation assumes that every child fails as soon as it is started, and stops at once when
//! it is asked to, unless its description says how long its stop may take. A child is started again
//! because of its own failure and, under a group strategy, because of the failures of other
//! children in its group:
//!
//! * failures without a backoff share the budget of the supervisor, or use up the budget that the
//!   child has of its own;
//! * failures with a backoff are limited to the number that fits into the allowed time without a
//!   healthy run, at the shortest delays that the jitter may draw;
//! * if the stops of each restart take so long that the budget is never exceeded, there is no
//!   limit.

use std::time::Duration;

use crate::child::{Restart, Spec};
use crate::restart::{Backoff, Intensity};
use crate::supervisor::spec::stop_times::{StopTimes, nested};
use crate::supervisor::{Strategy, SupervisorSpec};

/// How often one child may be started, by one incarnation of its supervisor or in total.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Starts {
    /// The highest number of starts; `None` if there is no limit.
    pub(crate) most: Option<u64>,
    /// The highest number of starts without a delay or a slow stop in between; `None` if there is
    /// no limit.
    pub(crate) burst: Option<u64>,
}

impl Starts {
    pub(crate) const ONCE: Starts = Starts { most: Some(1), burst: Some(1) };

    /// Returns how often a child may be started in total, if its supervisor is started as often as
    /// `self` says, and each incarnation of the supervisor starts the child as often as `each`
    /// says.
    pub(crate) fn multiplied_by(self, each: Starts) -> Starts {
        let product = |above: Option<u64>, each: Option<u64>| Some(above?.saturating_mul(each?));
        let Starts { most, burst } = self;
        Starts { most: product(most, each.most), burst: product(burst, each.burst) }
    }
}

/// A restart whose stops take so long that such restarts never exceed the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlowStop {
    /// The longest time that the stops of one restart may take.
    pub(crate) takes: Duration,
    pub(crate) restarts: u32,
    pub(crate) period: Duration,
}

/// Returns the starts of each child, in start order, and the slow stop if there is one.
pub(crate) fn starts_per_child(
    spec: &SupervisorSpec,
    stops: &StopTimes,
) -> (Vec<Starts>, Option<SlowStop>) {
    let children = || spec.children.iter().map(|child| &*child.spec);
    let mut failures: Vec<Failures> = children().map(|child| Failures::of(spec, child)).collect();
    let takes = stop_times_of_restarts(spec, stops);
    let slow = slowest(spec, &mut failures, &takes);
    // A slow stop of a child with its own budget is a limit for no other child.
    let is_shared_slow = failures.iter().zip(&takes).any(|(failure, takes)| {
        *failure == Failures::Budget && is_slow(spec.intensity, *takes).is_some()
    });
    let causes = causes(spec.strategy, &failures);
    let starts = failures.iter().zip(causes);
    let starts = starts.map(|(own, causes)| starts_of(spec, *own, causes, is_shared_slow));
    (starts.collect(), slow)
}

/// How often a child may be restarted because of its own failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failures {
    Never,
    /// As often as the budget, which all children share, allows.
    Budget,
    /// As often as the budget of this child allows; `None` if there is no limit.
    Own(Option<u64>),
    /// This number of delayed restarts; `None` if there is no limit.
    Delayed(Option<u64>),
}

impl Failures {
    fn of(spec: &SupervisorSpec, child: &Spec) -> Self {
        if child.restart == Restart::Temporary {
            return Failures::Never;
        }
        let intensity = intensity_of(spec, child);
        match child.backoff.or(spec.backoff).filter(Backoff::has_delay) {
            Some(backoff) if !intensity.forbids_restarts() => {
                let within = backoff.give_up_limit(intensity == Intensity::Unlimited);
                Failures::Delayed(within.and_then(|within| backoff.max_delayed_restarts(within)))
            }
            _ => match child.budget {
                None => Failures::Budget,
                Some(_) => Failures::Own(intensity.restarts().map(u64::from)),
            },
        }
    }
}

/// Returns the limit that restarts of this child count against.
fn intensity_of(spec: &SupervisorSpec, child: &Spec) -> Intensity {
    child.budget.map_or(spec.intensity, |own| own.intensity)
}

/// The failures after which a child is restarted.
#[derive(Debug, Clone, Copy)]
struct RestartCauses {
    /// The number of delayed restarts; `None` if there is no limit.
    delayed: Option<u64>,
    /// The number of restarts that the budgets of single children allow; `None` if there is no
    /// limit.
    own: Option<u64>,
    /// Whether there are failures that share the budget.
    shared: bool,
}

impl RestartCauses {
    const NONE: RestartCauses = RestartCauses { delayed: Some(0), own: Some(0), shared: false };

    fn and(self, failures: Failures) -> Self {
        let RestartCauses { delayed, own, .. } = self;
        match failures {
            Failures::Never => self,
            Failures::Budget => RestartCauses { shared: true, ..self },
            Failures::Own(restarts) => RestartCauses { own: sum(own, restarts), ..self },
            Failures::Delayed(tries) => RestartCauses { delayed: sum(delayed, tries), ..self },
        }
    }
}

fn sum(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one.saturating_add(other))
}

/// Returns for each child the failures after which it is restarted: its own, and those of other
/// children whose group contains it.
fn causes(strategy: Strategy, failures: &[Failures]) -> Vec<RestartCauses> {
    match strategy {
        Strategy::OneForOne => failures.iter().map(|own| RestartCauses::NONE.and(*own)).collect(),
        Strategy::OneForAll => {
            let all = failures.iter().fold(RestartCauses::NONE, |all, own| all.and(*own));
            vec![all; failures.len()]
        }
        Strategy::RestForOne => {
            let before = failures.iter().scan(RestartCauses::NONE, |before, own| {
                *before = before.and(*own);
                Some(*before)
            });
            before.collect()
        }
    }
}

fn starts_of(spec: &SupervisorSpec, own: Failures, causes: RestartCauses, slow: bool) -> Starts {
    if own == Failures::Never {
        // A temporary child is not started by a restart of its group either.
        return Starts::ONCE;
    }
    let RestartCauses { delayed, own, shared } = causes;
    let shared = match spec.intensity {
        _ if !shared => Some(0),
        Intensity::Unlimited => None,
        Intensity::Limited { .. } if slow => None,
        Intensity::Limited { restarts, .. } => Some(u64::from(restarts)),
    };
    let counted = sum(shared, own);
    let plus_one = |restarts: Option<u64>| restarts.map(|restarts| restarts.saturating_add(1));
    // After each delay, the restarts that were counted before it may have left the window.
    let most = plus_one(delayed).zip(plus_one(counted));
    Starts {
        most: most.map(|(delayed, counted)| delayed.saturating_mul(counted)),
        burst: if slow { plus_one(own) } else { plus_one(counted) },
    }
}

/// Returns the slow stop that takes longest, if there is a slow stop. Removes the limit of children
/// with a budget of their own that a slow stop keeps from being used up.
fn slowest(
    spec: &SupervisorSpec,
    failures: &mut [Failures],
    takes: &[Duration],
) -> Option<SlowStop> {
    let children = spec.children.iter().map(|child| &*child.spec);
    let mut slowest: Option<SlowStop> = None;
    for ((child, failure), takes) in children.zip(failures).zip(takes) {
        let slow = match failure {
            Failures::Budget | Failures::Own(_) => is_slow(intensity_of(spec, child), *takes),
            Failures::Never | Failures::Delayed(_) => None,
        };
        let Some(slow) = slow else { continue };
        if matches!(failure, Failures::Own(_)) {
            *failure = Failures::Own(None);
        }
        if slowest.is_none_or(|other| slow.takes >= other.takes) {
            slowest = Some(slow);
        }
    }
    slowest
}

/// Returns the slow stop of restarts whose stops take this long, if they never exceed the limit.
fn is_slow(limit: Intensity, takes: Duration) -> Option<SlowStop> {
    let Intensity::Limited { restarts, period } = limit else { return None };
    let slow = restarts > 0 && takes.saturating_mul(restarts) >= period;
    slow.then_some(SlowStop { takes, restarts, period })
}

/// Returns for each child the longest time that the stops of a restart after its failure may take.
fn stop_times_of_restarts(spec: &SupervisorSpec, stops: &StopTimes) -> Vec<Duration> {
    let own = spec.children.iter().map(|child| &*child.spec);
    let own: Vec<Duration> = own.map(|child| stops.of_child(child)).collect();
    let others = stop_times_of_others(spec.strategy, &own);
    let takes = spec.children.iter().zip(others).map(|(child, others)| {
        // A child that is a supervisor fails by giving up, and stops its own other children first.
        let below = nested(&child.spec);
        below.map_or(Duration::ZERO, |below| stops.of_giving_up(below)).saturating_add(others)
    });
    takes.collect()
}

/// Returns for each child the longest time that the stops of the other children in its group may
/// take.
fn stop_times_of_others(strategy: Strategy, own: &[Duration]) -> Vec<Duration> {
    let sums = |stops: &mut dyn Iterator<Item = &Duration>| -> Vec<Duration> {
        let sum = stops.scan(Duration::ZERO, |sum, stop| {
            Some(std::mem::replace(sum, sum.saturating_add(*stop)))
        });
        sum.collect()
    };
    let before = sums(&mut own.iter());
    let mut after = sums(&mut own.iter().rev());
    after.reverse();
    match strategy {
        Strategy::OneForOne => vec![Duration::ZERO; own.len()],
        Strategy::RestForOne => after,
        Strategy::OneForAll => {
            before.into_iter().zip(after).map(|(one, other)| one.saturating_add(other)).collect()
        }
    }
}
