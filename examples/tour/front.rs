//! The TCP front: a listener, and a supervised process for each connection.

use std::sync::Arc;

use regrow::{ChildSpec, Pid, Result, Runtime, SupervisorRef, TaskContext};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::kv::{Call, Cast, KV};

/// Accepts connections. The socket is bound outside, so it outlives a restart of the listener.
pub(crate) async fn listen(listener: Arc<TcpListener>, connections: SupervisorRef) -> Result {
    for number in 1.. {
        let (stream, _) = listener.accept().await?;
        let child = ChildSpec::once(format!("connection {number}"), |ctx| serve(ctx, stream));
        connections.start_once(child).await?;
    }
    Ok(())
}

/// Serves one client: answers each line with a line.
async fn serve(ctx: TaskContext, stream: TcpStream) -> Result {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = answer(&ctx.runtime(), ctx.pid(), &line).await;
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

async fn answer(rt: &Runtime, me: Pid, line: &str) -> String {
    let kv = rt.server(KV);
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["PUT", key, value] => {
            let put = Cast::Put { key: key.into(), value: value.into() };
            if kv.cast(put) { "OK".into() } else { "TRY AGAIN".into() }
        }
        ["GET", key] => {
            let got = kv.call(|reply| Call::Get { key: key.into(), reply }).await;
            match got {
                Ok(value) => value.unwrap_or_else(|| "NOTHING".into()),
                Err(error) => format!("TRY AGAIN: {error}"),
            }
        }
        ["WHO"] => match kv.call(Call::WhoAreYou).await {
            Ok(pid) => pid.to_string(),
            Err(error) => format!("TRY AGAIN: {error}"),
        },
        ["ME"] => me.to_string(),
        ["CRASH", "STORE"] => {
            kv.cast(Cast::Crash);
            "OK".into()
        }
        ["CRASH", "ME"] => panic!("a client did this"),
        _ => "WHAT?".into(),
    }
}
