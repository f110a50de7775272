//! A service that answers, whatever is killed.
//!
//! A small TCP service on real loopback sockets: an acceptor, a process for each connection,
//! and a cache that all of them ask by its name. Clients keep it busy, while a monkey kills one
//! of its processes ten times a second. You learn what keeps such a service whole: a port that
//! outlives its acceptor (`Keep`), callers who wait out a restart (`call_waiting`), budgets that
//! bear what may come, and clients who try again.
//!
//! ```text
//! cargo run --example chaos                   twenty seconds; Ctrl-C ends it sooner
//! cargo run --example chaos -- --selftest     five seconds
//! ```
//!
//! You will see the tree before and after, with what was restarted how often; then how many
//! requests there were, how many had to be tried again, and how long they took. A request has
//! failed if it has no right answer within two seconds: if a single one has, this exits with 1.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regrow::{
    Backoff, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, GenServer, Keep, Name, Pid, Reply,
    Restart, Result, Runtime, ServerContext, Supervisor, SupervisorRef, TaskContext, TreeSnapshot,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How many clients there are.
const CLIENTS: usize = 12;

/// How long a client takes a breath after each request.
const BREATH: Duration = Duration::from_millis(2);

/// How long a request may take in all, with all its retries.
const LIMIT: Duration = Duration::from_secs(2);

/// How often the monkey kills.
const BEAT: Duration = Duration::from_millis(100);

/// Whom it kills; it draws one of these first, then one of the kind.
const KINDS: [&str; 4] = ["cache", "connections", "acceptor", "a connection"];

/// Clients and connections never see its pid.
const CACHE: Name<Cache> = Name::new("cache");

/// Remembers what is costly to find out; what it has forgotten it finds out again.
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

/// Half of an even number, three times an odd one and one more: how often, until it is 1?
fn steps_to_one(n: u64) -> u32 {
    let next = |n: &u64| (*n > 1).then(|| if n.is_multiple_of(2) { n / 2 } else { 3 * n + 1 });
    std::iter::successors(Some(n), next).map(|_| 1).sum::<u32>() - 1
}

/// What must be there for the others comes first, what lets clients in comes last.
async fn plant(rt: &Runtime, port: Keep<TcpListener>) -> Result<SupervisorRef> {
    let acceptor = ChildSpec::task("acceptor", move |ctx| accept(port, ctx));
    let tree = Supervisor::one_for_one()
        .named("chaos")
        .intensity(1_000, Duration::from_secs(10)) // a hundred kills are to be expected
        .backoff(Backoff::new().first(Duration::from_millis(5)).max(Duration::from_millis(20)))
        .child(Cache::child(()).named(CACHE).with_id("cache"))
        .child(DynamicSupervisor::new().named("connections"))
        .child(acceptor);
    Ok(tree.start(rt).await?)
}

/// Lets clients in. The port is kept: while nobody accepts, they wait in its queue.
async fn accept(port: Keep<TcpListener>, ctx: TaskContext) -> Result {
    let connections = DynamicSupervisorRef::named(&ctx.runtime(), "connections");
    let port = port.lend().await?;
    for number in 1.. {
        let (socket, _) = port.accept().await?;
        // A socket can't be cloned, and a connection isn't started twice.
        let socket = Arc::new(Mutex::new(Some(socket)));
        let child = ChildSpec::task(format!("connection {number}"), move |ctx| async move {
            let socket = socket.lock().unwrap_or_else(PoisonError::into_inner).take();
            serve(socket.ok_or("it had its turn")?, ctx).await
        });
        // If their supervisor has just been killed, this client is cut off and comes again.
        drop(connections.start_child(child.restart(Restart::Temporary)).await);
    }
    Ok(())
}

/// One client: a number in, the number and its steps out. Waits while the cache restarts; if
/// that was killed with the question in its hands, so ends this, and the client asks again.
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

/// What clients have seen.
#[derive(Default)]
struct Tally {
    failed: usize,
    retried: usize,
    /// How long each request took.
    took: Vec<Duration>,
}

/// Asks until it is over; gets a new connection whenever the old one is cut.
async fn client(port: SocketAddr, over: CancellationToken) -> Tally {
    let mut tally = Tally::default();
    let mut connection = None;
    while !over.is_cancelled() {
        let n = 1 + random() % 100_000;
        let began = Instant::now();
        let answered = timeout(LIMIT, async {
            loop {
                match ask(port, &mut connection, n).await {
                    Ok(answer) => return answer == format!("{n} {}\n", steps_to_one(n)),
                    Err(_cut) => connection = None,
                }
                tally.retried += 1;
                sleep(BREATH).await;
            }
        });
        if answered.await != Ok(true) {
            (tally.failed, connection) = (tally.failed + 1, None);
        }
        tally.took.push(began.elapsed());
        sleep(BREATH).await;
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
    // A line without its end is a connection that was cut in the middle of it.
    answer.ends_with('\n').then_some(answer).ok_or(std::io::ErrorKind::UnexpectedEof.into())
}

/// Kills somebody at each beat: anybody but the root, with whom everything would end.
async fn monkey(tree: SupervisorRef, rt: Runtime, over: CancellationToken) -> Result<Kills> {
    let (mut beat, mut kills) = (interval(BEAT), Kills::new());
    while over.run_until_cancelled(beat.tick()).await.is_some() {
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

/// `None` if the one who was drawn is being restarted.
fn victim(tree: &TreeSnapshot) -> Option<(&'static str, Pid)> {
    let one_of = |many: usize| random() as usize % many.max(1);
    let kind = KINDS[one_of(KINDS.len())];
    let nodes = match kind {
        "a connection" => &tree.find("connections")?.children[..],
        id => std::slice::from_ref(tree.find(id)?),
    };
    Some((kind, nodes.get(one_of(nodes.len()))?.pid?))
}

/// The hashers of std begin at random; that is good enough for a monkey.
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
    let tree = plant(&rt, port).await?;

    let over = CancellationToken::new();
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| tokio::spawn(client(address, over.clone()))).collect();
    let monkey = tokio::spawn(monkey(tree.clone(), rt.clone(), over.clone()));
    println!("{}\n\n… for {} seconds …\n", tree.tree().await?, time.as_secs());
    tokio::select! {
        () = sleep(time) => {}
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    over.cancel();

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
