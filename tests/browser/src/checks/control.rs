//! Control from the page, where the program allows it.

use fantoccini::key::Key;
use regrow::LogLevel;
use serde_json::json;

use super::{Checks, ensure};
use crate::page::Outcome;

const BUTTONS: &str = "[...document.querySelectorAll('#actions button')]";

/// Clicks on the action with this name.
async fn choose(checks: &Checks, action: &str) -> Outcome {
    let page = &checks.page;
    let find = format!("{BUTTONS}.find((at) => at.textContent.startsWith('{action}'))");
    page.wait(&format!("{action} is offered"), &format!("return Boolean({find})")).await?;
    page.js(&format!("{find}.click()")).await?;
    page.wait("a confirmation is asked for", "return !document.getElementById('question').hidden")
        .await?;
    Ok(())
}

pub(super) async fn a_click_restarts_a_child_when_it_is_confirmed(checks: &Checks) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    checks.open().await?;
    page.go_to_process("till").await?;
    let before = shop.till().ok_or("till is not alive")?;
    choose(checks, "Restart").await?;
    page.click("#cancel").await?;
    page.wait("the question is gone", "return document.getElementById('question').hidden").await?;
    ensure(shop.till() == Some(before), || "it was restarted without a confirmation".into())?;
    choose(checks, "Restart").await?;
    page.click("#confirm").await?;
    page.wait_text("#answer", "restart: done").await?;
    let after = shop.till().ok_or("till is not alive after its restart")?;
    ensure(after != before, || "it was not restarted".into())?;
    page.wait_text("#detail .title", &format!("#{}", after.raw())).await?;
    page.go("history").await?;
    page.wait_text("#events .event", "restart by 127.0.0.1").await?;
    Ok(())
}

pub(super) async fn a_process_is_suspended_and_resumed_by_keys_alone(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.open().await?;
    page.press("/").await?;
    page.press("till").await?;
    page.wait(
        "the tree is filtered",
        "return document.querySelectorAll('#rows .row').length === 2",
    )
    .await?;
    page.press(&Key::Down).await?;
    page.press(&Key::Down).await?;
    page.press(&Key::Enter).await?;
    page.wait_text("#detail .title strong", "shop/till").await?;
    for (action, state) in
        [("Suspend", "messages wait until it is resumed"), ("Resume", "waiting for a message")]
    {
        page.wait("it can be controlled", &format!("return {BUTTONS}.length === 5")).await?;
        page.js("document.querySelector('nav [data-screen=stopping]').focus()").await?;
        for _ in 0..20 {
            page.press(&Key::Tab).await?;
            let focus = page.js("return document.activeElement.textContent").await?;
            if focus == json!(format!("{action}…")) {
                break;
            }
        }
        page.press(&Key::Enter).await?;
        page.wait(
            "the confirmation has the focus",
            "return document.activeElement.id === 'confirm'",
        )
        .await?;
        page.press(&Key::Escape).await?;
        let focus = page.js("return document.activeElement.textContent").await?;
        ensure(focus == json!(format!("{action}…")), || {
            format!("after Escape {focus} has the focus")
        })?;
        page.press(&Key::Enter).await?;
        page.press(&Key::Enter).await?;
        page.wait_text("#answer", ": done").await?;
        page.wait_text("#detail dd", state).await?;
    }
    Ok(())
}

pub(super) async fn a_request_that_is_refused_says_why(checks: &Checks) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    checks.open().await?;
    page.go_to_process("till").await?;
    choose(checks, "Kill").await?;
    // The process of the question ends before the answer: its successor must not be killed.
    let before = shop.till().ok_or("till is not alive")?;
    shop.crash_till();
    page.wait("its successor is shown", &format!("const text = document.querySelector('#detail .title').innerText; return text.includes('running') && !text.includes('#{}')", before.raw())).await?;
    let successor = shop.till();
    page.click("#confirm").await?;
    page.wait_text("#answer", "kill refused: ").await?;
    println!("        {}", page.js("return document.getElementById('answer').innerText").await?);
    ensure(shop.till() == successor, || "another process was killed".into())
}

pub(super) async fn the_log_level_of_the_program_is_chosen(checks: &Checks) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    checks.open().await?;
    page.wait("the level is offered", "return !document.getElementById('level').hidden").await?;
    for (name, level) in [("debug", LogLevel::Debug), ("error", LogLevel::Error)] {
        page.js(&format!("const select = document.querySelector('#level select'); select.value = '{name}'; select.dispatchEvent(new Event('change'))")).await?;
        page.wait_text("#level-state", "done").await?;
        ensure(shop.rt.wants_log(level), || format!("the level is not {name}"))?;
        page.js("document.getElementById('level-state').textContent = ''").await?;
    }
    ensure(!shop.rt.wants_log(LogLevel::Debug), || "the level is still debug".into())
}
