//! Checks of the observer's page in a real browser: headless Chromium, driven over WebDriver.
//!
//! ```text
//! cargo run --manifest-path tests/browser/Cargo.toml
//! cargo run --manifest-path tests/browser/Cargo.toml -- --only keyboard       checks with this in their name
//! cargo run --manifest-path tests/browser/Cargo.toml -- --screenshots DIR     the images of the book, and no check; `--width 400` for those of a phone
//! ```
//!
//! Needs `chromium` and `chromedriver` (on Debian the packages `chromium` and `chromium-driver`).
//! Without them it prints that it was skipped, and succeeds.

mod driver;
mod page;
mod shop;
mod checks;
mod screenshots;

use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use fantoccini::error::CmdError;
use tokio::signal::unix::{SignalKind, signal};

use crate::checks::{Checks, Tally, layout};
use crate::driver::Driver;
use crate::page::{Outcome, Page};
use crate::shop::Shop;

/// What the command line asks for.
struct Options {
    only: Option<String>,
    screenshots: Option<String>,
    /// The width of the images.
    width: u32,
}

impl Options {
    fn read() -> Result<Options, String> {
        let mut options = Options { only: None, screenshots: None, width: screenshots::SIZE.0 };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(format!("{name} needs a value"))?;
            match name.as_str() {
                "--only" => options.only = Some(value),
                "--screenshots" => options.screenshots = Some(value),
                "--width" => {
                    options.width = value.parse().map_err(|_| format!("{value} is no width"))?
                }
                _ => {
                    return Err(format!(
                        "unknown: {name}; known: --only NAME, --screenshots DIR, --width N"
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// The backtraces of crashes are captured only if this variable is set when the program starts.
fn starts_again() -> std::io::Result<Option<ExitCode>> {
    if std::env::var("RUST_BACKTRACE").is_ok_and(|value| value == "1") {
        return Ok(None);
    }
    let mut again = std::process::Command::new(std::env::current_exe()?);
    let status = again.args(std::env::args_os().skip(1)).env("RUST_BACKTRACE", "1").status()?;
    Ok(Some(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    if let Some(code) = starts_again()? {
        return Ok(code);
    }
    let options = Options::read()?;
    // The panics of the shop are part of the checks, and not of the output.
    std::panic::set_hook(Box::new(|_| ()));
    regrow::install_panic_hook();
    let tokio = tokio::runtime::Runtime::new()?;
    let outcome = tokio.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = run(&options) => outcome,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
            _ = terminated.recv() => Err("terminated".into()),
        }
    });
    tokio.shutdown_timeout(Duration::from_secs(1));
    match outcome {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn run(options: &Options) -> Outcome {
    let begun = Instant::now();
    let Some(driver) = Driver::start().await? else {
        println!(
            "SKIPPED: chromedriver is not installed, so the page was not checked in a browser."
        );
        return Ok(());
    };
    let client = match driver.open("shop").await {
        Ok(client) => client,
        Err(error) if error.to_string().contains("cannot find Chrome binary") => {
            println!(
                "SKIPPED: Chromium is not installed, so the page was not checked in a browser."
            );
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let page = Page { client: client.clone() };
    page.set_size(layout::USUAL.0, layout::USUAL.1).await?;
    let (shop, tally) = (Shop::start().await?, Tally::new(options.only.clone()));
    let mut checks = Checks { page, shop, tally: tally.clone() };
    let outcome = match &options.screenshots {
        Some(folder) => screenshots::take(&checks, folder, options.width).await.map(|()| tally),
        // Most of the time the page is waited for, so another browser works meanwhile.
        None => tokio::join!(checks.run_all(), run_many(&driver, tally)).1,
    };
    let closed: Result<(), CmdError> = client.close().await;
    closed?;
    let (all, many) = (&checks.tally, outcome?);
    let (done, failed) = (all.done + many.done, all.failed + many.failed);
    println!("{done} checks, {failed} failed, in {:.1?}", begun.elapsed());
    match failed {
        0 => Ok(()),
        _ => Err("checks of the page failed".into()),
    }
}

/// Runs the check of very many processes in a browser of its own.
async fn run_many(driver: &Driver, mut tally: Tally) -> Outcome<Tally> {
    if tally.wants_many() {
        let page = Page { client: driver.open("many").await? };
        page.set_size(layout::USUAL.0, layout::USUAL.1).await?;
        tally.run_many(&page).await;
        page.client.close().await?;
    }
    Ok(tally)
}
