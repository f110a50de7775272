//! Random timers against a model that keeps them in a list: set, cancelled, read, and dropped with
//! their targets, while the paused clock advances.

use crate::support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{Pid, Runtime, TimerRef};
use support::killed;
use support::rng::Rng;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// The arrival of a timer's message: its time in milliseconds, and the number of the timer.
type Arrival = (u64, u64);

/// A timer that is pending in the model.
#[derive(Clone)]
struct Pending {
    number: u64,
    target: usize,
    due: u64,
    period: Option<u64>,
    timer: TimerRef,
}

struct Case {
    rt: Runtime,
    rng: Rng,
    start: Instant,
    targets: Vec<Pid>,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    pending: Vec<Pending>,
    expected: Vec<Arrival>,
    done: Vec<TimerRef>,
    numbers: u64,
}

const TARGETS: usize = 5;

impl Case {
    fn new(seed: u64) -> Case {
        let (rt, start, arrivals) = (Runtime::new(), Instant::now(), Arc::default());
        let targets = (0..TARGETS).map(|_| target(&rt, start, &arrivals)).collect();
        let (pending, expected, done) = (Vec::new(), Vec::new(), Vec::new());
        Case {
            rng: Rng::new(seed),
            rt,
            start,
            targets,
            arrivals,
            pending,
            expected,
            done,
            numbers: 0,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap()
    }

    /// A delay above zero, so that no timer is due before the clock advances.
    fn delay(&mut self) -> u64 {
        let longest = self.rng.pick(&[1, 3, 70, 5_000, 400_000, 30_000_000]);
        1 + self.rng.below(longest) as u64
    }

    fn set(&mut self) {
        self.numbers += 1;
        let (number, target) = (self.numbers, self.rng.below(TARGETS));
        let bytes = number.to_le_bytes().to_vec();
        let delay = self.delay();
        let period = self.rng.percent(10).then_some(delay + 60_000);
        let (to, wait) = (self.targets[target], Duration::from_millis(period.unwrap_or(delay)));
        let timer = match period {
            None => self.rt.send_after(to, wait, bytes),
            Some(_) => self.rt.send_interval(to, wait, bytes),
        };
        let due = self.now() + period.unwrap_or(delay);
        self.pending.push(Pending { number, target, due, period, timer });
    }

    fn cancel(&mut self) {
        assert!(self.done.last().is_none_or(|timer| !timer.cancel()));
        if self.pending.is_empty() {
            return;
        }
        let at = self.rng.below(self.pending.len());
        let Pending { due, timer, .. } = self.pending.swap_remove(at);
        let left = Duration::from_millis(due - self.now());
        assert_eq!(timer.remaining(), Some(left));
        assert!(timer.cancel());
        self.done.push(timer);
    }

    async fn replace_target(&mut self) {
        let target_number = self.rng.below(TARGETS);
        killed(&self.rt, self.targets[target_number]).await;
        self.targets[target_number] = target(&self.rt, self.start, &self.arrivals);
        let of_ended = |pending: &mut Pending| pending.target == target_number;
        self.done.extend(self.pending.extract_if(.., of_ended).map(|pending| pending.timer));
    }

    /// Lets time pass, and moves the model's timers that are due to the expected arrivals.
    async fn advance(&mut self) {
        let until = self.now() + self.delay();
        sleep_until(self.start + Duration::from_millis(until)).await;
        // The timers that are due at this instant fire, and their messages are received.
        for _ in 0..10 {
            yield_now().await;
        }
        while let Some(at) = (0..self.pending.len())
            .filter(|at| self.pending[*at].due <= until)
            .min_by_key(|at| (self.pending[*at].due, self.pending[*at].number))
        {
            let due = self.pending[at].due;
            self.expected.push((due, self.pending[at].number));
            match self.pending[at].period {
                Some(period) => self.pending[at].due += period,
                None => self.done.push(self.pending.swap_remove(at).timer),
            }
        }
    }

    fn check(&mut self) {
        let mut arrived = std::mem::take(&mut *self.arrivals.lock().unwrap());
        // Two targets that receive in the same millisecond take turns.
        arrived.sort_unstable();
        assert_eq!(arrived, std::mem::take(&mut self.expected), "at {} ms", self.now());
        assert_eq!(self.rt.leftovers().timers, self.pending.len());
    }
}

/// Starts a process that records what it receives. Its timers that are due at one instant have to
/// arrive in the order of their numbers.
fn target(rt: &Runtime, start: Instant, arrivals: &Arc<Mutex<Vec<Arrival>>>) -> Pid {
    let arrivals = Arc::clone(arrivals);
    let process = rt.spawn(move |mut ctx| async move {
        let mut before = (0, 0);
        while let Some(bytes) = ctx.recv().await.message() {
            let at = u64::try_from(start.elapsed().as_millis()).unwrap();
            let arrival = (at, u64::from_le_bytes(bytes.try_into().unwrap()));
            assert!(arrival > before, "{arrival:?} after {before:?}");
            before = arrival;
            arrivals.lock().unwrap().push(arrival);
        }
    });
    process.pid()
}

#[test]
fn random_timers_behave_as_a_sorted_list() {
    let seeds = if cfg!(regrow_proof) { 2_000 } else { 50 };
    for seed in 1..=seeds {
        let mut tokio = tokio::runtime::Builder::new_current_thread();
        let tokio = tokio.enable_time().start_paused(true).build().unwrap();
        tokio.block_on(async {
            let mut case = Case::new(seed);
            for _ in 0..150 {
                match case.rng.below(20) {
                    0..=9 => case.set(),
                    10..=13 => case.cancel(),
                    14 => case.replace_target().await,
                    _ => {
                        case.advance().await;
                        case.check();
                    }
                }
            }
        });
    }
}
