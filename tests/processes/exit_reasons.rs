//! Exit reasons and crashes: their content and their equality.

use std::error::Error;
use std::fmt;
use std::future::pending;

use regrow::{Crash, CrashKind, ExitError, ExitReason, LogLevel, Received, Result, Runtime};

/// One error with another as its source.
#[derive(Debug)]
struct Chain(&'static str, Option<Box<Chain>>);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Chain {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as _)
    }
}

fn chain() -> Chain {
    Chain("no order", Some(Box::new(Chain("no cheese", Some(Box::new(Chain("no cow", None)))))))
}

/// Returns the crash of a process whose body panics as `panics` does.
async fn crash_of(panics: impl FnOnce() + Send + 'static) -> Crash {
    let reason = Runtime::new().spawn(|_| async { panics() }).join().await;
    assert!(reason.is_abnormal() && !reason.is_clean());
    reason.crash().expect("it panicked").clone()
}

/// The message of a panic is its text, for a literal and for a formatted text.
#[tokio::test]
async fn a_panic_reason_has_the_panic_message() {
    let (literal, n) = (crash_of(|| panic!("boom")).await, 42);
    assert_eq!((literal.kind(), literal.message()), (CrashKind::Panic, "boom"));
    assert_eq!(crash_of(move || panic!("boom {n}")).await.message(), "boom 42");
    assert_eq!(literal.to_string(), "panic: boom");
    assert!(literal.error().is_none());
}

/// A payload that is not text gets a default message.
#[tokio::test]
async fn a_panic_with_a_non_text_payload_has_a_default_message() {
    let crash = crash_of(|| std::panic::panic_any(42_u8)).await;
    assert_eq!(crash.message(), "a panic whose payload is not text");
}

/// The drop of a payload may panic, and so may the drop of the payload of that second panic.
#[tokio::test]
async fn a_panic_payload_that_panics_when_dropped_is_caught() {
    struct Bomb(u8);
    impl Drop for Bomb {
        fn drop(&mut self) {
            if self.0 > 0 {
                std::panic::panic_any(Bomb(self.0 - 1));
            }
        }
    }
    let rt = Runtime::new();
    for fuse in 0..=3 {
        let watcher = rt.spawn(move |mut ctx| async move {
            let rt = ctx.runtime();
            let bomb = rt.spawn(move |_| async move { std::panic::panic_any(Bomb(fuse)) });
            rt.monitor(ctx.pid(), bomb.pid());
            let Received::Down { reason, .. } = ctx.recv().await else { panic!() };
            assert_eq!(reason.crash().unwrap().message(), "a panic whose payload is not text");
        });
        assert_eq!(watcher.join().await, ExitReason::Normal);
    }
    assert_eq!((rt.process_count(), rt.finished()), (0, 8));
}

/// An error keeps its type and all of its sources.
#[tokio::test]
async fn an_error_reason_keeps_its_type_and_all_sources() {
    let process = Runtime::new().spawn_fallible(|_| async { Err(chain())? });
    let reason = process.join().await;
    let crash = reason.crash().unwrap();
    assert_eq!((crash.kind(), crash.message()), (CrashKind::Error, "no order"));
    let error: &Chain = crash.downcast_ref().unwrap();
    assert_eq!(error.source().unwrap().source().unwrap().to_string(), "no cow");
    assert!(crash.downcast_ref::<fmt::Error>().is_none());
    assert_eq!(reason.to_string(), "error: no order");
    let place = crash.location().unwrap();
    let told = format!("{reason:#}");
    assert_eq!(told, format!("error: no order: no cheese: no cow (at {place})"));
}

const FAILS_AT: u32 = line!() + 4;

#[rustfmt::skip]
fn fails() -> Result {
    Err(chain())?;
    Ok(())
}

/// The location of an error is the `?` in the user's code, not a line of this crate.
#[tokio::test]
async fn an_error_reason_has_the_location_of_the_question_mark_operator() {
    let reason = Runtime::new().spawn_fallible(|_| async { fails() }).join().await;
    let place = reason.crash().unwrap().location().unwrap();
    assert_eq!((place.file(), place.line()), (file!(), FAILS_AT));
    assert!(place.column() > 0);
    assert_eq!(place.to_string(), format!("{}:{}:{}", file!(), FAILS_AT, place.column()));

    let here = (ExitReason::from(chain()), line!());
    assert_eq!(here.0.crash().unwrap().location().unwrap().line(), here.1);
}

/// Texts, boxed errors and all other types that convert into an error convert into a reason.
#[test]
fn texts_and_boxed_errors_convert_into_exit_reasons() {
    let boxed: Box<dyn Error + Send + Sync> = Box::new(chain());
    assert!(ExitReason::from(boxed).crash().unwrap().downcast_ref::<Chain>().is_some());
    for reason in [ExitReason::from("out of cheese"), ExitReason::from("out of cheese".to_owned())]
    {
        let crash = reason.crash().unwrap();
        assert_eq!((crash.kind(), crash.message()), (CrashKind::Error, "out of cheese"));
    }
}

fn all_reasons() -> Vec<ExitReason> {
    vec![
        ExitReason::Normal,
        ExitReason::Shutdown,
        ExitReason::shutdown_with("done"),
        ExitReason::Killed,
        ExitReason::NoProc,
        ExitReason::crashed("x"),
        ExitReason::from("x"),
    ]
}

/// A reason that was converted into an error is converted back by `?` without a change.
#[test]
fn a_reason_survives_the_conversion_into_an_error_and_back() {
    fn back(error: ExitError) -> Result {
        Err(error)?
    }
    fn boxed_back(error: ExitError) -> Result {
        let boxed: std::result::Result<(), Box<dyn Error + Send + Sync>> = Err(error.into());
        Ok(boxed?)
    }
    for reason in all_reasons() {
        let error = reason.clone().into_error();
        assert_eq!(error.reason(), &reason);
        let shown = match error.source() {
            Some(_) => "the process ended: error".to_owned(), // the source says the rest
            None => format!("the process ended: {reason}"),
        };
        assert_eq!(error.to_string(), shown);
        assert_eq!(back(error.clone()), Err(reason.clone()));
        assert_eq!(boxed_back(error), Err(reason));
    }
    let error = ExitReason::from(chain()).into_error();
    assert_eq!(error.source().unwrap().to_string(), "no order");
    let returned = back(error).unwrap_err();
    assert!(returned.crash().unwrap().downcast_ref::<Chain>().is_some());
    assert!(ExitReason::Killed.into_error().source().is_none());
}

/// Reasons are equal if their variant and text are equal. Other contents do not matter.
#[tokio::test]
async fn exit_reasons_are_equal_by_variant_and_text() {
    let all = all_reasons();
    for (n, one) in all.iter().enumerate() {
        for (m, other) in all.iter().enumerate() {
            assert_eq!(one == other, n == m, "{one:?} and {other:?}");
        }
    }
    assert_eq!(ExitReason::shutdown_with("12"), ExitReason::shutdown_with(12));
    assert_ne!(ExitReason::shutdown_with(12), ExitReason::shutdown_with(13));
    assert_ne!(ExitReason::crashed("x"), ExitReason::crashed("y"));
    assert_eq!(ExitReason::from("no order"), ExitReason::from(chain()));
    assert_eq!(crash_of(|| panic!("x")).await, crash_of(|| panic!("{}", "x")).await);
}

/// A reason that `is_abnormal` accepts ends linked processes. A supervisor treats a reason that
/// `is_clean` accepts as a clean end.
#[test]
fn normal_and_shutdown_are_clean_and_only_normal_is_not_abnormal() {
    let classes = |reason: &ExitReason| (reason.is_abnormal(), reason.is_clean());
    assert_eq!(classes(&ExitReason::Normal), (false, true));
    for clean in [ExitReason::Shutdown, ExitReason::shutdown_with(1)] {
        assert_eq!(classes(&clean), (true, true));
    }
    for failed in [ExitReason::Killed, ExitReason::NoProc, ExitReason::crashed("x"), "x".into()] {
        assert_eq!(classes(&failed), (true, false));
    }
}

/// A clean stop can carry any value that implements `Display`.
#[test]
fn a_shutdown_reason_carries_its_value() {
    let reason = ExitReason::shutdown_with(std::net::Ipv4Addr::LOCALHOST);
    let ExitReason::ShutdownWith(detail) = &reason else { panic!() };
    assert_eq!(detail.text(), "127.0.0.1");
    assert_eq!(detail.downcast_ref(), Some(&std::net::Ipv4Addr::LOCALHOST));
    assert_eq!(detail.downcast_ref::<u8>(), None);
    assert_eq!(reason.to_string(), "shutdown: 127.0.0.1");
}

#[test]
fn an_exit_reason_has_16_bytes_and_a_received_item_at_most_48() {
    assert_eq!(size_of::<ExitReason>(), 16);
    assert!(size_of::<Received>() <= 48);
}

/// A body returns a crash reason itself.
#[tokio::test]
async fn a_process_may_return_an_explicit_crash() {
    let process = Runtime::new().spawn_fallible(|_| async { Err(ExitReason::crashed("no more")) });
    let reason = process.join().await;
    let crash = reason.crash().unwrap();
    assert_eq!((crash.kind(), crash.message()), (CrashKind::Explicit, "no more"));
    assert!(crash.location().is_none() && crash.error().is_none());
    assert_eq!(reason.to_string(), "no more");
}

/// A panic of the body is the reason, even if a signal was accepted before. A kill does not replace
/// a reason that was accepted before.
#[tokio::test]
async fn a_panic_of_the_body_takes_precedence_over_an_accepted_signal() {
    let rt = Runtime::new();
    let process = rt.spawn(|ctx| async move {
        ctx.runtime().exit(ctx.pid(), ExitReason::Shutdown);
        panic!("boom")
    });
    assert_eq!(process.join().await.crash().unwrap().message(), "boom");
    let pending = rt.spawn(|_| pending());
    rt.exit(pending.pid(), ExitReason::Shutdown);
    rt.kill(pending.pid());
    assert_eq!(pending.join().await, ExitReason::Shutdown);
}

/// Each level is parsed from its name. Any other text gives `Off`.
#[test]
fn a_log_level_is_parsed_from_its_name() {
    let words = [
        ("off", LogLevel::Off),
        ("error", LogLevel::Error),
        ("Warn", LogLevel::Warn),
        ("warning", LogLevel::Warn),
        (" INFO\n", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("", LogLevel::Off),
        ("loud", LogLevel::Off),
    ];
    for (word, level) in words {
        assert_eq!(LogLevel::parse(word), level, "{word:?}");
    }
    assert_eq!(LogLevel::default(), LogLevel::Off);
    use LogLevel::{Debug, Error, Info, Off, Warn};
    assert!([Off, Error, Warn, Info, Debug].is_sorted());
}

/// A crash is logged as an error, `Killed` and `NoProc` as warnings, and the other reasons as
/// information.
#[test]
fn each_exit_reason_has_a_log_level() {
    let level = |reason: &ExitReason| LogLevel::for_exit(reason);
    let levels: Vec<_> = all_reasons().iter().map(level).collect();
    use LogLevel::{Error, Info, Warn};
    assert_eq!(levels, [Info, Info, Info, Warn, Warn, Error, Error]);
}
