//! Processes that do not yield are reported while they hold their thread.
//!
//! A process here holds its thread until the test has received the report. So a test passes only if
//! the report is made while the poll runs.

use crate::support;

use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use regrow::testing::{LogLine, capture};
use regrow::{
    Callback, Events, ExitReason, GenServer, LifecycleEvent, Pid, Reply, Result, Runtime,
    ServerContext, Supervisor,
};
use support::OnDrop;
use tokio::runtime::{Builder, Runtime as Tokio};
use tokio::task::{block_in_place, yield_now};
use tokio::time::timeout;
use tracing::Level;

/// Short, since each report waits for it; but longer than the operating system lets a thread wait
/// that is ready to run, even on a busy machine.
const LIMIT: Duration = Duration::from_millis(50);

fn current_thread() -> Tokio {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn multi_thread(workers: usize) -> Tokio {
    Builder::new_multi_thread().worker_threads(workers).enable_time().build().unwrap()
}

/// Creates a runtime whose polls are watched, and a listener for its events.
fn watched(tokio: &Tokio) -> (Runtime, Events) {
    let rt = tokio.block_on(async { Runtime::new() });
    rt.watch_polls(LIMIT).unwrap();
    let events = rt.events();
    (rt, events)
}

/// Runs the tasks of a tokio runtime on a thread of its own, until the process has ended.
fn drive(tokio: Tokio, rt: &Runtime, until: Pid) -> JoinHandle<()> {
    let ended = rt.ended(until);
    thread::spawn(move || drop(tokio.block_on(ended)))
}

/// A report: the process, and what the report says of it.
#[derive(Debug, PartialEq)]
struct Report {
    pid: Pid,
    label: Option<String>,
    path: Option<String>,
    callback: Option<Callback>,
}

/// Waits for the next event of the watch, on another tokio runtime than the watched one.
fn next(events: &mut Events) -> LifecycleEvent {
    loop {
        let event = current_thread().block_on(async {
            let event = timeout(Duration::from_secs(60), events.next()).await;
            event.expect("there is a report").expect("the runtime lives")
        });
        if matches!(event, LifecycleEvent::LongPoll { .. } | LifecycleEvent::LongPollEnded { .. }) {
            return event;
        }
    }
}

fn next_report(events: &mut Events) -> Report {
    match next(events) {
        LifecycleEvent::LongPoll { pid, label, path, callback, elapsed } => {
            assert!(elapsed >= LIMIT, "{elapsed:?}");
            let [label, path] = [label, path].map(|text| text.map(|text| text.to_string()));
            Report { pid, label, path, callback }
        }
        event => panic!("{event:?}"),
    }
}

fn report(pid: Pid) -> Report {
    Report { pid, label: None, path: None, callback: None }
}

fn next_end(events: &mut Events) -> Pid {
    match next(events) {
        LifecycleEvent::LongPollEnded { pid, elapsed, .. } => {
            assert!(elapsed >= LIMIT, "{elapsed:?}");
            pid
        }
        event => panic!("{event:?}"),
    }
}

/// Blocks until the sender is used or dropped.
fn block_on(wait: &Receiver<()>) {
    let _ = wait.recv();
}

/// A process that holds its thread until the sender is used or dropped.
fn blocker(rt: &Runtime) -> (Pid, Sender<()>) {
    let (release, wait) = mpsc::channel();
    let pid = rt.spawn(move |_| async move { block_on(&wait) }).pid();
    (pid, release)
}

/// The report comes while the process holds the only thread of the tokio runtime, and so that no
/// task of it runs. It is one event and one line of the log, and so is the end.
#[test]
fn a_process_that_blocks_its_thread_is_reported_while_it_does() {
    for tokio in [current_thread(), multi_thread(1)] {
        let (rt, mut events) = watched(&tokio);
        let mut captured = capture(&rt);
        let (pid, release) = blocker(&rt);
        rt.set_label(pid, "busy");
        let program = drive(tokio, &rt, pid);
        let label = Some("busy".to_owned());
        assert_eq!(next_report(&mut events), Report { label, ..report(pid) });
        release.send(()).unwrap();
        assert_eq!(next_end(&mut events), pid);
        program.join().unwrap();

        let lines = captured.take_lines();
        let is_own = |line: &&LogLine| line.message().contains("yield");
        let line = lines.iter().find(is_own).expect("the line of the report");
        assert_eq!((line.level(), line.target()), (Level::WARN, "regrow::process"));
        assert_eq!(line.message(), "a process does not yield");
        assert_eq!(line.field("pid"), Some(&*pid.to_string()));
        assert_eq!((line.field("label"), line.field("callback")), (Some("busy"), None));
        assert!(line.field("elapsed").is_some(), "{line}");
    }
}

/// A poll that computes is reported once, however long it takes; the next one of the same process
/// is reported again. The time is that of the system, also while the clock of tokio is paused.
#[test]
fn a_process_that_computes_is_reported_once_for_each_poll() {
    let tokio = multi_thread(2);
    let (rt, mut events) = watched(&tokio);
    let (release, wait) = mpsc::channel::<()>();
    let spinner = rt.spawn(move |_| async move {
        loop {
            match wait.try_recv() {
                Ok(()) => yield_now().await,
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    });
    for _ in 0..2 {
        assert_eq!(next_report(&mut events), report(spinner.pid()));
        for _ in 0..3 {
            let (pid, release) = blocker(&rt);
            assert_eq!(next_report(&mut events), report(pid), "the spinner is not reported again");
            drop(release);
            assert_eq!(next_end(&mut events), pid);
        }
        release.send(()).unwrap();
        assert_eq!(next_end(&mut events), spinner.pid());
    }
}

#[test]
fn a_paused_clock_does_not_pause_the_watch_of_polls() {
    let tokio = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (rt, mut events) = watched(&tokio);
    let (pid, release) = blocker(&rt);
    let program = drive(tokio, &rt, pid);
    assert_eq!(next_report(&mut events), report(pid));
    drop(release);
    program.join().unwrap();
}

/// A process that is polled all the time, each time shortly, yields. It runs beside one that does
/// not yield for as long as three reports take.
#[test]
fn a_process_that_yields_is_not_reported_however_busy_it_is() {
    let tokio = multi_thread(2);
    let (rt, mut events) = watched(&tokio);
    let busy = rt.spawn(|_| async {
        loop {
            (0..10_000).for_each(|_| std::hint::spin_loop());
            yield_now().await;
        }
    });
    for _ in 0..3 {
        let (pid, release) = blocker(&rt);
        assert_eq!(next_report(&mut events), report(pid), "the busy one is {}", busy.pid());
        drop(release);
        assert_eq!(next_end(&mut events), pid);
    }
}

type Waits = Arc<Mutex<Receiver<()>>>;

/// Blocks in `handle_call` and `terminate` until the test allows it to go on.
struct Server(Waits);

impl Server {
    fn block(&self) {
        block_on(&self.0.lock().unwrap());
    }
}

/// Blocks when it is dropped.
struct Blocking(Receiver<()>);

impl Drop for Blocking {
    fn drop(&mut self) {
        block_on(&self.0);
    }
}

impl GenServer for Server {
    type Args = Waits;
    type Call = Reply<()>;
    type Cast = Blocking;

    async fn init(waits: Waits, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true); // so that `terminate` runs when its supervisor stops it
        Ok(Server(waits))
    }

    async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
        yield_now().await;
        block_in_place(|| self.block());
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, _: Self::Cast, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.block();
    }
}

fn waits() -> (Sender<()>, Waits) {
    let (release, waits) = mpsc::channel();
    (release, Arc::new(Mutex::new(waits)))
}

/// The report of a server in a tree has the path of the server and the callback that runs; code in
/// `block_in_place` counts. The callback is known without other switches, in a later poll of the
/// handler, and in `terminate`.
#[test]
fn the_report_of_a_server_has_its_path_and_its_callback() {
    let tokio = multi_thread(2);
    let (rt, mut events) = watched(&tokio);
    let mut captured = capture(&rt);
    let (release, waits) = waits();
    let server = Server::child(waits).with_id("first").named("till");
    let tills = Supervisor::one_for_one().with_id("tills").child(server);
    let shop = Supervisor::one_for_one().with_id("shop").child(tills);
    let shop = tokio.block_on(shop.start(&rt)).unwrap();
    let pid = rt.whereis("till").unwrap();
    let expected = |callback| Report {
        label: Some("first".to_owned()),
        path: Some("shop/tills/first".to_owned()),
        callback: Some(callback),
        pid,
    };
    let till = rt.server::<Server>("till");
    let call = tokio.spawn(async move { till.call_unlimited(|reply| reply).await });
    assert_eq!(next_report(&mut events), expected(Callback::HandleCall));
    release.send(()).unwrap();
    assert_eq!(next_end(&mut events), pid);
    tokio.block_on(call).unwrap().unwrap();
    assert_eq!(rt.info(pid).unwrap().handling, None, "handlers are not tracked");

    let stop = tokio.spawn(async move { shop.stop().await });
    assert_eq!(next_report(&mut events), expected(Callback::Terminate));
    release.send(()).unwrap();
    tokio.block_on(stop).unwrap().unwrap();
    // The line of a poll is written before the event of its end.
    assert_eq!(next_end(&mut events), pid);
    let lines = captured.take_lines();
    let is_own = |line: &&LogLine| line.message() == "a process does not yield";
    let callbacks: Vec<_> =
        lines.iter().filter(is_own).map(|line| line.field("callback").unwrap()).collect();
    assert_eq!(callbacks, ["handle_call", "terminate"]);
}

/// The values of a process that is killed, and the messages that it leaves, are dropped in a poll.
/// When the messages are dropped the process is in no table any more.
#[test]
fn destructors_count_as_part_of_a_poll() {
    let tokio = multi_thread(1);
    let (rt, mut events) = watched(&tokio);
    let ((release, wait), (starts, started)) = (mpsc::channel::<()>(), mpsc::channel());
    let holder = rt.spawn(move |_| async move {
        let _held = OnDrop::new(move || block_on(&wait));
        starts.send(()).unwrap();
        std::future::pending().await
    });
    started.recv().unwrap();
    assert!(rt.kill(holder.pid()));
    assert_eq!(next_report(&mut events), report(holder.pid()));
    drop(release);
    assert_eq!(next_end(&mut events), holder.pid());

    let (_running, waits) = waits();
    let server = tokio.block_on(Server::spec(waits).label("left").start(&rt)).unwrap();
    let (release, wait) = mpsc::channel();
    let pid = server.pid().unwrap();
    let (hold, held) = blocker(&rt); // the only worker handles nothing meanwhile
    assert_eq!(next_report(&mut events).pid, hold);
    assert!(server.cast(Blocking(wait)));
    assert!(rt.kill(pid));
    drop(held);
    assert_eq!(next_end(&mut events), hold);
    let label = Some("left".to_owned());
    assert_eq!(next_report(&mut events), Report { label, ..report(pid) });
    assert!(!rt.is_alive(pid));
    drop(release);
    assert_eq!(next_end(&mut events), pid);
}

/// Tokio drops the tasks of a runtime that shuts down, each outside of a poll.
#[test]
fn the_drop_of_a_process_by_tokio_counts_as_a_poll() {
    let tokio = current_thread();
    let (rt, mut events) = watched(&tokio);
    let (release, wait) = mpsc::channel::<()>();
    let held = OnDrop::new(move || block_on(&wait));
    let holder = rt.spawn(move |_| async move {
        let _held = held;
        std::future::pending().await
    });
    let shutdown = thread::spawn(move || drop(tokio));
    assert_eq!(next_report(&mut events), report(holder.pid()));
    drop(release);
    assert_eq!(next_end(&mut events), holder.pid());
    shutdown.join().unwrap();
}

/// A process that is polled inside of the poll of another one, in a second runtime, does not hide the
/// outer one, and is reported itself when it blocks.
#[test]
fn nested_polls_are_reported_each_by_its_own_time() {
    let (outer_tokio, inner_tokio) = (multi_thread(1), current_thread());
    let (outer_rt, mut outer_events) = watched(&outer_tokio);
    let (rt, mut events) = watched(&inner_tokio);
    let (release, mut stop) = tokio::sync::oneshot::channel::<()>();
    let (release_inner, wait) = mpsc::channel::<()>();
    let inner = rt.spawn(move |_| async move {
        while stop.try_recv().is_err() {
            yield_now().await;
        }
        block_on(&wait);
    });
    let (pid, ended) = (inner.pid(), rt.ended(inner.pid()));
    let outer = outer_rt.spawn(move |_| async move {
        block_in_place(|| {
            inner_tokio.block_on(ended);
            drop(inner_tokio);
        });
    });
    assert_eq!(next_report(&mut outer_events), report(outer.pid()), "its inner polls are short");
    release.send(()).unwrap();
    assert_eq!(next_report(&mut events), report(pid));
    drop(release_inner);
    assert_eq!(next_end(&mut events), pid);
    assert_eq!(next_end(&mut outer_events), outer.pid());
}

/// Each runtime is watched by itself. One that was turned off reports nothing, and is turned on
/// again with its thread or with another one.
#[test]
fn only_the_runtimes_that_watch_report() {
    let tokio = multi_thread(2);
    let (on, mut events) = watched(&tokio);
    let (off, mut no_events) = watched(&tokio);
    for _ in 0..2 {
        off.watch_polls(None).unwrap();
        let (unwatched, held) = blocker(&off);
        let (pid, release) = blocker(&on);
        assert_eq!(next_report(&mut events), report(pid));
        drop((held, release));
        assert_eq!(next_end(&mut events), pid);
        tokio.block_on(off.ended(unwatched));

        off.watch_polls(LIMIT).unwrap();
        let (pid, release) = blocker(&off);
        assert_eq!(next_report(&mut no_events), report(pid), "nothing came before this");
        drop(release);
        assert_eq!(next_end(&mut no_events), pid);
    }
}

/// A thread of tokio that ends, and one that begins, do not disturb the watch.
#[test]
fn polls_of_threads_that_come_and_go_are_watched() {
    let tokio = multi_thread(1);
    let (rt, mut events) = watched(&tokio);
    for _ in 0..3 {
        // The process blocks a thread, and tokio gives its worker to another one.
        let (release, wait) = mpsc::channel::<()>();
        let moving = rt.spawn(move |_| async move { block_in_place(|| block_on(&wait)) });
        assert_eq!(next_report(&mut events), report(moving.pid()));
        let (pid, free) = blocker(&rt);
        assert_eq!(next_report(&mut events), report(pid));
        drop(free);
        assert_eq!(next_end(&mut events), pid);
        drop(release);
        assert_eq!(next_end(&mut events), moving.pid());
    }
}

/// With the longest limit no poll is reported; with the shortest one, a poll of some milliseconds is.
#[test]
fn zero_is_the_shortest_limit_and_max_reports_nothing() {
    let tokio = multi_thread(2);
    let (rt, mut events) = watched(&tokio);
    rt.watch_polls(Duration::MAX).unwrap();
    let (never, held) = blocker(&rt);
    let other = tokio.block_on(async { Runtime::new() });
    other.watch_polls(LIMIT).unwrap();
    let mut other_events = other.events();
    let (pid, release) = blocker(&other);
    assert_eq!(next_report(&mut other_events), report(pid));
    drop((held, release));
    tokio.block_on(rt.ended(never));

    rt.watch_polls(Duration::ZERO).unwrap();
    let (pid, release) = blocker(&rt);
    match next(&mut events) {
        LifecycleEvent::LongPoll { pid: of, elapsed, .. } => {
            assert_eq!(of, pid, "nothing came before this");
            assert!(elapsed >= Duration::from_millis(4), "{elapsed:?}");
        }
        event => panic!("{event:?}"),
    }
    drop(release);
}
