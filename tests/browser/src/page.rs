//! The page in the browser: what a check does with it and asks of it.

use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, Locator};
use http::Method;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::{ParseError, Url};

pub(crate) type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The screens, in the order of their keys.
pub(crate) const SCREENS: [&str; 5] = ["tree", "history", "process", "pressure", "stopping"];

/// How long a check waits for the page.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one command of a wait takes at most, in milliseconds.
const LOOKS_MS: u32 = 5_000;

pub(crate) struct Page {
    pub(crate) client: Client,
}

/// A command of chromedriver beyond WebDriver: its place below the session, and its body.
#[derive(Debug)]
struct Extension(&'static str, Value);

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

impl Page {
    /// Opens an address and waits until the page is live.
    pub(crate) async fn open(&self, address: &str) -> Outcome {
        self.client.goto("about:blank").await?;
        self.client.goto(address).await?;
        self.wait("the page is live", "return document.querySelector('#link.live') !== null")
            .await?;
        self.wait("the tree is shown", "return document.querySelector('#rows .row .id') !== null")
            .await?;
        Ok(())
    }

    pub(crate) async fn js(&self, script: &str) -> Outcome<Value> {
        Ok(self.client.execute(script, Vec::new()).await?)
    }

    /// Evaluates the script, which calls its last argument with the result.
    pub(crate) async fn js_async(&self, script: &str) -> Outcome<Value> {
        Ok(self.client.execute_async(script, Vec::new()).await?)
    }

    /// Waits until the script returns `true`, and returns how long that took.
    pub(crate) async fn wait(&self, what: &str, script: &str) -> Outcome<Duration> {
        let begun = Instant::now();
        // The browser itself repeats the script: a command takes longer than the script.
        let waits = format!(
            "const done = arguments[arguments.length - 1], begun = performance.now(); \
             const is_so = () => {{ {script} }}; \
             const look = () => {{ \
               let so; \
               try {{ so = is_so(); }} catch (error) {{ return done(String(error)); }} \
               if (so === true || performance.now() - begun > {LOOKS_MS}) return done(so === true); \
               setTimeout(look, 10); \
             }}; look();"
        );
        loop {
            match self.js_async(&waits).await? {
                Value::Bool(true) => return Ok(begun.elapsed()),
                Value::String(error) => return Err(format!("{what}: {error}").into()),
                _ if begun.elapsed() < PATIENCE => {}
                _ => {
                    let text = self.js("return document.body.innerText.slice(0, 400)").await?;
                    let after = format!("not so after {PATIENCE:?}: {what}");
                    return Err(format!("{after}. The page shows: {text}").into());
                }
            }
        }
    }

    /// Waits until the text of this element contains the other text.
    pub(crate) async fn wait_text(&self, selector: &str, text: &str) -> Outcome<Duration> {
        let script = format!(
            "return [...document.querySelectorAll({})].some((at) => at.innerText.includes({}))",
            json!(selector),
            json!(text)
        );
        self.wait(&format!("{selector} shows {text:?}"), &script).await
    }

    /// Shows a screen by its fragment.
    pub(crate) async fn go(&self, fragment: &str) -> Outcome {
        self.js(&format!("location.hash = {}", json!(format!("#{fragment}")))).await?;
        let name = fragment.split('?').next().unwrap_or_default();
        self.wait(
            &format!("the screen {name} is shown"),
            &format!("return !document.getElementById('screen-{name}').hidden"),
        )
        .await?;
        Ok(())
    }

    /// Shows the process of the row with this id.
    pub(crate) async fn go_to_process(&self, id: &str) -> Outcome {
        self.go("tree").await?;
        let find = format!(
            "[...document.querySelectorAll('#rows .id')].find((at) => at.textContent === {})",
            json!(id)
        );
        self.wait(&format!("the tree has {id}"), &format!("return Boolean({find})")).await?;
        self.js(&format!("{find}.click()")).await?;
        self.wait_text("#detail .title strong", id).await?;
        Ok(())
    }

    pub(crate) async fn click(&self, selector: &str) -> Outcome {
        Ok(self.client.find(Locator::Css(selector)).await?.click().await?)
    }

    /// Types keys where the focus is.
    pub(crate) async fn press(&self, keys: &str) -> Outcome {
        Ok(self.client.active_element().await?.send_keys(keys).await?)
    }

    pub(crate) async fn set_size(&self, width: u32, height: u32) -> Outcome {
        let params =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let body = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": params });
        self.client.issue_cmd(Extension("goog/cdp/execute", body)).await?;
        Ok(())
    }

    pub(crate) async fn set_theme(&self, theme: &str) -> Outcome {
        self.js(&format!("document.documentElement.dataset.theme = {}", json!(theme))).await?;
        Ok(())
    }

    /// Returns and forgets the entries of a log of the browser: `browser` or `performance`.
    pub(crate) async fn log(&self, kind: &str) -> Outcome<Vec<Value>> {
        let entries = self.client.issue_cmd(Extension("se/log", json!({ "type": kind }))).await?;
        Ok(entries.as_array().cloned().unwrap_or_default())
    }

    /// Returns and forgets the events of the network since the last call: method and parameters.
    pub(crate) async fn network(&self) -> Outcome<Vec<(String, Value)>> {
        let mut events = Vec::new();
        for entry in self.log("performance").await? {
            let text = entry["message"].as_str().unwrap_or_default();
            let message: Value = serde_json::from_str(text)?;
            let event = &message["message"];
            events.push((
                event["method"].as_str().unwrap_or_default().to_owned(),
                event["params"].clone(),
            ));
        }
        Ok(events)
    }
}
