//! Texts that come from anywhere are shown as text.

use serde_json::json;

use super::{Checks, ensure};
use crate::driver::REBOUND;
use crate::page::{Outcome, Page, SCREENS};
use crate::shop::{HOSTILE_ID, HOSTILE_LABEL};

pub(super) async fn ids_labels_and_panics_are_shown_as_text_on_each_screen(
    checks: &Checks,
) -> Outcome {
    let page = &checks.page;
    checks.show().await?;
    page.js("window.violations = []; addEventListener('securitypolicyviolation', (event) => window.violations.push(event.violatedDirective))").await?;
    checks.shop.crash_hostile();
    page.wait_text("#rows .id", HOSTILE_ID).await?;
    page.wait_text("#rows .note", "\\u{1b}[31mred\\u{1b}]0;title\\u{7}</span><svg onload").await?;
    let unseen = "\\u{61c}\\u{ad}\\u{2060}\\u{180e}\\u{e0041}\\u{3164}";
    page.wait_text("#rows .note", unseen).await?;
    for screen in SCREENS {
        match screen {
            "process" => page.go_to_process(HOSTILE_ID).await?,
            _ => page.go(screen).await?,
        }
        let script = "return document.querySelectorAll('img, svg, iframe, object, embed, body script, [onload], [onerror]').length";
        let made = page.js(script).await?;
        ensure(made == json!(0), || {
            format!("{made} elements were made of texts on the screen {screen}")
        })?;
        let shown = page.js("return document.body.innerText").await?;
        let shown = shown.as_str().unwrap_or_default();
        ensure(!shown.chars().any(is_invisible), || {
            format!("{screen} shows an invisible character")
        })?;
    }
    let pid =
        checks.shop.rt.whereis(HOSTILE_LABEL).ok_or("the child with a hostile label is gone")?;
    page.go(&format!("process?pid={}", pid.raw())).await?;
    page.wait_text("#detail dd", "\"'><script>window.hacked=2</script>-->\\u{202e}txt.exe").await?;
    page.go(&format!("process?path={}", "%3Cimg%20src=x%20onerror=window.hacked=4%3E")).await?;
    let state = page.js("return [window.hacked ?? null, window.violations]").await?;
    ensure(state == json!([null, []]), || format!("a text ran, or violated the policy: {state}"))
}

/// Whether a character acts, changes the direction, or is not seen. `regrow-top` has the same list.
fn is_invisible(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

pub(super) async fn the_console_has_no_error_and_no_violation_of_the_policy(
    checks: &Checks,
) -> Outcome {
    console_without_errors(&checks.page).await
}

/// Fails if the console of this browser has an error. Refused requests are in its log, too; some checks
/// cause them.
pub(super) async fn console_without_errors(page: &Page) -> Outcome {
    let log = page.log("browser").await?;
    let errors: Vec<_> = log
        .iter()
        .filter(|entry| entry["level"] == "SEVERE" && entry["source"] != "network")
        .filter(|entry| !entry["message"].as_str().unwrap_or_default().contains("CORS policy"))
        // The answer to a foreign name is shown as it is, under that name.
        .filter(|entry| !entry["message"].as_str().unwrap_or_default().contains(REBOUND))
        .collect();
    ensure(errors.is_empty(), || format!("the console has {}", json!(errors)))
}
