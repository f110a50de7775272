//! Children that can't be cloned, listeners, connections, and starts that have to be repeated.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{
    Backoff, CallError, ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Exhausted, GenServer,
    Health, Keep, KeyedServers, ListenerSpec, Pid, Restart, Result, Runtime, StartError,
    Supervisor, SupervisorRef, SupervisorSpec, TaskContext,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

use super::counter::{Call, Counter};
use super::{LIMIT, SECOND};

async fn serve(_: TaskContext, _: TcpStream) -> Result {
    std::future::pending().await
}

async fn socket_before(connections: &SupervisorRef, number: u64, stream: TcpStream) -> Result {
    // BEFORE socket
    let slot = Arc::new(Mutex::new(Some(stream)));
    let child = ChildSpec::task(format!("connection {number}"), move |ctx| async move {
        let stream = slot.lock().ok().and_then(|mut slot| slot.take());
        match stream {
            Some(stream) => serve(ctx, stream).await,
            None => Ok(()),
        }
    });
    connections.start_child(child.restart(Restart::Temporary)).await?;
    // END
    Ok(())
}

async fn socket_now(connections: &SupervisorRef, number: u64, stream: TcpStream) -> Result {
    // NOW socket
    let child = ChildSpec::once(format!("connection {number}"), |ctx| serve(ctx, stream));
    connections.start_once(child).await?;
    // END
    Ok(())
}

// BEFORE listener
async fn listen(ctx: TaskContext, port: Keep<TcpListener>) -> Result {
    let port = port.lend().await?;
    let connections = DynamicSupervisorRef::named(&ctx.runtime(), "connections");
    loop {
        match port.accept().await {
            Ok((stream, client)) => admit(&connections, stream, client).await?,
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection is accepted");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn is_of_one_client(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

async fn admit(
    connections: &DynamicSupervisorRef,
    stream: TcpStream,
    client: SocketAddr,
) -> Result {
    let child = ChildSpec::once_with(client.to_string(), stream, serve);
    let Err(refused) = connections.start_once(child).await else { return Ok(()) };
    match (refused.error, refused.value) {
        (StartError::MaxChildren(_), Some(mut stream)) => {
            stream.write_all(b"The house is full.\n").await.ok();
        }
        (StartError::Failed(_), _) => {}
        (error, _) => Err(error)?,
    }
    Ok(())
}

fn listener_before() -> SupervisorSpec {
    let connections = DynamicSupervisor::new().named("connections").max_children(10_000);
    let port = Keep::new(|| TcpListener::bind("0.0.0.0:7000"));
    let listener = ChildSpec::task("listener", |ctx| listen(ctx, port));
    Supervisor::rest_for_one().child(connections).child(listener)
}
// END

fn listener_now() -> ListenerSpec<TcpStream> {
    // NOW listener
    ChildSpec::tcp_listener("listener", "0.0.0.0:7000", |ctx, stream, _| serve(ctx, stream))
        .max_connections(10_000)
        .refuse_with("The house is full.\n")
    // END
}

// BEFORE connection
async fn stay_connected(ctx: TaskContext) -> Result {
    let mut delay = SECOND;
    loop {
        ctx.set_health(Health::Starting);
        match timeout(LIMIT, TcpStream::connect("feed.example:9000")).await {
            Ok(Ok(stream)) => {
                ctx.set_health(Health::Ready);
                delay = SECOND;
                if let Err(reason) = session(stream).await {
                    tracing::warn!(%reason, "the connection is lost");
                }
            }
            failed => tracing::warn!(?failed, "no connection"),
        }
        sleep(delay).await;
        delay = (2 * delay).min(30 * SECOND);
    }
}

fn connection_before() -> ChildSpec {
    ChildSpec::task("feed", stay_connected)
}
// END

async fn session(_: TcpStream) -> Result {
    std::future::pending().await
}

fn connection_now() -> ChildSpec {
    // NOW connection
    let connect = ChildSpec::connect("feed", "feed.example:9000", |_, stream| session(stream));
    connect.connect_timeout(LIMIT).into()
    // END
}

// BEFORE key
async fn count_before(devices: &DynamicSupervisorRef, rt: &Runtime, key: u32) -> Result<u64> {
    let (name, due) = (format!("device {key}"), Instant::now() + LIMIT);
    loop {
        let child = Counter::child(0).with_id(name.clone()).restart(Restart::Temporary);
        devices.get_or_start(name.clone(), child).await?;
        let left = due.saturating_duration_since(Instant::now());
        match rt.server::<Counter>(name.clone()).call_timeout(Call::Get, left).await {
            Err(CallError::NoProc | CallError::NoHolder(_)) if !left.is_zero() => {
                sleep(Duration::from_millis(1)).await; // it has just ended, for example idle
            }
            done => return Ok(done?),
        }
    }
}
// END

async fn count_now(devices: &KeyedServers<u32, Counter>, key: u32) -> Result<u64> {
    // NOW key
    Ok(devices.call_or_start(&key, || Counter::spec(0), Call::Get, LIMIT).await?)
    // END
}

async fn start_before(devices: &DynamicSupervisorRef) -> Result<Pid> {
    // BEFORE start
    let due = Instant::now() + LIMIT;
    let pid = loop {
        match devices.start_child(Counter::child(0)).await {
            Err(StartError::Unreachable(_)) if Instant::now() < due => {
                sleep(Duration::from_millis(10)).await;
            }
            done => break done?,
        }
    };
    // END
    Ok(pid)
}

async fn start_now(devices: &DynamicSupervisorRef) -> Result<Pid> {
    // NOW start
    let pid = devices.start_child_waiting(Counter::child(0), LIMIT).await?;
    // END
    Ok(pid)
}

fn first_start_before() -> SupervisorSpec {
    // BEFORE first_start
    let starter = ChildSpec::task("starter", |ctx| async move {
        let (tree, mut delay) = (SupervisorRef::named(&ctx.runtime(), "app"), SECOND);
        while let Err(error) = tree.start_child(Counter::child(0)).await {
            tracing::warn!(%error, "the database does not start");
            sleep(delay).await;
            delay = (2 * delay).min(30 * SECOND);
        }
        Ok(())
    });
    Supervisor::one_for_one().named("app").child(starter.restart(Restart::Transient))
    // END
}

fn first_start_now() -> SupervisorSpec {
    // NOW first_start
    let database = Counter::child(0).backoff(Backoff::new()).retry_first_start(true);
    Supervisor::one_for_one().named("app").child(database)
    // END
}

fn budget_before(feed: ChildSpec, site: ChildSpec) -> SupervisorSpec {
    // BEFORE budget
    let feed = Supervisor::one_for_one().with_id("feed").intensity(5, 60 * SECOND).child(feed);
    let feed = ChildSpec::from(feed).restart(Restart::Temporary);
    Supervisor::one_for_one().child(feed).child(site)
    // END
}

fn budget_now(feed: ChildSpec, site: ChildSpec) -> SupervisorSpec {
    // NOW budget
    let feed = feed.restart_budget(5, 60 * SECOND, Exhausted::GiveUp);
    Supervisor::one_for_one().child(feed).child(site)
    // END
}
