//! What a message costs while there is no observation, and while there is one: its instructions.
//!
//! Times differ from run to run by more than an observation could cost, so this program does a number
//! of rounds, and callgrind counts their instructions. The difference between two runs, divided by
//! that of their rounds, is the cost of one round: a cast, a call, or a send by pid, and its handling,
//! on a tokio runtime of one thread. With `machine` a round is a cast that changes the state of a state
//! machine, and with `stay` one that does not.
//!
//! ```text
//! cargo bench --bench instructions --no-run
//! for rounds in 1000 11000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null \
//!         target/release/deps/instructions-… call $rounds observed
//! done
//! ```
//!
//! The first word is `cast`, `call` or `send`. Without `observed` there is no observation. With `picture`
//! a round is a picture of a tree of [`NODES`] nodes, and with `listed` one of as many children of a
//! dynamic supervisor. Without words, each kind runs a few rounds.
//!
//! With `panic`, `error` or `group` a round is a restart: of one server after a panic or an error, or
//! of a hundred servers, `one_for_all`, after a panic. With `child` a round is the start and the
//! termination of a server under a dynamic supervisor. With the word `raw` after the number, the
//! supervisor is the one that the bench `supervision` compares with. With the word `workers`, these
//! rounds run on two workers, so that `strace -f -c -e futex` counts how often one wakes the other.
//!
//! With the first word `cascade`, `downs` or `spawn`, the program measures many processes at once
//! instead, and the number is that of the processes: all are linked to one that is killed, all monitor
//! one that ends, or all are spawned and then joined. The word after the number, `before`, ends the
//! program before the end of the one, so that the difference of two runs is the cost of the
//! notifications.

#[allow(dead_code)] // its children receive no other messages here
#[path = "supervision/by_hand.rs"]
mod by_hand;
#[path = "support/echo.rs"]
mod echo;

use by_hand::{Fails, Message, Order, Strategy};
use echo::Echo;
use regrow::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Event, GenServer, MachineContext, Next,
    Observation, Reply, Result, Runtime, ServerContext, ServerRef, StateMachine, Supervisor,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::yield_now;

/// The number of nodes of a picture.
const NODES: usize = 5_000;

/// The number of children of each supervisor.
const EACH: usize = 99;

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let mut tokio = match words.iter().any(|word| word == "workers") {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    let tokio = tokio.worker_threads(2).enable_all().build().expect("tokio starts");
    match &words[..] {
        [kind, size, rest @ ..] if ["cascade", "downs", "spawn"].contains(&kind.as_str()) => {
            let size = size.parse().expect("a number of processes");
            tokio.block_on(many(kind, size, !rest.is_empty()));
        }
        [kind, rounds, rest @ ..] => {
            let rounds = rounds.parse().expect("a number of rounds");
            let is_raw = rest.iter().any(|word| word == "raw");
            match kind.as_str() {
                "panic" if is_raw => tokio.block_on(raw_restart(1, rounds, Fails::Panic)),
                "error" if is_raw => tokio.block_on(raw_restart(1, rounds, Fails::Error)),
                "group" if is_raw => tokio.block_on(raw_restart(100, rounds, Fails::Panic)),
                "child" if is_raw => tokio.block_on(raw_children(rounds)),
                "child" => tokio.block_on(children(rounds)),
                "panic" | "error" => tokio.block_on(restart(1, rounds, kind == "panic")),
                "group" => tokio.block_on(restart(100, rounds, true)),
                "machine" | "stay" => tokio.block_on(machine(rounds, kind == "machine")),
                "picture" | "listed" => tokio.block_on(pictures(kind, rounds)),
                kind => tokio.block_on(run(kind, rounds, !rest.is_empty())),
            }
        }
        _ => tokio.block_on(each_once()),
    }
}

/// Runs each kind for a moment.
async fn each_once() {
    pictures("picture", 1).await;
    pictures("listed", 1).await;
    for (kind, observed) in [("cast", false), ("call", true), ("send", false)] {
        run(kind, 10, observed).await;
    }
    machine(10, true).await;
    restart(3, 2, true).await;
    raw_restart(3, 2, Fails::Panic).await;
    children(2).await;
    raw_children(2).await;
    for kind in ["cascade", "downs", "spawn"] {
        many(kind, 10, false).await;
    }
}

async fn run(kind: &str, rounds: usize, observed: bool) {
    let rt = Runtime::new();
    let receiver = ChildSpec::task("receiver", |mut ctx| async move {
        loop {
            ctx.recv().await;
        }
    });
    let tree = Supervisor::one_for_one().child(Echo::child(()).named("echo"));
    let tree = tree.child(receiver.named("receiver")).start(&rt).await.expect("it starts");
    let _reader = observed.then(|| tokio::spawn(read_all(rt.observe())));
    yield_now().await;
    let echo = rt.server_at::<Echo>(rt.whereis("echo").expect("it runs")).expect("it is an Echo");
    let receiver = rt.whereis("receiver").expect("it runs");
    for _ in 0..rounds {
        match kind {
            "cast" => assert!(echo.cast(())),
            "call" => echo.call(|reply| reply).await.expect("it replies"),
            "send" => assert!(rt.send(receiver, Vec::new())),
            other => panic!("`{other}` is no kind of message"),
        }
        yield_now().await;
    }
    tree.stop().await.expect("it stops");
}

/// Reads all that an observation delivers.
async fn read_all(mut observation: Observation) {
    while observation.next().await.is_some() {}
}

/// A state machine whose casts say whether its state changes.
struct Switch;

impl StateMachine for Switch {
    type Args = ();
    type State = bool;
    type Call = ();
    type Cast = bool;
    type Payload = ();

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(bool, Self)> {
        Ok((false, Switch))
    }

    async fn handle_event(
        &mut self,
        on: &bool,
        event: Event<Self>,
        _: &mut MachineContext<'_, Self>,
    ) -> Result<Next<bool>> {
        match event {
            Event::Cast(true) => Ok(Next::State(!on)),
            _ => Ok(Next::Keep),
        }
    }

    fn state_name(on: &bool) -> &'static str {
        if *on { "on" } else { "off" }
    }
}

/// Sends casts to a state machine.
async fn machine(rounds: usize, changes: bool) {
    let rt = Runtime::new();
    let switch = Switch::start(&rt, ()).await.expect("it starts");
    for _ in 0..rounds {
        assert!(switch.cast(changes));
        yield_now().await;
    }
}

/// A server that reports its start, and fails on request.
struct Failing;

impl GenServer for Failing {
    type Args = Option<mpsc::UnboundedSender<ServerRef<Self>>>;
    type Call = Reply<()>;
    /// Whether to panic.
    type Cast = bool;

    async fn init(up: Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        if let Some(up) = up {
            let _ = up.send(ctx.this());
        }
        Ok(Failing)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, panics: bool, _: &mut ServerContext<Self>) -> Result {
        assert!(!panics, "as asked");
        Err("as asked")?
    }
}

/// Makes the last of these servers fail, and waits until it runs again.
async fn restart(servers: usize, rounds: usize, panics: bool) {
    std::panic::set_hook(Box::new(|_| {}));
    let rt = Runtime::new();
    let mut tree = Supervisor::one_for_all().unlimited_restarts();
    for n in 1..servers {
        tree = tree.child(Failing::child(None).with_id(format!("{n}")));
    }
    let (up, mut is_up) = mpsc::unbounded_channel();
    let tree = tree.child(Failing::child(Some(up)).with_id("last"));
    let tree = tree.start(&rt).await.expect("it starts");
    for _ in 0..rounds {
        let server = is_up.recv().await.expect("it is up");
        assert!(server.cast(panics));
    }
    is_up.recv().await.expect("it is up again");
    tree.stop().await.expect("it stops");
}

/// Does the same as [`restart`] with a supervisor by hand.
async fn raw_restart(servers: usize, rounds: usize, fails: Fails) {
    std::panic::set_hook(Box::new(|_| {}));
    let supervisor = by_hand::start(Strategy::OneForAll);
    let (up, mut is_up) = mpsc::unbounded_channel();
    for n in 1..=servers {
        let up = (n == servers).then(|| up.clone());
        raw(|started| supervisor.send(Order::Start(up, started))).await;
    }
    for _ in 0..rounds {
        let child = is_up.recv().await.expect("it is up");
        assert!(child.send(Message::Fail(fails)).is_ok());
    }
    is_up.recv().await.expect("it is up again");
    raw(|stopped| supervisor.send(Order::Stop(stopped))).await;
}

/// Sends a request with a channel for its answer, and awaits that.
async fn raw<T, E>(send: impl FnOnce(oneshot::Sender<T>) -> Result<(), E>) -> T {
    let (reply, answer) = oneshot::channel();
    assert!(send(reply).is_ok(), "the supervisor runs");
    answer.await.expect("it answers")
}

/// Starts and terminates a server under a dynamic supervisor.
async fn children(rounds: usize) {
    let rt = Runtime::new();
    let supervisor = DynamicSupervisor::new().start(&rt).await.expect("it starts");
    for _ in 0..rounds {
        let child = supervisor.start_child(Failing::child(None)).await.expect("it starts");
        supervisor.terminate_child(child).await.expect("it ends");
    }
    supervisor.stop().await.expect("it stops");
}

/// Does the same as [`children`] with a supervisor by hand.
async fn raw_children(rounds: usize) {
    let supervisor = by_hand::start(Strategy::Dynamic);
    for _ in 0..rounds {
        let child = raw(|started| supervisor.send(Order::Start(None, started))).await;
        raw(|ended| supervisor.send(Order::Terminate(child, ended))).await;
    }
    raw(|stopped| supervisor.send(Order::Stop(stopped))).await;
}

/// Starts many processes, and ends them at once unless the run stops `before` that.
async fn many(kind: &str, size: usize, before: bool) {
    let rt = Runtime::new();
    let first = rt.spawn(|mut ctx| async move { drop(ctx.recv().await) });
    let target = first.pid();
    let mut processes = Vec::with_capacity(size);
    for _ in 0..size {
        let process = match kind {
            "cascade" => rt.spawn(|mut ctx| async move { drop(ctx.recv().await) }),
            "downs" => rt.spawn(move |mut ctx| async move {
                ctx.runtime().monitor(ctx.pid(), target);
                drop(ctx.recv().await);
            }),
            _ => rt.spawn(|ctx| async move { drop(ctx) }),
        };
        if kind == "cascade" {
            assert!(rt.link(process.pid(), target));
        }
        processes.push(process);
    }
    for _ in 0..2 * size / 61 + 100 {
        yield_now().await;
    }
    if before {
        std::process::exit(0);
    }
    match kind {
        "cascade" => assert!(rt.kill(target)),
        _ => assert!(rt.send(target, Vec::new())),
    }
    for process in processes {
        process.join().await;
    }
}

/// Takes pictures of supervisors with idle children, or of one dynamic supervisor.
async fn pictures(kind: &str, rounds: usize) {
    let idle = |at: usize| ChildSpec::task(format!("worker {at}"), |_| std::future::pending());
    let rt = Runtime::new();
    let mut top = Supervisor::one_for_one().named("app");
    if kind == "listed" {
        top = top.child(DynamicSupervisor::new().named("workers"));
    } else {
        for at in 0..NODES / (EACH + 1) {
            let group = Supervisor::one_for_one().with_id(format!("group {at}"));
            top = top.child((0..EACH).map(idle).fold(group, |group, child| group.child(child)));
        }
    }
    let top = top.start(&rt).await.expect("it starts");
    if kind == "listed" {
        let workers = DynamicSupervisorRef::named(&rt, "workers");
        for at in 0..NODES {
            workers.start_child(idle(at)).await.expect("it starts");
        }
    }
    let mut observation = rt.observe().list_children(usize::MAX);
    for _ in 0..rounds {
        let picture = observation.picture().await;
        assert!(picture.nodes.len() > NODES, "the picture is complete");
    }
    top.stop().await.expect("it stops");
}
