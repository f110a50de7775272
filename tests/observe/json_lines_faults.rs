//! Events as lines of JSON with a writer that fails, panics, or causes events itself: each event has
//! its line or is counted.

use crate::support;

use std::io::{self, Write};
use std::sync::{Arc, Mutex, mpsc};

use regrow::{Events, Pid, Runtime, Supervisor, SupervisorRef, json_lines};
use serde_json::Value;
use support::settled;

/// What the writers of a test have written, and how the next calls of them fail.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    buffer: Vec<u8>,
    writes: usize,
    failing_writes: usize,
    failing_flushes: usize,
    panics: bool,
    on_write: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl Disk {
    fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        act(&mut self.0.lock().expect("no holder of the lock panics"))
    }

    /// Starts a tree with a sink that writes to this disk.
    async fn sink(&self, rt: &Runtime) -> SupervisorRef {
        let disk = self.clone();
        let sink = json_lines("sink", move || Ok(disk.clone()));
        let tree = Supervisor::one_for_one().unlimited_restarts().child(sink);
        let tree = tree.start(rt).await.unwrap();
        settled().await;
        tree
    }

    /// All lines that are whole.
    fn lines(&self) -> Vec<Value> {
        let text = self.with(|state| String::from_utf8(state.bytes.clone()).unwrap());
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let on_write = self.with(|state| {
            state.writes += 1;
            state.on_write.clone()
        });
        on_write.inspect(|act| act());
        let panics = self.with(|state| {
            let panics = std::mem::take(&mut state.panics);
            if panics {
                state.bytes.extend_from_slice(&bytes[..10]);
            }
            panics
        });
        assert!(!panics, "the disk is on fire");
        self.with(|state| {
            if state.failing_writes > 0 {
                state.failing_writes -= 1;
                return Err(io::Error::other("disk full"));
            }
            state.buffer.extend_from_slice(bytes);
            Ok(bytes.len())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.with(|state| {
            let buffer = std::mem::take(&mut state.buffer);
            if state.failing_flushes > 0 {
                state.failing_flushes -= 1;
                state.bytes.extend_from_slice(&buffer[..buffer.len() / 3]);
                return Err(io::Error::other("disk full"));
            }
            state.bytes.extend_from_slice(&buffer);
            Ok(())
        })
    }
}

fn emit(rt: &Runtime, count: u64) {
    for n in 0..count {
        rt.log_spawn(Pid::from_raw(n), "crowd", "");
    }
}

/// Returns the number of events that have happened, except those of the stop itself.
async fn all(rt: &Runtime, mut events: Events) -> u64 {
    rt.log_spawn(Pid::from_raw(0), "the last event", "");
    let mut all = 0;
    while let Some(event) = events.next().await {
        all += 1;
        if format!("{event:?}").contains("the last event") {
            return all;
        }
    }
    unreachable!("the runtime exists")
}

/// The number of events that lines stand for: each its own, and what is missing.
fn stood_for(lines: &[Value]) -> u64 {
    lines.iter().map(|line| line["missed"].as_u64().unwrap_or(1)).sum()
}

/// Lets the sink fail as `faults` says, and compares what it has written with what has happened.
async fn nothing_is_lost_uncounted(faults: impl FnOnce(&mut State)) -> Vec<Value> {
    let (rt, disk) = (Runtime::new(), Disk::default());
    let events = rt.events();
    let tree = disk.sink(&rt).await;
    disk.with(faults);
    emit(&rt, 100);
    settled().await;
    let all = all(&rt, events).await;
    tree.stop().await.unwrap();
    let lines = disk.lines();
    // The supervisor was started before its child: its event is one more of the other listener.
    assert_eq!(stood_for(&lines), all - 1, "{lines:#?}");
    lines
}

/// The `missed` line of an incarnation is lost with its batch, and the next one counts for it.
#[tokio::test(start_paused = true)]
async fn a_missed_line_that_is_lost_is_counted_for_all_that_it_stands_for() {
    let lines = nothing_is_lost_uncounted(|state| state.failing_writes = 2).await;
    let missed: Vec<u64> = lines.iter().filter_map(|line| line["missed"].as_u64()).collect();
    assert!(missed.len() == 1 && missed[0] > 100, "{missed:?}");
}

/// What a writer took and could not flush counts as lost.
#[tokio::test(start_paused = true)]
async fn lines_that_could_not_be_flushed_are_counted_as_missed() {
    let (rt, disk) = (Runtime::new(), Disk::default());
    let tree = disk.sink(&rt).await;
    disk.with(|state| state.failing_flushes = 1);
    emit(&rt, 100);
    settled().await;
    tree.stop().await.unwrap();
    let missed = disk.lines().iter().filter_map(|line| line["missed"].as_u64()).sum::<u64>();
    assert_eq!(missed, 100);
    // The line that was cut in two is alone on its line.
    let text = disk.with(|state| String::from_utf8(state.bytes.clone()).unwrap());
    let broken = text.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).count();
    assert_eq!(broken, 1, "{text}");
}

/// A panic of the writer in the middle of a line: the cut line is alone on its line.
#[tokio::test(start_paused = true)]
async fn a_writer_that_panics_in_a_line_leaves_the_next_lines_whole() {
    let lines = nothing_is_lost_uncounted(|state| state.panics = true).await;
    assert_eq!(lines.iter().filter_map(|line| line["missed"].as_u64()).sum::<u64>(), 100);
}

/// Each write causes events. The stop writes those that are queued when it is asked for, and ends.
#[tokio::test(start_paused = true)]
async fn events_that_never_cease_do_not_delay_the_stop() {
    let (rt, disk) = (Runtime::new(), Disk::default());
    let tree = disk.sink(&rt).await;
    let (of_write, writes) = (rt.clone(), Arc::new(Mutex::new(0)));
    let count = Arc::clone(&writes);
    disk.with(|state| {
        state.on_write = Some(Arc::new(move || {
            let mut writes = count.lock().unwrap();
            *writes += 1;
            if *writes < 10_000 {
                emit(&of_write, 3);
            }
        }));
    });
    emit(&rt, 1);
    while disk.with(|state| state.writes) < 10 {
        tokio::task::yield_now().await;
    }
    tree.stop().await.unwrap();
    let writes = *writes.lock().unwrap();
    assert!(writes < 10_000, "the sink has stopped only when no more events came");
}

/// A writer whose destructor waits until the test lets it continue.
struct SlowDrop(mpsc::Receiver<()>, Arc<Mutex<Vec<&'static str>>>);

impl Write for SlowDrop {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SlowDrop {
    fn drop(&mut self) {
        let _ = self.0.recv();
        self.1.lock().unwrap().push("dropped");
    }
}

/// The writer of a killed sink is dropped on a thread of its own, before the next one is opened.
#[tokio::test(start_paused = true)]
async fn the_writer_of_a_killed_sink_blocks_no_worker_and_is_dropped_before_the_next_is_opened() {
    let rt = Runtime::new();
    let steps = Arc::new(Mutex::new(Vec::new()));
    let (gates, of_sink) = (Arc::new(Mutex::new(Vec::new())), Arc::clone(&steps));
    let of_open = Arc::clone(&gates);
    let sink = json_lines("sink", move || {
        let (gate, waits) = mpsc::channel();
        of_open.lock().unwrap().push(gate);
        of_sink.lock().unwrap().push("opened");
        Ok(SlowDrop(waits, Arc::clone(&of_sink)))
    });
    let tree = Supervisor::one_for_one().child(sink.named("sink"));
    let tree = tree.start(&rt).await.unwrap();
    settled().await;
    let first = rt.whereis("sink").unwrap();
    rt.kill(first);
    while rt.whereis("sink").is_none_or(|now| now == first) {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*steps.lock().unwrap(), ["opened"]);
    gates.lock().unwrap().clear(); // the destructor continues
    while steps.lock().unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(*steps.lock().unwrap(), ["opened", "dropped", "opened"]);
    gates.lock().unwrap().clear();
    tree.stop().await.unwrap();
}
