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
//! The first word is `cast`, `call` or `send`. Without `observed` there is no observation. Without
//! words, each kind runs a few rounds.
//!
//! With the first word `cascade`, `downs` or `spawn`, the program measures many processes at once
//! instead, and the number is that of the processes: all are linked to one that is killed, all monitor
//! one that ends, or all are spawned and then joined. The word after the number, `before`, ends the
//! program before the end of the one, so that the difference of two runs is the cost of the
//! notifications.

use regrow::{
    ChildSpec, GenServer, Observation, Reply, Result, Runtime, ServerContext, Supervisor,
};
use tokio::task::yield_now;

struct Echo;

impl GenServer for Echo {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Echo)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

fn main() {
    let words: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let tokio = tokio.expect("tokio starts");
    match &words[..] {
        [kind, size, rest @ ..] if ["cascade", "downs", "spawn"].contains(&kind.as_str()) => {
            let size = size.parse().expect("a number of processes");
            tokio.block_on(many(kind, size, !rest.is_empty()));
        }
        [kind, rounds, rest @ ..] => {
            let rounds = rounds.parse().expect("a number of rounds");
            tokio.block_on(run(kind, rounds, !rest.is_empty()));
        }
        _ => {
            for (kind, observed) in [("cast", false), ("call", true), ("send", false)] {
                tokio.block_on(run(kind, 10, observed));
            }
            for kind in ["cascade", "downs", "spawn"] {
                tokio.block_on(many(kind, 10, false));
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
