//! How long calls take in a program of 100,000 processes, without and with an observer.
//!
//! 64 callers call 64 servers beside 1,000 supervisors with 99 idle children each, while one process
//! changes its health each millisecond. In place of *raw*, one side has no observer. The other has
//! one reader of the changes, a reader that takes picture after picture, or, with the feature
//! `observer`, a page that reads over TCP. Its first picture is taken before the calls begin, its second
//! one, 5 s after the first, during the calls.

mod support;

use std::time::{Duration, Instant};

use regrow::{ChildSpec, GenServer, Health, Runtime, ServerRef, Supervisor, SupervisorRef};
use support::{Bench, Echo, Row, Target};
use tokio::task::{JoinHandle, JoinSet};

const EACH: usize = 99;
const SIZE: usize = 100_000;
const CALLS: usize = 640_000;
/// Beside a page, so that the calls take some seconds.
#[cfg(feature = "observer")]
const CALLS_BESIDE_PAGE: usize = 3_200_000;
const CALLERS: usize = 64;

/// Who observes.
#[derive(Clone, Copy)]
enum Reader {
    Nothing,
    Changes,
    Pictures,
    #[cfg(feature = "observer")]
    Page,
}

#[derive(Clone)]
struct Program {
    rt: Runtime,
    #[cfg_attr(not(feature = "observer"), allow(dead_code))]
    tree: SupervisorRef,
    servers: Vec<ServerRef<Echo>>,
}

fn main() {
    let bench = Bench::new("observed");
    let program = bench.block_on(program(bench.size(SIZE)));
    bench.header("a call beside 100,000", ["without", "with", "ratio"]);
    let compare = |text, size, target, reader| {
        let row = Row { text, unit: "µs", target, size };
        let (without, with) = (program.clone(), program.clone());
        bench.percentiles(
            &row,
            move |n| measure(without.clone(), Reader::Nothing, n),
            move |n| measure(with.clone(), reader, n),
        );
    };
    compare("one reader of the changes", CALLS, Target::Ratio(1.1), Reader::Changes);
    compare("one reader of pictures", CALLS, Target::None, Reader::Pictures);
    #[cfg(feature = "observer")]
    compare("one page", CALLS_BESIDE_PAGE, Target::Ratio(1.1), Reader::Page);
}

async fn program(processes: usize) -> Program {
    let rt = Runtime::new();
    let beats = ChildSpec::task("beats", |ctx| async move {
        let mut every = tokio::time::interval(Duration::from_millis(1));
        loop {
            for health in [Health::Starting, Health::Ready] {
                every.tick().await;
                ctx.set_health(health);
            }
        }
    });
    let mut top = Supervisor::one_for_one().named("app").child(beats);
    for at in 0..processes / (EACH + 1) {
        let mut group = Supervisor::one_for_one().with_id(format!("group {at}"));
        for child in 0..EACH {
            let idle = |_| std::future::pending();
            group = group.child(ChildSpec::task(format!("worker {child}"), idle));
        }
        top = top.child(group);
    }
    let tree = top.start(&rt).await.expect("it starts");
    let mut servers = Vec::new();
    for _ in 0..CALLERS {
        servers.push(Echo::start(&rt, ()).await.expect("it starts"));
    }
    Program { rt, tree, servers }
}

/// Returns how long each call took.
async fn measure(program: Program, reader: Reader, calls: usize) -> Vec<Duration> {
    let reader = attach(&program, reader).await;
    let mut callers = JoinSet::new();
    for server in program.servers {
        callers.spawn(async move {
            let mut times = Vec::with_capacity(calls / CALLERS + 1);
            for _ in 0..=calls / CALLERS {
                let begin = Instant::now();
                server.call(|reply| reply).await.expect("it replies");
                times.push(begin.elapsed());
            }
            times
        });
    }
    let times = callers.join_all().await.concat();
    if let Some(reader) = reader {
        reader.abort();
        let _ = reader.await;
    }
    times
}

/// Starts a reader, and waits until it has a picture.
async fn attach(program: &Program, reader: Reader) -> Option<JoinHandle<()>> {
    let mut observation = program.rt.observe();
    match reader {
        Reader::Nothing => None,
        Reader::Changes => {
            observation.next().await;
            Some(tokio::spawn(async move { while observation.next().await.is_some() {} }))
        }
        Reader::Pictures => Some(tokio::spawn(async move {
            loop {
                drop(observation.picture().await);
            }
        })),
        #[cfg(feature = "observer")]
        Reader::Page => Some(page(&program.tree).await),
    }
}

/// Opens a page, and reads its events in a thread of its own: a browser runs in another process.
/// Returns shortly before the page gets its second picture.
#[cfg(feature = "observer")]
async fn page(tree: &SupervisorRef) -> JoinHandle<()> {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use tokio::net::TcpListener;

    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let router = regrow::observer::router(tree);
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let mut socket = TcpStream::connect(address).expect("it listens");
    let reads = socket.try_clone().expect("it is open");
    let request = format!("GET /events HTTP/1.1\r\nhost: {address}\r\n\r\n");
    socket.write_all(request.as_bytes()).expect("it is connected");
    let (sender, pictured) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let (mut sender, mut part) = (Some(sender), vec![0; 1 << 16]);
        while let Ok(count @ 1..) = socket.read(&mut part) {
            // The end of the picture: no part of it has two line ends.
            if sender.is_some() && part[..count].windows(2).any(|two| two == b"\n\n") {
                sender.take().map(|sender| sender.send(()));
            }
        }
    });
    pictured.await.expect("the page gets a picture");
    tokio::time::sleep(Duration::from_secs(4)).await;
    // Aborting this task closes the page and its server.
    tokio::spawn(async move {
        let _closing = Closing(reads, server);
        std::future::pending().await
    })
}

/// Closes a page and its server when it is dropped.
#[cfg(feature = "observer")]
struct Closing(std::net::TcpStream, JoinHandle<std::io::Result<()>>);

#[cfg(feature = "observer")]
impl Drop for Closing {
    fn drop(&mut self) {
        let _ = self.0.shutdown(std::net::Shutdown::Both);
        self.1.abort();
    }
}
