//! A soak test: a tree under crashes, kills and load, for hours, observed from all sides at once.
//!
//! Seven drivers call, cast, let processes fail, kill others, start sessions, and let a subtree give
//! up. Meanwhile the program is observed by a reader of changes, a reader of the observer's events over
//! TCP, visitors of the page that come and go, a listener of lifecycle events, a subscriber of
//! message spans, and a recorder of metrics. Every few seconds the load pauses, and then these must agree with what the program
//! has counted itself: the counters of the runtime, the metrics, the events, the log, the spans, the
//! processes that run, and what each reader knows of them. At the end the memory must not have grown.
//!
//! ```text
//! cargo run --release --manifest-path tests/soak/Cargo.toml                        30 seconds
//! REGROW_PROOF=full cargo run --release --manifest-path tests/soak/Cargo.toml      two hours
//! cargo run --release --manifest-path tests/soak/Cargo.toml -- --seconds 300
//! ```
//!
//! It prints a line each minute, and exits with 1 if anything was wrong. Linux only.

mod changes;
mod checks;
mod events;
mod load;
mod machine;
mod model;
mod page;
mod recorder;
mod spans;
mod tree;
mod truth;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regrow::metrics::Metrics;
use regrow::{MessageSpans, PanicText, Runtime, install_panic_hook_with};
use tokio::net::TcpListener;
use tokio::sync::RwLock;
use tokio::time::{Instant, sleep, timeout};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use checks::{Checks, Readers};
use events::Heard;
use load::Load;
use model::{Ledger, Model};
use recorder::Recorded;
use spans::Spans;
use truth::Truth;

type Failure = Box<dyn std::error::Error>;

/// By how much the median of the resident memory may grow from the second quarter of the time to the
/// last one: this part of it, or this many KiB.
const GROWTH: (f64, u64) = (0.05, 2_048);

/// The same in a test of less than ten minutes, in which the allocator still takes its first pages.
const EARLY_GROWTH: u64 = 8_192;

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<ExitCode, Failure> {
    let time = time()?;
    install_panic_hook_with(PanicText::LeftOut);
    let spans = Spans::default();
    let recorded = Recorded::default();
    metrics::set_global_recorder(recorded.clone()).map_err(|_| "a recorder is installed")?;
    tracing_subscriber::registry().with(spans.clone()).init();
    println!("soak: {} s, pid {}", time.as_secs(), std::process::id());

    let rt = Runtime::new();
    rt.message_spans(MessageSpans::Child);
    let heard = Arc::new(Heard::default());
    let listener = tokio::spawn(events::listen(rt.events(), heard.clone()));
    let port = TcpListener::bind("127.0.0.1:0").await?;
    let page = port.local_addr()?;
    let truth = Arc::new(Truth::default());
    let exporter = Metrics::new().track_handlers().exporter(&rt);
    let tree = tree::start(&rt, &truth, (port, &exporter)).await?;

    let [of_plain, of_page, of_load] = [(); 3].map(|()| Arc::new(Model::default()));
    let (ledger, is_over) = (Arc::new(Ledger::default()), Arc::new(AtomicBool::new(false)));
    let plain = tokio::spawn(changes::read(rt.clone(), of_plain.clone(), ledger.clone()));
    let over = is_over.clone();
    let events =
        page::read(page, of_page.clone(), ledger.clone(), move || over.load(Ordering::Acquire));
    let events = tokio::spawn(events);
    timeout(Duration::from_secs(5), async {
        while of_plain.pictures.get() == 0 || of_page.pictures.get() == 0 {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await?;

    let checks = Checks {
        rt: rt.clone(),
        truth: truth.clone(),
        heard,
        spans,
        readers: Readers { plain: of_plain, page: of_page, load: of_load.clone(), ledger },
        exporter,
        recorded,
        processes: rt.process_count(),
        descriptors: machine::descriptors(),
    };
    let load =
        Arc::new(Load { rt: rt.clone(), truth, steps: RwLock::new(()), page, faults: of_load });
    let drivers = tokio::spawn(load::run(load.clone()));
    let mut wrong = watch(&checks, &load, time).await;
    drivers.abort();
    let _ = drivers.await;

    is_over.store(true, Ordering::Release);
    tree.stop().await?;
    let left = rt.process_count();
    println!("{}", checks.line());
    let readers = checks.readers.clone();
    drop((checks, load, tree, rt));
    for (name, reader) in [("plain reader", plain), ("page", events), ("listener", listener)] {
        if timeout(Duration::from_secs(5), reader).await.is_err() {
            wrong.push(format!("the {name} has not ended with the runtime"));
        }
    }
    // With the faults at the stop.
    wrong.extend(readers.faults());
    wrong.extend(readers.ledger.unchecked());
    if left > 0 {
        wrong.push(format!("{left} processes are left"));
    }
    wrong.iter().for_each(|wrong| println!("WRONG: {wrong}"));
    println!("{}", if wrong.is_empty() { "soak: passed" } else { "soak: FAILED" });
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns how long the test runs.
fn time() -> Result<Duration, Failure> {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds").skip(1);
    let seconds = match arguments.next() {
        Some(seconds) => seconds.parse()?,
        None if std::env::var("REGROW_PROOF").is_ok_and(|proof| proof == "full") => 7_200,
        None => 30,
    };
    Ok(Duration::from_secs(seconds))
}

/// Pauses the load again and again, and checks all numbers. Returns what was wrong. A number that was
/// wrong ends the test.
async fn watch(checks: &Checks, load: &Load, time: Duration) -> Vec<String> {
    let (begin, every) = (Instant::now(), (time / 15).min(Duration::from_secs(10)));
    let (mut resident, mut printed) = (Vec::new(), Duration::ZERO);
    while begin.elapsed() < time {
        sleep(every).await;
        let pause = load.steps.write().await;
        let wrong = checks.settle().await;
        resident.push(machine::resident());
        drop(pause);
        let elapsed = begin.elapsed();
        if !wrong.is_empty()
            || printed == Duration::ZERO
            || elapsed - printed >= Duration::from_secs(60)
        {
            printed = elapsed;
            let (now, ticks) = (machine::resident(), machine::ticks() as f64);
            let busy = ticks / elapsed.as_secs_f64();
            let (seconds, line) = (elapsed.as_secs(), checks.line());
            let descriptors = checks.descriptors;
            println!(
                "after {seconds} s: {now} KiB, {descriptors} descriptors, {busy:.1} % of a core; {line}"
            );
        }
        if !wrong.is_empty() {
            return wrong;
        }
    }
    let most = if time < Duration::from_secs(600) { EARLY_GROWTH } else { GROWTH.1 };
    growth(&resident, most).into_iter().collect()
}

/// Compares the memory of the second quarter of the time with that of the last one. Fewer than four
/// samples are a fault.
fn growth(resident: &[u64], most: u64) -> Option<String> {
    let quarter = resident.len() / 4;
    if quarter == 0 {
        return Some(format!(
            "the memory was read {} times, too rarely to compare",
            resident.len()
        ));
    }
    let median = |from: usize| {
        let mut part = resident.get(from..from + quarter)?.to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied()
    };
    let (second, last) = (median(quarter)?, median(resident.len() - quarter)?);
    println!("resident: {second} KiB in the second quarter, {last} KiB in the last");
    let most = second + ((second as f64 * GROWTH.0) as u64).max(most);
    (last > most).then(|| format!("the memory grew from {second} to {last} KiB"))
}
