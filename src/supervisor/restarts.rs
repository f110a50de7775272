//! The restart state of one child, with pure transitions: what an end leads to.
//!
//! Fixed and dynamic supervisors decide with the same state. Nothing in here waits, starts or
//! stops anything; the time and the random number are arguments.
//!
//! Each end of a child that is to be started again goes through two steps: the incarnation is
//! [recorded](RestartState::over), then the [next step](RestartState::next) is taken.
//!
//! | the child has | the next step | what bounds it |
//! |---|---|---|
//! | no backoff | a restart [at once](Next::AtOnce) | the window of its supervisor, as in OTP |
//! | a backoff | a restart [after a delay](Next::After) | the time without a healthy run |
//! | a backoff, and had no healthy run for too long | [given up](Next::GiveUp) | |
//! | a backoff, under a supervisor that allows no restart | a restart at once, which the window refuses | the window |
//!
//! Invariants:
//! 1. A delayed restart never counts against the window: an outage makes every child fail as
//!    often as its delays allow, so a count of failures says how many children there are and not
//!    how bad it is.
//! 2. The clock of a child without a healthy run begins with the first incarnation that is not
//!    healthy, or with the end of the last healthy one. Only a healthy run, or a start by hand,
//!    sets it back. So a child that never recovers is given up, however long its delays are.
//! 3. An incarnation that its supervisor stopped, with its group, is recorded and decides
//!    nothing: only an own end, or a start that failed, asks for the next step.

use std::time::Duration;

use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::supervisor::intensity::{Exceeded, Intensity};

/// What is remembered of a child's restarts.
#[derive(Debug, Clone, Default)]
pub(crate) struct RestartState {
    /// Delayed restarts since the last healthy run.
    tries: u32,
    /// How long the incarnation that runs, or the next, waited before its start.
    delay: Duration,
    /// Since when there was no healthy run.
    unhealthy_since: Option<Instant>,
}

/// One incarnation that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
    /// False if its start failed.
    pub(crate) ran: bool,
}

/// What holds for a child: its backoff, if it has one, and the budget of its supervisor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) backoff: Option<Backoff>,
    pub(crate) intensity: Intensity,
}

/// What an end leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A restart that counts against the window when it is attempted.
    AtOnce,
    /// A restart after this time, which counts against nothing.
    After(Duration),
    GiveUp(Exceeded),
}

impl RestartState {
    /// Records an incarnation. A healthy one begins the count of tries anew.
    pub(crate) fn over(&mut self, backoff: Option<Backoff>, run: Run) {
        self.delay = Duration::ZERO;
        let Some(backoff) = backoff else { return };
        if run.ran && backoff.is_healthy(run.ended.duration_since(run.started)) {
            self.tries = 0;
            self.unhealthy_since = Some(run.ended);
        } else {
            self.unhealthy_since.get_or_insert(run.started);
        }
    }

    /// Decides what follows an own end, or a start that failed, at `now`. `random` gives a number
    /// from 0 to 1, and is asked for a delay only.
    pub(crate) fn next(
        &mut self,
        rules: Rules,
        now: Instant,
        random: impl FnOnce() -> f64,
    ) -> Next {
        let Some(backoff) = rules.backoff.filter(|backoff| backoff.waits()) else {
            return Next::AtOnce;
        };
        if rules.intensity.is_none() {
            return Next::AtOnce;
        }
        if let Some(limit) = backoff.patience(rules.intensity == Intensity::Unlimited)
            && self.unhealthy_since.is_some_and(|since| now.duration_since(since) >= limit)
        {
            return Next::GiveUp(Exceeded::NoHealthyRun { tries: self.tries, within: limit });
        }
        self.delay = backoff.delay(self.tries, random());
        self.tries = self.tries.saturating_add(1);
        Next::After(self.delay)
    }

    /// How long the incarnation that runs, or the next, waited before its start.
    pub(crate) fn delay(&self) -> Duration {
        self.delay
    }
}

#[cfg(test)]
mod tests {
    use super::{Next, RestartState, Rules, Run};
    use crate::backoff::Backoff;
    use crate::random::Random;
    use crate::supervisor::intensity::{Exceeded, Intensity, Window};
    use std::time::Duration;
    use tokio::time::Instant;

    const LIMITED: Intensity = Intensity::Limited { restarts: 3, period: Duration::from_secs(5) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn rules(backoff: impl Into<Option<Backoff>>) -> Rules {
        Rules { backoff: backoff.into(), intensity: LIMITED }
    }

    /// An incarnation that fails at once at this time.
    fn failed(at: Instant) -> Run {
        Run { started: at, ended: at, ran: false }
    }

    /// Fails at once, again and again, until the outage is over or it is given up.
    fn outage(
        backoff: Backoff,
        length: Duration,
        random: &mut Random,
    ) -> Result<Instant, Exceeded> {
        let (begin, mut state) = (Instant::now(), RestartState::default());
        let mut now = begin;
        loop {
            state.over(Some(backoff), failed(now));
            match state.next(rules(backoff), now, || random.unit()) {
                Next::AtOnce => panic!("it has a backoff"),
                Next::GiveUp(exceeded) => return Err(exceeded),
                Next::After(delay) => now += delay,
            }
            if now - begin >= length {
                return Ok(now);
            }
        }
    }

    #[test]
    fn without_a_backoff_every_restart_counts_and_nothing_else_does() {
        let now = Instant::now();
        let mut state = RestartState::default();
        for backoff in [None, Some(Backoff::none())] {
            for _ in 0..1_000 {
                state.over(backoff, failed(now));
                let next = state.next(rules(backoff), now + seconds(1 << 20), || unreachable!());
                assert_eq!((next, state.delay()), (Next::AtOnce, Duration::ZERO));
            }
        }
    }

    /// An outage of ten minutes is survived whatever the delays are, and one that doesn't end is
    /// given up.
    #[test]
    fn an_outage_of_ten_minutes_is_survived_and_one_without_end_is_given_up() {
        let mut random = Random::seeded(5);
        for _ in 0..1_000 {
            let first = Duration::from_millis(200 + (random.unit() * 2_000.0) as u64);
            for backoff in [Backoff::new(), Backoff::new().first(first).jitter(random.unit())] {
                assert!(outage(backoff, seconds(600), &mut random).is_ok());
                let exceeded = outage(backoff, seconds(3_600), &mut random).unwrap_err();
                let Exceeded::NoHealthyRun { within, .. } = exceeded else { panic!() };
                assert_eq!(within, seconds(15 * 60));
            }
        }
    }

    /// One row of the book's table: outages of this length in this many seeds, and how many of
    /// them no child was given up in.
    fn row(minutes: f64, children: u32, seeds: u64) -> String {
        let length = Duration::from_secs_f64(minutes * 60.0);
        let (mut survived, mut latest, mut most) = (0, Duration::ZERO, 0);
        for seed in 0..seeds {
            let mut random = Random::seeded(seed);
            let mut all = true;
            for _ in 0..children {
                let (begin, mut state, mut starts) = (Instant::now(), RestartState::default(), 1);
                let mut now = begin;
                while now - begin < length {
                    state.over(Some(Backoff::new()), failed(now));
                    match state.next(rules(Backoff::new()), now, || random.unit()) {
                        Next::After(delay) => now += delay,
                        Next::AtOnce | Next::GiveUp(_) => break,
                    }
                    starts += 1;
                }
                all &= now - begin >= length;
                latest = latest.max((now - begin).saturating_sub(length));
                most = most.max(starts);
            }
            survived += u64::from(all);
        }
        let latest = latest.as_secs_f64().ceil();
        let back = if survived == 0 { "–".to_owned() } else { format!("{latest} s") };
        format!("| {minutes} min | {children} | {survived} of {seeds} | {back} | {most} |")
    }

    /// The table of outages in the book is what this finds.
    #[test]
    fn the_books_table_of_outages_is_true() {
        let page = include_str!("../../book/src/backoff.md");
        let outages = [0.5, 2.0, 10.0, 20.0].into_iter();
        let rows = outages.flat_map(|minutes| [1, 20].map(|n| row(minutes, n, 1_000)));
        let missing: Vec<String> = rows.filter(|row| !page.contains(row)).collect();
        assert!(missing.is_empty(), "the book lacks:\n{}", missing.join("\n"));
    }

    #[test]
    fn a_limit_of_an_hour_is_an_hour_and_never_is_never() {
        let mut random = Random::seeded(6);
        let hour = Backoff::new().give_up_after(seconds(3_600));
        assert!(outage(hour, seconds(3_599), &mut random).is_ok());
        assert!(outage(hour, seconds(3_700), &mut random).is_err());
        assert!(outage(Backoff::new().never_give_up(), seconds(1 << 22), &mut random).is_ok());
    }

    /// Only a healthy run sets the clock back, and a stop with the group is no healthy run.
    #[test]
    fn only_a_healthy_run_sets_the_clock_back() {
        let backoff = Backoff::new().jitter(0.0).reset_after(seconds(30));
        let begin = Instant::now();
        for (run, healthy) in [(seconds(29), false), (seconds(30), true)] {
            let mut state = RestartState::default();
            let mut now = begin;
            let mut given_up = None;
            while now < begin + seconds(7_200) {
                let started = now;
                now += run;
                state.over(Some(backoff), Run { started, ended: now, ran: true });
                match state.next(rules(backoff), now, || 1.0) {
                    Next::AtOnce => panic!("it has a backoff"),
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

    #[test]
    fn a_supervisor_that_allows_no_restart_delays_none() {
        let (now, mut state) = (Instant::now(), RestartState::default());
        let none = Intensity::Limited { restarts: 0, period: seconds(1) };
        state.over(Some(Backoff::new()), failed(now));
        let rules = Rules { backoff: Some(Backoff::new()), intensity: none };
        assert_eq!(state.next(rules, now, || unreachable!()), Next::AtOnce);
        assert!(Window::default().spend(none, now).is_err());
    }

    /// A supervisor that never gives up goes on for ever, unless the backoff itself says when.
    #[test]
    fn under_an_unlimited_budget_only_a_limit_that_was_set_gives_up() {
        let begin = Instant::now();
        let later = begin + seconds(1 << 20);
        for (backoff, gives_up) in
            [(Backoff::new(), false), (Backoff::new().give_up_after(seconds(300)), true)]
        {
            let mut state = RestartState::default();
            state.over(Some(backoff), failed(begin));
            let rules = Rules { backoff: Some(backoff), intensity: Intensity::Unlimited };
            let next = state.next(rules, later, || 1.0);
            assert_eq!(matches!(next, Next::GiveUp(_)), gives_up, "{next:?}");
        }
    }
}
