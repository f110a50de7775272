//! Readings flow through a pipeline into a store that fails for a while, and none is lost or doubled.
//!
//! You learn how a pipeline, a circuit breaker, a token bucket and an agent work together. Four workers
//! parse the readings; one of them crashes, and its reading is delivered again. The readings are stored
//! in batches, by size and by time. While the store fails, its breaker opens: the consumer waits,
//! and demand makes all stages and the source wait as well. An agent keeps the totals.
//!
//! ```text
//! cargo run --example ingest
//! cargo run --example ingest -- --selftest      prints nothing
//! ```
//!
//! You will see the tree while the breaker is not closed, and then the counts. It ends by itself.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{Stream, stream};
use regrow::{
    Agent, AgentRef, Backoff, BreakerError, BreakerRules, BreakerState, CircuitBreaker, ExitReason,
    Name, Pipeline, PipelineCounts, PipelineSpec, RateLimit, Result, Runtime, Supervisor,
    TokenBucket,
};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const READINGS: u64 = 100;
const BATCH: usize = 16;
const TOTALS: Name<Agent<Totals>> = Name::new("totals");

#[derive(Debug, Clone)]
struct Reading {
    number: u64,
    value: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Totals {
    readings: u64,
    sum: u64,
}

/// The store, a service beyond this program. Each change of its state is an event.
#[derive(Clone, Default)]
struct Store(Arc<watch::Sender<Stored>>);

#[derive(Default)]
struct Stored {
    is_down: bool,
    batch_sizes: Vec<usize>,
    failed_requests: usize,
    /// How often each reading was stored.
    readings: BTreeMap<u64, u32>,
}

impl Store {
    /// Stores all readings of the batch, or none.
    async fn put(&self, batch: &[Reading]) -> Result<(), &'static str> {
        let mut outcome = Err("the store is down");
        self.0.send_modify(|stored| {
            if stored.is_down {
                stored.failed_requests += 1;
                return;
            }
            for reading in batch {
                *stored.readings.entry(reading.number).or_default() += 1;
            }
            stored.batch_sizes.push(batch.len());
            stored.is_down = stored.batch_sizes.len() == 2; // until it is repaired
            outcome = Ok(());
        });
        outcome
    }

    async fn until(&self, condition: impl FnMut(&Stored) -> bool) {
        let mut changes = self.0.subscribe();
        let reached = timeout(Duration::from_secs(5), changes.wait_for(condition)).await;
        assert!(reached.is_ok(), "the store did not get there");
    }
}

/// The source: lines of text. It ends only after all of them are stored, so the last batch, which is
/// not full, is passed on by time.
fn lines(store: Store) -> impl Stream<Item = String> {
    stream::unfold((0, store), |(number, store)| async move {
        if number < READINGS {
            return Some((format!("{number}={}", number * 10), (number + 1, store)));
        }
        store.until(|stored| stored.readings.len() as u64 == READINGS).await;
        None
    })
}

fn parse(line: &str) -> Result<Reading> {
    let (number, value) = line.split_once('=').ok_or("no value")?;
    Ok(Reading { number: number.parse()?, value: value.parse()? })
}

#[derive(Clone)]
struct Sink {
    store: Store,
    breaker: CircuitBreaker,
    tokens: TokenBucket,
    totals: AgentRef<Totals>,
}

impl Sink {
    /// Stores a batch, however often that takes. A request that the breaker refuses takes no token.
    async fn accept(self, batch: Vec<Reading>) -> Result {
        let request = || async {
            self.tokens.acquire().await;
            self.store.put(&batch).await
        };
        loop {
            match self.breaker.run(request()).await {
                Ok(()) => break,
                Err(BreakerError::Open(refused)) => sleep(refused.retry_in).await,
                Err(_failed) => {} // the breaker has counted it: the next request may be refused
            }
        }
        let add = move |totals: &mut Totals| {
            totals.readings += batch.len() as u64;
            totals.sum += batch.iter().map(|reading| reading.value).sum::<u64>();
        };
        Ok(self.totals.update(add).await?)
    }
}

fn pipeline(sink: Sink) -> PipelineSpec {
    let (store, has_crashed) = (sink.store.clone(), Arc::new(AtomicBool::new(false)));
    Pipeline::from_stream("ingest", move || lines(store.clone()))
        .concurrency(4)
        .max_demand(8)
        .at_least_once()
        .map("parse", move |line: String| {
            let crashes = line.starts_with("13=") && !has_crashed.swap(true, Ordering::Relaxed);
            async move {
                if crashes { Err(ExitReason::crashed("on purpose")) } else { parse(&line) }
            }
        })
        .batch(BATCH, Duration::from_millis(50))
        .max_demand(1)
        .for_each("store", move |batch| sink.clone().accept(batch))
}

/// Asserts that each reading was stored exactly once, and that the totals and the counts are right.
fn check(stored: &Stored, totals: &Totals, counts: &PipelineCounts) {
    assert!((0..READINGS).eq(stored.readings.keys().copied()));
    assert!(stored.readings.values().all(|times| *times == 1), "{:?}", stored.readings);
    assert!(stored.batch_sizes.iter().all(|size| *size <= BATCH), "{:?}", stored.batch_sizes);
    let sum = (0..READINGS).map(|number| number * 10).sum();
    assert_eq!(*totals, Totals { readings: READINGS, sum });
    assert!(counts.stages().iter().all(|stage| stage.lost == 0), "{counts:?}");
    assert_eq!(counts.stages()[0].redelivered, 1);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let rt = Runtime::new();
    let backoff = Backoff::new().first(Duration::from_millis(20)).jitter(0.0);
    let rules = BreakerRules::new().failures(2, Duration::from_secs(10)).backoff(backoff);
    let sink = Sink {
        store: Store::default(),
        breaker: CircuitBreaker::new("store", rules),
        tokens: TokenBucket::new(RateLimit::new(200, Duration::from_secs(1)).burst(4)),
        totals: rt.agent(TOTALS),
    };
    let pipeline = pipeline(sink.clone());
    let counts = pipeline.counts();
    let agent = Agent::spec(Totals::default).named(TOTALS);
    let tree = Supervisor::one_for_one().named("app").child(agent).child(pipeline);
    let tree = tree.start(&rt).await?;
    let ended = rt.ended(tree.which_children().await?[1].pid().ok_or("no pipeline")?);

    // Two failures open the breaker. The third is that of a probe, so the breaker was half-open.
    sink.store.until(|stored| stored.failed_requests >= 3).await;
    let mut state = sink.breaker.state();
    assert_ne!(state, BreakerState::Closed);
    let snapshot = tree.tree().await?;
    sink.store.0.send_modify(|stored| stored.is_down = false);
    while state != BreakerState::Closed {
        state = sink.breaker.changed(state).await;
    }
    assert_eq!(ended.await, ExitReason::Shutdown); // the source has ended
    let totals = sink.totals.get(Clone::clone).await?;
    check(&sink.store.0.borrow(), &totals, &counts);
    if !std::env::args().any(|arg| arg == "--selftest") {
        println!("{snapshot}\n");
        for stage in counts.stages() {
            println!("{}: {} finished, {} lost", stage.stage, stage.finished, stage.lost);
        }
        println!("{totals:?}, in batches of {:?}", sink.store.0.borrow().batch_sizes);
    }
    tree.stop().await?;
    assert_eq!(rt.process_count(), 0);
    Ok(())
}
