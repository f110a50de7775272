//! A node of this crate: the server that is called, and the callers.

use std::io::{BufRead, stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use regrow::cluster::{Cookie, Node, RemoteServer, Resolver};
use regrow::{GenServer, Name, Reply, Result, Runtime, ServerContext, Supervisor};
use serde::{Deserialize, Serialize};
use tokio::task::{JoinSet, yield_now};

use crate::program::COOKIE;

const SPEED: Name<Speed> = Name::new("speed");

/// The time limit of a call.
const LIMIT: Duration = Duration::from_secs(60);

struct Speed(u64);

#[derive(Serialize, Deserialize)]
enum Call {
    /// `{price, Item}`
    Price { item: String, reply: Reply<u32> },
    /// `{echo, Binary}`
    Echo(String, Reply<String>),
    /// The number of casts so far.
    Total(Reply<u64>),
}

#[derive(Serialize, Deserialize)]
enum Cast {
    Add(u64),
}

impl GenServer for Speed {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Speed(0))
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Price { item, reply } => reply.send(u32::from(item == "milk")),
            Call::Echo(text, reply) => reply.send(text),
            Call::Total(reply) => reply.send(self.0),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, Cast::Add(n): Cast, _: &mut ServerContext<Self>) -> Result {
        self.0 += n;
        Ok(())
    }
}

/// Runs the node until the input ends.
pub(crate) fn run(name: &str, epmd: u16) {
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(2).enable_all().build().expect("tokio starts");
    let rt = Runtime::new();
    let node = Node::new(name).cookie(Cookie::new(COOKIE)).expose(SPEED);
    let node = node.resolver(Resolver::epmd_at(epmd).with_own_epmd());
    let tree = Supervisor::one_for_one().child(Speed::child(()).named(SPEED)).child(node);
    let tree = tree.start(&rt);
    let _tree = tokio.block_on(tree).expect("it starts");
    println!("ready");
    for order in stdin().lock().lines() {
        let order = order.expect("it is text");
        let words: Vec<_> = order.split_whitespace().map(String::from).collect();
        let [kind, node, first, second] = words.try_into().expect("an order has four words");
        let [first, second] =
            [first, second].map(|number: String| number.parse().expect("a number"));
        let there = rt.node(node).server(SPEED);
        let measured = tokio.spawn(async move { measure(&kind, there, first, second).await });
        let figures = tokio.block_on(measured).expect("it doesn't panic");
        println!("{}", figures.map(|f| format!("{f:.3}")).collect::<Vec<_>>().join(" "));
    }
}

async fn measure(
    kind: &str,
    there: RemoteServer<Speed>,
    first: usize,
    second: usize,
) -> std::vec::IntoIter<f64> {
    price(&there).await; // connects
    let figures = match kind {
        "calls" => calls(there, first, second).await,
        "casts" => casts(there, first, second).await,
        "echoes" => echoes(there, first, second).await,
        _ => beside(there, first, second).await,
    };
    figures.into_iter()
}

async fn price(there: &RemoteServer<Speed>) {
    let item = "milk".to_owned();
    let price = there.call_timeout(|reply| Call::Price { item, reply }, LIMIT).await;
    assert_eq!(price.expect("it answers"), 1);
}

async fn echo(there: &RemoteServer<Speed>, text: String) -> String {
    let echo = there.call_timeout(|reply| Call::Echo(text, reply), LIMIT).await;
    echo.expect("it answers")
}

/// Thousands of operations in a second.
fn rate(start: Instant, count: usize) -> Vec<f64> {
    vec![count as f64 / start.elapsed().as_secs_f64() / 1_000.0]
}

async fn calls(there: RemoteServer<Speed>, callers: usize, count: usize) -> Vec<f64> {
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..callers {
        let there = there.clone();
        tasks.spawn(async move {
            for _ in 0..count / callers {
                price(&there).await;
            }
        });
    }
    tasks.join_all().await;
    rate(start, count)
}

async fn casts(there: RemoteServer<Speed>, senders: usize, count: usize) -> Vec<f64> {
    let before = there.call(Call::Total).await.expect("it answers");
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..senders {
        let there = there.clone();
        tasks.spawn(async move {
            for sent in 0..count / senders {
                assert!(there.cast(Cast::Add(1)));
                if sent % 100 == 99 {
                    yield_now().await;
                }
            }
            there.call(Call::Total).await.expect("it answers")
        });
    }
    let total = tasks.join_all().await.into_iter().max();
    let all = (count / senders * senders) as u64;
    assert_eq!(total, Some(before + all));
    rate(start, count)
}

async fn echoes(there: RemoteServer<Speed>, bytes: usize, count: usize) -> Vec<f64> {
    let text = "x".repeat(bytes);
    let start = Instant::now();
    for _ in 0..count {
        assert_eq!(echo(&there, text.clone()).await.len(), bytes);
    }
    rate(start, count)
}

/// Calls, one after the other, while another process echoes.
async fn beside(there: RemoteServer<Speed>, bytes: usize, count: usize) -> Vec<f64> {
    let is_over = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let echoing = tokio::spawn({
        let (there, is_over) = (there.clone(), is_over.clone());
        async move {
            let mut text = "x".repeat(bytes);
            for _ in 0..count {
                text = echo(&there, text).await;
            }
            is_over.store(true, Relaxed);
            count as f64 / start.elapsed().as_secs_f64()
        }
    });
    let mut waits = Vec::new();
    loop {
        let begun = Instant::now();
        price(&there).await;
        waits.push(begun.elapsed().as_secs_f64() * 1_000.0);
        if is_over.load(Relaxed) {
            break;
        }
    }
    waits.sort_by(f64::total_cmp);
    let at = |percent: usize| waits[waits.len() * percent / 100];
    vec![at(50), at(99), echoing.await.expect("it doesn't panic")]
}
