//! Tests of the decision after an end: its table, its clock, and random delays.

use super::{Next, RestartState, Rules, Run};
use crate::base::random::Random;
use crate::restart::{Backoff, Exceeded, Intensity, Window};
use std::time::Duration;
use tokio::time::Instant;

const LIMITED: Intensity = Intensity::Limited { restarts: 3, period: Duration::from_secs(5) };

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn rules(backoff: impl Into<Option<Backoff>>) -> Rules {
    Rules { backoff: backoff.into(), intensity: LIMITED }
}

/// Returns an incarnation whose start fails at this time.
fn failed(at: Instant) -> Run {
    Run { started: at, ended: at, ran: false }
}

/// Lets every start fail at once, until the outage is over or the child is given up. Returns how
/// long that took, the number of starts and, if the child was given up, the limit.
fn outage(
    backoff: Backoff,
    length: Duration,
    random: &mut Random,
) -> (Duration, u32, Option<Exceeded>) {
    let (begin, mut state, mut starts) = (Instant::now(), RestartState::default(), 1);
    let mut now = begin;
    while now - begin < length {
        state.record_failure(Some(backoff), failed(now));
        match state.decide_next(rules(backoff), now, || random.unit()) {
            Next::AtOnce => panic!("the child has a backoff"),
            Next::GiveUp(exceeded) => return (now - begin, starts, Some(exceeded)),
            Next::After(delay) => now += delay,
        }
        starts += 1;
    }
    (now - begin, starts, None)
}

/// Returns the limit that a child exceeds in an outage of this many seconds.
fn exceeded(backoff: Backoff, length: u64, random: &mut Random) -> Option<Exceeded> {
    outage(backoff, seconds(length), random).2
}

#[test]
fn without_a_backoff_every_restart_is_at_once_and_counts() {
    let now = Instant::now();
    let mut state = RestartState::default();
    for backoff in [None, Some(Backoff::none())] {
        for _ in 0..1_000 {
            state.record_failure(backoff, failed(now));
            let next = state.decide_next(rules(backoff), now + seconds(1 << 20), || unreachable!());
            assert_eq!((next, state.delay()), (Next::AtOnce, Duration::ZERO));
        }
    }
}

/// The outcome does not depend on the random delays.
#[test]
fn an_outage_of_ten_minutes_is_survived_and_one_without_end_is_given_up() {
    let mut random = Random::seeded(5);
    for _ in 0..1_000 {
        let first = Duration::from_millis(200 + (random.unit() * 2_000.0) as u64);
        for backoff in [Backoff::new(), Backoff::new().first(first).jitter(random.unit())] {
            assert_eq!(exceeded(backoff, 600, &mut random), None);
            let limit = exceeded(backoff, 3_600, &mut random);
            let Some(Exceeded::NoHealthyRun { within, .. }) = limit else { panic!() };
            assert_eq!(within, seconds(15 * 60));
        }
    }
}

/// Computes one row of the book's table from outages of this length, one for each seed. The row
/// says in how many outages no child was given up.
fn row(minutes: f64, children: u32, seeds: u64) -> String {
    let length = Duration::from_secs_f64(minutes * 60.0);
    let (mut survived, mut latest, mut most) = (0, Duration::ZERO, 0);
    for seed in 0..seeds {
        let mut random = Random::seeded(seed);
        let mut all = true;
        for _ in 0..children {
            let (took, starts, given_up) = outage(Backoff::new(), length, &mut random);
            all &= given_up.is_none();
            latest = latest.max(took.saturating_sub(length));
            most = most.max(starts);
        }
        survived += u64::from(all);
    }
    let latest = latest.as_secs_f64().ceil();
    let back = if survived == 0 { "–".to_owned() } else { format!("{latest} s") };
    format!("| {minutes} min | {children} | {survived} of {seeds} | {back} | {most} |")
}

/// The book's table of outages has the rows that this test computes.
#[test]
fn the_books_table_of_outages_is_true() {
    let page = include_str!("../../../book/src/backoff.md");
    let outages = [0.5, 2.0, 10.0, 20.0].into_iter();
    let rows = outages.flat_map(|minutes| [1, 20].map(|n| row(minutes, n, 1_000)));
    let missing: Vec<String> = rows.filter(|row| !page.contains(row)).collect();
    assert!(missing.is_empty(), "the book lacks:\n{}", missing.join("\n"));
}

#[test]
fn a_limit_of_an_hour_is_an_hour_and_never_is_never() {
    let mut random = Random::seeded(6);
    let hour = Backoff::new().give_up_after(seconds(3_600));
    assert_eq!(exceeded(hour, 3_599, &mut random), None);
    assert!(exceeded(hour, 3_700, &mut random).is_some());
    assert_eq!(exceeded(Backoff::new().never_give_up(), 1 << 22, &mut random), None);
}

#[test]
fn only_a_healthy_run_clears_the_clock() {
    let backoff = Backoff::new().jitter(0.0).reset_after(seconds(30));
    let begin = Instant::now();
    for (run, healthy) in [(seconds(29), false), (seconds(30), true)] {
        let mut state = RestartState::default();
        let mut now = begin;
        let mut given_up = None;
        while now < begin + seconds(7_200) {
            let started = now;
            now += run;
            state.record_failure(Some(backoff), Run { started, ended: now, ran: true });
            match state.decide_next(rules(backoff), now, || 1.0) {
                Next::AtOnce => panic!("the child has a backoff"),
                Next::After(delay) => now += delay,
                Next::GiveUp(_) => {
                    given_up = Some(now);
                    break;
                }
            }
        }
        assert_eq!(given_up.is_none(), healthy, "{run:?}");
    }
}

/// The time in which a child waits for another child of its group does not count towards the limit,
/// and neither does the time before a healthy run.
#[test]
fn the_clock_is_stopped_while_a_child_is_stopped_with_its_group() {
    let backoff = Backoff::new();
    let begin = Instant::now();
    let run = |from: u64, to: u64| Run {
        started: begin + seconds(from),
        ended: begin + seconds(to),
        ran: true,
    };
    let next = |state: &mut RestartState, at| {
        state.decide_next(rules(backoff), begin + seconds(at), || 1.0)
    };
    // The child is healthy for days, is stopped with its group, and fails once when the group is
    // started again.
    let mut state = RestartState::default();
    state.record_stop(Some(backoff), run(0, 500_000));
    state.record_failure(Some(backoff), failed(begin + seconds(501_300)));
    assert_eq!(next(&mut state, 501_300), Next::After(seconds(1)));

    // The child fails for ten minutes, is stopped for a day, and fails for another five minutes.
    let mut state = RestartState::default();
    state.record_failure(Some(backoff), run(0, 1));
    assert!(matches!(next(&mut state, 1), Next::After(_)));
    state.record_stop(Some(backoff), run(590, 600));
    state.record_failure(Some(backoff), failed(begin + seconds(90_000)));
    assert!(matches!(next(&mut state, 90_000), Next::After(_)));
    assert!(matches!(next(&mut state, 90_299), Next::After(_)));
    assert!(matches!(next(&mut state, 90_300), Next::GiveUp(_)));
}

#[test]
fn a_supervisor_that_allows_no_restart_delays_none() {
    let (now, mut state) = (Instant::now(), RestartState::default());
    let none = Intensity::Limited { restarts: 0, period: seconds(1) };
    state.record_failure(Some(Backoff::new()), failed(now));
    let rules = Rules { backoff: Some(Backoff::new()), intensity: none };
    assert_eq!(state.decide_next(rules, now, || unreachable!()), Next::AtOnce);
    assert!(Window::default().spend(none, now, || unreachable!()).is_err());
}

#[test]
fn under_an_unlimited_budget_only_an_explicit_give_up_after_gives_up() {
    let begin = Instant::now();
    let later = begin + seconds(1 << 20);
    for (backoff, gives_up) in
        [(Backoff::new(), false), (Backoff::new().give_up_after(seconds(300)), true)]
    {
        let mut state = RestartState::default();
        state.record_failure(Some(backoff), failed(begin));
        let rules = Rules { backoff: Some(backoff), intensity: Intensity::Unlimited };
        let next = state.decide_next(rules, later, || 1.0);
        assert_eq!(matches!(next, Next::GiveUp(_)), gives_up, "{next:?}");
    }
}
