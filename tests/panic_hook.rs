//! With regrow's panic hook, a crash contains the location of the panic.
//!
//! The panic hook is global, so these tests are a program of their own.

use std::panic::{catch_unwind, panic_any, resume_unwind, set_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use regrow::{Crash, PanicText, Runtime, install_panic_hook, install_panic_hook_with};

/// The number of panics that the previous hook has counted.
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// Installs a hook that counts, and then twice the hook of regrow.
fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_hook(Box::new(|info| {
            if info.payload().downcast_ref() == Some(&"counted") {
                SEEN.fetch_add(1, Ordering::SeqCst);
            }
        }));
        install_panic_hook();
        install_panic_hook();
    });
}

/// Returns the crash of a process whose body panics as `panics` does.
async fn crash_of(rt: &Runtime, panics: impl FnOnce() + Send + 'static) -> Crash {
    let reason = rt.spawn(|_| async { panics() }).join().await;
    reason.crash().expect("it panicked").clone()
}

/// Returns the line of a panic in this file, if the crash has a location.
async fn line_of(rt: &Runtime, panics: impl FnOnce() + Send + 'static) -> Option<u32> {
    let crash = crash_of(rt, panics).await;
    let place = crash.location()?;
    assert_eq!(place.file(), file!());
    Some(place.line())
}

const HERE: u32 = line!() + 4;

#[rustfmt::skip]
fn panics_here() {
    panic!("boom");
}

#[tokio::test]
async fn a_panic_carries_its_source_location() {
    install();
    let rt = Runtime::new();
    assert_eq!(line_of(&rt, panics_here).await, Some(HERE));
    let crash = crash_of(&rt, panics_here).await;
    let place = crash.location().unwrap();
    assert_eq!(format!("{crash:#}"), format!("panic: boom (at {place})"));
}

#[tokio::test]
async fn the_previous_panic_hook_still_runs_once_for_each_panic() {
    install();
    let before = SEEN.load(Ordering::SeqCst);
    crash_of(&Runtime::new(), || panic!("counted")).await;
    assert_eq!(SEEN.load(Ordering::SeqCst), before + 1);
}

/// A crash has the location of the panic that ended the process, not of one that the process caught
/// before.
#[tokio::test]
async fn a_crash_has_the_location_of_its_own_panic_not_of_an_earlier_caught_one() {
    install();
    let rt = Runtime::new();
    let line = line_of(&rt, || {
        assert!(catch_unwind(|| panic!("caught")).is_err());
        panics_here();
    });
    assert_eq!(line.await, Some(HERE));
}

/// A resumed panic calls no hook, so its location is unknown. The crash does not get the location
/// of a panic that another process has caught.
#[tokio::test]
async fn a_resumed_panic_does_not_get_the_location_of_another_panic() {
    install();
    let rt = Runtime::new();
    rt.spawn(|_| async { assert!(catch_unwind(panics_here).is_err()) }).join().await;
    assert_eq!(line_of(&rt, || resume_unwind(Box::new("resumed"))).await, None);
}

/// A crash by a resumed panic does not get the location of a panic outside of any process either.
#[tokio::test]
async fn a_panic_outside_of_any_process_gives_no_process_its_location() {
    install();
    let rt = Runtime::new();
    assert!(catch_unwind(panics_here).is_err());
    assert!(tokio::spawn(async { panics_here() }).await.is_err());
    assert_eq!(line_of(&rt, || resume_unwind(Box::new("resumed"))).await, None);
}

#[tokio::test]
async fn a_payload_that_panics_when_dropped_does_not_change_the_location() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as it was dropped");
        }
    }
    install();
    let before = line!();
    let line = line_of(&Runtime::new(), || panic_any(Bomb)).await;
    assert_eq!(line, Some(before + 1));
}

/// A process resumes the panic of a tokio task that it has spawned. The crash has the message of
/// that panic.
#[tokio::test]
async fn a_resumed_task_panic_keeps_its_message() {
    install();
    let process = Runtime::new().spawn(|_| async {
        let failed = tokio::spawn(async { panics_here() }).await.unwrap_err();
        resume_unwind(failed.into_panic());
    });
    let reason = process.join().await;
    assert_eq!(reason.crash().unwrap().message(), "boom");
    assert!(reason.crash().unwrap().location().is_none());
}

/// The destructor of a process panics. The next crash does not get the location of that panic.
#[tokio::test]
async fn a_destructors_panic_does_not_give_its_location_to_the_next_crash() {
    struct Mine;
    impl Drop for Mine {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    install();
    let rt = Runtime::new();
    let process = rt.spawn(|_| async {
        let _mine = Mine;
        std::future::pending().await
    });
    tokio::task::yield_now().await;
    process.kill();
    assert_eq!(process.join().await, regrow::ExitReason::Killed);
    assert_eq!(line_of(&rt, || resume_unwind(Box::new("resumed"))).await, None);
}

/// Runs as a process of its own, started by `a_panic_without_an_installed_hook_has_no_location`.
/// Otherwise it tests nothing.
#[tokio::test]
async fn helper_process_without_a_panic_hook() {
    if std::env::var(ALONE).is_err() {
        return;
    }
    let reason = Runtime::new().spawn(|_| async { panic!("boom") }).join().await;
    let crash = reason.crash().unwrap();
    assert!(crash.location().is_none() && crash.backtrace().is_none());
}

/// The environment variable that tells `helper_process_without_a_panic_hook` that it is alone in
/// its process.
const ALONE: &str = "REGROW_TEST_NO_HOOK";

#[test]
fn a_panic_without_an_installed_hook_has_no_location() {
    let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
    itself
        .args(["--exact", "helper_process_without_a_panic_hook", "--nocapture"])
        .env(ALONE, "1")
        .env("RUST_BACKTRACE", "1");
    let output = itself.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

/// The environment variable that makes `helper_process_that_leaves_out_the_text_of_processes` test
/// something.
const LEFT_OUT: &str = "REGROW_TEST_LEFT_OUT";

/// Runs as a process of its own, started by `the_text_of_a_process_panic_can_be_left_out`. Otherwise
/// it tests nothing.
#[tokio::test]
async fn helper_process_that_leaves_out_the_text_of_processes() {
    if std::env::var(LEFT_OUT).is_err() {
        return;
    }
    install_panic_hook_with(PanicText::LeftOut);
    install_panic_hook(); // does nothing
    let rt = Runtime::new();
    let crash = crash_of(&rt, || panic!("of a process")).await;
    assert!(crash.location().is_some());
    assert!(tokio::spawn(async { panic!("of a task") }).await.is_err());
    crash_of(&rt, || {
        assert!(catch_unwind(|| panic!("caught")).is_err());
        panic!("after a caught one")
    })
    .await;
}

/// The panic of a process is not printed, and the panic of a tokio task is. A process that panics
/// while the note of another panic is there may be about to abort, so that panic is printed.
#[test]
fn the_text_of_a_process_panic_can_be_left_out() {
    let mut itself = std::process::Command::new(std::env::current_exe().unwrap());
    let helper = "helper_process_that_leaves_out_the_text_of_processes";
    itself.args(["--exact", helper, "--nocapture"]).env(LEFT_OUT, "1");
    let output = itself.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8_lossy(&output.stderr);
    let is_printed = ["of a process", "of a task", "caught\n", "after a caught one"]
        .map(|text| printed.contains(text));
    assert_eq!(is_printed, [false, true, false, true], "{printed}");
}
