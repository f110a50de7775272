//! Accepts clients, and starts a process for each under another supervisor.

use std::sync::{Arc, Mutex};

use regrow::{
    DynamicSupervisorRef, GenServer, Keep, Overflow, Restart, Result, StartError, TaskContext,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::Settings;
use crate::connection::{Arrival, Connection};

/// How many lines may be queued for one client. A client that exceeds them is disconnected.
const QUEUED_LINES: usize = 64;

// ANCHOR: listen
/// Accepts clients. The port is kept outside, so it stays open while this task is restarted.
pub(crate) async fn listen(
    ctx: TaskContext,
    port: Keep<TcpListener>,
    settings: Settings,
) -> Result {
    let port = port.lend().await?;
    let connections = DynamicSupervisorRef::named(&ctx.runtime(), "connections");
    for number in 1.. {
        let (stream, _) = port.accept().await?;
        admit(&connections, stream, number, &settings).await?;
    }
    Ok(())
}
// ANCHOR_END: listen

async fn admit(
    connections: &DynamicSupervisorRef,
    stream: TcpStream,
    number: u64,
    settings: &Settings,
) -> Result {
    // A socket can't be cloned, and a temporary child is started only once.
    let slot = Arc::new(Mutex::new(Some(stream)));
    let (stream, settings) = (slot.clone(), settings.clone());
    let arrival = move || Arrival {
        stream: stream.lock().ok().and_then(|mut slot| slot.take()),
        settings: settings.clone(),
    };
    let child = Connection::child_with(arrival)
        .with_id(format!("connection {number}"))
        .restart(Restart::Temporary)
        .mailbox_capacity(QUEUED_LINES, Overflow::Reject);
    match connections.start_child(child).await {
        Err(StartError::MaxChildren(_)) => {
            let stream = slot.lock().ok().and_then(|mut slot| slot.take());
            if let Some(mut stream) = stream {
                // The connection is closed in any case.
                let _ = stream.write_all(b"The house is full.\n").await;
            }
        }
        // A connection that fails to start affects no other.
        Err(StartError::Failed(_)) | Ok(_) => {}
        Err(error) => Err(error)?,
    }
    Ok(())
}
