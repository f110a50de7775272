//! Ready-made console output.
//!
//! All log lines go through `tracing`, so a program with a subscriber of its own does not need this
//! module.

use tracing_subscriber::filter::LevelFilter;

use crate::observe::LogLevel;

/// Prints the events of `tracing` up to this level on stderr, in colour if stderr is a terminal.
///
/// If the program has already installed a subscriber, changes nothing and returns false. The
/// lifecycle log is off until [`Runtime::set_log_level`](crate::Runtime::set_log_level) turns it
/// on. This function is for programs, not for libraries.
///
/// A line is written by the thread that logs it, before the program goes on: so the last line before
/// a crash of the program is not lost, and lines keep their order with what the program itself writes to
/// stderr. If stderr is a pipe that its reader does not empty, the thread waits.
/// [`limit_log_lines`](crate::Runtime::limit_log_lines) bounds how much is written. A program that
/// would rather lose lines than wait installs a subscriber with a queue of its own.
///
/// ```
/// use regrow::{LogLevel, Runtime};
///
/// assert!(regrow::log::init(LogLevel::Info));
/// assert!(!regrow::log::init(LogLevel::Debug)); // a subscriber is already installed
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
/// let rt = Runtime::new();
/// rt.set_log_level(LogLevel::Info);
/// assert!(rt.wants_log(LogLevel::Info));
/// # }));
/// ```
pub fn init(level: LogLevel) -> bool {
    let builder = tracing_subscriber::fmt()
        .compact()
        .with_max_level(filter(level))
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        // A closed stderr must not cause a panic.
        .log_internal_errors(false);
    builder.try_init().is_ok()
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Off => LevelFilter::OFF,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    }
}
