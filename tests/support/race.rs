//! Two concurrent operations over many rounds, on 1, 2 and 4 workers and on threads outside tokio.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regrow::Runtime;
use tokio::task::yield_now;

use super::assert_nothing_left;

/// The total number of rounds of a race. `.ci/proof`, where failpoints widen the windows, runs more,
/// and many more at its full size.
pub const ROUNDS: usize = match option_env!("REGROW_PROOF") {
    Some(_) if cfg!(regrow_proof) => 20_000,
    None if cfg!(regrow_proof) => 5_000,
    _ => 2_000,
};

/// The numbers of tokio workers that a race runs with.
pub const WORKERS: [usize; 3] = [1, 2, 4];

/// The racers wait for each other once in this number of rounds.
const MEET_EVERY: usize = 8;

/// Runs `act` once for each number of workers.
pub fn on_workers(act: impl AsyncFn(Runtime)) {
    for workers in WORKERS {
        let tokio = tokio_of(workers);
        tokio.block_on(async { act(Runtime::new()).await });
    }
}

/// Runs two racers concurrently for many rounds, then checks the result of each round, and that
/// nothing is left at the end.
///
/// `left` and `right` run at the same time over all values that `set_up` made: once on two threads
/// outside tokio, and once as two tokio tasks.
pub fn race<T, L, R>(
    set_up: impl Fn(&Runtime) -> T,
    left: impl Fn(&Runtime, &T) -> L + Copy + Send + 'static,
    right: impl Fn(&Runtime, &T) -> R + Copy + Send + 'static,
    check: impl AsyncFn(&Runtime, T, L, R),
) where
    T: Send + Sync + 'static,
    L: Send + 'static,
    R: Send + 'static,
{
    let rounds = ROUNDS / (2 * WORKERS.len());
    for workers in WORKERS {
        for foreign in [true, false] {
            let tokio = tokio_of(workers);
            let _inside = tokio.enter();
            let rt = Runtime::new();
            let arena: Arena<T> = Arena::new(&rt, (0..rounds).map(|_| set_up(&rt)).collect());
            let (lefts, rights) = if foreign {
                let rival = arena.clone();
                let rival = std::thread::spawn(move || rival.run_on_thread(7, right));
                (arena.run_on_thread(5, left), rival.join().expect("the right racer"))
            } else {
                let rival = tokio.spawn(arena.clone().run_on_worker(7, right));
                let first = tokio.spawn(arena.clone().run_on_worker(5, left));
                tokio.block_on(async { (first.await.expect("left"), rival.await.expect("right")) })
            };
            tokio.block_on(async {
                for ((made, left), right) in arena.leave().into_iter().zip(lefts).zip(rights) {
                    check(&rt, made, left, right).await;
                }
                assert_nothing_left(&rt).await;
            });
        }
    }
}

/// Arms the failpoints of a proof run, so that they delay the threads.
#[cfg(regrow_proof)]
fn arm_failpoints(seed: usize) {
    let plan = regrow::proof::FailPlan { seed: seed as u64, yields: 50, pauses: 5 };
    regrow::proof::arm_failpoints(plan);
}

#[cfg(not(regrow_proof))]
fn arm_failpoints(_: usize) {}

fn tokio_of(workers: usize) -> tokio::runtime::Runtime {
    arm_failpoints(workers);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(workers).enable_all().build().expect("a tokio runtime")
}

/// The values that both racers run over, and the number of times that a racer has reached a round.
struct Arena<T> {
    rt: Runtime,
    made: Arc<Vec<T>>,
    arrivals: Arc<AtomicUsize>,
}

impl<T> Clone for Arena<T> {
    fn clone(&self) -> Self {
        let Arena { rt, made, arrivals } = self;
        Arena { rt: rt.clone(), made: made.clone(), arrivals: arrivals.clone() }
    }
}

impl<T: Send + Sync + 'static> Arena<T> {
    fn new(rt: &Runtime, made: Vec<T>) -> Self {
        Arena { rt: rt.clone(), made: Arc::new(made), arrivals: Arc::default() }
    }

    /// Records that a racer has reached this round, and returns the number of arrivals that it
    /// waits for. The racers wait for each other only in some rounds, since a wait takes long while
    /// other programs use the processor.
    fn arrive(&self, round: usize) -> usize {
        self.arrivals.fetch_add(1, Ordering::AcqRel);
        if round.is_multiple_of(MEET_EVERY) { 2 * round + 2 } else { 0 }
    }

    fn arrived(&self, all: usize) -> bool {
        self.arrivals.load(Ordering::Acquire) >= all
    }

    fn run_on_thread<R>(&self, pace: usize, act: impl Fn(&Runtime, &T) -> R) -> Vec<R> {
        let act = |(round, made)| {
            let all = self.arrive(round);
            while !self.arrived(all) {
                std::thread::yield_now();
            }
            dawdle(round, pace);
            act(&self.rt, made)
        };
        self.made.iter().enumerate().map(act).collect()
    }

    fn run_on_worker<R: Send + 'static>(
        self,
        pace: usize,
        act: impl Fn(&Runtime, &T) -> R + Send,
    ) -> impl Future<Output = Vec<R>> + Send {
        async move {
            let mut results = Vec::new();
            for (round, made) in self.made.iter().enumerate() {
                let all = self.arrive(round);
                while !self.arrived(all) {
                    yield_now().await;
                }
                dawdle(round, pace);
                results.push(act(&self.rt, made));
            }
            results
        }
    }

    fn leave(self) -> Vec<T> {
        Arc::into_inner(self.made).expect("both racers have left")
    }
}

/// Delays a racer by a time that differs in each round, so that the racers meet at different
/// points.
fn dawdle(round: usize, pace: usize) {
    for _ in 0..round * pace % 97 {
        std::hint::spin_loop();
    }
}
