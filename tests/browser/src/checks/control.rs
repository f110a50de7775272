//! Control from the page, where the program allows it.

use fantoccini::key::Key;
use regrow::{ChildState, ControlAction, ControlRequest, DynamicSupervisorRef, LogLevel, Pid};
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
    checks.show().await?;
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
        // Not the button that acts, which a key that is held would press.
        page.wait("Cancel has the focus", "return document.activeElement.id === 'cancel'").await?;
        let held = "{ key: 'Enter', repeat: true, bubbles: true, cancelable: true }";
        let script = format!(
            "return document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {held}))"
        );
        let is_accepted = page.js(&script).await?;
        ensure(is_accepted == json!(false), || "a key that is held presses a button".into())?;
        page.press(&Key::Escape).await?;
        let focus = page.js("return document.activeElement.textContent").await?;
        ensure(focus == json!(format!("{action}…")), || {
            format!("after Escape {focus} has the focus")
        })?;
        page.press(&Key::Enter).await?;
        page.press(&Key::Tab).await?;
        page.press(&Key::Enter).await?;
        page.wait_text("#answer", ": done").await?;
        page.wait_text("#detail dd", state).await?;
    }
    Ok(())
}

pub(super) async fn a_request_that_is_refused_says_why(checks: &Checks) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    checks.show().await?;
    page.go_to_process("till").await?;
    choose(checks, "Kill").await?;
    // The process of the question ends before the answer: its successor must not be killed.
    let before = shop.till().ok_or("till is not alive")?;
    shop.crash_till();
    page.wait("its successor is shown", &format!("const text = document.querySelector('#detail .title').innerText; return text.includes('running') && !text.includes('#{}')", before.raw())).await?;
    let successor = shop.till();
    let is_shown = "const confirm = document.querySelector('#confirm'); return confirm !== null && confirm.offsetParent !== null";
    page.wait("the question can be answered", is_shown).await?;
    page.click("#confirm").await?;
    page.wait_text("#answer", "kill: refused: ").await?;
    println!("        {}", page.js("return document.getElementById('answer').innerText").await?);
    ensure(shop.till() == successor, || "another process was killed".into())
}

/// Returns the process of a visitor.
async fn visitor(checks: &Checks, number: u32) -> Outcome<Pid> {
    let sessions = DynamicSupervisorRef::named(&checks.shop.rt, "sessions");
    let (id, all) = (format!("visitor {number}"), sessions.which_children().await?);
    let child = all.into_iter().find(|child| child.id == id);
    Ok(child.and_then(|child| child.pid()).ok_or(format!("{id} is not alive"))?)
}

/// Shows a visitor, which need not be one of those that the tree shows. Returns its process.
async fn go_to_visitor(checks: &Checks, number: u32) -> Outcome<Pid> {
    let pid = visitor(checks, number).await?;
    let fragment = format!("process?path=shop%2Fsessions%2Fvisitor+{number}&pid={}", pid.raw());
    checks.page.go(&fragment).await?;
    checks.page.wait_text("#detail .title", &format!("#{}", pid.raw())).await?;
    Ok(pid)
}

/// The pid of a dynamic child is a part of what the address names.
pub(super) async fn the_answer_stays_and_the_page_follows_when_a_dynamic_child_gets_another_process(
    checks: &Checks,
) -> Outcome {
    let page = &checks.page;
    checks.show().await?;
    let before = go_to_visitor(checks, 3).await?;
    choose(checks, "Restart").await?;
    page.click("#confirm").await?;
    page.wait_text("#answer", "restart: done").await?;
    let after = visitor(checks, 3).await?;
    ensure(after != before, || "it was not restarted".into())?;
    page.wait_text("#detail .title", &format!("#{}", after.raw())).await?;
    let hash = page.js("return location.hash").await?;
    ensure(
        hash.as_str().is_some_and(|hash| hash.ends_with(&format!("pid={}", after.raw()))),
        || format!("the address still names another process: {hash}"),
    )?;
    page.wait_text("#answer", "restart: done").await?;
    choose(checks, "Terminate").await?;
    page.click("#confirm").await?;
    page.wait_text("#detail .title", "ended").await?;
    page.wait_text("#answer", "terminate: done").await?;
    // The process of the question is another one at the answer.
    let before = go_to_visitor(checks, 4).await?;
    choose(checks, "Kill").await?;
    checks.shop.rt.kill(before);
    page.wait("its successor is shown", &format!("const text = document.querySelector('#detail .title').innerText; return text.includes('running') && !text.includes('#{}')", before.raw())).await?;
    page.click("#confirm").await?;
    page.wait_text("#answer", "kill: refused: ").await?;
    ensure(checks.shop.rt.is_alive(visitor(checks, 4).await?), || {
        "another process was killed".into()
    })
}

pub(super) async fn a_child_that_was_given_up_can_be_terminated(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.show().await?;
    page.go_to_process("visitor 20").await?;
    page.wait_text("#detail .title", "given up").await?;
    choose(checks, "Terminate").await?;
    page.click("#confirm").await?;
    page.wait_text("#answer", "terminate: done").await?;
    Ok(())
}

/// The requests of this check do not reach the program.
pub(super) async fn the_answer_says_what_became_of_an_action(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.show().await?;
    page.go_to_process("till").await?;
    for (answer, text) in [
        ("new Response('the reason', { status: 500 })", "kill: failed: the reason"),
        ("new Response('the reason', { status: 502 })", "kill: not known: the reason"),
        ("new Response('the reason', { status: 503 })", "kill: refused: the reason"),
        ("new Response('the reason', { status: 504 })", "kill: unfinished: the reason"),
        ("Promise.reject(new TypeError())", "kill: not known: the program did not answer"),
    ] {
        page.js(&format!("window.real ??= window.fetch; window.fetch = async (at, options) => (options ? {answer} : window.real(at))")).await?;
        choose(checks, "Kill").await?;
        page.click("#confirm").await?;
        page.wait_text("#answer", text).await?;
    }
    Ok(())
}

pub(super) async fn a_child_that_waits_for_its_restart_can_be_terminated(
    checks: &Checks,
) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    checks.show().await?;
    page.go_to_process("courier").await?;
    shop.crash_courier();
    page.wait_text("#detail .title", "restarting").await?;
    page.wait_text("#detail dl", "next try").await?;
    choose(checks, "Terminate").await?;
    page.click("#confirm").await?;
    page.wait_text("#answer", "terminate: done").await?;
    page.wait_text("#detail .title", "stopped").await?;
    let courier = shop.tree.which_child("courier").await?;
    ensure(courier.state == ChildState::Stopped, || format!("it is {:?}", courier.state))
}

pub(super) async fn a_log_level_that_something_else_sets_shows_on_the_page(
    checks: &Checks,
) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    checks.show().await?;
    let shown = |level: LogLevel| {
        format!("return document.querySelector('#level select').value === '{}'", level.name())
    };
    // Another page is another requester of the same route.
    let request = ControlRequest::new(ControlAction::LogLevel(LogLevel::Debug));
    shop.rt.control(request.caller("another page")).await?;
    page.wait("the level of another page is shown", &shown(LogLevel::Debug)).await?;
    shop.rt.set_log_level(LogLevel::Error);
    page.wait("the level of the program is shown", &shown(LogLevel::Error)).await?;
    Ok(())
}

pub(super) async fn the_log_level_of_the_program_is_chosen(checks: &Checks) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    checks.show().await?;
    page.wait("the level is offered", "return !document.getElementById('level').hidden").await?;
    for (name, level) in [("debug", LogLevel::Debug), ("error", LogLevel::Error)] {
        page.js(&format!("const select = document.querySelector('#level select'); select.value = '{name}'; select.dispatchEvent(new Event('change'))")).await?;
        page.wait_text("#level-state", "done").await?;
        ensure(shop.rt.wants_log(level), || format!("the level is not {name}"))?;
        page.js("document.getElementById('level-state').textContent = ''").await?;
    }
    ensure(!shop.rt.wants_log(LogLevel::Debug), || "the level is still debug".into())
}
