//! The images of the book: each screen in both themes.

use std::fs;

use crate::checks::Checks;
use crate::page::Outcome;

/// The size of an image of the book.
pub(crate) const SIZE: (u32, u32) = (1120, 560);

/// Takes the images, with a stop at the end.
pub(crate) async fn take(checks: &Checks, folder: &str, width: u32) -> Outcome {
    let (page, shop) = (&checks.page, &checks.shop);
    fs::create_dir_all(folder)?;
    checks.open().await?;
    page.set_size(width, SIZE.1).await?;
    for _ in 0..3 {
        shop.crash_feed();
        tokio::time::sleep(std::time::Duration::from_millis(1500)).await;
    }
    shop.congest();
    shop.wait_for_stock();
    shop.crash_till();
    shop.crash_feed();
    page.wait_text("#rows .pill", "restarting").await?;
    shoot(checks, folder, "tree", "tree").await?;
    shoot(checks, folder, "history", "history").await?;
    page.go("pressure").await?;
    page.wait_text("#waits .chain", "waits for").await?;
    page.wait_text("#handlers .item", "handle_cast for").await?;
    shoot(checks, folder, "pressure", "pressure").await?;
    page.go_to_process("feed").await?;
    page.wait_text("#detail dl", "ancestors").await?;
    shoot(checks, folder, "process?path=shop%2Fprices%2Ffeed", "process").await?;
    let stop = shop.tree.clone();
    tokio::spawn(async move { stop.stop().await });
    page.go("stopping").await?;
    page.wait_text("#stops .item", "shop/ledger").await?;
    page.wait_text("#stops .item", "holds the stop up for 2").await?;
    shoot(checks, folder, "stopping", "stopping").await
}

async fn shoot(checks: &Checks, folder: &str, fragment: &str, name: &str) -> Outcome {
    let page = &checks.page;
    page.go(fragment).await?;
    for theme in ["light", "dark"] {
        page.set_theme(theme).await?;
        page.js("document.activeElement.blur()").await?;
        let image = page.client.screenshot().await?;
        fs::write(format!("{folder}/observer-{name}-{theme}.png"), image)?;
    }
    Ok(())
}
