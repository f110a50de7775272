//! A page on very many processes: 30,000 or, with `REGROW_PROOF=full`, 100,000.

use std::future::pending;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use regrow::observer::Observer;
use regrow::{ChildSpec, Runtime, Supervisor, SupervisorRef};

use super::ensure;
use super::hostile::console_without_errors;
use crate::page::{Outcome, Page};
use crate::shop::listener;

/// The number of supervisors, each with its children.
fn supervisors() -> usize {
    let is_full = std::env::var("REGROW_PROOF").is_ok_and(|proof| proof == "full");
    if is_full { 1_000 } else { 300 }
}

const CHILDREN: usize = 100;
/// The number of elements that the document has at most.
const ELEMENTS: u64 = 12_000;

/// Starts the processes, with a page. The first child is named `victim`.
async fn start(rt: &Runtime, groups: usize) -> Outcome<(SupervisorRef, SocketAddr)> {
    let (port, address) = listener().await?;
    let mut top = Supervisor::one_for_one().named("many").child(Observer::new().serve_on(port));
    for group in 0..groups {
        let below = Supervisor::one_for_one().with_id(format!("group {group}"));
        let mut below = below.unlimited_restarts();
        for child in 0..CHILDREN {
            let task = ChildSpec::task(format!("child {child}"), |_| pending());
            let is_victim = group == 0 && child == 0;
            below = below.child(if is_victim { task.named("victim") } else { task });
        }
        top = top.child(below);
    }
    Ok((top.start(rt).await?, address))
}

pub(super) async fn a_page_on_very_many_processes_stays_bounded_and_usable(page: &Page) -> Outcome {
    let groups = supervisors();
    let (all, begun) = (with_commas(groups * (CHILDREN + 1) + 2), Instant::now());
    let rt = Runtime::with_mailbox_depth();
    let (tree, address) = start(&rt, groups).await?;
    let started = begun.elapsed();
    page.client.goto("about:blank").await?;
    let begun = Instant::now();
    page.client.goto(&format!("http://{address}/")).await?;
    page.js("window.long = []; new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.long.push(Math.round(entry.duration)))).observe({ type: 'longtask', buffered: true })").await?;
    page.wait_text("#summary", &format!("{all} processes")).await?;
    let shown = begun.elapsed();
    crash(page, &rt).await?;
    let mut most = 0;
    for fragment in ["tree", "history", "pressure", "stopping", "process?path=many", "tree"] {
        page.go(fragment).await?;
        most = most.max(elements(page).await?);
    }
    page.click("#later").await?;
    page.wait_text("#shown", &format!("rows 601 to 1,200 of {all}")).await?;
    let filtered = filter(page, groups - 1).await?;
    most = most.max(elements(page).await?);
    let long = page.js("const sorted = window.long.sort((a, b) => a - b); return [sorted.length, sorted.at(-1) ?? 0, sorted[sorted.length >> 1] ?? 0]").await?;
    println!(
        "        {all} processes: started in {started:.1?}, shown after {shown:.1?}, filtered after {filtered:.1?}; \
         {} long tasks, the longest {} ms, the median {} ms; at most {most} elements",
        long[0], long[1], long[2]
    );
    console_without_errors(page).await?;
    page.client.goto("about:blank").await?;
    if let Some(pid) = tree.pid() {
        rt.kill(pid);
    }
    ensure(most < ELEMENTS, || format!("the document has {most} elements"))
}

async fn elements(page: &Page) -> Outcome<u64> {
    let count = page.js("return document.querySelectorAll('*').length").await?;
    Ok(count.as_u64().unwrap_or(u64::MAX))
}

/// Causes crashes, and waits until all of them are counted.
async fn crash(page: &Page, rt: &Runtime) -> Outcome {
    let mut killed = None;
    for _ in 0..20 {
        let victim = loop {
            match rt.whereis("victim") {
                Some(pid) if killed != Some(pid) => break pid,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        };
        rt.kill(victim);
        killed = Some(victim);
    }
    page.wait_text("#summary", "20 restarts").await?;
    Ok(())
}

/// Filters the tree by keys, and returns how long that took.
async fn filter(page: &Page, group: usize) -> Outcome<Duration> {
    let begun = Instant::now();
    page.press("/").await?;
    page.press(&format!("group {group}")).await?;
    page.wait_text("#rows .id", &format!("group {group}")).await?;
    let script = "return document.querySelectorAll('#rows .row').length === 102";
    page.wait("the filtered tree is shown", script).await?;
    Ok(begun.elapsed())
}

/// Writes a number as the page does.
fn with_commas(number: usize) -> String {
    format!("{},{:03}", number / 1_000, number % 1_000)
}
