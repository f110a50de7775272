//! The page fits each screen, from 400 to 3840 pixels.

use serde_json::json;

use super::{Checks, ensure};
use crate::page::{Outcome, SCREENS};
use crate::shop::HOSTILE_ID;

/// The size that all other checks have.
pub(crate) const USUAL: (u32, u32) = (1280, 900);

pub(super) async fn no_screen_is_wider_than_400_or_3840_pixels_in_either_theme(
    checks: &Checks,
) -> Outcome {
    let page = &checks.page;
    checks.show().await?;
    let mut wide = Vec::new();
    for (width, height) in [(400, 800), (3840, 2160)] {
        page.set_size(width, height).await?;
        for screen in SCREENS {
            match screen {
                "process" => page.go_to_process(HOSTILE_ID).await?,
                _ => page.go(screen).await?,
            }
            for theme in ["light", "dark"] {
                page.set_theme(theme).await?;
                let sizes = page.js("return [document.documentElement.scrollWidth, innerWidth, Math.ceil(Math.max(...[...document.querySelectorAll('main *')].map((at) => at.getBoundingClientRect().right).filter((right) => right > 0)))]").await?;
                let of = |at: usize| sizes[at].as_u64().unwrap_or(u64::MAX);
                if of(1) != u64::from(width) || of(0) > of(1) || of(2) > of(1) {
                    wide.push(json!([screen, theme, width, sizes]));
                }
            }
        }
    }
    page.set_size(USUAL.0, USUAL.1).await?;
    ensure(wide.is_empty(), || format!("wider than the window: {}", json!(wide)))
}
