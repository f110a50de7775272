//! Listeners: one process for each connection, the limit of connections, the port that outlives its
//! processes, and connections that finish at a stop. Over real sockets on the loopback device.

use crate::support;

use std::future::pending;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use regrow::{
    Backoff, BindError, ChildInfo, ChildSpec, ChildState, DynamicSupervisor, Exhausted, ExitReason,
    Keep, ListenerAddress, Pid, Restart, Result, Runtime, StartError, Supervisor, SupervisorRef,
    SupervisorSpec, TaskContext,
};
use support::{assert_nothing_left, crash, killed, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const LOCAL: &str = "127.0.0.1:0";

/// Answers each byte with the same byte. Crashes at a `!`, and ends at a `.`.
pub(crate) async fn echo(_: TaskContext, mut stream: TcpStream, _: SocketAddr) -> Result {
    let mut byte = [0];
    while stream.read(&mut byte).await? > 0 {
        match &byte {
            b"!" => return Err(crash("as asked")),
            b"." => break,
            other => stream.write_all(other).await?,
        }
    }
    Ok(())
}

/// Sends a byte and reads the answer.
pub(crate) async fn is_served(client: &mut TcpStream) {
    client.write_all(b"x").await.unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"x");
}

/// Reads until the connection is closed, and returns what came.
pub(crate) async fn rest_of(client: &mut TcpStream) -> String {
    let mut text = Vec::new();
    match client.read_to_end(&mut text).await {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    String::from_utf8(text).unwrap()
}

/// Connects without letting any process run meanwhile: the connection waits in the backlog.
pub(crate) fn connect_now(address: SocketAddr) -> std::io::Result<TcpStream> {
    let client = std::net::TcpStream::connect(address)?;
    client.set_nonblocking(true)?;
    TcpStream::from_std(client)
}

pub(crate) fn one(listener: impl Into<ChildSpec>) -> SupervisorSpec {
    Supervisor::one_for_one().child(listener)
}

/// Returns the pid of a child of the listener that is named `listener`.
pub(crate) async fn part(rt: &Runtime, id: &str) -> Option<Pid> {
    let listener = SupervisorRef::named(rt, "listener");
    let children = listener.which_children().await.ok()?;
    children.iter().find(|child| child.id == id).and_then(ChildInfo::pid)
}

pub(crate) async fn acceptor(rt: &Runtime) -> Pid {
    part(rt, "acceptor").await.expect("the acceptor runs")
}

fn bound(address: &ListenerAddress) -> SocketAddr {
    address.get().expect("the listener has started")
}

#[tokio::test]
async fn each_connection_is_a_process_whose_crash_affects_no_other() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).nodelay(true);
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let mut first = TcpStream::connect(bound(&address)).await.unwrap();
    let mut second = TcpStream::connect(bound(&address)).await.unwrap();
    is_served(&mut first).await;
    is_served(&mut second).await;
    let text = tree.tree().await.unwrap().to_string();
    let id = first.local_addr().unwrap().to_string();
    assert!(text.contains(&id) && text.contains("connections"), "{text}");
    first.write_all(b"!").await.unwrap();
    assert_eq!(rest_of(&mut first).await, "");
    is_served(&mut second).await;
    tree.stop().await.unwrap();
    assert_eq!(rest_of(&mut second).await, "");
    assert_nothing_left(&rt).await;
}

/// On its only worker, tokio polls the test after the start and before the new acceptor.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_listener_that_has_started_has_its_address() {
    let starts = async {
        let rt = Runtime::new();
        for _ in 0..50 {
            let listener = ChildSpec::tcp_listener("echo", LOCAL, echo);
            let address = listener.address();
            let tree = one(listener).start(&rt).await.unwrap();
            let at = bound(&address);
            tree.stop().await.unwrap();
            assert_eq!(address.get(), None);
            assert_eq!(connect_now(at).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        }
    };
    tokio::spawn(starts).await.unwrap();
}

#[tokio::test]
async fn at_the_limit_a_client_waits_until_a_connection_has_ended() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).max_connections(1);
    let address = listener.address();
    let tree = one(listener.named("listener")).start(&rt).await.unwrap();
    let mut first = TcpStream::connect(bound(&address)).await.unwrap();
    is_served(&mut first).await;
    let mut second = TcpStream::connect(bound(&address)).await.unwrap();
    second.write_all(b"x").await.unwrap();
    for _ in 0..10 {
        is_served(&mut first).await;
    }
    let mut answer = [0];
    assert_eq!(second.try_read(&mut answer).unwrap_err().kind(), ErrorKind::WouldBlock);
    first.write_all(b".").await.unwrap();
    second.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"x");
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn beyond_the_limit_a_client_is_answered_and_closed_if_that_is_set() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).max_connections(1);
    let listener = listener.refuse_with("full\n");
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let mut first = TcpStream::connect(bound(&address)).await.unwrap();
    is_served(&mut first).await;
    let mut second = TcpStream::connect(bound(&address)).await.unwrap();
    assert_eq!(rest_of(&mut second).await, "full\n");
    first.write_all(b".").await.unwrap();
    assert_eq!(rest_of(&mut first).await, "");
    // The acceptor sees the end of the first connection a moment after its client.
    loop {
        let mut third = TcpStream::connect(bound(&address)).await.unwrap();
        third.write_all(b"x").await.unwrap();
        let mut answer = [0];
        third.read_exact(&mut answer).await.unwrap();
        if &answer == b"x" {
            break;
        }
    }
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn a_port_in_use_is_an_error_of_the_start_that_names_the_address() {
    let rt = Runtime::new();
    let holder = TcpListener::bind(LOCAL).await.unwrap();
    let address = holder.local_addr().unwrap();
    let error = one(ChildSpec::tcp_listener("echo", address, echo)).start(&rt).await.unwrap_err();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(next) = cause.source() {
        cause = next;
        if let Some(error) = cause.downcast_ref::<BindError>() {
            let text = "can't be listened to: stop the other listener, or take another address";
            assert_eq!(error.to_string(), format!("{address} {text}"));
            assert_eq!(error.source.kind(), ErrorKind::AddrInUse);
        }
    }
    assert!(cause.downcast_ref::<std::io::Error>().is_some(), "{cause:?}");
    // An address that can't be resolved.
    let listener = ChildSpec::tcp_listener("echo", "not an address", echo);
    let error = one(listener).start(&rt).await.unwrap_err();
    assert!(matches!(error, StartError::Child { ref id, .. } if id == "echo"), "{error:?}");
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn the_port_stays_open_through_crashes_of_the_acceptor_and_of_the_whole_listener() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let (at, supervisor) = (bound(&address), rt.whereis("listener").unwrap());
    let mut clients = Vec::new();
    // The budget of the listener is 3 restarts, so the fourth end restarts the whole listener.
    for _ in 0..4 {
        killed(&rt, acceptor(&rt).await).await;
        clients.push(connect_now(at).unwrap());
        let other = || rt.whereis("listener").is_some_and(|pid| pid != supervisor);
        if clients.len() == 4 {
            until("another incarnation of the listener", other).await;
        }
    }
    // The restart of the whole listener closes the connections that were accepted before it.
    is_served(&mut clients[3]).await;
    assert_eq!(bound(&address), at);
    tree.stop().await.unwrap();
    assert_eq!(address.get(), None);
}

#[tokio::test]
async fn the_port_stays_open_while_a_sibling_restarts_the_listener() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
    let address = listener.address();
    let sibling = ChildSpec::task("sibling", |_| pending()).named("sibling");
    let tree = Supervisor::one_for_all().child(listener).child(sibling).start(&rt).await.unwrap();
    let (at, before) = (bound(&address), acceptor(&rt).await);
    let ended = rt.ended(before);
    rt.kill(rt.whereis("sibling").unwrap());
    ended.await;
    let mut client = connect_now(at).unwrap();
    is_served(&mut client).await;
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn a_listener_that_is_terminated_closes_its_port_and_a_restart_binds_it_again() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo);
    let (address, copy) = (listener.address(), listener.clone());
    let tree = one(listener).start(&rt).await.unwrap();
    let at = bound(&address);
    tree.terminate_child("echo").await.unwrap();
    assert_eq!(connect_now(at).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(address.get(), None);
    tree.restart_child("echo").await.unwrap();
    is_served(&mut TcpStream::connect(address.bound().await.unwrap()).await.unwrap()).await;
    let at = bound(&address);
    tree.stop().await.unwrap();
    assert_eq!(connect_now(at).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    drop(copy); // the specification alone keeps no port open
    drop(tree);
    assert_eq!(address.bound().await, None);
}

#[tokio::test]
async fn a_kept_listener_belongs_to_the_program_and_is_returned_at_a_stop() {
    let rt = Runtime::new();
    let port = Keep::of(TcpListener::bind(LOCAL).await.unwrap());
    let listener = ChildSpec::tcp_listener("echo", port.clone(), echo);
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let at = bound(&address);
    is_served(&mut connect_now(at).unwrap()).await;
    tree.stop().await.unwrap();
    let client = connect_now(at).unwrap();
    let (_, peer) = port.lend().await.unwrap().accept().await.unwrap();
    assert_eq!(client.local_addr().unwrap(), peer);
}

/// Says `bye` when it is asked to stop, or never ends.
async fn farewell(mut ctx: TaskContext, mut stream: TcpStream, _: SocketAddr) -> Result {
    stream.write_all(b"hello ").await?;
    ctx.shutdown().await;
    let mut byte = [0];
    stream.read_exact(&mut byte).await?;
    if &byte == b"x" {
        pending::<()>().await;
    }
    stream.write_all(b"bye").await?;
    Ok(())
}

async fn hello(client: &mut TcpStream) {
    client.read_exact(&mut [0; 6]).await.unwrap();
}

#[tokio::test]
async fn at_a_stop_the_port_is_closed_first_and_connections_finish_within_their_time() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("farewell", LOCAL, farewell).named("listener");
    let listener = listener.drain(Duration::from_secs(600));
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let at = bound(&address);
    let mut client = TcpStream::connect(at).await.unwrap();
    hello(&mut client).await;
    let accepts = rt.ended(acceptor(&rt).await);
    let (stopped, ()) = tokio::join!(tree.stop(), async {
        accepts.await;
        assert_eq!(connect_now(at).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        client.write_all(b"?").await.unwrap();
        assert_eq!(rest_of(&mut client).await, "bye");
    });
    assert_eq!(stopped.unwrap(), ExitReason::Shutdown);
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn a_connection_that_does_not_look_at_its_context_continues_during_a_drain() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
    let listener = listener.drain(Duration::MAX);
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let mut client = TcpStream::connect(bound(&address)).await.unwrap();
    is_served(&mut client).await;
    let accepts = rt.ended(acceptor(&rt).await);
    let (stopped, ()) = tokio::join!(tree.stop(), async {
        accepts.await;
        is_served(&mut client).await;
        client.write_all(b".").await.unwrap();
        assert_eq!(rest_of(&mut client).await, "");
    });
    assert_eq!(stopped.unwrap(), ExitReason::Shutdown);
}

#[tokio::test]
async fn a_connection_that_overruns_its_drain_is_killed() {
    let rt = Runtime::new();
    for limit in [Duration::ZERO, Duration::from_millis(20)] {
        let listener = ChildSpec::tcp_listener("farewell", LOCAL, farewell).drain(limit);
        let address = listener.address();
        let tree = one(listener).start(&rt).await.unwrap();
        let mut client = TcpStream::connect(bound(&address)).await.unwrap();
        hello(&mut client).await;
        client.write_all(b"x").await.unwrap();
        tree.stop().await.unwrap();
        assert_eq!(rest_of(&mut client).await, "");
    }
    assert_nothing_left(&rt).await;
}

#[tokio::test]
async fn without_a_drain_a_stop_drops_connections_at_once() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).restart(Restart::Temporary);
    let address = listener.address();
    let tree = one(listener).start(&rt).await.unwrap();
    let mut client = TcpStream::connect(bound(&address)).await.unwrap();
    is_served(&mut client).await;
    tree.stop().await.unwrap();
    assert_eq!(rest_of(&mut client).await, "");
}

/// The supervisor of the listener runs on. A client is refused, and does not wait in the backlog.
#[tokio::test]
async fn a_listener_that_is_given_up_closes_its_port_and_a_start_on_request_binds_it_again() {
    const MINUTE: Duration = Duration::from_secs(60);
    for is_dynamic in [false, true] {
        let rt = Runtime::new();
        let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
        let address = listener.address();
        let child = ChildSpec::from(listener);
        let dynamic = DynamicSupervisor::new().child_intensity(0, MINUTE, Exhausted::GiveUp);
        let fixed = Supervisor::one_for_one();
        let (mut fixed_tree, mut dynamic_tree) = (None, None);
        if is_dynamic {
            let tree = dynamic.start(&rt).await.unwrap();
            tree.start_child(child).await.unwrap();
            dynamic_tree = Some(tree);
        } else {
            let child = child.restart_budget(0, MINUTE, Exhausted::GiveUp);
            fixed_tree = Some(fixed.child(child).start(&rt).await.unwrap());
        }
        let at = bound(&address);
        killed(&rt, rt.whereis("listener").unwrap()).await;
        while TcpStream::connect(at).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(address.get(), None);
        if let Some(tree) = fixed_tree {
            tree.restart_child("echo").await.unwrap();
            is_served(&mut TcpStream::connect(bound(&address)).await.unwrap()).await;
            tree.stop().await.unwrap();
        }
        if let Some(tree) = dynamic_tree {
            tree.stop().await.unwrap();
        }
        assert_nothing_left(&rt).await;
    }
}

/// Waits until clients of this address are refused.
async fn refused(address: SocketAddr) {
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

const HOUR: Duration = Duration::from_secs(3600);

/// Waits until the first child of a supervisor waits for its restart.
async fn until_it_waits(children: impl AsyncFn() -> Vec<ChildInfo>) {
    while !matches!(children().await[0].state, ChildState::Restarting { .. }) {}
}

/// A listener that waits for its restart, which a stop cancels.
#[tokio::test]
async fn a_stop_that_cancels_the_restart_of_a_listener_closes_its_port() {
    for is_dynamic in [false, true] {
        let rt = Runtime::new();
        let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
        let listener = listener.backoff(Backoff::new().first(HOUR).max(HOUR));
        let address = listener.address();
        let at;
        if is_dynamic {
            let tree = DynamicSupervisor::new().start(&rt).await.unwrap();
            let pid = tree.start_child(listener).await.unwrap();
            at = bound(&address);
            killed(&rt, pid).await;
            until_it_waits(async || tree.which_children().await.unwrap()).await;
            drop(connect_now(at).expect("the port is open for the next incarnation"));
            tree.terminate_child(pid).await.unwrap();
        } else {
            let tree = one(listener).start(&rt).await.unwrap();
            at = bound(&address);
            killed(&rt, rt.whereis("listener").unwrap()).await;
            until_it_waits(async || tree.which_children().await.unwrap()).await;
            drop(connect_now(at).expect("the port is open for the next incarnation"));
            tree.terminate_child("echo").await.unwrap();
        }
        refused(at).await;
        assert_eq!(address.get(), None);
    }
}

/// A transient listener that ends normally is not restarted.
#[tokio::test]
async fn a_listener_that_ends_and_is_not_restarted_closes_its_port() {
    for is_dynamic in [false, true] {
        let rt = Runtime::new();
        let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).restart(Restart::Transient);
        let listener = listener.named("listener");
        let address = listener.address();
        let (fixed, dynamic) = (Supervisor::one_for_one(), DynamicSupervisor::new());
        if is_dynamic {
            dynamic.start(&rt).await.unwrap().start_child(listener).await.unwrap();
        } else {
            fixed.child(listener).start(&rt).await.unwrap();
        }
        let at = bound(&address);
        SupervisorRef::named(&rt, "listener").stop().await.unwrap();
        refused(at).await;
        assert_eq!(address.get(), None);
    }
}

/// The supervisor of the listener lives on, and does not know the listener any more.
#[tokio::test]
async fn a_listener_that_is_forgotten_closes_its_port() {
    for is_dynamic in [false, true] {
        let rt = Runtime::new();
        let listener = ChildSpec::tcp_listener("echo", LOCAL, echo).named("listener");
        let address = listener.address();
        if is_dynamic {
            let dynamic = DynamicSupervisor::new().child_intensity(0, HOUR, Exhausted::Forget);
            dynamic.start(&rt).await.unwrap().start_child(listener).await.unwrap();
        } else {
            let child = ChildSpec::from(listener).restart_budget(0, HOUR, Exhausted::Forget);
            Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
        }
        let at = bound(&address);
        killed(&rt, rt.whereis("listener").unwrap()).await;
        refused(at).await;
        assert_eq!(address.get(), None);
    }
}

/// A supervisor that is given up takes the port of its listener with it.
#[tokio::test]
async fn a_listener_below_a_supervisor_that_is_given_up_closes_its_port() {
    let rt = Runtime::new();
    let listener = ChildSpec::tcp_listener("echo", LOCAL, echo);
    let address = listener.address();
    let below = ChildSpec::from(one(listener)).with_id("below").named("below");
    let below = below.restart_budget(0, HOUR, Exhausted::GiveUp);
    let tree = one(below).start(&rt).await.unwrap();
    let at = bound(&address);
    killed(&rt, rt.whereis("below").unwrap()).await;
    refused(at).await;
    assert_eq!(address.get(), None);
    tree.restart_child("below").await.unwrap();
    is_served(&mut TcpStream::connect(bound(&address)).await.unwrap()).await;
}

/// A copy of a listener takes the port over, before the first one is given up: it keeps its address,
/// and its port stays open through its crashes.
#[tokio::test]
async fn the_end_of_a_listener_does_not_affect_its_copy_that_has_the_port() {
    let rt = Runtime::new();
    let first = ChildSpec::tcp_listener("first", LOCAL, echo).named("first");
    let first = first.backoff(Backoff::new().first(HOUR).max(HOUR));
    let address = first.address();
    let copy = first.clone().with_id("copy").named("listener").backoff(Backoff::none());
    let tree = one(first).start(&rt).await.unwrap();
    let at = bound(&address);
    killed(&rt, rt.whereis("first").unwrap()).await;
    until_it_waits(async || tree.which_children().await.unwrap()).await;
    tree.start_child(copy).await.unwrap();
    tree.terminate_child("first").await.unwrap();
    assert_eq!(address.get(), Some(at));
    for _ in 0..3 {
        killed(&rt, acceptor(&rt).await).await;
        is_served(&mut connect_now(at).expect("the port stays open")).await;
        assert_eq!(address.get(), Some(at));
    }
}
