//! T25. Logging to a standard error without a reader ends no process.
//!
//! Otherwise each crash of a process would end the whole program in a service whose log pipe is
//! broken: the write of the log line would panic inside the teardown. Each test here runs a second
//! time as a child process whose standard error is a broken pipe.

use crate::support;

use std::io::{Read, Write};
use std::panic::catch_unwind;
use std::process::{Command, Stdio};

use regrow::{ExitReason, LogLevel, Runtime};
use support::{TestProcess, crash, down, exit, idler};

const CHILD: &str = "REGROW_TEST_WITH_BROKEN_STDERR";

/// Runs the test of this name in a child process, asserts that the test passes, and returns false.
/// In that child process, waits until the pipe is broken, and returns true.
fn with_broken_stderr(test: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        let mut go = [0];
        std::io::stdin().read_exact(&mut go).unwrap();
        // Another test may fork a process at this moment, which holds the other end of the pipe
        // until it calls `exec`.
        while catch_unwind(|| eprintln!("a broken pipe")).is_ok() {
            std::thread::yield_now();
        }
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
        return true;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("broken_stderr::{test}"), "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
    false
}

#[test]
fn a_crash_reaches_all_observers_with_a_broken_stderr() {
    if !with_broken_stderr("a_crash_reaches_all_observers_with_a_broken_stderr") {
        return;
    }
    support::race::on_workers(async |rt| {
        rt.set_log_level(LogLevel::Debug);
        let (crashing, mut watcher) = (TestProcess::new(&rt), TestProcess::trapping(&rt));
        rt.set_label(crashing.pid(), "crashing");
        rt.register("n", crashing.pid());
        let reference = rt.monitor(watcher.pid(), crashing.pid());
        rt.link(watcher.pid(), crashing.pid());
        crashing.panic("boom");
        let reason = crashing.ended().await;
        assert_eq!(reason.crash().unwrap().message(), "boom");
        let pid = crashing.pid();
        assert_eq!(watcher.mail().await, [down(reference, pid, reason.clone()), exit(pid, reason)]);
        assert_eq!(rt.whereis("n"), None);
        assert!(watcher.lives().await);
        support::assert_nothing_left(&rt).await;
    });
}

#[test]
fn kill_and_spawn_log_lines_do_not_panic_with_a_broken_stderr() {
    if !with_broken_stderr("kill_and_spawn_log_lines_do_not_panic_with_a_broken_stderr") {
        return;
    }
    support::race::on_workers(async |rt| {
        rt.set_log_level(LogLevel::Debug);
        let [one, member, third] = [(); 3].map(|()| idler(&rt));
        rt.set_label(one.pid(), "one");
        rt.log_spawn(one.pid(), "one", "detail");
        assert!(rt.kill(one.pid()));
        rt.register_tag("g", member.pid());
        assert_eq!(rt.kill_tag("g"), 1);
        assert!(rt.exit(third.pid(), crash("r")));
        assert_eq!(one.join().await, ExitReason::Killed);
        assert_eq!(member.join().await, ExitReason::Killed);
        assert_eq!(third.join().await, crash("r"));
    });
}

#[test]
fn a_panicking_destructor_at_a_tokio_drop_aborts_nothing_with_a_broken_stderr() {
    if !with_broken_stderr(
        "a_panicking_destructor_at_a_tokio_drop_aborts_nothing_with_a_broken_stderr",
    ) {
        return;
    }
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let inside = tokio.enter();
    let rt = Runtime::new();
    rt.set_log_level(LogLevel::Debug);
    let process = rt.spawn(|_| {
        let value = support::OnDrop::new(|| panic!("in the destructor"));
        async move {
            let _value = value;
            std::future::pending().await
        }
    });
    let ended = process.join();
    drop(inside);
    let unrelated = catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _dropped_while_unwinding = tokio;
        panic!("unrelated");
    }));
    assert!(unrelated.is_err());
    let other = tokio::runtime::Runtime::new().unwrap();
    assert_eq!(other.block_on(ended), ExitReason::Killed);
}
