//! Exhausted file descriptors, threads and memory: each gives an error with advice, and no process
//! is lost or half started. Each case runs this test binary again as a child process.

use crate::support;

use std::error::Error;
use std::fs::File;
use std::future::pending;
use std::process::{Command, Stdio};
use std::time::Duration;

use regrow::{ChildSpec, Leftovers, Program, Run, RunError, Runtime, Supervisor, SupervisorSpec};
use support::scripted_children::limit;
use tokio_util::sync::CancellationToken;

const CASE: &str = "REGROW_TEST_CASE";
const SECOND: Duration = Duration::from_secs(1);

/// Runs this case in a child process. Returns the text that the process wrote to standard error.
fn run(case: &str, set: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "resource_exhaustion::case_under_test",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env(CASE, case).envs(set.iter().copied()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let (said, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{case}: {said}{errors}");
    errors.into_owned()
}

/// Sets a limit of this process. Prints a message and returns false if the limit can't be set.
fn set_limit(what: &str) -> bool {
    let id = std::process::id().to_string();
    let set = Command::new("prlimit").args(["--pid", &id, what]).status();
    let set = set.is_ok_and(|status| status.success());
    if !set {
        eprintln!("skipped: there is no `prlimit` that sets {what}");
    }
    set
}

/// Formats an error and its causes.
fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

fn root(child: ChildSpec) -> SupervisorSpec {
    Supervisor::one_for_one().with_id("app").intensity(1, SECOND).child(child)
}

#[test]
fn case_under_test() {
    let Ok(case) = std::env::var(CASE) else { return };
    match case.as_str() {
        "program" => return no_thread_for_a_program(),
        "files" | "accept" | "pause" if !set_limit("--nofile=64:64") => return,
        _ => {}
    }
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    let tokio = tokio.enable_all().build().unwrap();
    tokio.block_on(async {
        match case.as_str() {
            "files" => files().await,
            #[cfg(feature = "net")]
            "accept" => accept().await,
            #[cfg(feature = "net")]
            "pause" => pause().await,
            "threads" => threads().await,
            "memory" => memory().await,
            other => panic!("no such case: {other}"),
        }
    });
}

/// Opens files until the limit is reached.
fn all_files() -> Vec<File> {
    std::iter::from_fn(|| File::open("/dev/null").ok()).collect()
}

fn is_about_files(text: &str) {
    assert!(text.contains("too many files are open, raise the limit (`ulimit -n`)"), "{text}");
    assert_eq!(text.matches("(os error 24)").count(), 1, "{text}");
}

async fn files() {
    let rt = Runtime::new();
    let idle = || root(ChildSpec::task("idle", |_| pending()));
    let files = all_files();
    assert!(!files.is_empty());
    #[cfg(feature = "process")]
    let sleep = || {
        ChildSpec::command("sleep", || {
            let mut command = tokio::process::Command::new("sleep");
            command.arg("1000").stdout(Stdio::piped());
            command
        })
    };
    #[cfg(feature = "process")]
    {
        let error = root(sleep()).start(&rt).await.unwrap_err();
        let regrow::StartError::Child { id, error: why } = &error else { panic!("{error:?}") };
        assert!(id == "sleep" && matches!(**why, regrow::StartError::Failed(_)), "{error:?}");
        assert!(chain(&error).contains("`sleep` can't be started: "), "{}", chain(&error));
        is_about_files(&chain(&error));
    }
    let error = Run::new(idle()).on(&rt).run().await.unwrap_err();
    assert!(matches!(error, RunError::Signals(_)));
    assert!(chain(&error).starts_with("signals can't be listened to: "), "{}", chain(&error));
    is_about_files(&chain(&error));

    // An error that the user's body returns keeps its type.
    let bound = ChildSpec::task("listener", |_| async {
        std::net::TcpListener::bind("127.0.0.1:0")?;
        pending().await
    });
    let reason = root(bound).start(&rt).await.unwrap().ended().await;
    let error = limit(&reason).last.crash().unwrap().downcast_ref::<std::io::Error>();
    assert_eq!(error.unwrap().raw_os_error(), Some(24));
    assert_eq!((rt.process_count(), rt.leftovers()), (0, Leftovers::default()));

    drop(files);
    #[cfg(feature = "process")]
    root(sleep()).start(&rt).await.unwrap().stop().await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    assert!(Run::new(idle()).on(&rt).stop_on(stop).run().await.unwrap().is_clean());
}

#[test]
fn exhausted_file_descriptors_give_an_error_with_advice() {
    run("files", &[]);
}

/// While no file is left, a listener accepts nothing, logs that once, and does not end.
#[cfg(feature = "net")]
async fn accept() {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpSocket;
    let (rt, log) = (Runtime::new(), support::log::Log::listen());
    let listener =
        ChildSpec::tcp_listener("listener", "127.0.0.1:0", |_, mut stream, _| async move {
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"hello").await?;
            Ok(())
        });
    let listener = listener.accept_pause(Duration::ZERO);
    let address = listener.address();
    let tree = Supervisor::one_for_one().child(listener).start(&rt).await.unwrap();
    // The second lack of files is logged like the first.
    let sockets = [(); 2].map(|()| TcpSocket::new_v4().unwrap());
    for socket in sockets {
        let files = all_files();
        let mut client = socket.connect(address.get().unwrap()).await.unwrap();
        let mut lines = Vec::new();
        while !lines.iter().any(|line: &support::log::Line| line.target == "regrow::listener") {
            tokio::task::yield_now().await;
            lines = log.take();
        }
        // Several more attempts fail, and none of them is logged.
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(log.take().iter().all(|line| line.target != "regrow::listener"));
        drop(files);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hello");
        lines.extend(log.take());
        lines.retain(|line| line.target == "regrow::listener");
        let heads: Vec<_> = lines.iter().map(support::log::Line::head).collect();
        let warning = "WARN no connection can be accepted now: it is tried again";
        assert_eq!(heads, [warning, "INFO connections are accepted again"]);
        assert!(lines[0].field("error").contains("(os error 24)"), "{:?}", lines[0]);
        assert!(lines[1].field("failed").parse::<u64>().unwrap() > 1, "{:?}", lines[1]);
    }
    tree.stop().await.unwrap();
}

/// With an endless pause, a lack of files ends all accepting, also when there are files again.
#[cfg(feature = "net")]
async fn pause() {
    use tokio::net::TcpSocket;
    let (rt, log) = (Runtime::new(), support::log::Log::listen());
    let listener = ChildSpec::tcp_listener("listener", "127.0.0.1:0", |_, _, _| pending());
    let listener = listener.accept_pause(Duration::MAX).named("listener");
    let address = listener.address();
    let tree = Supervisor::one_for_one().child(listener).start(&rt).await.unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    let files = all_files();
    let _client = socket.connect(address.get().unwrap()).await.unwrap();
    while !log.take().iter().any(|line| line.target == "regrow::listener") {
        tokio::task::yield_now().await;
    }
    drop(files);
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    let lines = log.take();
    assert!(lines.iter().all(|line| line.target != "regrow::listener"), "{lines:?}");
    tree.stop().await.unwrap();
}

#[cfg(feature = "net")]
#[test]
fn a_listener_pauses_after_a_lack_of_files_for_the_time_that_is_set() {
    run("pause", &[]);
}

#[cfg(feature = "net")]
#[test]
fn a_listener_without_files_pauses_and_accepts_again() {
    run("accept", &[]);
}

fn is_about_threads(text: &str) {
    assert!(text.contains("no thread can be started for "), "{text}");
    assert!(text.contains("a limit of processes, threads or memory is reached"), "{text}");
    assert_eq!(text.matches("(os error 11)").count(), 1, "{text}");
}

/// Asserts that a blocking child fails with a typed error each time it is started, until its
/// restart budget is used up, and that a run without a thread for signals fails.
async fn fails_for_want_of_a_thread(rt: &Runtime) {
    let reason = root(ChildSpec::blocking("sync", |_| Ok(()))).start(rt).await.unwrap();
    let reason = reason.ended().await;
    let limit = limit(&reason);
    assert_eq!((limit.child.as_str(), limit.restarts), ("sync", 1));
    let error = limit.last.crash().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    is_about_threads(&format!("{:#}", limit.last));
    assert!(error.to_string().contains("for child \"sync\""), "{error}");

    let idle = root(ChildSpec::task("idle", |_| pending()));
    let error = Run::new(idle).on(rt).run().await.unwrap_err();
    assert!(matches!(error, RunError::Signals(_)));
    is_about_threads(&chain(&error));
    assert_eq!((rt.process_count(), rt.leftovers()), (0, Leftovers::default()));
}

async fn threads() {
    let rt = Runtime::new();
    fails_for_want_of_a_thread(&rt).await;
    #[cfg(feature = "axum")]
    {
        use axum::body::{Body, to_bytes};
        use tower::ServiceExt;

        // More children than are rendered without a blocking thread.
        let job = |n| ChildSpec::task(format!("job-{n}"), |_| pending());
        let tree = (0..1_100).map(job).fold(Supervisor::one_for_one(), |tree, job| tree.child(job));
        let tree = tree.start(&rt).await.unwrap();
        let request = axum::http::Request::builder().uri("/tree").body(Body::empty()).unwrap();
        let routes = regrow::tree_routes_within(&tree, 60 * SECOND);
        let answer = routes.oneshot(request).await.unwrap();
        assert_eq!(answer.status().as_u16(), 503);
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("OS can't spawn worker thread"), "{body}");
        tree.stop().await.unwrap();
    }
}

/// A stack size that the operating system can't provide.
const NO_THREAD: (&str, &str) = ("RUST_MIN_STACK", "140737488355328");

#[test]
fn a_refused_thread_gives_an_error_with_advice() {
    run("threads", &[NO_THREAD]);
}

/// Asserts that a program without a thread returns the failure code, and does not run its setup.
fn no_thread_for_a_program() {
    let code = Program::new().run(async || -> regrow::Result<Run> { panic!("it does not start") });
    assert_eq!(format!("{code:?}"), format!("{:?}", std::process::ExitCode::FAILURE));
}

#[test]
fn a_program_without_a_thread_prints_the_error_and_exits_with_1() {
    let errors = run("program", &[NO_THREAD]);
    assert!(errors.contains("tokio can't be started: "), "{errors}");
    assert!(errors.contains("OS can't spawn worker thread"), "{errors}");
    assert!(!errors.contains("it does not start"), "{errors}");
}

/// Limits the address space to 1 MiB more than the process uses now: enough for an error, but not
/// for the stack of a thread.
async fn memory() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kilobytes: u64 = size.trim().trim_end_matches(" kB").parse().unwrap();
    let rt = Runtime::new();
    if !set_limit(&format!("--as={}:", (kilobytes + 1_024) * 1_024)) {
        return;
    }
    fails_for_want_of_a_thread(&rt).await;
}

#[test]
fn exhausted_memory_gives_an_error_about_the_thread() {
    run("memory", &[]);
}
