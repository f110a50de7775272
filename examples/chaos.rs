//! A service that answers every request while its processes are killed.
//!
//! A small TCP service on loopback sockets: an acceptor, a process for each connection, and a cache
//! that the connections call by name. Clients keep the service busy, while a chaos monkey kills one
//! of its processes ten times a second. You learn what such a service needs: a port that outlives
//! its acceptor (`Keep`), calls that wait for a restart (`call_waiting`), a restart budget for the
//! expected number of crashes, and clients that retry.
//!
//! ```text
//! cargo run --example chaos                   twenty seconds; Ctrl-C ends it earlier
//! cargo run --example chaos -- --selftest     five seconds
//! ```
//!
//! You will see the tree before and after, with the number of restarts of each child; then the
//! number of requests and retries, and the latency. A request that has no correct answer within two
//! seconds has failed. If any request fails, the example exits with 1.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use regrow::{
    Backoff, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, GenServer, Keep, Name, Pid, Reply,
    Result, Runtime, ServerContext, Supervisor, SupervisorRef, TaskContext, TreeSnapshot,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The number of clients.
const CLIENTS: usize = 12;

/// How long a client pauses after each request.
const PAUSE: Duration = Duration::from_millis(2);

/// How long a request may take, with all its retries.
const LIMIT: Duration = Duration::from_secs(2);

/// The time between two kills.
const KILL_INTERVAL: Duration = Duration::from_millis(100);

/// The kinds of victims. The monkey picks a kind first, and then a process of that kind.
const KINDS: [&str; 4] = ["cache", "connections", "acceptor", "a connection"];

/// The cache is called by name, so its pid may change.
const CACHE: Name<Cache> = Name::new("cache");

/// Caches results that are expensive to compute, and computes the missing ones.
struct Cache(HashMap<u64, u32>);

struct Ask(u64, Reply<u32>);

impl GenServer for Cache {
    type Args = ();
    type Call = Ask;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Cache(HashMap::new()))
    }

    async fn handle_call(&mut self, Ask(n, reply): Ask, _: &mut ServerContext<Self>) -> Result {
        reply.send(*self.0.entry(n).or_insert_with(|| steps_to_one(n)));
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// The number of Collatz steps from `n` to 1: an even number is halved, an odd one becomes 3n + 1.
fn steps_to_one(n: u64) -> u32 {
    let next = |n: &u64| (*n > 1).then(|| if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 });
    std::iter::successors(Some(n), next).map(|_| 1).sum::<u32>() - 1
}

/// Children that others depend on start first; the acceptor, which admits clients, starts last.
async fn start_tree(rt: &Runtime, port: Keep<TcpListener>) -> Result<SupervisorRef> {
    let acceptor = ChildSpec::task("acceptor", move |ctx| accept(port, ctx));
    let tree = Supervisor::one_for_one()
        .named("chaos")
        .intensity(1_000, Duration::from_secs(10)) // a hundred kills are expected
        .backoff(Backoff::new().first(Duration::from_millis(5)).max(Duration::from_millis(20)))
        .child(Cache::child(()).named(CACHE).with_id("cache"))
        .child(DynamicSupervisor::new().named("connections"))
        .child(acceptor);
    Ok(tree.start(rt).await?)
}

/// Accepts clients. The port stays open during a restart: new clients wait in its backlog.
async fn accept(port: Keep<TcpListener>, ctx: TaskContext) -> Result {
    let connections = DynamicSupervisorRef::named(&ctx.runtime(), "connections");
    let port = port.lend().await?;
    for number in 1.. {
        let (socket, _) = port.accept().await?;
        let child = ChildSpec::once(format!("connection {number}"), |ctx| serve(socket, ctx));
        // If the supervisor has just been killed, the client loses its connection and retries.
        drop(connections.start_once(child).await);
    }
    Ok(())
}

/// Serves one client: reads a number, and writes the number and its steps. Waits while the cache
/// restarts. If the cache is killed during the call, this process ends, and the client retries.
async fn serve(socket: TcpStream, ctx: TaskContext) -> Result {
    let cache = ctx.runtime().server(CACHE);
    let mut socket = BufReader::new(socket);
    let mut line = String::new();
    while socket.read_line(&mut line).await? > 0 {
        let n = line.trim().parse()?;
        let steps = cache.call_waiting(|reply| Ask(n, reply), LIMIT).await?;
        socket.write_all(format!("{n} {steps}\n").as_bytes()).await?;
        line.clear();
    }
    Ok(())
}

/// The results of a client.
#[derive(Default)]
struct Tally {
    failed: usize,
    retried: usize,
    /// How long each request took.
    took: Vec<Duration>,
}

/// Sends requests until the token is cancelled. Reconnects when the connection is lost.
async fn client(port: SocketAddr, stop: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while !stop.is_cancelled() {
        let n = 1 + random() % 100_000;
        let start = Instant::now();
        let answered = timeout(LIMIT, async {
            loop {
                match ask(port, &mut connection, n).await {
                    Ok(answer) => return answer == format!("{n} {}\n", steps_to_one(n)),
                    Err(_lost) => connection = None,
                }
                tally.retried += 1;
                sleep(PAUSE).await;
            }
        });
        if answered.await != Ok(true) {
            (tally.failed, connection) = (tally.failed + 1, None);
        }
        tally.took.push(start.elapsed());
        sleep(PAUSE).await;
    }
    tally
}

type Connection = Option<BufReader<TcpStream>>;

async fn ask(port: SocketAddr, connection: &mut Connection, n: u64) -> std::io::Result<String> {
    let socket = match connection {
        Some(socket) => socket,
        None => connection.insert(BufReader::new(TcpStream::connect(port).await?)),
    };
    socket.write_all(format!("{n}\n").as_bytes()).await?;
    let mut answer = String::new();
    socket.read_line(&mut answer).await?;
    // A line without its end means that the connection was lost within the line.
    answer.ends_with('\n').then_some(answer).ok_or(std::io::ErrorKind::UnexpectedEof.into())
}

/// Kills a process at each tick: any but the root, whose end would end the whole tree.
async fn monkey(tree: SupervisorRef, rt: Runtime, stop: CancellationToken) -> Result<Kills> {
    let (mut ticks, mut kills) = (interval(KILL_INTERVAL), Kills::new());
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        let tree = tree.tree().await?;
        if let Some((kind, pid)) = victim(&tree)
            && rt.kill(pid)
        {
            *kills.entry(kind).or_default() += 1;
        }
    }
    Ok(kills)
}

type Kills = BTreeMap<&'static str, u32>;

/// `None` if the picked process is being restarted.
fn victim(tree: &TreeSnapshot) -> Option<(&'static str, Pid)> {
    let one_of = |many: usize| random() as usize % many.max(1);
    let kind = KINDS[one_of(KINDS.len())];
    let nodes = match kind {
        "a connection" => &tree.find("connections")?.children[..],
        id => std::slice::from_ref(tree.find(id)?),
    };
    Some((kind, nodes.get(one_of(nodes.len()))?.pid?))
}

/// The hashers of std have random seeds, which is random enough here.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let selftest = std::env::args().any(|arg| arg == "--selftest");
    let time = Duration::from_secs(if selftest { 5 } else { 20 });
    let rt = Runtime::new();
    let port = Keep::new(|| TcpListener::bind("127.0.0.1:0"));
    let address = port.lend().await?.local_addr()?;
    let tree = start_tree(&rt, port).await?;

    let stop = CancellationToken::new();
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(client(address, stop.clone()))).collect();
    let monkey = tokio::spawn(monkey(tree.clone(), rt.clone(), stop.clone()));
    println!("{}\n\n… for {} seconds …\n", tree.tree().await?, time.as_secs());
    tokio::select! {
        () = sleep(time) => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    stop.cancel();

    let mut all = Tally::default();
    for client in clients {
        let Tally { failed, retried, took } = client.await?;
        (all.failed, all.retried) = (all.failed + failed, all.retried + retried);
        all.took.extend(took);
    }
    let kills = monkey.await??;
    println!("{}\n", tree.tree().await?);
    tree.stop().await?;

    all.took.sort();
    let share = |percent| all.took.get(all.took.len() * percent / 100).copied().unwrap_or_default();
    println!("requests {}, failed {}, retried {}", all.took.len(), all.failed, all.retried);
    println!("kills    {}: {kills:?}", kills.values().sum::<u32>());
    println!("latency  p50 {:.1?}, p99 {:.1?}", share(50), share(99));
    let fine = all.failed == 0 && !all.took.is_empty() && rt.process_count() == 0;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
