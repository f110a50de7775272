//! Lets people in: a process for each, supervised by somebody else.

use std::sync::{Arc, Mutex};

use regrow::{
    DynamicSupervisorRef, GenServer, Keep, Overflow, Restart, Result, StartError, TaskContext,
};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::Settings;
use crate::connection::{Arrival, Connection};

/// How many lines may wait for one client, before it is let go.
const BEHIND: usize = 64;

// ANCHOR: listen
/// Accepts for ever. The port is kept outside, so nobody finds it closed while this is started
/// again.
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
    // A socket can't be cloned, and a connection is started once.
    let slot = Arc::new(Mutex::new(Some(stream)));
    let (stream, settings) = (slot.clone(), settings.clone());
    let arrival = move || Arrival {
        stream: stream.lock().ok().and_then(|mut slot| slot.take()),
        settings: settings.clone(),
    };
    let child = Connection::child_with(arrival)
        .with_id(format!("connection {number}"))
        .restart(Restart::Temporary)
        .mailbox_capacity(BEHIND, Overflow::Reject);
    match connections.start_child(child).await {
        Err(StartError::MaxChildren(_)) => {
            let stream = slot.lock().ok().and_then(|mut slot| slot.take());
            if let Some(mut stream) = stream {
                // If it hears this or not, it is gone.
                let _ = stream.write_all(b"The house is full.\n").await;
            }
        }
        // It crashed before it was ready, which is its own affair.
        Err(StartError::Failed(_)) | Ok(_) => {}
        Err(error) => Err(error)?,
    }
    Ok(())
}
