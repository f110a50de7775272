//! The screens *Process* and *Pressure* show what is known.

use super::{Checks, ensure};
use crate::page::Outcome;
use crate::shop::HOSTILE_ID;

pub(super) async fn the_screen_process_shows_the_past_of_a_child(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.show().await?;
    page.go_to_process("till").await?;
    page.wait_text("#detail .panel", "the card was declined").await?;
    page.wait_text("#detail dl", "ancestors").await?;
    page.wait_text("#detail dl", "waiting for a message").await?;
    page.wait_text("#detail .events .event", "the card was declined").await?;
    Ok(())
}

pub(super) async fn the_line_of_a_server_is_text_and_a_busy_server_says_since_when(
    checks: &Checks,
) -> Outcome {
    let page = &checks.page;
    checks.show().await?;
    page.go_to_process("till").await?;
    page.wait_text("#detail dl", "open</dd><img src=x onerror=window.hacked=4>\\u{202e}").await?;
    // The server whose mailbox is full.
    page.go_to_process("stock").await?;
    page.wait_text("#detail dl", "busy: no answer for").await?;
    let hacked = page.js("return window.hacked ?? null").await?;
    ensure(hacked.is_null(), || format!("the line was taken for HTML: {hacked}"))
}

pub(super) async fn the_backtrace_of_a_panic_unfolds(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.open().await?;
    checks.shop.crash_hostile();
    page.go("history").await?;
    page.wait_text("#events .event", "[31mred").await?;
    // The next picture says that there is a backtrace. A page that is opened has one at once.
    checks.open().await?;
    page.go("history").await?;
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
    checks.show().await?;
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

/// Cycles do not last in a program that detects them, so the function is given one.
pub(super) async fn a_cycle_of_calls_is_a_chain_that_ends_where_it_began(
    checks: &Checks,
) -> Outcome {
    let page = &checks.page;
    checks.show().await?;
    let script = "const done = arguments[0];
        const wait = (caller, server) => ({ caller, server, caller_path: 'app/' + caller, server_path: 'app/' + server });
        import(new URL('app/waits.js', location).href).then(({ chainsOf }) => done(chainsOf([wait(1, 2), wait(2, 3), wait(3, 4), wait(4, 2), wait(7, 8), wait(9, 9)])
          .map(({ links, isCycle }) => (isCycle ? 'cycle ' : '') + links.map((at) => at.pid).join(' '))), (error) => done(String(error)))";
    let chains = page.js_async(script).await?;
    let expected = serde_json::json!(["cycle 1 2 3 4 2", "cycle 9 9", "7 8"]);
    ensure(chains == expected, || format!("the chains are {chains}"))
}
