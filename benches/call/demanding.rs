//! Calls with content, 64 bytes each way: with and without a deadline, by name, and how long each
//! single call takes.
//!
//! Raw: a task that receives a request with a oneshot from an mpsc channel and replies through it.
//! Where a row says so, raw too waits no longer than five seconds, by `tokio::time::timeout`.

use std::time::{Duration, Instant};

use regrow::{GenServer, Reply, Result, Runtime, ServerContext, ServerRef};
use tokio::sync::{mpsc, oneshot};

use crate::support::{Bench, Row, Target, nanos_each, shut_down};

const CALLERS: usize = 64;
const SIZE: usize = 256_000;
const LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn rows(bench: &Bench) {
    let one = Calls { callers: 1, servers: 1, how: How::Deadline };
    let many = Calls { callers: CALLERS, servers: CALLERS, ..one };
    let unlimited = |calls| Calls { how: How::Unlimited, ..calls };
    let row = |text, target| Row { text, unit: "ns", target: Target::Ratio(target), size: SIZE };
    let compare = |text, target, raw: Calls, calls: Calls| {
        let raw_cost = move |n| async move { raw_calls(n, raw, false).await.1 };
        bench.compare(&row(text, target), raw_cost, move |n| mean(n, calls));
    };
    compare("one caller, 5 s deadline", 1.15, unlimited(one), one);
    compare("64 callers of 64 servers, 5 s deadline", 1.15, unlimited(many), many);
    compare("one caller, no deadline", 1.1, unlimited(one), unlimited(one));
    compare("64 callers of 64 servers, no deadline", 1.1, unlimited(many), unlimited(many));
    compare("one caller, 5 s deadline, raw: a timeout", 1.0, one, one);
    compare("64 callers of 64 servers, raw: a timeout", 1.0, many, many);

    let burst = Calls { callers: CALLERS, servers: 1, how: How::Unlimited };
    each_call(bench, "64 callers of one server", burst);
    each_call(bench, "the same, 5 s deadline", Calls { how: How::Deadline, ..burst });

    bench.header("a call by name", ["handle", "name", "ratio"]);
    let by_name = row("one caller, no deadline, by name", 1.1);
    let named = Calls { how: How::Named, ..one };
    bench.compare(&by_name, move |n| mean(n, unlimited(one)), move |n| mean(n, named));
}

async fn mean(size: usize, calls: Calls) -> f64 {
    regrow_calls(size, calls, false).await.1
}

/// The percentiles of single calls. Raw has no deadline.
fn each_call(bench: &Bench, text: &'static str, calls: Calls) {
    let row = Row { text, unit: "µs", target: Target::Ratio(1.05), size: SIZE };
    let raw = Calls { how: How::Unlimited, ..calls };
    bench.percentiles(
        &row,
        move |n| async move { raw_calls(n, raw, true).await.0 },
        move |n| async move { regrow_calls(n, calls, true).await.0 },
    );
}

/// How a server is called.
#[derive(Clone, Copy)]
enum How {
    Deadline,
    Unlimited,
    /// By a name, without a deadline.
    Named,
}

#[derive(Clone, Copy)]
struct Calls {
    callers: usize,
    servers: usize,
    how: How,
}

/// What a call asks, and what the server answers: 64 bytes each.
type Content = [u64; 8];

fn question(n: usize) -> Content {
    [n as u64; 8]
}

fn answer(question: Content) -> Content {
    question.map(|word| word + 1)
}

/// Something that can be called.
trait Client: Send + Sync + 'static {
    fn call(&self, question: Content) -> impl Future<Output = Content> + Send;
}

type Request = (Content, oneshot::Sender<Content>);

fn raw_server() -> mpsc::UnboundedSender<Request> {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Request>();
    tokio::spawn(async move {
        while let Some((question, reply)) = receiver.recv().await {
            let _ = reply.send(answer(question));
        }
    });
    sender
}

struct RawClient(mpsc::UnboundedSender<Request>, How);

impl Client for RawClient {
    async fn call(&self, question: Content) -> Content {
        let (reply, answer) = oneshot::channel();
        self.0.send((question, reply)).expect("the task runs");
        let answer = match self.1 {
            How::Deadline => tokio::time::timeout(LIMIT, answer).await.expect("in time"),
            How::Unlimited | How::Named => answer.await,
        };
        answer.expect("the server replies")
    }
}

async fn raw_calls(size: usize, calls: Calls, timed: bool) -> Costs {
    let servers: Vec<_> = (0..calls.servers).map(|_| raw_server()).collect();
    let client = |at: usize| RawClient(servers[at % servers.len()].clone(), calls.how);
    run_callers(size, calls.callers, timed, client).await
}

struct ServerClient(ServerRef<Answers>, How);

impl Client for ServerClient {
    async fn call(&self, question: Content) -> Content {
        let ask = |reply| Ask { question, reply };
        let answer = match self.1 {
            How::Deadline => self.0.call_timeout(ask, LIMIT).await,
            How::Unlimited | How::Named => self.0.call_unlimited(ask).await,
        };
        answer.expect("the server replies")
    }
}

async fn regrow_calls(size: usize, calls: Calls, timed: bool) -> Costs {
    let rt = Runtime::new();
    let mut servers = Vec::new();
    for at in 0..calls.servers {
        let server = Answers::start(&rt, ()).await.expect("it starts");
        assert!(rt.register(format!("server {at}"), server.pid().expect("it runs")));
        servers.push(match calls.how {
            How::Named => rt.server(format!("server {at}")),
            How::Deadline | How::Unlimited => server,
        });
    }
    let client = |at: usize| ServerClient(servers[at % servers.len()].clone(), calls.how);
    let costs = run_callers(size, calls.callers, timed, client).await;
    shut_down(&rt).await;
    costs
}

/// How long each call takes, if that is measured, and the nanoseconds of a call.
type Costs = (Vec<Duration>, f64);

/// Makes `size` calls from `callers` tasks.
async fn run_callers<C: Client>(
    size: usize,
    callers: usize,
    timed: bool,
    client: impl Fn(usize) -> C,
) -> Costs {
    let times = size.div_ceil(callers);
    let start = Instant::now();
    let spawn = |at| {
        let client = client(at);
        tokio::spawn(async move {
            let mut waits = Vec::with_capacity(if timed { times } else { 0 });
            let mut last = Instant::now();
            for n in 0..times {
                assert_eq!(client.call(question(n)).await[7], n as u64 + 1);
                if timed {
                    let now = Instant::now();
                    waits.push(now - last);
                    last = now;
                }
            }
            waits
        })
    };
    let mut waits = Vec::new();
    for caller in (0..callers).map(spawn).collect::<Vec<_>>() {
        waits.extend(caller.await.expect("it ends"));
    }
    (waits, nanos_each(start, times * callers))
}

struct Answers;

struct Ask {
    question: Content,
    reply: Reply<Content>,
}

impl GenServer for Answers {
    type Args = ();
    type Call = Ask;
    type Cast = ();

    async fn init(_: (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Answers)
    }

    async fn handle_call(&mut self, ask: Ask, _: &mut ServerContext<Self>) -> Result {
        ask.reply.send(answer(ask.question));
        Ok(())
    }

    async fn handle_cast(&mut self, _: (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}
