//! The backtraces of crashed processes, which a viewer asks for by the pid.
//!
//! The panic hook and `RUST_BACKTRACE` are settings of the whole program. So each test here runs its
//! program again as a child process.

use crate::support;

use std::process::Command;

use regrow::{ChildSpec, Observation, PastRun, Pid, Runtime, Supervisor, SupervisorRef};
use support::settled;

const CHILD: &str = "REGROW_TEST_OF_BACKTRACES";

/// Runs the test of this name in a child process with this `RUST_BACKTRACE`, asserts that the test
/// passes, and returns false. In that child process, installs the hook and returns true.
fn with_backtraces(test: &str, setting: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        regrow::install_panic_hook();
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("backtraces::{test}"), "--nocapture"])
        .envs([(CHILD, "1"), ("RUST_BACKTRACE", setting)])
        .env_remove("RUST_LIB_BACKTRACE")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
    false
}

/// A function that a backtrace shows.
#[inline(never)]
fn the_function_that_panics() {
    panic!("boom");
}

/// A child that panics when it gets a message.
async fn app(rt: &Runtime) -> SupervisorRef {
    let job = ChildSpec::task("job", |mut ctx| async move {
        ctx.recv().await;
        the_function_that_panics();
        Ok::<(), regrow::ExitReason>(())
    });
    let fails = ChildSpec::task("fails", |mut ctx| async move {
        ctx.recv().await;
        Err::<(), regrow::ExitReason>(std::fmt::Error.into())
    });
    let spec = Supervisor::one_for_one().named("app").unlimited_restarts();
    spec.child(job.named("job")).child(fails.named("fails")).start(rt).await.unwrap()
}

/// Makes a child crash, and returns its process.
async fn crash(rt: &Runtime, name: &str) -> Pid {
    let pid = rt.whereis(name).unwrap();
    rt.send(pid, Vec::new());
    settled().await;
    pid
}

async fn last_run(observation: &mut Observation, path: &str) -> PastRun {
    observation.picture().await.find(path).unwrap().history.last().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn the_backtrace_of_a_panic_is_kept_as_long_as_the_history_has_it() {
    if !with_backtraces("the_backtrace_of_a_panic_is_kept_as_long_as_the_history_has_it", "1") {
        return;
    }
    let rt = Runtime::new();
    let app = app(&rt).await;
    let mut observation = app.observe().unwrap();
    let first = crash(&rt, "job").await;
    let run = last_run(&mut observation, "app/job").await;
    assert!(run.has_backtrace());
    assert_eq!(run.incarnation.pid, Some(first));
    let text = rt.backtrace_of(first).unwrap();
    assert!(text.contains("the_function_that_panics"), "{text}");
    assert!(text.len() <= 16 * 1024 && text.ends_with('\n'));
    assert!(text.lines().all(|line| !line.chars().any(char::is_control)), "{text}");
    assert_eq!(run.incarnation.reason.crash().unwrap().backtrace_text(), Some(text));
    #[cfg(feature = "serde")]
    assert!(observation.picture().await.to_json().contains("\"backtrace\":true"));
    // The changes that an observation may still receive have the reason, too.
    drop((run, observation));
    // The history forgets the run, and so the backtrace is gone.
    for _ in 0..20 {
        crash(&rt, "job").await;
    }
    let mut observation = app.observe().unwrap();
    assert_eq!(rt.backtrace_of(first), None);
    let last = last_run(&mut observation, "app/job").await.incarnation.pid.unwrap();
    assert!(rt.backtrace_of(last).is_some());
    // An error offers none, and neither does a process that runs or never was.
    let failed = crash(&rt, "fails").await;
    assert!(!last_run(&mut observation, "app/fails").await.has_backtrace());
    for pid in [failed, rt.whereis("job").unwrap(), Pid::from_raw(u64::MAX)] {
        assert_eq!(rt.backtrace_of(pid), None, "{pid}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_rust_backtrace_nothing_is_kept() {
    if !with_backtraces("without_rust_backtrace_nothing_is_kept", "0") {
        return;
    }
    let rt = Runtime::new();
    let app = app(&rt).await;
    let pid = crash(&rt, "job").await;
    assert_eq!(rt.backtrace_of(pid), None);
    let mut observation = app.observe().unwrap();
    assert!(!last_run(&mut observation, "app/job").await.has_backtrace());
}

#[cfg(feature = "observer")]
#[tokio::test(start_paused = true)]
async fn an_observer_answers_with_the_backtrace_as_plain_text() {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use tower::ServiceExt;

    if !with_backtraces("an_observer_answers_with_the_backtrace_as_plain_text", "1") {
        return;
    }
    let rt = Runtime::new();
    let app = app(&rt).await;
    let pid = crash(&rt, "job").await;
    let router = regrow::observer::router(&app);
    let get = async |path: String, host: &str| {
        let request = Request::get(path).header("host", host).body(Body::empty()).unwrap();
        let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (head, String::from_utf8(body.to_vec()).unwrap())
    };
    let (head, body) = get(format!("/backtrace/{}", pid.raw()), "localhost").await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(head.headers["x-content-type-options"], "nosniff");
    assert!(body.contains("the_function_that_panics"), "{body}");
    assert_eq!(rt.backtrace_of(pid), Some(body));
    for unknown in ["0", "x", "18446744073709551615", "-1"] {
        let (head, _) = get(format!("/backtrace/{unknown}"), "localhost").await;
        assert_eq!(head.status, StatusCode::NOT_FOUND, "{unknown}");
    }
    let (head, _) = get(format!("/backtrace/{}", pid.raw()), "evil.example").await;
    assert_eq!(head.status, StatusCode::FORBIDDEN);
}
