//! The same calls between two programs over TCP on one machine: regrow, ractor_cluster and kameo, in
//! one table.
//!
//! ```text
//! cargo run --release --manifest-path benches/peers/Cargo.toml --package nodes
//! … -- 0.1        a tenth of each size
//! ```
//!
//! Each system is used as its documentation shows, by the name of the called server. A call carries a
//! text of four bytes and is answered with a number. The server of each system runs for the whole
//! time; the callers are a new program for each figure. The systems take turns, and the median of
//! five rounds is printed. kameo encrypts its connections, which can't be turned off in its default
//! stack, and regrow and ractor_cluster do not.

mod kameo_node;
mod ractor_node;
mod regrow_node;

use std::io::{BufRead, BufReader, Read};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

const SYSTEMS: [&str; 3] = ["regrow", "ractor_cluster", "kameo"];
/// The callers and the calls of each row.
const ROWS: [(usize, usize); 3] = [(1, 5_000), (8, 20_000), (64, 40_000)];
const ROUNDS: usize = 5;
/// The longest time of one figure.
const LIMIT: Duration = Duration::from_secs(30);

/// What a call carries.
const ITEM: &str = "milk";

/// One call to the server of another program. Returns the answer.
type Caller = Box<dyn Fn() -> Pin<Box<dyn Future<Output = u32> + Send>> + Send>;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", system] => tokio().block_on(serve(system)),
        ["call", system, address, callers, calls] => {
            let numbers = [callers, calls].map(|number| number.parse().expect("a number"));
            let (system, address) = (String::from(*system), String::from(*address));
            let tokio = tokio();
            let called = tokio.spawn(async move { call(&system, &address, numbers).await });
            println!("{}", tokio.block_on(called).expect("no panic"));
            // The end of the connection is not measured.
            std::process::exit(0);
        }
        [] => table(1.0),
        [scale, ..] => table(scale.parse().expect("the scale is a number")),
    }
}

fn tokio() -> tokio::runtime::Runtime {
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    tokio.worker_threads(2).enable_all().build().expect("tokio starts")
}

/// Runs a server, and prints its address.
async fn serve(system: &str) {
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        free.local_addr().expect("it has an address").port()
    };
    match system {
        "regrow" => regrow_node::serve(port).await,
        "ractor_cluster" => ractor_node::serve(port).await,
        _ => kameo_node::serve(port).await,
    }
}

/// Returns thousands of calls in a second.
async fn call(system: &str, address: &str, [callers, calls]: [usize; 2]) -> f64 {
    let connected = match system {
        "regrow" => regrow_node::connect(address).await,
        "ractor_cluster" => ractor_node::connect(address).await,
        _ => kameo_node::connect(address).await,
    };
    let mut tasks = JoinSet::new();
    let callers: Vec<Caller> = (0..callers).map(|_| connected()).collect();
    for _ in 0..100 {
        assert_eq!(callers[0]().await, 1);
    }
    let each = calls / callers.len();
    let start = Instant::now();
    for caller in callers {
        tasks.spawn(async move {
            for _ in 0..each {
                assert_eq!(caller().await, 1);
            }
            each
        });
    }
    let all: usize = tasks.join_all().await.into_iter().sum();
    all as f64 / start.elapsed().as_secs_f64() / 1_000.0
}

/// A server of one system, and its address.
struct Server {
    process: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn own() -> Command {
    Command::new(std::env::current_exe().expect("the program is a file"))
}

fn server(system: &str) -> Server {
    let mut command = own();
    command.args(["serve", system]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().expect("the program can be started");
    let mut address = String::new();
    let mut output = BufReader::new(process.stdout.take().expect("it is piped"));
    output.read_line(&mut address).expect("it prints its address");
    Server { process, address: address.trim().to_owned() }
}

fn table(scale: f64) {
    println!("| 1,000 calls/s | regrow | ractor_cluster | kameo | regrow / better of both |");
    println!("|---|---:|---:|---:|---:|");
    let servers = SYSTEMS.map(server);
    for (callers, calls) in ROWS {
        let calls = ((calls as f64 * scale) as usize).max(callers);
        let mut rounds = Vec::new();
        for round in 0..ROUNDS {
            let mut figures = [0.0; SYSTEMS.len()];
            for turn in 0..SYSTEMS.len() {
                let at = (turn + round) % SYSTEMS.len();
                figures[at] = figure(SYSTEMS[at], &servers[at].address, callers, calls);
            }
            rounds.push(figures);
        }
        let of = |at: usize| median(rounds.iter().map(|round| round[at]).collect());
        // `max` leaves out a system that has no figure.
        let ratio = of(0) / of(1).max(of(2));
        let plural = if callers == 1 { "" } else { "s" };
        println!(
            "| {callers} caller{plural} | {:.1} | {:.1} | {:.1} | {ratio:.2} |",
            of(0),
            of(1),
            of(2)
        );
    }
}

/// Returns not-a-number if the callers don't print a figure within the limit.
fn figure(system: &str, address: &str, callers: usize, calls: usize) -> f64 {
    let mut command = own();
    command.args(["call", system, address, &callers.to_string(), &calls.to_string()]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().expect("the program can be started");
    let mut output = process.stdout.take().expect("it is piped");
    let (send, printed) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = output.read_to_string(&mut text);
        let _ = send.send(text);
    });
    let text = printed.recv_timeout(LIMIT).unwrap_or_default();
    let _ = process.kill();
    let _ = process.wait();
    let _ = reader.join();
    text.trim().parse().unwrap_or(f64::NAN)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
