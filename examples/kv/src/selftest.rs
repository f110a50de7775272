//! The self-test: writes under load while the store crashes repeatedly, then reads every
//! acknowledged key.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use regrow::{Result, Run, Runtime, SupervisorRef, TreeSnapshot};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// The number of clients that write.
const CLIENTS: usize = 8;

/// The number of crashes of the store, and the time between two of them.
const CRASHES: u32 = 15;
const CRASH_INTERVAL: Duration = Duration::from_millis(100);

pub(crate) async fn run() -> Result<ExitCode> {
    let file = std::env::temp_dir().join(format!("regrow-kv-{}.db", std::process::id()));
    let (rt, port) = (Runtime::new(), crate::port("127.0.0.1:0".into()));
    let address = port.lend().await?.local_addr()?;
    let (stop, tree) = (CancellationToken::new(), crate::tree(&rt, port, &file));
    let program = tokio::spawn(Run::new(tree).on(&rt).stop_on(stop.clone()).run());

    let tested = timeout(Duration::from_secs(30), test(&rt, address)).await;
    stop.cancel();
    let report = program.await??;
    println!("\n{report}");
    for end in ["db", "db-wal", "db-shm"] {
        drop(std::fs::remove_file(file.with_extension(end)));
    }
    tested.map_err(|_| "it took too long")??;
    Ok(report.exit_code())
}

async fn test(rt: &Runtime, address: SocketAddr) -> Result {
    let tree = ready(rt, address).await?;
    println!("{tree}\n");

    let stop_writing = CancellationToken::new();
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(write(number, address, stop_writing.clone()));
    }
    for _ in 0..CRASHES {
        sleep(CRASH_INTERVAL).await;
        Http::ask(address, "POST", "/crash", "").await?.is(202)?;
    }
    sleep(CRASH_INTERVAL).await;
    stop_writing.cancel();

    let (mut acknowledged, mut refused_requests) = (0, 0);
    for client in clients.join_all().await {
        let (number, keys, refused) = client?;
        for key in 0..keys {
            let path = format!("/kv/{number}-{key}");
            let answer = Http::ask(address, "GET", &path, "").await?;
            answer.is(200)?;
            if answer.body != format!("{key}") {
                return Err(format!("{path} is {:?}", answer.body).into());
            }
        }
        (acknowledged, refused_requests) = (acknowledged + keys, refused_requests + refused);
    }
    Http::ask(address, "GET", "/kv/half", "").await?.is(404)?;
    Http::ask(address, "GET", "/healthz", "").await?.is(200)?;

    let tree = ready(rt, address).await?;
    println!("{tree}\n\n{acknowledged} acknowledged and all there, {refused_requests} refused");
    let crashes = tree.find("store").map(|store| store.restarts);
    if acknowledged == 0 || crashes != Some(CRASHES) {
        return Err(format!("the store crashed {crashes:?} times, not {CRASHES}").into());
    }
    Ok(())
}

/// Polls `/readyz`, as a load balancer does, until the tree is ready.
async fn ready(rt: &Runtime, address: SocketAddr) -> Result<TreeSnapshot> {
    while Http::ask(address, "GET", "/readyz", "").await?.is(200).is_err() {
        sleep(Duration::from_millis(10)).await;
    }
    Ok(SupervisorRef::named(rt, "kv").tree().await?)
}

/// Writes one key after another, each until it is acknowledged. Returns the number of the client, of
/// its keys, and of its refused requests.
async fn write(
    number: usize,
    address: SocketAddr,
    stop_writing: CancellationToken,
) -> Result<(usize, u32, u32)> {
    let (mut keys, mut refused) = (0, 0);
    while !stop_writing.is_cancelled() {
        let path = format!("/kv/{number}-{keys}");
        let answer = Http::ask(address, "PUT", &path, &format!("{keys}")).await?;
        if answer.is(204).is_ok() {
            keys += 1;
        } else {
            answer.is(503)?;
            if !answer.head.contains("retry-after: 1") {
                return Err(format!("no Retry-After: {}", answer.head).into());
            }
            refused += 1;
            sleep(Duration::from_millis(10)).await; // earlier than `Retry-After` says
        }
    }
    Ok((number, keys, refused))
}

/// A minimal HTTP client: one request and one answer on each connection.
struct Http {
    head: String,
    body: String,
}

impl Http {
    async fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<Http> {
        let mut socket = TcpStream::connect(address).await?;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: kv\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        socket.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
        Ok(Http { head: head.to_owned(), body: body.to_owned() })
    }

    fn is(&self, status: u16) -> Result {
        let found = self.head.starts_with(&format!("HTTP/1.1 {status} "));
        if found { Ok(()) } else { Err(format!("{}, not {status}", self.head).into()) }
    }
}
