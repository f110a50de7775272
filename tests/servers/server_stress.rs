//! Thousands of calls to servers that crash, stop and drop replies at random: each call resolves
//! once, with the true outcome.
//!
//! A record gives the possible outcomes of each call: the handler records what it is about to do
//! with the call, and every incarnation has a monitor that records its exit reason. No two reasons
//! are equal, so the test detects a caller that receives the reason of another server or of another
//! incarnation.

use crate::support::rng;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use regrow::testing::await_exit;
use regrow::{
    CallError, ExitReason, GenServer, Leftovers, Name, Pid, Reply, Result, Runtime, ServerContext,
    ServerRef, Supervisor,
};
use rng::Rng;
use tokio::task::JoinHandle;

const SLOTS: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];
const THREADS: u64 = 4;
const CALLS: u64 = 20_000;
/// The number of concurrent calls of one thread.
const BATCH: u64 = 10;
const FOREVER: Duration = Duration::from_secs(300);

/// The outcome of a call in its handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Replied,
    /// Kept, or being handled when the server ended.
    Kept,
    Dropped,
}

/// The records of the handlers and of the threads that end servers.
#[derive(Default)]
struct Books {
    fates: Mutex<HashMap<u64, (Pid, Fate)>>,
    lives: Mutex<Vec<Life>>,
    /// The exit signals from outside, with the slot of the target. The server may not have run at
    /// that time.
    struck: Mutex<Vec<(&'static str, ExitReason)>>,
}

/// One incarnation: its slot, its pid, and its exit reason.
struct Life {
    slot: &'static str,
    pid: Pid,
    end: JoinHandle<ExitReason>,
}

impl Books {
    fn write(&self, call: u64, pid: Pid, fate: Fate) {
        let before = self.fates.lock().unwrap().insert(call, (pid, fate));
        let kept = before.is_none() || before == Some((pid, Fate::Kept));
        assert!(kept, "call {call} came twice: {before:?}, and {fate:?} in {pid}");
    }
}

/// A server that treats each call at random.
struct Fickle {
    books: Arc<Books>,
    kept: Vec<Question>,
}

enum Call {
    Ask(Question),
    /// Answers half of the kept calls, and drops the others.
    LetGo(Reply<()>),
}

struct Question {
    number: u64,
    reply: Reply<u64>,
}

#[derive(Clone, Copy)]
enum Whim {
    Reply,
    ReplyElsewhere,
    Keep,
    Drop,
    DropElsewhere,
    ReplyToAll,
    DropAll,
    Panic,
    Fail,
    Stop,
}

const WHIMS: [(usize, Whim); 10] = [
    (50, Whim::Reply),
    (8, Whim::ReplyElsewhere),
    (10, Whim::Keep),
    (8, Whim::Drop),
    (4, Whim::DropElsewhere),
    (5, Whim::ReplyToAll),
    (3, Whim::DropAll),
    (3, Whim::Panic),
    (3, Whim::Fail),
    (2, Whim::Stop),
];

impl GenServer for Fickle {
    type Args = (&'static str, Arc<Books>);
    type Call = Call;
    type Cast = ();

    async fn init((slot, books): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let pid = ctx.pid();
        let end = tokio::spawn(await_exit(&ctx.runtime(), pid));
        books.lives.lock().unwrap().push(Life { slot, pid, end });
        Ok(Fickle { books, kept: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        let pid = ctx.pid();
        let call = match call {
            Call::Ask(question) => question,
            Call::LetGo(reply) => {
                self.let_go(pid, |number| number.is_multiple_of(2));
                reply.send(());
                return Ok(());
            }
        };
        let number = call.number;
        let whim = Rng::new(number).weighted(&WHIMS);
        self.books.write(number, pid, Fate::Kept);
        match whim {
            Whim::Reply => self.reply(call, pid),
            Whim::Keep => self.kept.push(call),
            Whim::Drop => self.drop(call, pid),
            Whim::ReplyElsewhere | Whim::DropElsewhere => self.elsewhere(call, pid, whim),
            Whim::ReplyToAll | Whim::DropAll => {
                self.kept.push(call);
                self.let_go(pid, |_| matches!(whim, Whim::ReplyToAll));
            }
            // Like a panic, but without the panic hook.
            Whim::Panic => std::panic::resume_unwind(Box::new(format!("panic {number}"))),
            Whim::Fail => return Err(ExitReason::crashed(format!("failure {number}"))),
            Whim::Stop => return Err(ExitReason::shutdown_with(format!("stop {number}"))),
        }
        if number.is_multiple_of(7) {
            // An exit signal can arrive here, in the middle of the handler.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

impl Fickle {
    fn let_go(&mut self, pid: Pid, replies: impl Fn(u64) -> bool) {
        for call in std::mem::take(&mut self.kept) {
            if replies(call.number) { self.reply(call, pid) } else { self.drop(call, pid) }
        }
    }

    fn reply(&self, call: Question, pid: Pid) {
        self.books.write(call.number, pid, Fate::Replied);
        call.reply.send(call.number);
    }

    fn drop(&self, call: Question, pid: Pid) {
        self.books.write(call.number, pid, Fate::Dropped);
        drop(call);
    }

    /// Replies or drops the reply in another task, whatever happens to the server meanwhile.
    fn elsewhere(&self, call: Question, pid: Pid, whim: Whim) {
        let fate = if matches!(whim, Whim::ReplyElsewhere) { Fate::Replied } else { Fate::Dropped };
        self.books.write(call.number, pid, fate);
        tokio::spawn(async move {
            tokio::task::yield_now().await;
            if fate == Fate::Replied {
                call.reply.send(call.number);
            }
        });
    }
}

type Outcome = (u64, &'static str, Result<u64, CallError>);

/// Makes the calls of one thread. In some batches it also ends a server from outside, for a unique
/// reason.
async fn client(rt: Runtime, books: Arc<Books>, thread: u64) -> Vec<Outcome> {
    let mut rng = Rng::new(thread + 1);
    let mut outcomes = Vec::new();
    for batch in 0..CALLS / THREADS / BATCH {
        let calls = (0..BATCH).map(|n| {
            let number = (thread << 32) | (batch * BATCH + n);
            let slot = rng.pick(&SLOTS);
            let (server, waits) = (rt.server(Name::<Fickle>::new(slot)), rng.percent(50));
            async move { (number, slot, call(&server, number, waits).await) }
        });
        let calls: Vec<_> = calls.collect();
        let slot = rng.pick(&SLOTS);
        let victim: ServerRef<Fickle> = rt.server(Name::new(slot));
        let reason = ExitReason::crashed(format!("outside {thread} {batch}"));
        let end = async {
            match batch % 25 {
                0 => {
                    books.struck.lock().unwrap().push((slot, reason.clone()));
                    victim.pid().map(|pid| rt.exit(pid, reason));
                }
                12 => drop(victim.stop_timeout(reason, FOREVER).await),
                _ => {}
            }
        };
        outcomes.extend(tokio::join!(join_all(calls), end).0);
    }
    outcomes
}

/// Calls a server. A call that waits reaches the successor; any other fails with `Restarting`.
async fn call(server: &ServerRef<Fickle>, number: u64, waits: bool) -> Result<u64, CallError> {
    let make = |reply| Call::Ask(Question { number, reply });
    if waits {
        server.call_waiting(make, FOREVER).await
    } else {
        server.call_timeout(make, FOREVER).await
    }
}

/// Resolves the kept calls: without a later call, they would stay unanswered.
async fn let_go(rt: &Runtime) {
    for slot in SLOTS {
        // A server that is ending resolves its kept calls by its end, so an error is fine.
        let _ = rt.server(Name::<Fickle>::new(slot)).call_waiting(Call::LetGo, FOREVER).await;
    }
}

/// 20,000 calls from 4 threads. GS-016, GS-017, GS-022, GS-045.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_to_crashing_servers_resolves_once_with_the_true_outcome() {
    let (rt, books) = (Runtime::new(), Arc::new(Books::default()));
    let mut spec = Supervisor::one_for_one().intensity(u32::MAX, Duration::from_secs(1));
    for slot in SLOTS {
        spec = spec.child(Fickle::child((slot, books.clone())).with_id(slot).named(slot));
    }
    let tree = spec.start(&rt).await.unwrap();
    let handle = tokio::runtime::Handle::current();
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (handle, client) = (handle.clone(), client(rt.clone(), books.clone(), thread));
            std::thread::spawn(move || handle.block_on(client))
        })
        .collect();
    while !threads.iter().all(std::thread::JoinHandle::is_finished) {
        let_go(&rt).await;
        tokio::task::yield_now().await;
    }
    tree.stop().await.unwrap();
    let outcomes: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(outcomes.len() as u64, CALLS);
    judge(outcomes, &books).await;
    assert_eq!(rt.leftovers(), Leftovers::default());
}

async fn judge(outcomes: Vec<Outcome>, books: &Books) {
    let mut ends = HashMap::new();
    let lives = std::mem::take(&mut *books.lives.lock().unwrap());
    for Life { slot, pid, end } in lives {
        ends.insert(pid, (slot, end.await.unwrap()));
    }
    let (fates, struck) = (books.fates.lock().unwrap(), books.struck.lock().unwrap());
    let mut tally = [0; 4];
    for (number, slot, outcome) in outcomes {
        let fate = fates.get(&number).copied();
        let ended_so = |reason: &ExitReason| match fate {
            Some((pid, _)) => ends[&pid] == (slot, reason.clone()),
            // The call was queued and never handled. Its reason tells which incarnation had it.
            None => {
                let end = (slot, reason.clone());
                ends.values().any(|known| *known == end) || struck.contains(&end)
            }
        };
        let (kind, true_) = match (&outcome, fate.map(|(_, fate)| fate)) {
            (Ok(value), fate) => (0, *value == number && fate == Some(Fate::Replied)),
            (Err(CallError::NoReply), fate) => (1, fate == Some(Fate::Dropped)),
            (Err(CallError::Exited(_)), Some(Fate::Replied)) => (2, false),
            (Err(CallError::Exited(reason)), _) => (2, ended_so(reason)),
            (Err(CallError::NoHolder(_) | CallError::Restarting { .. }), fate) => {
                (3, fate.is_none())
            }
            _ => (3, false),
        };
        assert!(true_, "call {number} of {slot} returned {outcome:?}, but was {fate:?}");
        tally[kind] += 1;
    }
    assert!(tally.iter().all(|kind| *kind > 100), "too little of something: {tally:?}");
}
