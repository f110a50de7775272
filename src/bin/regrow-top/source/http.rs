//! Receives the items of a program, and connects again after each failure, also after a restart of
//! the program.
//!
//! 1. After a failure, the next connection is tried after a delay. The delay doubles from [`FIRST`]
//!    to [`MOST`] with each failure. A connection that has delivered an item resets the delay to
//!    [`FIRST`].
//! 2. A program sends a sample each second. A connection without any byte for [`SILENCE`] has failed.
//! 3. Items are queued in a bounded channel. While the channel is full, no further bytes are read
//!    from the connection.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, HOST, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::source::News;
use crate::source::sse::Decoder;
use crate::source::url::Target;

const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);

/// The time limit for a connection, and for the beginning of an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often the details of the chosen process are fetched.
const DETAILS: Duration = Duration::from_secs(1);

/// How many bytes of the body of an error are read.
const EXCUSE: usize = 300;

/// A running program.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    target: Target,
    news: mpsc::Sender<News>,
}

impl Program {
    /// Sends the items of the program, and the details of the chosen process, until the receiver of
    /// the news is dropped.
    pub(crate) fn follow(
        target: Target,
        news: mpsc::Sender<News>,
        chosen: watch::Receiver<Option<u64>>,
    ) {
        let program = Program { target, news };
        tokio::spawn(program.clone().items());
        tokio::spawn(program.details(chosen));
    }

    async fn items(self) {
        let mut delay = FIRST;
        while !self.news.is_closed() {
            let (arrived, why) = self.stream().await;
            if arrived {
                delay = FIRST;
            }
            if self.news.send(News::Lost(why)).await.is_err() {
                return;
            }
            sleep(delay).await;
            delay = (delay * 2).min(MOST);
        }
    }

    /// Forwards items until the connection fails. Returns whether at least one item has arrived,
    /// and the reason of the failure.
    async fn stream(&self) -> (bool, String) {
        let mut body = match open(&self.target).await {
            Ok(body) => body,
            Err(why) => return (false, why),
        };
        if self.news.send(News::Connected).await.is_err() {
            return (false, String::new());
        }
        let (mut decoder, mut arrived) = (Decoder::default(), false);
        loop {
            let events = match next(&mut body, &mut decoder).await {
                Ok(events) => events,
                Err(why) => return (arrived, why),
            };
            for event in events {
                arrived = true;
                if self.news.send(News::Item(event)).await.is_err() {
                    return (true, String::new());
                }
            }
        }
    }

    async fn details(self, mut chosen: watch::Receiver<Option<u64>>) {
        loop {
            let pid = *chosen.borrow_and_update();
            if let Some(pid) = pid
                && let Ok(news) = detail(&self.target, pid).await
                && self.news.send(news).await.is_err()
            {
                return;
            }
            let changed = match pid {
                None => chosen.changed().await,
                Some(_) => timeout(DETAILS, chosen.changed()).await.unwrap_or(Ok(())),
            };
            if changed.is_err() {
                return; // the view has ended
            }
        }
    }
}

/// Returns the first items, and the details of the process with this pid, if a pid is given.
pub(crate) async fn first_items(target: &Target, pid: Option<u64>) -> Result<Vec<News>, String> {
    let mut body = open(target).await?;
    let mut decoder = Decoder::default();
    let mut items = Vec::new();
    while items.is_empty() {
        items.extend(next(&mut body, &mut decoder).await?.into_iter().map(News::Item));
    }
    if let Some(pid) = pid {
        items.push(detail(target, pid).await?);
    }
    Ok(items)
}

/// Opens the stream of events.
async fn open(target: &Target) -> Result<Incoming, String> {
    let response = get(target, &target.route("events"), "text/event-stream").await?;
    if !response.status().is_success() {
        return Err(excuse(response).await);
    }
    let kind = response.headers().get(hyper::header::CONTENT_TYPE);
    let is_stream = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    if !is_stream {
        return Err(format!("{} has no events: is it an observer of regrow?", target.url()));
    }
    Ok(response.into_body())
}

/// Waits for the next events.
async fn next(body: &mut Incoming, decoder: &mut Decoder) -> Result<Vec<String>, String> {
    let frame = timeout(SILENCE, body.frame()).await;
    let frame = frame.map_err(|_| format!("silent for {} s", SILENCE.as_secs()))?;
    let frame = frame.ok_or("the program closed the connection")?;
    let frame = frame.map_err(|error| chain(&error))?;
    frame.data_ref().map_or(Ok(Vec::new()), |bytes| decoder.push(bytes))
}

/// Fetches the details of a process.
async fn detail(target: &Target, pid: u64) -> Result<News, String> {
    let path = target.route(&format!("process/{pid}"));
    let response = get(target, &path, "application/json").await?;
    if response.status() == StatusCode::NOT_FOUND {
        return Ok(News::Gone(pid));
    }
    if !response.status().is_success() {
        return Err(excuse(response).await);
    }
    let body = timeout(PATIENCE, response.into_body().collect()).await;
    let body = body.map_err(|_| "the details did not arrive")?.map_err(|error| chain(&error))?;
    Ok(News::Item(String::from_utf8_lossy(&body.to_bytes()).into_owned()))
}

/// Sends a request over a new connection.
async fn get(
    target: &Target,
    path: &str,
    accept: &'static str,
) -> Result<Response<Incoming>, String> {
    let answer = async {
        let stream = TcpStream::connect((&*target.host, target.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| chain(&error))?;
        // The task of the connection ends when the body of the response is complete or dropped.
        tokio::spawn(connection);
        let mut request = Request::get(path).body(Empty::<Bytes>::new());
        if let Ok(request) = &mut request {
            let headers = request.headers_mut();
            let host = HeaderValue::from_str(&target.authority);
            headers.insert(HOST, host.map_err(|error| error.to_string())?);
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            headers.extend(target.headers.clone());
        }
        let request = request.map_err(|error| error.to_string())?;
        sender.send_request(request).await.map_err(|error| chain(&error))
    };
    let answer = timeout(PATIENCE, answer).await;
    answer.map_err(|_| format!("no answer within {} s", PATIENCE.as_secs()))?
}

/// Returns the status of a refusal, and the beginning of its body.
async fn excuse(response: Response<Incoming>) -> String {
    let status = response.status();
    let mut body = response.into_body();
    let frame = timeout(Duration::from_secs(1), body.frame()).await;
    let text = match frame {
        Ok(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
        _ => Bytes::new(),
    };
    let text = String::from_utf8_lossy(&text[..text.len().min(EXCUSE)]).trim().to_owned();
    match text.is_empty() {
        true => status.to_string(),
        false => format!("{status}: {text}"),
    }
}

/// Returns the text of an error and of its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
