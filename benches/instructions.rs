//! What a message costs while there is no observation, and while there is one: its instructions.
//!
//! Times differ from run to run by more than an observation could cost, so this program does a number
//! of rounds, and callgrind counts their instructions. The difference between two runs, divided by
//! that of their rounds, is the cost of one round: a cast, a call, or a send by pid, and its handling,
//! on a tokio runtime of one thread.
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

#[path = "support/echo.rs"]
mod echo;

use echo::Echo;
use regrow::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, GenServer, Observation, Runtime, Supervisor,
};
use tokio::task::yield_now;

/// The number of nodes of a picture.
const NODES: usize = 5_000;

/// The number of children of each supervisor.
const EACH: usize = 99;

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tokio = tokio.expect("tokio starts");
    match &words[..] {
        [kind, rounds, rest @ ..] => {
            let rounds = rounds.parse().expect("a number of rounds");
            match kind.as_str() {
                "picture" | "listed" => tokio.block_on(pictures(kind, rounds)),
                kind => tokio.block_on(run(kind, rounds, !rest.is_empty())),
            }
        }
        _ => {
            tokio.block_on(pictures("picture", 1));
            tokio.block_on(pictures("listed", 1));
            for (kind, observed) in [("cast", false), ("call", true), ("send", false)] {
                tokio.block_on(run(kind, 10, observed));
            }
        }
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
