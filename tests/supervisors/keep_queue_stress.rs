//! Many callers of a server that keeps its queue and crashes all the time.
//!
//! Each sender numbers its items. The server notes when the handler of an item begins and when it
//! ends. Afterwards each item that was accepted has begun exactly once, in the order of its sender,
//! and each call has the result that its notes allow.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{
    CallError, GenServer, LifecycleEvent, Name, Reply, Result, Runtime, ServerContext, Supervisor,
};
use tokio::task::{JoinSet, yield_now};

const FRAIL: Name<Frail> = Name::new("frail");
const SENDERS: u32 = 4;
const ITEMS: u32 = 300;
const POISONOUS: u32 = 13;

/// The sender of an item, and its number.
type Item = (u32, u32);

#[derive(Clone, Default)]
struct Notes {
    begun: Arc<Mutex<Vec<Item>>>,
    ended: Arc<Mutex<Vec<Item>>>,
}

struct Frail(Notes);

struct Call(Item, Reply<Item>);

impl Frail {
    async fn handle(&mut self, item: Item) {
        self.0.begun.lock().unwrap().push(item);
        if item.1.is_multiple_of(7) {
            yield_now().await; // a kill may end the handler here
        }
        assert!(!item.1.is_multiple_of(POISONOUS), "a poisonous item");
        self.0.ended.lock().unwrap().push(item);
    }
}

impl GenServer for Frail {
    type Args = Notes;
    type Call = Call;
    type Cast = Item;

    async fn init(notes: Notes, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Frail(notes))
    }

    async fn handle_call(
        &mut self,
        Call(item, reply): Call,
        _: &mut ServerContext<Self>,
    ) -> Result {
        self.handle(item).await;
        reply.send(item);
        Ok(())
    }

    async fn handle_cast(&mut self, item: Item, _: &mut ServerContext<Self>) -> Result {
        self.handle(item).await;
        Ok(())
    }
}

/// Casts all items, each until it is accepted.
async fn cast_all(rt: Runtime, sender: u32) {
    let server = rt.server(FRAIL);
    for number in 1..=ITEMS {
        while !server.cast((sender, number)) {
            yield_now().await;
        }
        if number % 3 == 0 {
            yield_now().await;
        }
    }
}

/// Calls with all items, each until it is accepted. Returns the results of those that failed.
async fn call_all(rt: Runtime, sender: u32) -> Vec<(Item, CallError)> {
    let (server, mut failed) = (rt.server(FRAIL), Vec::new());
    for number in 1..=ITEMS {
        let item = (sender, number);
        loop {
            match server.call_unlimited(|reply| Call(item, reply)).await {
                Ok(answer) => assert_eq!(answer, item),
                Err(CallError::Restarting { .. } | CallError::NoProc) => {
                    yield_now().await;
                    continue;
                }
                Err(error) => failed.push((item, error)),
            }
            break;
        }
    }
    failed
}

/// Kills the server again and again.
async fn kill_all(rt: Runtime, done: Arc<AtomicBool>) {
    let mut seed = 7_u32;
    while !done.load(Ordering::Relaxed) {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for _ in 0..(seed >> 24) {
            yield_now().await;
        }
        if let Some(pid) = rt.whereis("frail") {
            rt.kill(pid);
        }
    }
}

/// Each sender's items, in the order in which their handlers began.
fn by_sender(begun: &[Item]) -> HashMap<u32, Vec<u32>> {
    let mut numbers: HashMap<u32, Vec<u32>> = HashMap::new();
    begun.iter().for_each(|(sender, number)| numbers.entry(*sender).or_default().push(*number));
    numbers
}

async fn run(kills: bool, watched: bool) {
    let (rt, notes, done) = (Runtime::new(), Notes::default(), Arc::new(AtomicBool::new(false)));
    let child = Frail::child(notes.clone()).named(FRAIL).keep_queue();
    let child = if watched { child.warn_after(Duration::from_secs(3600)) } else { child };
    let spec = Supervisor::one_for_one().unlimited_restarts().child(child);
    let tree = spec.start(&rt).await.unwrap();
    let mut events = rt.events();
    let mut casts = JoinSet::new();
    let mut calls = JoinSet::new();
    for sender in 0..SENDERS {
        casts.spawn(cast_all(rt.clone(), sender));
        calls.spawn(call_all(rt.clone(), SENDERS + sender));
    }
    let killer = kills.then(|| tokio::spawn(kill_all(rt.clone(), done.clone())));
    casts.join_all().await;
    let failed: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
    done.store(true, Ordering::Relaxed);
    if let Some(killer) = killer {
        killer.await.unwrap();
    }
    let all = (2 * SENDERS * ITEMS) as usize;
    let begun = || notes.begun.lock().unwrap().len();
    check_failures(&failed, &notes, kills);
    crate::support::until("every item has begun", || begun() >= all).await;
    tree.stop().await.unwrap();

    let begun = notes.begun.lock().unwrap().clone();
    let expected: Vec<u32> = (1..=ITEMS).collect();
    for (sender, numbers) in by_sender(&begun) {
        assert_eq!(numbers, expected, "sender {sender}");
    }
    assert_eq!((begun.len(), rt.unhandled_messages()), (all, 0));
    let handed_on =
        std::iter::from_fn(|| futures_util::FutureExt::now_or_never(events.next()).flatten());
    assert!(handed_on.into_iter().any(|event| {
        matches!(event, LifecycleEvent::QueueHandedOn { calls, casts, .. } if calls + casts > 1)
    }));
}

/// A call has failed exactly if its handler has not ended: because the call is poisonous, or
/// because of a kill.
fn check_failures(failed: &[(Item, CallError)], notes: &Notes, kills: bool) {
    let ended = notes.ended.lock().unwrap();
    for (item, error) in failed {
        assert!(matches!(error, CallError::Exited(_)), "{item:?}: {error}");
        assert!(kills || item.1 % POISONOUS == 0, "{item:?} failed, but is not poisonous");
    }
    for item in notes.begun.lock().unwrap().iter().filter(|(sender, _)| *sender >= SENDERS) {
        let has_failed = failed.iter().any(|(failed, _)| failed == item);
        assert!(has_failed || ended.contains(item), "{item:?} has neither ended nor failed");
        assert!(!has_failed || kills || !ended.contains(item), "{item:?} has ended and failed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_item_of_a_server_that_crashes_all_the_time_is_handled_once_and_in_order() {
    run(false, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_item_of_a_server_that_is_killed_at_random_is_handled_once_and_in_order() {
    run(true, false).await;
    run(true, true).await;
}
