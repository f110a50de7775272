//! The screens *Process* and *Pressure* show what is known.

use super::{Checks, ensure};
use crate::page::Outcome;
use crate::shop::HOSTILE_ID;

pub(super) async fn the_screen_process_shows_the_past_of_a_child(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.open().await?;
    page.go_to_process("till").await?;
    page.wait_text("#detail .panel", "the card was declined").await?;
    page.wait_text("#detail dl", "ancestors").await?;
    page.wait_text("#detail dl", "waiting for a message").await?;
    page.wait_text("#detail .events .event", "the card was declined").await?;
    Ok(())
}

pub(super) async fn the_backtrace_of_a_panic_unfolds(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.open().await?;
    checks.shop.crash_hostile();
    page.go("history").await?;
    page.wait_text("#events .event", "[31mred").await?;
    page.wait(
        "the panic has a backtrace",
        "return document.querySelector('#events .backtrace button') !== null",
    )
    .await?;
    page.click("#events .backtrace button").await?;
    page.wait_text("#events .backtrace pre", "shop").await?;
    let is_open = page.js("return document.querySelector('#events .backtrace button').getAttribute('aria-expanded')").await?;
    ensure(is_open == "true", || format!("it is not announced as unfolded: {is_open}"))?;
    page.click("#events .backtrace button").await?;
    page.wait(
        "the backtrace is folded",
        "return document.querySelector('#events .backtrace pre').hidden",
    )
    .await?;
    page.go_to_process(HOSTILE_ID).await?;
    page.wait(
        "the incarnation has a backtrace",
        "return document.querySelector('#detail .backtrace button') !== null",
    )
    .await?;
    Ok(())
}

pub(super) async fn chains_of_calls_and_full_mailboxes_are_on_the_screen_pressure(
    checks: &Checks,
) -> Outcome {
    let page = &checks.page;
    checks.open().await?;
    checks.shop.congest();
    checks.shop.wait_for_stock();
    page.go("pressure").await?;
    page.wait_text("#mailboxes .item", "queued, oldest").await?;
    page.wait_text("#mailboxes .item", "shop/stock").await?;
    page.wait_text("#handlers .item", "handle_cast for").await?;
    page.wait_text("#waits .chain", "waits for").await?;
    let chain = page.js("return document.querySelector('#waits .chain').innerText").await?;
    let chain = chain.as_str().unwrap_or_default();
    ensure(chain.contains("journal") && chain.contains("stock"), || {
        format!("the chain is {chain:?}")
    })
}
