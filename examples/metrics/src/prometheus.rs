//! A Prometheus on loopback: its process, and its HTTP interface.

use std::error::Error;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// How long a condition is waited for.
const LIMIT: Duration = Duration::from_secs(20);

/// The files of this example.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A Prometheus that scrapes one target. It is killed when the value is dropped.
pub(crate) struct Prometheus {
    address: SocketAddr,
    process: Child,
    data: PathBuf,
}

/// A result of a query: the labels and the value.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) labels: Value,
    pub(crate) value: f64,
}

impl Series {
    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels[name].as_str().unwrap_or_default()
    }
}

impl Prometheus {
    /// Starts a Prometheus that scrapes this address five times a second. Its data is in a new
    /// folder, and its port is free.
    pub(crate) async fn start(target: SocketAddr) -> Result<Self> {
        let data = std::env::temp_dir().join(format!("regrow-metrics-{}", std::process::id()));
        std::fs::create_dir_all(&data)?;
        let config = data.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 200ms, evaluation_interval: 500ms}}\n\
             rule_files: [{alerts:?}]\n\
             scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['{target}']}}]}}]\n",
            alerts = file("alerts.yml"),
        );
        std::fs::write(&config, text)?;
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let argument = |name: &str, value: &Path| format!("--{name}={}", value.display());
        let process = Command::new("prometheus")
            .arg(argument("config.file", &config))
            .arg(argument("storage.tsdb.path", &data.join("data")))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut prometheus = Prometheus { address, process, data };
        let deadline = Instant::now() + LIMIT;
        while !prometheus.query("up").await.is_ok_and(|up| up.iter().any(|up| up.value == 1.0)) {
            if let Some(status) = prometheus.process.try_wait()? {
                return Err(format!("prometheus has ended: {status}").into());
            }
            if Instant::now() > deadline {
                return Err("prometheus has scraped nothing: see its messages above".into());
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(prometheus)
    }

    /// Evaluates a query now.
    pub(crate) async fn query(&self, query: &str) -> Result<Vec<Series>> {
        let answer = self.get(&format!("/api/v1/query?query={}", encoded(query))).await?;
        let result = answer["data"]["result"].as_array();
        let result = result.ok_or_else(|| format!("{query}: {answer}"))?;
        let series = |series: &Value| {
            let value = series["value"][1].as_str()?.parse().ok()?;
            Some(Series { labels: series["metric"].clone(), value })
        };
        Ok(result.iter().filter_map(series).collect())
    }

    /// Evaluates a query until its result is accepted, and returns the result.
    pub(crate) async fn wait(
        &self,
        query: &str,
        accept: impl Fn(&[Series]) -> bool,
    ) -> Result<Vec<Series>> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let found = self.query(query).await?;
            if accept(&found) {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(format!("{query}: not as expected: {found:#?}").into());
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Returns the answer to a request.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        let mut connection = TcpStream::connect(self.address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        connection.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").ok_or("an answer without a body")?;
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // `kill_on_drop` ends the process; a folder that is still in use is left behind.
        let _ = self.process.start_kill();
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' => {
                encoded.push(char::from(byte));
            }
            _ => write!(encoded, "%{byte:02X}").expect("a string takes any text"),
        }
    }
    encoded
}
