//! Announces each step, and checks its results.

use std::fmt::{Debug, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::Pid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tracing::field::{Field, Visit};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::Outcome;

/// Prints the steps, and records the lifecycle log.
pub(crate) struct Narrator {
    pause: Duration,
    lines: Recorder,
}

impl Narrator {
    pub(crate) fn new(pause: Duration) -> Self {
        let lines = Recorder::default();
        let console = tracing_subscriber::fmt::layer().compact().without_time().with_target(false);
        tracing_subscriber::registry()
            .with(console.with_filter(LevelFilter::INFO))
            .with(lines.clone())
            .init();
        Narrator { pause, lines }
    }

    pub(crate) async fn step(&self, text: &str) {
        tokio::time::sleep(self.pause).await;
        println!("\n── {text}");
        tokio::time::sleep(self.pause / 2).await;
    }

    pub(crate) fn check(&self, what: &str, holds: bool) -> Outcome {
        println!("   {} {what}", if holds { "✓" } else { "✗" });
        if holds { Ok(()) } else { Err(what.into()) }
    }

    /// Checks that the log has these lines, in this order.
    pub(crate) fn logged_in_order(&self, lines: &[(&str, Pid)]) -> Outcome {
        let logged = self.lines.0.lock().map_err(|_| "the recorder panicked")?;
        let mut rest = logged.iter();
        for (what, pid) in lines {
            let line = format!("{what} {pid}");
            if !rest.any(|logged| *logged == line) {
                return Err(format!("the log line \"{line}\" is missing or out of order").into());
            }
        }
        println!("   ✓ the log shows it in order");
        Ok(())
    }
}

/// Records each lifecycle line as "what pid".
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "regrow::lifecycle" {
            return;
        }
        let mut line = Line::default();
        event.record(&mut line);
        if let Ok(mut lines) = self.0.lock() {
            lines.push(format!("{} {}", line.message, line.pid));
        }
    }
}

#[derive(Default)]
struct Line {
    message: String,
    pid: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = match field.name() {
            "message" => &mut self.message,
            "pid" => &mut self.pid,
            _ => return,
        };
        // Writing to a String can't fail.
        let _ = write!(text, "{value:?}");
    }
}

/// A client of the service.
pub(crate) struct Client {
    name: &'static str,
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) async fn connect(name: &'static str, address: SocketAddr) -> Outcome<Self> {
        Ok(Client { name, stream: BufReader::new(TcpStream::connect(address).await?) })
    }

    /// Sends a line and returns the answer; empty if the server closed the connection.
    pub(crate) async fn ask(&mut self, line: &str) -> Outcome<String> {
        self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer).await?;
        Ok(answer.trim_end().to_owned())
    }

    pub(crate) async fn expect(&mut self, line: &str, expected: &str) -> Outcome {
        let answer = self.ask(line).await?;
        println!("   {}> {line:<12} {answer}", self.name);
        if answer == expected {
            return Ok(());
        }
        Err(format!("{} asked {line:?}, and got {answer:?} instead of {expected:?}", self.name)
            .into())
    }

    pub(crate) async fn expect_close(&mut self, line: &str) -> Outcome {
        let answer = self.ask(line).await.unwrap_or_default();
        println!("   {}> {line:<12} (connection closed)", self.name);
        if answer.is_empty() { Ok(()) } else { Err("the connection is still open".into()) }
    }
}
