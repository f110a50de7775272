//! Chromium, each browser with a fresh profile, behind a chromedriver on a free port.
//!
//! 1. Chromium resolves no name except `localhost` and [`REBOUND`], so it reaches loopback only.
//! 2. When the [`Driver`] is dropped, chromedriver is killed, and each process whose command line
//!    names the folder of the profiles, which is unique to this program. The folder is removed.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A foreign name that Chromium resolves to loopback, as a DNS server of an attacker would.
pub(crate) const REBOUND: &str = "rebound.example";

/// How long chromedriver may take to listen.
const START: Duration = Duration::from_secs(30);

pub(crate) struct Driver {
    process: Child,
    address: String,
    profiles: PathBuf,
}

impl Driver {
    /// Starts chromedriver on a free port. `None` if it is not installed.
    pub(crate) async fn start() -> Result<Option<Driver>, Box<dyn Error>> {
        let profiles = std::env::temp_dir().join(format!("regrow-browser-{}", std::process::id()));
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut process) = command.kill_on_drop(true).spawn() else { return Ok(None) };
        let output = process.stdout.take().ok_or("chromedriver has no output")?;
        let mut driver = Driver { process, address: String::new(), profiles };
        fs::create_dir_all(&driver.profiles)?;
        let mut lines = BufReader::new(output).lines();
        let port = timeout(START, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, port)) = line.rsplit_once("successfully on port ") {
                    return Some(port.trim_end_matches('.').to_owned());
                }
            }
            None
        });
        let port = port.await?.ok_or("chromedriver did not say its port")?;
        // The pipe is read further, so that chromedriver never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        driver.address = format!("http://127.0.0.1:{port}");
        Ok(Some(driver))
    }

    /// Opens a browser, with a profile of its own of this name.
    pub(crate) async fn open(&self, profile: &str) -> Result<Client, Box<dyn Error>> {
        let Value::Object(capabilities) = self.capabilities(profile) else {
            return Err("no object".into());
        };
        let mut builder = ClientBuilder::new(HttpConnector::new());
        Ok(builder.capabilities(capabilities).connect(&self.address).await?)
    }

    fn capabilities(&self, profile: &str) -> Value {
        let names = format!(
            "MAP {REBOUND} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
        );
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            &format!("--user-data-dir={}", self.profiles.join(profile).display()),
            &format!("--host-resolver-rules={names}"),
        ];
        json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.start_kill();
        let profiles = self.profiles.display().to_string();
        for id in processes_with(&profiles) {
            let _ = std::process::Command::new("kill").args(["-KILL", &id]).status();
        }
        let _ = fs::remove_dir_all(&self.profiles);
    }
}

/// Returns the ids of the other processes whose command line contains this text.
fn processes_with(text: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let ids = ids.filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()));
    let has_text = |id: &String| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    };
    ids.filter(|id| *id != std::process::id().to_string() && has_text(id)).collect()
}
