//! A client for the self-test, which prints what it sends and receives.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::selftest::Outcome;

/// How long a client waits for a line.
const LIMIT: Duration = Duration::from_secs(20);

/// A user of the chat.
pub(crate) struct Client {
    name: &'static str,
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) async fn knock(name: &'static str, address: SocketAddr) -> Outcome<Self> {
        let stream = BufReader::new(TcpStream::connect(address).await?);
        let mut client = Client { name, stream };
        client.hears("Who are you?").await?;
        Ok(client)
    }

    pub(crate) async fn enter(name: &'static str, address: SocketAddr) -> Outcome<Self> {
        let mut client = Client::knock(name, address).await?;
        client.says(name).await?;
        client.hears_something().await?;
        Ok(client)
    }

    pub(crate) fn now_called(self, name: &'static str) -> Self {
        Client { name, ..self }
    }

    pub(crate) async fn says(&mut self, line: &str) -> Outcome {
        println!("{:5} says      {line}", self.name);
        self.sends(line).await
    }

    pub(crate) async fn sends(&mut self, line: &str) -> Outcome {
        Ok(self.stream.get_mut().write_all(format!("{line}\n").as_bytes()).await?)
    }

    /// The next line; empty if the server closed the connection.
    pub(crate) async fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        let late = || format!("{} hears nothing", self.name);
        timeout(LIMIT, self.stream.read_line(&mut line)).await.map_err(|_| late())??;
        Ok(line.trim_end().to_owned())
    }

    pub(crate) async fn hears(&mut self, expected: &str) -> Outcome {
        let line = self.line().await?;
        if line != expected {
            return Err(format!("{} hears {line:?} instead of {expected:?}", self.name).into());
        }
        println!("{:5} hears     {line}", self.name);
        Ok(())
    }

    /// Waits for this line, and skips all lines before it.
    pub(crate) async fn hears_at_last(&mut self, expected: &str) -> Outcome {
        loop {
            match self.line().await? {
                line if line == expected => break,
                line if line.is_empty() => return Err(format!("{} is cut off", self.name).into()),
                _ => {}
            }
        }
        println!("{:5} hears     {expected}", self.name);
        Ok(())
    }

    pub(crate) async fn hears_something(&mut self) -> Outcome {
        let line = self.line().await?;
        if line.is_empty() { Err(format!("{} is cut off", self.name).into()) } else { Ok(()) }
    }

    pub(crate) async fn is_cut_off(&mut self) -> Outcome {
        let line = self.line().await.unwrap_or_default(); // a reset connection is closed as well
        println!("{:5} is cut off", self.name);
        if line.is_empty() { Ok(()) } else { Err(format!("{} hears {line:?}", self.name).into()) }
    }
}
