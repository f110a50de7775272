//! A page whose program was restarted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use regrow::observer::Observer;
use regrow::{ChildSpec, Keep, Result, Runtime, Supervisor, SupervisorRef};
use tokio::net::TcpListener;

use super::{Checks, ensure};
use crate::page::Outcome;

#[inline(never)]
fn crash_of_the_first() -> Result {
    panic!("the first program")
}

#[inline(never)]
fn crash_of_the_second() -> Result {
    panic!("the second program")
}

/// Starts a program with a page at this address. Its child crashes so often.
async fn start(address: SocketAddr, crash: fn() -> Result, crashes: u32) -> Outcome<SupervisorRef> {
    let listener = Keep::of(TcpListener::bind(address).await?);
    let left = Arc::new(AtomicU32::new(crashes));
    let job = ChildSpec::task("job", move |_| {
        let left = left.clone();
        async move {
            match left.load(Ordering::Relaxed) {
                0 => std::future::pending().await,
                more => {
                    left.store(more - 1, Ordering::Relaxed);
                    crash()
                }
            }
        }
    });
    let page = Observer::new().serve_on(listener);
    let tree = Supervisor::one_for_one().named("app").unlimited_restarts().child(page);
    Ok(tree.child(job).start(&Runtime::new()).await?)
}

/// Both programs have a child with the same path.
pub(super) async fn nothing_of_an_earlier_program_is_shown_as_of_the_one_that_answers(
    checks: &Checks,
) -> Outcome {
    let page = &checks.page;
    let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let first = start(address, crash_of_the_first, 1).await?;
    page.open(&format!("http://{address}/")).await?;
    page.go("history").await?;
    let button = "#events .backtrace button";
    page.wait(
        "there is a backtrace",
        &format!("return document.querySelector('{button}') !== null"),
    )
    .await?;
    page.click(button).await?;
    page.wait_text("#events .backtrace pre", "crash_of_the_first").await?;
    first.stop().await?;
    let second = start(address, crash_of_the_second, 3).await?;
    page.wait_text("#events .event", "the second program").await?;
    let of = |text: &str| {
        format!(
            "[...document.querySelectorAll('#events .event')].filter((at) => at.innerText.includes('{text}'))"
        )
    };
    let (old, new) = (of("the first program"), of("the second program"));
    let script = format!(
        "return {old}.length === 1 && {old}.every((at) => !at.querySelector('.backtrace') && !at.querySelector('a').hash.includes('pid='))"
    );
    page.wait("what the first program did leads to no process of the second", &script).await?;
    let unfolded =
        page.js("return document.querySelectorAll('#events .backtrace pre:not([hidden])').length");
    let unfolded = unfolded.await?;
    ensure(unfolded == 0, || format!("{unfolded} backtraces are unfolded"))?;
    page.js(&format!("{new}[0].querySelector('.backtrace button').click()")).await?;
    page.wait_text("#events .backtrace pre", "crash_of_the_second").await?;
    page.client.goto("about:blank").await?;
    second.stop().await?;
    Ok(())
}
