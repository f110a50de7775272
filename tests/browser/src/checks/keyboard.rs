//! The page without a mouse.

use fantoccini::key::Key;
use serde_json::json;

use super::{Checks, ensure};
use crate::page::{Outcome, SCREENS};

pub(super) async fn each_screen_opens_by_its_key(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.open().await?;
    for (key, screen) in SCREENS.iter().enumerate().rev() {
        page.press(&(key + 1).to_string()).await?;
        page.wait(
            &format!("the key {} shows {screen}", key + 1),
            &format!("return !document.getElementById('screen-{screen}').hidden && document.querySelector('nav [aria-current]').dataset.screen === '{screen}'"),
        )
        .await?;
    }
    // Each control of each screen is reached by the key Tab, and shows that it has the focus. The page
    // itself looks at each: a command for each key would take longer than all other checks.
    page.js("window.focused = []; addEventListener('focusin', (event) => window.focused.push(getComputedStyle(event.target).outlineStyle))").await?;
    for (key, screen) in SCREENS.iter().enumerate() {
        page.press(&(key + 1).to_string()).await?;
        page.js("document.activeElement.blur()").await?;
        let count = page.js("return [...document.querySelectorAll('a[href], button, input, select')].filter((at) => at.offsetParent !== null && !at.disabled && getComputedStyle(at).visibility !== 'hidden').length").await?;
        let steps = count.as_u64().unwrap_or_default().min(12);
        ensure(steps >= 6, || format!("{screen} has {steps} controls"))?;
        page.js("window.focused = []").await?;
        let tabs: String = (0..steps).map(|_| char::from(Key::Tab)).collect();
        page.press(&tabs).await?;
        let focused = page.js("return window.focused").await?;
        let focused: Vec<_> = focused.as_array().into_iter().flatten().collect();
        ensure(focused.len() as u64 + 2 >= steps, || {
            format!("on {screen} {steps} keys reach {} controls", focused.len())
        })?;
        ensure(focused.iter().all(|style| **style != json!("none")), || {
            format!("on {screen} the focus is not visible: {focused:?}")
        })?;
    }
    Ok(())
}

pub(super) async fn the_tree_is_walked_filtered_and_folded_by_keys(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.open().await?;
    let focused = "return document.activeElement.textContent";
    page.press(&Key::Down).await?;
    ensure(page.js(focused).await? == "shop", || "the first row has no focus".into())?;
    page.press("j").await?;
    ensure(page.js(focused).await? == "observer", || "the second row has no focus".into())?;
    page.press("k").await?;
    page.press(&Key::Left).await?;
    page.wait("the tree is folded", "return document.querySelectorAll('#rows .row').length === 1")
        .await?;
    page.press(&Key::Right).await?;
    page.wait("the tree is unfolded", "return document.querySelectorAll('#rows .row').length > 5")
        .await?;
    page.press("/").await?;
    ensure(page.js("return document.activeElement.id").await? == "filter", || {
        "the filter has no focus".into()
    })?;
    page.press("feed").await?;
    page.wait(
        "the tree is filtered",
        "return document.querySelectorAll('#rows .row').length === 3",
    )
    .await?;
    page.press("1").await?;
    ensure(page.js("return document.activeElement.value").await? == "feed1", || {
        "a key of the filter was taken for a screen".into()
    })?;
    page.press(&Key::Backspace).await?;
    page.wait(
        "the tree is filtered",
        "return document.querySelectorAll('#rows .row').length === 3",
    )
    .await?;
    page.press(&Key::Down).await?;
    page.press(&Key::Down).await?;
    page.press(&Key::Down).await?;
    ensure(page.js(focused).await? == "feed", || "the row of the feed has no focus".into())?;
    page.press(&Key::Enter).await?;
    page.wait_text("#detail .title strong", "shop/prices/feed").await?;
    page.press("1").await?;
    page.press("/").await?;
    page.press(&Key::Escape).await?;
    page.wait("the filter is empty", "return document.getElementById('filter').value === '' && document.querySelectorAll('#rows .row').length > 5").await?;
    Ok(())
}

pub(super) async fn the_theme_changes_by_its_key(checks: &Checks) -> Outcome {
    let page = &checks.page;
    checks.open().await?;
    let colour = "return getComputedStyle(document.body).backgroundColor";
    let before = page.js(colour).await?;
    page.press("t").await?;
    let other = page.js(colour).await?;
    ensure(before != other, || format!("both themes are {before}"))?;
    checks.open().await?;
    ensure(page.js(colour).await? == other, || "the theme was not kept".into())?;
    page.press("t").await?;
    ensure(page.js(colour).await? == before, || "the theme did not change back".into())?;
    ensure(page.js("return localStorage.length").await? == json!(1), || "more was stored".into())
}
