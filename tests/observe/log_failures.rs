//! Failures in the log: a process that fails by itself logs one error at any level; an unlabelled
//! process that fails because of another one logs no error.

use crate::support;

use std::convert::Infallible;

use regrow::{
    ExitReason, GenServer, LogLevel, ProcessHandle, Result, Runtime, ServerContext, Supervisor,
};
use support::idle;
use support::log::{Line, Log};

const ALL_LEVELS: [LogLevel; 5] =
    [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug];

/// A way to spawn a process.
type Spawn = fn(&Runtime) -> ProcessHandle;

/// SYS-007.
#[tokio::test]
async fn a_clean_exit_logs_no_error() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Debug);
    for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::shutdown_with("done")] {
        let own = reason.clone();
        let process = rt.spawn_fallible(|_| async { Err(own) });
        rt.set_label(process.pid(), "worker");
        assert_eq!(process.join().await, reason);
        let lines = log.take();
        assert_eq!(lines.iter().map(Line::head).collect::<Vec<_>>(), ["INFO exit"]);
        assert_eq!(lines[0].field("reason"), reason.to_string());
    }
}

/// SYS-007.
#[tokio::test]
async fn a_crash_logs_one_error_with_pid_label_and_reason() {
    let (log, rt) = (Log::listen(), Runtime::new());
    for level in ALL_LEVELS {
        rt.set_log_level(level);
        let process = rt.spawn(|_| async { panic!("out of cheese") });
        rt.set_label(process.pid(), "shop");
        process.join().await;
        let mut lines = log.take();
        lines.retain(|line| line.head() != "WARN crash report");
        assert_eq!(lines.len(), 1, "{level:?}: {lines:?}");
        assert_eq!(lines[0].head(), "ERROR exit");
        assert_eq!(lines[0].field("pid"), process.pid().to_string());
        assert_eq!(lines[0].field("label"), "shop");
        assert!(lines[0].field("reason").contains("out of cheese"));
    }
}

/// SYS-007. A process that fails by a panic, by an error, or by a returned crash reason is logged,
/// even without a label and a log level.
#[tokio::test]
async fn every_kind_of_crash_logs_an_error_without_a_label_or_level() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let spawns: [(Spawn, &str); 4] = [
        (|rt| rt.spawn(|_| async { panic!("boom") }), "boom"),
        (|rt| rt.spawn(|_| -> std::future::Pending<()> { panic!("no future") }), "no future"),
        (
            |rt| {
                rt.spawn_fallible(|_| async {
                    "x".parse::<u8>().map(drop)?;
                    Ok(())
                })
            },
            "invalid digit",
        ),
        (|rt| rt.spawn_fallible(|_| async { Err(ExitReason::crashed("no more")) }), "no more"),
    ];
    for (spawn, text) in spawns {
        let process = spawn(&rt);
        process.join().await;
        let lines = log.take();
        let [line] = &lines[..] else { panic!("{text}: {lines:?}") };
        assert_eq!((line.head().as_str(), line.field("label")), ("ERROR exit", ""));
        assert_eq!(line.field("pid"), process.pid().to_string());
        assert!(line.field("reason").contains(text));
    }
}

/// SYS-007. The error line of a process without a label has the name of the process.
#[tokio::test]
async fn the_error_line_of_a_named_process_has_its_name() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let process = rt.spawn(|_| async { panic!("boom") });
    rt.register("cheese shop", process.pid());
    process.join().await;
    let lines = log.take();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].field("name"), "cheese shop");
}

/// The reason in an error line has the location of the crash and all sources of the error.
#[tokio::test]
async fn an_error_line_has_the_whole_source_chain_and_the_location() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let process = rt.spawn_fallible(|_| async {
        let number: std::result::Result<u8, _> = "300".parse::<u8>();
        Ok(number.map(drop).map_err(std::io::Error::other)?)
    });
    process.join().await;
    let reason = log.take()[0].field("reason").to_owned();
    assert!(reason.contains("number too large"), "{reason}");
    assert!(reason.contains("tests/observe/log_failures.rs:"), "{reason}");
}

/// One panic ends three linked processes: the log has one error, not three.
#[tokio::test]
async fn a_cascade_over_links_logs_only_the_first_crash_as_an_error() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let (first, last) = (idle(&rt), idle(&rt));
    rt.link(first, last);
    let ended = rt.ended(last);
    let culprit = rt.spawn_link(first, |_| async { panic!("boom") }).pid();
    assert!(ended.await.crash().is_some());
    let lines = log.take();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].field("pid"), culprit.to_string());
}

/// A labelled process that a crash ends over a link logs its own exit line, at the level of the
/// reason.
#[tokio::test]
async fn a_labelled_victim_of_a_cascade_logs_its_own_line_at_its_level() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Error);
    let victim = idle(&rt);
    rt.set_label(victim, "victim");
    let ended = rt.ended(victim);
    rt.spawn_link(victim, |_| async { panic!("boom") });
    ended.await;
    let lines = log.take();
    assert_eq!(lines.len(), 2);
    assert_eq!((lines[1].head().as_str(), lines[1].field("label")), ("ERROR exit", "victim"));
}

struct Parent;
struct Child;

impl GenServer for Parent {
    type Args = ();
    type Call = Infallible;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        let child = ctx.start_link::<Child>(()).await?;
        ctx.runtime().register("child", child.pid().expect("it is a direct handle"));
        Ok(Parent)
    }

    async fn handle_call(&mut self, call: Infallible, _: &mut ServerContext<Self>) -> Result {
        match call {}
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        panic!("boom")
    }
}

impl GenServer for Child {
    type Args = ();
    type Call = Infallible;
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true);
        Ok(Child)
    }

    async fn handle_call(&mut self, call: Infallible, _: &mut ServerContext<Self>) -> Result {
        match call {}
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Err(ExitReason::crashed("asked to"))
    }
}

/// A trapping server that ends with its parent logs no error. A server that is stopped with a crash
/// as the reason logs none either.
#[tokio::test]
async fn a_server_that_is_stopped_with_a_crash_reason_logs_no_error() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let parent = Parent::start(&rt, ()).await.unwrap();
    let ended = rt.ended(rt.whereis("child").unwrap());
    parent.cast(());
    assert_eq!(ended.await.crash().unwrap().message(), "boom");
    assert_eq!(log.heads(), ["ERROR exit"], "the parent's");

    let stopped = Child::start(&rt, ()).await.unwrap();
    stopped.stop(ExitReason::crashed("by order")).await.unwrap();
    assert_eq!(log.heads(), [""; 0]);
}

/// The log of an unhandled message has its kind and length. A message that is dropped with its
/// mailbox is not logged at all.
#[tokio::test]
async fn the_content_of_messages_is_never_logged() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Debug);
    let server = Child::start(&rt, ()).await.unwrap();
    let tree = Supervisor::one_for_one().named("tree").start(&rt).await.unwrap();
    let raw = rt.spawn_fallible(|mut ctx| async move {
        ctx.recv().await;
        Err(ExitReason::crashed("not understood"))
    });
    rt.set_label(raw.pid(), "raw");
    for pid in [server.pid().unwrap(), tree.pid().unwrap(), raw.pid()] {
        assert!(rt.send(pid, b"secret".to_vec()) && rt.send(pid, b"secret".to_vec()));
    }
    raw.join().await;
    server.stop(ExitReason::Normal).await.unwrap();
    tree.stop().await.unwrap();
    let lines = log.take();
    let count = |head: &str| lines.iter().filter(|line| line.head() == head).count();
    assert_eq!(count("WARN unexpected message dropped"), 4, "{lines:?}");
    assert_eq!(count("ERROR exit"), 1, "{lines:?}");
    let secret = format!("{:?}", b"secret"); // the text of the bytes in `Debug` format
    let shown = format!("{lines:?}");
    assert!(!shown.contains("secret") && !shown.contains(&secret), "{shown}");
}

/// SYS-007. A handler that returns a crash reason logs one error, as a panic does.
#[tokio::test]
async fn a_handler_that_returns_a_crash_logs_one_error() {
    let (log, rt) = (Log::listen(), Runtime::new());
    let server = Child::start(&rt, ()).await.unwrap();
    let ended = rt.ended(server.pid().unwrap());
    server.cast(());
    ended.await;
    assert_eq!(log.heads(), ["ERROR exit"]);
}
