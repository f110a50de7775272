//! Readers of the observer over TCP: one that reads all events, as an open page does, and visitors
//! that come and go.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::model::{Ledger, Model, Running, now_ms};

type Connection = BufReader<TcpStream>;

/// Sends a request. With HTTP/1.0 the answer is not chunked, and ends with the connection.
async fn request(address: SocketAddr, path: &str) -> io::Result<Connection> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    Ok(BufReader::new(stream))
}

/// Reads all events, until the observer closes the connection. Then `is_over` says whether that was
/// to be expected.
pub(crate) async fn read(
    address: SocketAddr,
    model: Arc<Model>,
    ledger: Arc<Ledger>,
    is_over: impl Fn() -> bool,
) {
    let read = events(address, &model, &ledger).await;
    if !is_over() {
        model.fault(format!("the events of the page ended: {read:?}"));
    }
}

async fn events(address: SocketAddr, model: &Model, ledger: &Ledger) -> io::Result<()> {
    let mut connection = request(address, "/events").await?;
    let mut line = String::new();
    let (mut last, mut picture_ms) = (None, 0);
    while connection.read_line(&mut line).await? > 0 {
        if let Some(item) = line.trim_end().strip_prefix("data: ") {
            let item: Value = serde_json::from_str(item)?;
            match item["type"].as_str() {
                Some("picture") => {
                    picture_ms = now_ms();
                    model.picture(running(&item));
                    last = last.or(item["seq"].as_u64());
                }
                Some("change") => {
                    let seq = item["seq"].as_u64().unwrap_or_default();
                    let expected = last.map_or(seq, |last: u64| last + 1);
                    if seq < expected {
                        model.fault(format!("change {seq} after change {}", expected - 1));
                    }
                    ledger.missing(expected..seq, picture_ms);
                    last = Some(seq);
                    let text = |field: &str| item[field].as_str().unwrap_or_default();
                    model.change(text("change"), text("path"), item["pid"].as_u64());
                }
                Some("sample") => model.samples.add(1),
                _ => model.fault(format!("the page: {item}")),
            }
        }
        line.clear();
    }
    Ok(())
}

fn running(picture: &Value) -> Running {
    let nodes = picture["nodes"].as_array().into_iter().flatten();
    let runs =
        |node: &&Value| matches!(node["state"].as_str(), Some("running" | "starting" | "stopping"));
    let process = |node: &Value| Some((node["path"].as_str()?.to_owned(), node["pid"].as_u64()?));
    nodes.filter(runs).filter_map(process).collect()
}

/// Loads the page, its script, the details of a process, and the beginning of the events.
pub(crate) async fn visit(address: SocketAddr, pid: u64) -> io::Result<()> {
    for path in ["/", "/app.js", "/style.css", &format!("/process/{pid}")] {
        let mut answer = String::new();
        request(address, path).await?.read_to_string(&mut answer).await?;
        // The process may have ended.
        if !answer.starts_with("HTTP/1.0 200") && !answer.starts_with("HTTP/1.0 404") {
            return Err(io::Error::other(format!("{path}: {answer}")));
        }
    }
    let mut events = request(address, "/events").await?;
    let mut line = String::new();
    while !line.starts_with("data: ") {
        line.clear();
        if events.read_line(&mut line).await? == 0 {
            return Err(io::Error::other("no event"));
        }
    }
    // Reads on for a while, and then leaves in the middle.
    let mut rest = Vec::new();
    let _ = timeout(Duration::from_secs(1), events.read_to_end(&mut rest)).await;
    Ok(())
}
