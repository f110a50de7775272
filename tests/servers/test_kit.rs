//! The test kit: trees that belong to a test, waiting for an idle tree, collectors, and the texts of
//! failures.

use crate::support;

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::testing::{
    Collector, Mock, Probe, RunningTree, await_exit, await_idle, collector, tree,
};
use regrow::{
    ChildSpec, ExitReason, GenServer, Leftovers, Name, Received, Reply, Result, Runtime, Sender,
    ServerContext, Shutdown, Supervisor, SupervisorSpec,
};
use support::ledger::{Call, Cast, Init, LEDGER, Ledger, Setup};
use support::{crash, down, from_one, settled, text};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

fn ms(time: u64) -> Duration {
    Duration::from_millis(time)
}

const SECOND: Duration = Duration::from_secs(1);

/// Returns the text of the panic of a future.
async fn panic_of<T>(future: impl Future<Output = T>) -> String {
    let Err(panic) = AssertUnwindSafe(future).catch_unwind().await else { panic!("no panic") };
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => (*panic.downcast_ref::<&str>().expect("a text")).to_owned(),
    }
}

/// Asserts that a failure names this line of this file, and then says this.
fn assert_failure(text: &str, line: u32, said: &str) {
    let begin = format!("tests/servers/test_kit.rs:{line}:");
    assert!(text.starts_with(&begin), "{text:?} does not begin with {begin:?}");
    let rest = text.split_once(": ").map_or("", |(_, rest)| rest);
    assert_eq!(rest, said);
}

fn ledger() -> SupervisorSpec {
    Supervisor::one_for_one().child(Ledger::child(Setup::default()).named(LEDGER.as_str()))
}

/// A relay: passes a number on, one smaller, until it is zero; each takes a millisecond.
struct Relay(Option<Name<Relay>>, Sender<u32>);

impl GenServer for Relay {
    type Args = (Option<Name<Relay>>, Sender<u32>);
    type Call = Reply<()>;
    type Cast = u32;

    async fn init((next, done): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Relay(next, done))
    }

    async fn handle_cast(&mut self, left: u32, ctx: &mut ServerContext<Self>) -> Result {
        if left == 0 {
            self.1.send(left);
        } else if let Some(next) = self.0 {
            sleep(ms(1)).await;
            ctx.runtime().server(next).cast(left - 1);
        }
        Ok(())
    }
}

const PING: Name<Relay> = Name::new("ping");
const PONG: Name<Relay> = Name::new("pong");

/// Two relays that pass a number to each other.
fn relays(done: &Sender<u32>) -> SupervisorSpec {
    let relay = |name: Name<Relay>, next| {
        Relay::child((Some(next), done.clone())).named(name.as_str()).with_id(name.as_str())
    };
    Supervisor::one_for_one().child(relay(PING, PONG)).child(relay(PONG, PING))
}

/// The closure gets the tree and its runtime, and its result is returned. Afterwards all is stopped.
#[tokio::test(start_paused = true)]
async fn a_test_tree_is_started_stopped_and_checked() {
    let (ended, runtime) = tree(ledger())
        .run(async |tree: &RunningTree| {
            let ledger = tree.runtime().server(LEDGER);
            ledger.cast(Cast::Write(7));
            assert_eq!(ledger.call(Call::Lines).await, Ok(vec![7]));
            assert_eq!(tree.count_children().await.unwrap().active, 1);
            let mut probe = Probe::new(tree.runtime());
            probe.monitor(ledger.pid().unwrap());
            probe.assert_silent();
            (ledger.ended(), tree.runtime().clone())
        })
        .await;
    assert_eq!(ended.await, ExitReason::Shutdown);
    assert_eq!(runtime.leftovers(), Leftovers::default());
}

/// What the test leaves in the runtime fails it: each is counted, and the processes are named.
#[tokio::test(start_paused = true)]
async fn a_test_tree_that_leaves_something_fails_with_what_it_left() {
    let line = line!() + 1;
    let run = tree(ledger()).run(async |tree: &RunningTree| {
        let rt = tree.runtime();
        let leaked = rt.spawn(|_| pending()).pid();
        rt.set_label(leaked, "leaked");
        rt.register("its name", leaked);
        rt.send_after(leaked, SECOND * 7200, b"late".to_vec());
    });
    let said = "the stopped tree has left 1 processes, 1 names, 1 timers:\n  its name #3 is at work \
                of its own";
    assert_failure(&from_one(panic_of(run).await), line, said);
}

/// The number of processes is that before the test, but one of them is another.
#[tokio::test(start_paused = true)]
async fn a_process_that_is_left_is_found_also_if_an_older_one_has_ended() {
    let rt = Runtime::new();
    let old = rt.spawn(|_| pending()).pid();
    let line = line!() + 1;
    let run = tree(ledger()).on(&rt).run(async |tree: &RunningTree| {
        let leaked = tree.runtime().spawn(|_| pending()).pid();
        tree.runtime().set_label(leaked, "leaked");
        tree.runtime().kill(old);
    });
    let said = "the stopped tree has left 1 processes:\n  leaked #4 is at work of its own";
    assert_failure(&from_one(panic_of(run).await), line, said);
}

/// A panic of the test goes on after the tree was stopped in order: `terminate` has run.
#[tokio::test(start_paused = true)]
async fn a_panic_of_the_test_stops_the_tree_and_goes_on() {
    let (ends, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let setup = Setup { trap: true, ends: Some(ends), ..Setup::default() };
    let spec = Supervisor::one_for_one().child(Ledger::child(setup));
    let run = tree(spec).run(async |tree: &RunningTree| {
        // Leftovers do not replace the panic of the test.
        tree.runtime().spawn(|_| pending());
        panic!("the test fails");
    });
    assert_eq!(panic_of(run).await, "the test fails");
    assert_eq!(ended.try_recv(), Ok(ExitReason::Shutdown));
}

/// A test that is dropped, by a time limit around it, kills its tree.
#[tokio::test(start_paused = true)]
async fn a_test_tree_that_is_dropped_is_killed() {
    let rt = Runtime::new();
    let mut probe = Probe::new(&rt);
    let (started, child) = oneshot::channel();
    let run = tree(ledger()).on(&rt).run(async |_: &RunningTree| {
        started.send(rt.whereis("ledger").unwrap()).unwrap();
        pending::<()>().await;
    });
    assert!(timeout(SECOND, run).await.is_err());
    let child = child.await.unwrap();
    let exit = await_exit(&rt, child);
    settled().await;
    assert!(matches!(exit.await, ExitReason::Killed | ExitReason::NoProc));
    let reference = probe.monitor(child);
    probe.expect(down(reference, child, ExitReason::NoProc)).await;
    assert_eq!(rt.process_count(), 1, "only the probe");
}

/// A tree that does not stop in time is killed, and the message names what still ran.
#[tokio::test(start_paused = true)]
async fn a_test_tree_that_does_not_stop_fails_with_what_still_ran() {
    let stuck = ChildSpec::task("stuck", |mut ctx| async move {
        let _stop_is_ignored = ctx.cancellation_token();
        pending().await
    });
    let spec = Supervisor::one_for_one().named("top");
    let spec = spec.child(stuck.shutdown(Shutdown::Infinity));
    let start = Instant::now();
    let line = line!() + 1;
    let run = tree(spec).stop_within(SECOND).run(async |_: &RunningTree| {});
    let text = from_one(panic_of(run).await);
    assert!(start.elapsed() < SECOND * 3, "{:?}", start.elapsed());
    let (said, processes) = text.split_once('\n').unwrap();
    assert_failure(said, line, "the tree did not stop within 1s:");
    assert!(processes.contains("  top #1 is "), "{processes}");
    assert!(processes.contains("  stuck #2 is at work of its own"), "{processes}");
}

/// A failed start fails the test, and a tree that gives up or is stopped by the test does not.
#[tokio::test(start_paused = true)]
async fn a_test_tree_may_end_but_must_start() {
    let setup = Setup { init: Init::Fails(crash("no ink")), ..Setup::default() };
    let spec = Supervisor::one_for_one().child(Ledger::child(setup));
    let line = line!() + 1;
    let text = panic_of(tree(spec).run(async |_: &RunningTree| {})).await;
    assert_failure(&text, line, text.split_once(": ").unwrap().1);
    assert!(text.contains("the tree did not start: "), "{text}");
    assert!(text.contains("no ink"), "{text}");

    tree(ledger()).run(async |tree: &RunningTree| drop(tree.stop().await)).await;
    let gives_up = ledger().intensity(0, SECOND);
    let ended = tree(gives_up)
        .run(async |tree: &RunningTree| {
            let ended = tree.ended();
            tree.runtime().kill(tree.runtime().whereis("ledger").unwrap());
            ended.await
        })
        .await;
    assert!(ended.is_abnormal(), "{ended:#}");
}

/// All that follows from a message is over, on a paused clock exactly then.
#[tokio::test(start_paused = true)]
async fn await_idle_waits_for_all_that_follows_from_a_message() {
    let rt = Runtime::new();
    let mut done = collector(&rt);
    let spec = relays(&done);
    tree(spec)
        .on(&rt)
        .run(async |tree: &RunningTree| {
            let start = Instant::now();
            await_idle(tree).await;
            assert_eq!(start.elapsed(), ms(1));

            rt.server(PING).cast(50);
            await_idle(tree).await;
            assert_eq!(done.drain(), [0]);
            assert!(start.elapsed() <= ms(53), "{:?}", start.elapsed());
        })
        .await;
    drop(done);
}

/// The same on a real clock, with processes on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn await_idle_works_on_a_real_clock_and_several_threads() {
    let rt = Runtime::new();
    let mut done = collector(&rt);
    let spec = relays(&done).child(ChildSpec::task("task", |_| pending()));
    tree(spec)
        .on(&rt)
        .run(async |tree: &RunningTree| {
            for _ in 0..5 {
                rt.server(PING).cast(10);
                await_idle(tree).await;
                assert_eq!(done.drain(), [0]);
            }
        })
        .await;
    drop(done);
}

/// A crash and its restart are over when the tree is idle. A delayed restart is not waited for.
#[tokio::test(start_paused = true)]
async fn an_idle_tree_has_handled_its_crashes() {
    tree(ledger())
        .run(async |tree: &RunningTree| {
            let first = tree.runtime().whereis("ledger").unwrap();
            tree.runtime().server(LEDGER).cast(Cast::Fail);
            await_idle(tree).await;
            let second = tree.runtime().whereis("ledger").unwrap();
            assert!(second > first);
        })
        .await;
}

/// A tree that is never idle: the message names the process, what it does, and what waits for it.
#[tokio::test(start_paused = true)]
async fn await_idle_names_the_process_that_is_not_idle() {
    let idle = tree(ledger()).stop_within(SECOND).run(async |tree: &RunningTree| {
        tree.runtime().track_handlers(true);
        let ledger = tree.runtime().server(LEDGER);
        let slow = ledger.clone();
        let slow = tokio::spawn(async move {
            drop(slow.call_unlimited(|reply| Call::Slow(SECOND * 86400 * 9, reply)).await);
        });
        settled().await;
        ledger.cast(Cast::Write(1));
        let (line, idle) = (line!(), await_idle(tree));
        let text = from_one(panic_of(idle).await);
        let said = "waited a day for an idle tree: ledger #2 is in handle_call for ";
        assert!(text.contains(said), "{text}");
        assert!(text.ends_with(", with 1 queued"), "{text}");
        assert_failure(&text, line, text.split_once(": ").unwrap().1);
        tree.runtime().kill(ledger.pid().unwrap());
        slow.await.unwrap();
    });
    idle.await;
}

/// A collector is a sender for the code under test, and hands out what came, within time limits.
#[tokio::test(start_paused = true)]
async fn a_collector_is_a_sender_and_hands_out_what_came() {
    let rt = Runtime::new();
    let mut words: Collector<&str> = collector(&rt);
    let sender: Sender<&str> = words.clone();
    assert_eq!(sender.pid(), Some(words.pid()));
    for word in ["a", "b", "c"] {
        assert!(sender.send(word));
    }
    rt.send(words.pid(), b"no word".to_vec());
    assert_eq!(words.next().await, "a");
    assert_eq!(words.drain(), ["b", "c"]);
    words.assert_empty();

    let start = Instant::now();
    let late = sender.clone();
    tokio::spawn(async move {
        for word in ["d", "e"] {
            sleep(SECOND).await;
            late.send(word);
        }
    });
    assert_eq!(words.drain_for(ms(1_500)).await, ["d"]);
    assert_eq!(start.elapsed(), ms(1_500));
    assert_eq!(words.next_within(SECOND).await, "e");
    assert_eq!(start.elapsed(), SECOND * 2);

    let numbers = (0..1_000).map(|_| "n").filter(|n| sender.send(n)).count();
    assert_eq!(words.drain().len(), numbers, "all of it, however much");

    let ended = sender.ended();
    drop(words);
    assert_eq!(ended.await, ExitReason::Normal);
    assert!(!sender.send("f"));
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// The failures of a collector name the line, the type, and what came.
#[tokio::test(start_paused = true)]
async fn the_failures_of_a_collector_name_the_line_and_the_type() {
    let rt = Runtime::new();
    let mut numbers: Collector<u8> = collector(&rt);
    let (line, next) = (line!(), numbers.next_within(SECOND));
    assert_failure(&panic_of(next).await, line, "waited 1s for a u8");
    let (line, next) = (line!(), numbers.next());
    assert_failure(&panic_of(next).await, line, "waited a day for a u8: nothing else is due");
    numbers.send(7);
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| numbers.assert_empty()));
    let panic = panic.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*panic, "expected no message, but collected [7]");
    rt.kill(numbers.pid());
    let (line, next) = (line!(), numbers.next());
    let said = "the collector has ended and receives nothing more: killed";
    assert_failure(&panic_of(next).await, line, said);
}

/// `expect_match` returns the item that it accepts. The failures of a probe name the line of the
/// test, what was awaited, and what came instead.
#[tokio::test(start_paused = true)]
async fn the_failures_of_a_probe_name_the_line_and_what_was_awaited() {
    let rt = Runtime::new();
    let mut probe = Probe::new(&rt);
    rt.send(probe.pid(), b"seven".to_vec());
    let item = probe.expect_match(|item| matches!(item, Received::Message(_))).await;
    assert_eq!(item, text("seven"));

    let (line, expects) = (line!(), probe.expect(text("a")));
    let said = format!("waited a day for {:?}: nothing else is due", text("a"));
    assert_failure(&panic_of(expects).await, line, &said);
    let is_down = |item: &Received| matches!(item, Received::Down { .. });
    let (line, expects) = (line!(), probe.expect_match(is_down));
    let said = "waited a day for an item that the closure accepts: nothing else is due";
    assert_failure(&panic_of(expects).await, line, said);

    rt.send(probe.pid(), b"b".to_vec());
    let (line, expects) = (line!(), probe.expect_match(is_down));
    let came = format!("but received {:?}", text("b"));
    let said = format!("expected an item that the closure accepts, {came}");
    assert_failure(&panic_of(expects).await, line, &said);
    rt.send(probe.pid(), b"b".to_vec());
    let (line, expects) = (line!(), probe.expect(text("a")));
    let said = format!("expected {:?}, {came}", text("a"));
    assert_failure(&panic_of(expects).await, line, &said);
}

/// The other waits of the test kit name the line of the test as well.
#[tokio::test(start_paused = true)]
async fn the_failures_of_other_waits_name_the_line_and_what_was_awaited() {
    let rt = Runtime::new();
    let mut mock = Mock::<Ledger>::new(&rt);
    let (line, call) = (line!(), mock.next_call());
    assert_failure(&panic_of(call).await, line, "waited a day for a call: nothing else is due");
    mock.server().cast(Cast::Write(1));
    let (line, call) = (line!(), mock.next_call());
    assert_failure(&panic_of(call).await, line, "expected a call, but got Cast(..)");

    let (line, exit) = (line!(), await_exit(&rt, mock.pid()));
    let said = format!("waited a day for the end of {}: nothing else is due", mock.pid());
    assert_failure(&panic_of(exit).await, line, &said);
    let mut ctx = regrow::testing::TestContext::<Ledger>::new(&rt);
    let mut state = Ledger::init(Setup::default(), &mut ctx).await.unwrap();
    let (line, handled) = (line!(), ctx.handle_next(&mut state));
    let said = "waited a day for something to handle: nothing else is due";
    assert_failure(&panic_of(handled).await, line, said);
}
