//! What is counted. Each side has a name, so that a new process can be asked to measure it. A name
//! that ends with `+` is of a side that has handled a message or a call before it is counted.

use regrow::{GenServer, Reply, Result, Runtime, ServerContext};
use tokio::sync::{mpsc, oneshot};

use crate::support::{Countdown, eight_bytes, in_new_process, resident, shut_down};

/// The bytes that each of `size` has asked the allocator for.
pub(crate) async fn allocated_by(side: &'static str, size: usize) -> f64 {
    measure(side, size, crate::allocated).await
}

/// The resident bytes of each of `size`, in a new process of this program.
pub(crate) async fn resident_of(side: &'static str, size: usize) -> f64 {
    in_new_process(side, size).await
}

/// Measures in this process, and prints the bytes.
pub(crate) fn measure_resident(side: &str, size: usize) {
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(2).enable_all().build().expect("tokio starts");
    let bytes = || resident().expect("it could be read before");
    let side = side.to_owned();
    let each = tokio.block_on(tokio.spawn(async move { measure(&side, size, bytes).await }));
    println!("{}", each.expect("a bench does not panic"));
}

async fn measure(side: &str, size: usize, bytes: fn() -> usize) -> f64 {
    match side {
        "task" => tasks(size, false, bytes).await,
        "task+" => tasks(size, true, bytes).await,
        "process" => processes(size, false, bytes).await,
        "process+" => processes(size, true, bytes).await,
        "service" => services(size, false, bytes).await,
        "service+" => services(size, true, bytes).await,
        "server" => servers(size, false, bytes).await,
        "server+" => servers(size, true, bytes).await,
        _ => panic!("there is no side `{side}`"),
    }
}

fn each(before: usize, after: usize, size: usize) -> f64 {
    after.saturating_sub(before) as f64 / size as f64
}

/// Space for what a program keeps of each, which is no part of it. It is written to, so that it is
/// resident before the count begins.
fn space<T>(size: usize) -> Vec<Option<T>> {
    (0..size).map(|_| None).collect()
}

async fn tasks(size: usize, used: bool, bytes: fn() -> usize) -> f64 {
    let mut kept = space(size);
    let ready = Countdown::new(size);
    let before = bytes();
    for (n, kept) in kept.iter_mut().enumerate() {
        let (sender, mut receiver) = mpsc::unbounded_channel::<Vec<u8>>();
        if used {
            sender.send(eight_bytes(n)).expect("it lives");
        }
        let ready = ready.pending();
        let task = tokio::spawn(async move {
            if used {
                receiver.recv().await;
            }
            drop(ready);
            receiver.recv().await;
        });
        *kept = Some((sender, task));
    }
    ready.done().await;
    let each = each(before, bytes(), size);
    for (sender, task) in kept.into_iter().flatten() {
        drop(sender);
        task.await.expect("it ends");
    }
    each
}

async fn processes(size: usize, used: bool, bytes: fn() -> usize) -> f64 {
    let rt = Runtime::new();
    let ready = Countdown::new(size);
    let before = bytes();
    for n in 0..size {
        let ready = ready.pending();
        let process = rt.spawn(move |mut ctx| async move {
            if used {
                ctx.recv().await;
            }
            drop(ready);
            ctx.recv().await;
        });
        if used {
            rt.send(process.pid(), eight_bytes(n));
        }
    }
    ready.done().await;
    let each = each(before, bytes(), size);
    shut_down(&rt).await;
    each
}

/// The requests of a service of raw.
enum Request {
    Add(u64),
    Get(oneshot::Sender<u64>),
}

async fn services(size: usize, used: bool, bytes: fn() -> usize) -> f64 {
    let mut kept = space(size);
    let before = bytes();
    for kept in &mut kept {
        let (sender, mut requests) = mpsc::unbounded_channel::<Request>();
        let (ready, is_ready) = oneshot::channel();
        let task = tokio::spawn(async move {
            let _ = ready.send(());
            let mut sum = 0;
            while let Some(request) = requests.recv().await {
                match request {
                    Request::Add(number) => sum += number,
                    Request::Get(reply) => drop(reply.send(sum)),
                }
            }
        });
        is_ready.await.expect("it starts");
        if used {
            let (reply, sum) = oneshot::channel();
            let _ = sender.send(Request::Add(1));
            let _ = sender.send(Request::Get(reply));
            assert_eq!(sum.await, Ok(1));
        }
        *kept = Some((sender, task));
    }
    let each = each(before, bytes(), size);
    for (sender, task) in kept.into_iter().flatten() {
        drop(sender);
        task.await.expect("it ends");
    }
    each
}

struct Server(u64);

struct Get(Reply<u64>);

impl GenServer for Server {
    type Args = ();
    type Call = Get;
    type Cast = u64;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Server(0))
    }

    async fn handle_call(&mut self, call: Get, _: &mut ServerContext<Self>) -> Result {
        call.0.send(self.0);
        Ok(())
    }

    async fn handle_cast(&mut self, number: u64, _: &mut ServerContext<Self>) -> Result {
        self.0 += number;
        Ok(())
    }
}

async fn servers(size: usize, used: bool, bytes: fn() -> usize) -> f64 {
    let rt = Runtime::new();
    let before = bytes();
    for _ in 0..size {
        let server = Server::start(&rt, ()).await.expect("it starts");
        if used {
            server.cast(1);
            assert_eq!(server.call(Get).await, Ok(1));
        }
    }
    let each = each(before, bytes(), size);
    shut_down(&rt).await;
    each
}
