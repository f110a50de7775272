//! The self-test: the gateway runs as another process, and is stopped and killed under load.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use regrow::{ChildSpec, Result, Runtime, Supervisor};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

const CLIENTS: usize = 1_000;
const PAUSE: Duration = Duration::from_millis(150);

/// The gateway as another process, with its addresses for devices and for HTTP.
struct Gateway(Child, SocketAddr, SocketAddr);

impl Gateway {
    async fn start(conf: &Path) -> Result<Gateway> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(conf).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let (mut process, mut line) = (command.spawn()?, String::new());
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut line).await?;
        let mut found = line.split_whitespace().filter_map(|word| word.parse().ok());
        let (devices, web) = found.next().zip(found.next()).ok_or("no addresses")?;
        Ok(Gateway(process, devices, web))
    }

    async fn signal(&self, signal: &str) -> Result {
        let pid = self.0.id().ok_or("the gateway has ended")?.to_string();
        Command::new("kill").args(["-s", signal, &pid]).status().await?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<String> {
        let (mut web, mut answer) = (TcpStream::connect(self.2).await?, String::new());
        web.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await?;
        web.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    /// Ends the gateway, and checks its exit code: 0 if the stop was clean and in time.
    async fn end(mut self, signal: &str, expected: Option<i32>) -> Result {
        let begun = Instant::now();
        self.signal(signal).await?;
        let code = self.0.wait().await?.code();
        println!("SIG{signal}: exit code {code:?} after {:?}", begun.elapsed());
        if code == expected { Ok(()) } else { Err("the stop was not clean".into()) }
    }
}

/// One life of the gateway under load. At first there is no upstream, and a reload brings one.
async fn live(
    conf: &Path,
    at: &watch::Sender<SocketAddr>,
    upstream: SocketAddr,
) -> Result<Gateway> {
    let database = conf.with_extension("db");
    let config = |upstream| {
        format!(
            r#"{{"listen": "127.0.0.1:0", "web": "127.0.0.1:0", "upstream": "{upstream}",
                "database": {database:?}, "idle_ms": 100, "window_ms": 5}}"#
        )
    };
    std::fs::write(conf, config("127.0.0.1:1".parse()?))?;
    let gateway = Gateway::start(conf).await?;
    at.send_replace(gateway.1);
    for text in ["{}".into(), config(upstream)] {
        sleep(4 * PAUSE).await;
        std::fs::write(conf, text)?; // `{}` is refused
        gateway.signal("HUP").await?;
    }
    sleep(4 * PAUSE).await;
    while !gateway.get("/devices/d7").await?.contains("200 OK") {
        sleep(PAUSE).await; // the store has just crashed
    }
    Ok(gateway)
}

/// Sends each reading until it is acknowledged, and some that crash the device; client 0 sends
/// readings that crash the store. Returns the acknowledged ones, and the number of the crashes.
async fn client(number: usize, at: watch::Receiver<SocketAddr>) -> (Vec<String>, usize) {
    let (mut acknowledged, mut crashes) = (Vec::new(), 0);
    while at.has_changed().is_ok() {
        sleep(PAUSE).await;
        let address = *at.borrow();
        let Ok(stream) = TcpStream::connect(address).await else { continue };
        let mut lines = BufReader::new(stream).lines();
        while at.has_changed().is_ok() {
            let value = match acknowledged.len() % 4 {
                _ if number == 0 => "NaN",
                3 if crashes < 2 => "inf",
                _ => "20.5",
            };
            let reading = format!("d{number} {} {value}", acknowledged.len());
            lines.get_mut().write_all(format!("{reading}\n").as_bytes()).await.ok();
            match lines.next_line().await {
                Ok(Some(answer)) if answer.starts_with("ok") => acknowledged.push(reading),
                Ok(Some(_)) => {
                    crashes += usize::from(value != "20.5");
                    sleep(if number == 0 { 2 * PAUSE } else { PAUSE }).await;
                }
                _ => break,
            }
        }
    }
    (acknowledged, crashes)
}

/// The upstream: confirms each row, and goes away after some thousand.
async fn collect(stream: TcpStream, rows: mpsc::UnboundedSender<String>) -> Result {
    let mut lines = BufReader::new(stream).lines();
    for _ in 0..3_000 {
        let Some(line) = lines.next_line().await? else { break };
        let (id, row) = line.split_once(' ').ok_or("that is no row")?;
        rows.send(row.to_owned())?;
        lines.get_mut().write_all(format!("{id}\n").as_bytes()).await?;
    }
    Ok(())
}

async fn test(conf: &Path) -> Result {
    let (begun, (rows, mut forwarded)) = (Instant::now(), mpsc::unbounded_channel());
    let collect = |_, stream, _| collect(stream, rows);
    let collector = ChildSpec::tcp_listener("upstream", "127.0.0.1:0", collect);
    let upstream = collector.address();
    let _tree = Supervisor::one_for_one().child(collector).start(&Runtime::new()).await?;
    let upstream = upstream.get().ok_or("no upstream")?;

    let at = watch::Sender::new("127.0.0.1:1".parse()?);
    let start = |number| tokio::spawn(client(number, at.subscribe()));
    let clients: Vec<_> = (0..CLIENTS).map(start).collect();
    live(conf, &at, upstream).await?.end("TERM", Some(0)).await?;
    live(conf, &at, upstream).await?.end("KILL", None).await?;
    let gateway = live(conf, &at, upstream).await?;
    drop(at); // ends the clients
    let (mut acknowledged, mut crashes) = (HashSet::new(), Vec::new());
    for client in clients {
        let (readings, crashed) = client.await?;
        acknowledged.extend(readings);
        crashes.push(crashed);
    }
    let db = rusqlite::Connection::open(conf.with_extension("db"))?;
    let mut rows = db.prepare("SELECT device || ' ' || seq || ' ' || value FROM readings")?;
    let rows: Vec<String> = rows.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    let stored: HashSet<String> = rows.iter().cloned().collect();
    let (store, devices) = (crashes[0], crashes[1..].iter().sum::<usize>());
    println!("{CLIENTS} clients; {store} crashes of the store and {devices} of devices");
    println!("{} readings acknowledged, {} rows", acknowledged.len(), rows.len());
    if !acknowledged.is_subset(&stored) || rows.len() != stored.len() {
        return Err("a reading is lost or is there twice".into());
    }
    while !acknowledged.is_empty() {
        acknowledged.remove(&forwarded.recv().await.ok_or("the upstream has ended")?);
    }
    println!("the upstream has got each of them, after {:?}", begun.elapsed());
    gateway.end("TERM", Some(0)).await
}

#[tokio::main]
pub(crate) async fn run() -> Result<ExitCode> {
    let folder = std::env::temp_dir().join(format!("regrow-gateway-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let tested = timeout(Duration::from_secs(90), test(&folder.join("gateway.json"))).await;
    std::fs::remove_dir_all(&folder)?;
    tested.map_err(|_| "it took too long")??;
    Ok(ExitCode::SUCCESS)
}
