//! A crawler that fetches every page of a site, although pages fail and hang.
//!
//! The example serves the site as well. Some pages answer 500 at first, some hang. You learn how to
//! run many fetches with a concurrency limit (`TaskStream`), how to limit the time of each page and
//! kill a fetch that takes longer, how to be restarted after a delay (`Backoff`, with jitter), and
//! how the next incarnation continues where the last one stopped (`Keep`).
//!
//! ```text
//! cargo run --example crawler
//! ```
//!
//! You will see each round of the crawler: how many pages it fetched, how many failed, and the
//! restart after the backoff. In the end every page has been fetched exactly once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream;
use regrow::{
    Backoff, ChildSpec, Events, ExitReason, Keep, LifecycleEvent, Restart, Result, Runtime,
    Supervisor, TaskContext, TaskError, TaskStream,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How many pages the site has.
const PAGES: u32 = 60;

/// How many pages are fetched at a time.
const CONCURRENCY: usize = 6;

/// How long a page may take.
const PAGE_LIMIT: Duration = Duration::from_millis(200);

/// The backoff before the first restart of the crawler.
const FIRST_DELAY: Duration = Duration::from_millis(50);

/// The state of the crawl, which outlives restarts of the crawler.
#[derive(Default)]
struct Progress {
    /// Pages that fetched pages link to.
    known: BTreeSet<u32>,
    /// Fetched pages, with their lengths in bytes.
    fetched: BTreeMap<u32, usize>,
}

type Shared = Arc<Mutex<Progress>>;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let site = listener.local_addr()?;
    let site_task = ChildSpec::task("site", {
        let listener = Arc::new(listener);
        move |ctx| serve(listener, ctx)
    });

    let progress: Shared = Arc::default();
    let keep = Keep::with({
        let progress = progress.clone();
        move || progress.clone()
    });
    let crawler = ChildSpec::task("crawler", move |ctx| crawl(site, keep, ctx))
        .restart(Restart::Transient) // the crawl is finished when it returns `Ok`
        .backoff(Backoff::default().first(FIRST_DELAY).max(5 * FIRST_DELAY)); // half of it is random

    let rt = Runtime::new();
    let events = rt.events();
    let tree = Supervisor::one_for_one()
        .named("crawl")
        .intensity(20, Duration::from_secs(5))
        .child(site_task)
        .child(crawler)
        .start(&rt)
        .await?;
    println!("{}\n", tree.tree().await?);

    finished(events).await;
    let crawler = tree.which_child("crawler").await?;
    println!("\n{}", tree.tree().await?);
    let (pages, bytes) = totals(&progress);
    println!("\n{pages} pages, {bytes} bytes, {} restarts", crawler.restarts);
    assert_eq!(pages, PAGES as usize);
    assert!(crawler.restarts > 0, "no fetch of the site failed");
    tree.stop().await?;
    Ok(())
}

/// Prints each restart, until the crawler has finished.
async fn finished(mut events: Events) {
    while let Some(event) = events.next().await {
        match event {
            LifecycleEvent::Restarting { attempt, delay, reason, .. } => {
                println!("   {reason}: restart {attempt}, after {} ms", delay.as_millis());
            }
            LifecycleEvent::ChildEnded { child, .. } if child == "crawler" => break,
            _ => {}
        }
    }
}

fn totals(progress: &Shared) -> (usize, usize) {
    let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    (progress.fetched.len(), progress.fetched.values().sum())
}

/// One incarnation: fetches in rounds, and returns an error after a round in which a page failed.
async fn crawl(site: SocketAddr, keep: Keep<Shared>, ctx: TaskContext) -> Result {
    let progress = keep.get().await?;
    loop {
        let missing = missing(&progress);
        if missing.is_empty() {
            return Ok(());
        }
        let failed = round(site, missing, &progress, &ctx).await?;
        if failed > 0 {
            return Err(ExitReason::crashed(format!("{failed} pages failed")));
        }
    }
}

/// The pages that are known and not yet fetched; at first the front page.
fn missing(progress: &Shared) -> Vec<u32> {
    let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
    progress.known.insert(0);
    let new = progress.known.iter().filter(|page| !progress.fetched.contains_key(page));
    new.copied().collect()
}

/// Fetches these pages, with the concurrency limit. Returns how many failed.
async fn round(
    site: SocketAddr,
    pages: Vec<u32>,
    progress: &Shared,
    ctx: &TaskContext,
) -> Result<usize> {
    let total = pages.len();
    let fetch = move |page| async move {
        let text = fetch(site, page).await;
        (page, text.map_err(|error| error.to_string()))
    };
    let mut answers = TaskStream::nolink(&ctx.runtime(), stream::iter(pages), fetch)
        .concurrency(CONCURRENCY)
        .timeout(PAGE_LIMIT)
        .unordered();
    let (mut refused, mut hung) = (0, 0);
    while let Some(answer) = answers.next().await {
        match answer {
            Ok((page, Ok(text))) => {
                let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
                progress.known.extend(links(&text));
                let before = progress.fetched.insert(page, text.len());
                assert!(before.is_none(), "page {page} was fetched twice");
            }
            Ok((_, Err(_))) => refused += 1,
            Err(TaskError::Timeout(_)) => hung += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let fetched = total - refused - hung;
    println!("{}: {fetched} fetched, {refused} refused, {hung} hung", ctx.pid());
    Ok(refused + hung)
}

fn links(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|word| word.strip_prefix('/')?.parse().ok()).collect()
}

async fn fetch(site: SocketAddr, page: u32) -> Result<String, Box<dyn Error + Send + Sync>> {
    let mut socket = TcpStream::connect(site).await?;
    socket.write_all(format!("GET /{page} HTTP/1.0\r\n\r\n").as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    if !head.starts_with("HTTP/1.0 200") {
        return Err(head.into());
    }
    Ok(body.to_owned())
}

/// The site: page n links to 2n + 1 and 2n + 2. Every seventh page fails the first two times, every
/// eleventh hangs the first time.
async fn serve(listener: Arc<TcpListener>, ctx: TaskContext) -> Result {
    let requests: Arc<Mutex<HashMap<u32, u32>>> = Arc::default();
    loop {
        let (socket, _) = listener.accept().await?;
        let requests = requests.clone();
        ctx.spawn_link(async move {
            // A client that closes its connection early is no failure of the site.
            let _ = answer(socket, &requests).await;
            Ok(())
        });
    }
}

async fn answer(mut socket: TcpStream, requests: &Mutex<HashMap<u32, u32>>) -> std::io::Result<()> {
    let mut request = [0; 256];
    let read = socket.read(&mut request).await?;
    let request = String::from_utf8_lossy(&request[..read]).into_owned();
    let page = links(&request).first().copied().unwrap_or(0);
    let before = {
        let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
        let times = requests.entry(page).or_default();
        *times += 1;
        *times - 1
    };
    if page % 11 == 5 && before == 0 {
        return std::future::pending().await;
    }
    if page % 7 == 3 && before < 2 {
        return socket.write_all(b"HTTP/1.0 500 Not Today\r\n\r\n").await;
    }
    let next = [2 * page + 1, 2 * page + 2].into_iter().filter(|next| *next < PAGES);
    let links: Vec<String> = next.map(|next| format!("/{next}")).collect();
    let text = format!("HTTP/1.0 200 OK\r\n\r\npage {page} links to {}", links.join(" "));
    socket.write_all(text.as_bytes()).await
}
