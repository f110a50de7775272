//! Accepts clients, and starts a process for each under another supervisor.

use regrow::{DynamicSupervisorRef, GenServer, Keep, Overflow, Result, StartError, TaskContext};
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
    let child = Connection::child_once(Arrival { stream, settings: settings.clone() })
        .with_id(format!("connection {number}"))
        .mailbox_capacity(QUEUED_LINES, Overflow::Reject);
    let Err(refused) = connections.start_once(child).await else { return Ok(()) };
    match (refused.error, refused.value) {
        (StartError::MaxChildren(_), Some(Arrival { mut stream, .. })) => {
            // The connection is closed in any case.
            let _ = stream.write_all(b"The house is full.\n").await;
        }
        // A connection that fails to start affects no other.
        (StartError::Failed(_), _) => {}
        (error, _) => Err(error)?,
    }
    Ok(())
}
