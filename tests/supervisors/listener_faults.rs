//! Listeners whose processes end between two steps: every client is served or closed.

use crate::support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{
    ChildSpec, ExitReason, GenServer, Keep, Reply, Restart, Result, Runtime, ServerContext,
    Shutdown, Supervisor, SupervisorRef, TaskContext,
};
use support::injected_panics::hush_injected_panics;
use support::{assert_nothing_left, killed, until};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::listener::{acceptor, connect_now, echo, is_served, one, part, rest_of};

const LOCAL: &str = "127.0.0.1:0";

/// A connection whose `init` waits for a permit.
struct Slow {
    _stream: TcpStream,
}

type Gate = Arc<Semaphore>;

impl GenServer for Slow {
    type Args = (TcpStream, Gate);
    type Call = Reply<()>;
    type Cast = ();

    async fn init((mut stream, gate): Self::Args, _: &mut ServerContext<Self>) -> Result<Self> {
        gate.acquire().await?.forget();
        stream.write_all(b"ready").await?;
        Ok(Slow { _stream: stream })
    }
}

async fn ready(client: &mut TcpStream) {
    let mut text = [0; 5];
    tokio::io::AsyncReadExt::read_exact(client, &mut text).await.unwrap();
    assert_eq!(&text, b"ready");
}

#[tokio::test]
async fn a_slow_init_delays_no_other_connection() {
    let rt = Runtime::new();
    let gate = Gate::new(Semaphore::new(0));
    let (own, count) = (gate.clone(), AtomicUsize::new(0));
    let listener = ChildSpec::tcp_listener_with("slow", LOCAL, move |stream, _| {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        let gate = if is_first { own.clone() } else { Gate::new(Semaphore::new(1)) };
        Slow::child_once((stream, gate))
    });
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let mut first = TcpStream::connect(address.get().unwrap()).await.unwrap();
    let mut second = TcpStream::connect(address.get().unwrap()).await.unwrap();
    ready(&mut second).await;
    gate.add_permits(1);
    ready(&mut first).await;
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn a_start_in_progress_survives_its_acceptor_and_counts_for_the_next_one() {
    let rt = Runtime::new();
    let (gate, made) = (Gate::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (own, count) = (gate.clone(), made.clone());
    let listener = ChildSpec::tcp_listener_with("slow", LOCAL, move |stream, _| {
        count.fetch_add(1, Ordering::SeqCst);
        Slow::child_once((stream, own.clone()))
    });
    let listener = listener.max_connections(1).named("listener");
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let mut first = TcpStream::connect(address.get().unwrap()).await.unwrap();
    until("the start of the first", || made.load(Ordering::SeqCst) == 1).await;
    // The request is queued in the poll in which the acceptor accepts, so it is queued by now.
    killed(&rt, acceptor(&rt).await).await;
    let mut second = connect_now(address.get().unwrap()).unwrap();
    gate.add_permits(1);
    ready(&mut first).await;
    let next = acceptor(&rt).await;
    assert_eq!(made.load(Ordering::SeqCst), 1, "the first counts for the acceptor {next}");
    drop(first);
    let connections = part(&rt, "connections").await.unwrap();
    let one = SupervisorRef::named(&rt, "listener").tree().await.unwrap();
    let child = one.nodes().into_iter().find(|node| node.id == "Slow");
    let child = child.and_then(|node| node.pid).unwrap();
    assert_ne!(child, connections);
    rt.kill(child);
    gate.add_permits(1);
    ready(&mut second).await;
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn a_panic_while_a_connection_is_handed_over_closes_it_and_the_next_one_is_served() {
    hush_injected_panics();
    let rt = Runtime::new();
    let is_first = AtomicBool::new(true);
    let listener = ChildSpec::tcp_listener_with("echo", LOCAL, move |stream, peer| {
        assert!(!is_first.swap(false, Ordering::SeqCst), "injected");
        ChildSpec::once_with("echo", stream, move |ctx, stream| echo(ctx, stream, peer))
    });
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let mut first = TcpStream::connect(address.get().unwrap()).await.unwrap();
    let mut second = TcpStream::connect(address.get().unwrap()).await.unwrap();
    assert_eq!(rest_of(&mut first).await, "");
    is_served(&mut second).await;
    tree.stop().await.unwrap();
}

/// The acceptor has accepted a connection and has not requested its start.
#[tokio::test]
async fn a_kill_between_accept_and_start_closes_the_connection() {
    let rt = Runtime::new();
    let own = rt.clone();
    let listener = ChildSpec::tcp_listener_with("echo", LOCAL, move |stream, peer| {
        own.kill(own.whereis("listener").unwrap());
        ChildSpec::once_with("echo", stream, move |ctx, stream| echo(ctx, stream, peer))
    });
    let listener = listener.named("listener");
    let address = listener.address();
    let tree = one(listener).intensity(0, Duration::from_secs(1)).start(&rt).await.unwrap();
    let mut client = TcpStream::connect(address.get().unwrap()).await.unwrap();
    tree.ended().await;
    assert_eq!(rest_of(&mut client).await, "");
    assert_nothing_left(&rt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_between_accept_and_start_closes_the_connection() {
    let rt = Runtime::new();
    let (accepted, is_accepted) = std::sync::mpsc::channel();
    let (stopping, is_stopping) = std::sync::mpsc::channel();
    let is_stopping = std::sync::Mutex::new(is_stopping);
    let listener = ChildSpec::tcp_listener_with("echo", LOCAL, move |stream, peer| {
        accepted.send(()).unwrap();
        // Tokio moves the tasks of this worker to another thread, or one of them could hang.
        tokio::task::block_in_place(|| is_stopping.lock().unwrap().recv().unwrap());
        ChildSpec::once_with("echo", stream, move |ctx, stream| echo(ctx, stream, peer))
    });
    let address = listener.address();
    let tree = one(listener.named("listener")).start(&rt).await.unwrap();
    let mut client = TcpStream::connect(address.get().unwrap()).await.unwrap();
    tokio::task::spawn_blocking(move || is_accepted.recv().unwrap()).await.unwrap();
    let stop = tokio::spawn(async move { tree.stop().await });
    let listener = SupervisorRef::named(&rt, "listener");
    while listener.tree().await.unwrap().root.busy.is_none() {} // it waits for the acceptor
    stopping.send(()).unwrap();
    assert_eq!(stop.await.unwrap().unwrap(), ExitReason::Shutdown);
    assert_eq!(rest_of(&mut client).await, "");
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn a_killed_acceptor_closes_or_serves_each_of_many_clients() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
    let address = listener.address();
    let tree = Supervisor::one_for_one().unlimited_restarts().child(listener);
    let tree = tree.start(&rt).await.unwrap();
    let at: SocketAddr = address.get().unwrap();
    let clients = (0..200).map(|_| {
        tokio::spawn(async move {
            let Ok(mut client) = TcpStream::connect(at).await else { return false };
            // A `.` ends the connection, so each client ends, or it hangs and so does the test.
            let _ = client.write_all(b"x.").await;
            rest_of(&mut client).await == "x"
        })
    });
    let clients: Vec<_> = clients.collect();
    for _ in 0..8 {
        if let Some(pid) = part(&rt, "acceptor").await {
            rt.kill(pid);
        }
        tokio::task::yield_now().await;
    }
    let mut served = 0;
    for client in clients {
        served += usize::from(client.await.unwrap());
    }
    assert!(served > 0);
    tree.stop().await.unwrap();
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn the_end_of_the_supervisor_of_connections_closes_them_and_new_clients_are_served() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let mut first = TcpStream::connect(address.get().unwrap()).await.unwrap();
    is_served(&mut first).await;
    let incarnation = rt.whereis("listener");
    killed(&rt, part(&rt, "connections").await.unwrap()).await;
    let mut second = connect_now(address.get().unwrap()).unwrap();
    assert_eq!(rest_of(&mut first).await, "");
    is_served(&mut second).await;
    assert_eq!(rt.whereis("listener"), incarnation, "the listener itself runs on");
    tree.stop().await.unwrap();
}

/// The acceptor, not the listener, is started again.
#[tokio::test]
async fn the_port_of_a_temporary_listener_stays_open_through_a_crash_of_its_acceptor() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
    let listener = listener.restart(Restart::Temporary);
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let at = address.get().unwrap();
    killed(&rt, acceptor(&rt).await).await;
    is_served(&mut TcpStream::connect(at).await.unwrap()).await;
    assert_eq!(address.get(), Some(at));
    tree.stop().await.unwrap();
}

/// The operating system has shut the listening socket down. The next incarnation gets another one.
#[cfg(unix)]
#[tokio::test]
async fn a_broken_listener_is_closed_and_bound_again() {
    use std::os::fd::AsFd;
    let (rt, port) = (Runtime::new(), Keep::new(|| tokio::net::TcpListener::bind(LOCAL)));
    let (broken, at) = {
        let lent = port.lend().await.unwrap();
        (lent.as_fd().try_clone_to_owned().unwrap(), lent.local_addr().unwrap())
    };
    let listener = ChildSpec::tcp_listener("echo", port, echo).named("listener");
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    assert_eq!(address.get(), Some(at));
    std::net::TcpStream::from(broken).shutdown(std::net::Shutdown::Both).unwrap();
    until("another port", || address.get().is_some_and(|new| new != at)).await;
    is_served(&mut TcpStream::connect(address.get().unwrap()).await.unwrap()).await;
    assert!(tree.is_alive());
    tree.stop().await.unwrap();
}

/// The time that a connection has set for itself counts, and not that of the drain.
#[tokio::test]
async fn a_connection_with_a_shutdown_of_its_own_does_not_use_the_drain() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener_with("deaf", LOCAL, |stream, _| {
        let deaf = ChildSpec::once_with("deaf", stream, async |mut ctx: TaskContext, stream| {
            let _stop = ctx.cancellation_token();
            let _open: TcpStream = stream;
            std::future::pending().await
        });
        deaf.shutdown(Shutdown::BrutalKill)
    });
    let listener = listener.drain(Duration::MAX).named("listener");
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let _client = TcpStream::connect(address.get().unwrap()).await.unwrap();
    until("the connection", || rt.process_count() == 5).await;
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_nothing_left(&rt).await;
}

/// The supervisor of the connections has a mailbox of one message, as each process of the runtime.
#[tokio::test]
async fn a_burst_that_its_supervisor_is_too_busy_for_loses_connections_and_no_later_one() {
    let rt = Runtime::with_mailbox_capacity(1);
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).accept_pause(Duration::ZERO);
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let at = address.get().unwrap();
    let mut served = 0;
    let clients: Vec<_> = (0..16).map(|_| connect_now(at).unwrap()).collect();
    for mut client in clients {
        let _ = client.write_all(b"x.").await;
        served += usize::from(rest_of(&mut client).await == "x");
    }
    assert!((1..16).contains(&served), "{served}");
    is_served(&mut TcpStream::connect(at).await.unwrap()).await;
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_with_wrong_settings_ends_its_listener_with_the_error() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener_with("echo", LOCAL, |stream, peer| {
        let child =
            ChildSpec::once_with("echo", stream, move |ctx, stream| echo(ctx, stream, peer));
        child.significant(true)
    });
    let address = listener.address();
    let tree = Supervisor::one_for_one().intensity(0, Duration::from_secs(1));
    let tree = tree.child(listener).start(&rt).await.unwrap();
    let ended = tree.ended();
    tokio::pin!(ended);
    let at = address.get().unwrap();
    let reason = loop {
        tokio::select! {
            reason = &mut ended => break reason,
            () = async {
                if let Ok(mut client) = TcpStream::connect(at).await {
                    assert_eq!(rest_of(&mut client).await, "");
                }
            } => {}
        }
    };
    let text = format!("{reason:#}");
    assert!(text.contains("child \"echo\" is significant"), "{text}");
}
