//! The text of errors: each cause appears once and in full, even if the `Display` or `source` of a
//! user's error misbehaves.

mod behaviours;

use crate::support;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{
    CallError, CastError, ChildError, ChildSpec, ControlError, DynamicSupervisor, ExitReason,
    GenServer, HandlerError, Heartbeat, HeartbeatMissed, KeyedCastError, KeyedError, KeyedServers,
    LogLevel, NoRestart, Overflow, Pid, PoolError, RegisterError, RegistryError, Reply,
    RestartLimitReached, Result, Run, RunError, Runtime, ScopeError, ServerContext, ServerRef,
    StartChild, StartContext, StartError, Started, Supervisor, SupervisorSpec, TaskError,
};
use support::injected_panics::hush_injected_panics;
use support::log::Log;
use support::source::{Source, is_word, sources, words};
use support::{idle, settled};

/// The texts of the user's error and of its cause.
const CAUSES: [&str; 2] = ["the disk is full", "no block 7 left"];
const SECOND: Duration = Duration::from_secs(1);

/// An error of a user, with a cause.
#[derive(Debug)]
struct Disk(Block);

#[derive(Debug)]
struct Block;

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CAUSES[0])
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(CAUSES[1])
    }
}

impl Error for Disk {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl Error for Block {}

fn disk() -> ExitReason {
    ExitReason::from(Disk(Block))
}

/// A child whose start fails with the error that the function returns.
struct Refusing(fn() -> StartError);

#[async_trait::async_trait]
impl StartChild for Refusing {
    async fn start(&self, _: &mut StartContext) -> Result<Started, StartError> {
        Err(self.0())
    }
}

/// One error of this crate: its type, its variant or `""`, and the error itself.
type Listed = (&'static str, &'static str, Box<dyn Error>);

fn listed(
    of: &'static str,
    errors: Vec<(&'static str, impl Error + 'static)>,
) -> impl Iterator<Item = Listed> {
    errors.into_iter().map(move |(variant, error)| (of, variant, Box::new(error) as _))
}

fn boom() -> regrow::Crash {
    ExitReason::crashed("boom").crash().cloned().unwrap()
}

fn call_errors() -> Vec<(&'static str, CallError)> {
    vec![
        ("NoProc", CallError::NoProc),
        ("NoHolder", CallError::NoHolder("n".into())),
        ("Exited", CallError::Exited(disk())),
        ("Restarting", CallError::Restarting { retry_in: Some(SECOND) }),
        ("NoReply", CallError::NoReply),
        ("Timeout", CallError::Timeout),
        ("ChainTimeout", chain_timeout()),
        ("CallingSelf", CallError::CallingSelf),
        ("Overloaded", CallError::Overloaded),
        ("Stopping", CallError::Stopping),
        ("WrongType", CallError::WrongType),
        ("TokioGone", CallError::TokioGone),
        ("NoConnection", CallError::NoConnection),
        ("InvalidRequest", CallError::InvalidRequest("a float is not finite".into())),
        ("InvalidAnswer", CallError::InvalidAnswer("a float is not finite".into())),
        ("Panicked", CallError::Panicked { crash: boom(), server_ends: true }),
        ("Deadlock", CallError::Deadlock { cycle: vec![Pid::from_raw(1)] }),
    ]
}

/// Returns the error of a call that timed out in the handler of another call, which only a runtime
/// creates.
fn chain_timeout() -> CallError {
    let time_out = async {
        let rt = Runtime::new();
        rt.propagate_deadlines(true);
        let last = Busy::start(&rt, ()).await.expect("it starts");
        let asking = Asking::start(&rt, last).await.expect("it starts");
        let called = asking.call_timeout(|reply| reply, SECOND).await;
        called.and_then(|answer| answer).expect_err("nobody answers")
    };
    let run = move || {
        let mut tokio = tokio::runtime::Builder::new_current_thread();
        let tokio = tokio.enable_time().start_paused(true).build();
        tokio.expect("tokio starts").block_on(time_out)
    };
    std::thread::spawn(run).join().expect("the thread does not panic")
}

/// A server that calls another one, and answers with the result.
struct Asking(ServerRef<Busy>);

impl GenServer for Asking {
    type Args = ServerRef<Busy>;
    type Call = Reply<Result<(), CallError>>;
    type Cast = ();

    async fn init(busy: ServerRef<Busy>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Asking(busy))
    }

    async fn handle_call(&mut self, reply: Self::Call, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0.call(|reply| reply).await);
        Ok(())
    }
}

fn start_errors() -> Vec<(&'static str, StartError)> {
    let child = |id: &str, error| StartError::Child { id: id.into(), error: Box::new(error) };
    let given_up = StartError::GivenUp { name: "n".into(), retry_in: SECOND, reason: disk() };
    let taken = StartError::AlreadyStarted { name: "n".into(), pid: Pid::from_raw(1) };
    let unreachable = StartError::Unreachable(CallError::Exited(disk()));
    let running = StartError::AlreadyRunning { id: "a".into(), pid: Pid::from_raw(1) };
    let (name, supervisor) = ("n".to_owned(), Pid::from_raw(1));
    let reserved = StartError::NameReserved { name, child: "a".into(), supervisor };
    vec![
        ("Ignored", StartError::Ignored),
        ("Failed", StartError::Failed(disk())),
        ("InitTimeout", StartError::InitTimeout(SECOND)),
        ("NotReady", StartError::NotReady(SECOND)),
        ("AlreadyStarted", taken),
        ("Child", child("a", StartError::Failed(disk()))),
        ("Child", child("a", child("b", child("c", given_up.clone())))),
        ("Child", child("a", child("b", unreachable.clone()))),
        ("DuplicateId", StartError::DuplicateId("a".into())),
        ("AlreadyRunning", running),
        ("NameReserved", reserved),
        ("TokioGone", StartError::TokioGone),
        ("AlreadyPresent", StartError::AlreadyPresent("a".into())),
        ("MaxChildren", StartError::MaxChildren(1)),
        ("GivenUp", given_up),
        ("Invalid", StartError::Invalid("a setting".into())),
        ("Unreachable", unreachable),
    ]
}

struct Busy;

impl GenServer for Busy {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Busy)
    }

    async fn handle_call(&mut self, _: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        pending().await
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        pending().await
    }
}

async fn cast_errors() -> Vec<(&'static str, CastError<()>)> {
    let busy = Busy::spec(()).mailbox_capacity(1, Overflow::Reject);
    let busy = busy.start(&Runtime::new()).await.unwrap();
    while busy.try_cast(()).is_ok() {}
    let refused = busy.try_cast(()).unwrap_err();
    let mut exited = refused.clone();
    exited.reason = CallError::Exited(disk());
    vec![("", refused), ("", exited)]
}

/// Returns a tree that gives up, because one of its children ends with this reason.
fn failing(reason: fn() -> ExitReason) -> SupervisorSpec {
    let child = ChildSpec::task("store", move |_| async move { Err(reason()) });
    let inner = Supervisor::one_for_one().with_id("inner").intensity(1, SECOND).child(child);
    Supervisor::one_for_one().with_id("app").intensity(0, SECOND).child(inner)
}

async fn run_errors() -> Vec<(&'static str, RunError)> {
    let failed = |spec: SupervisorSpec| Run::new(spec).without_signals().run();
    let refusing = ChildSpec::new("bad", Refusing(|| StartError::Failed(disk())));
    let start = failed(Supervisor::one_for_one().child(refusing)).await.unwrap_err();
    assert!(matches!(start, RunError::Start(_)));
    let gave_up = failed(failing(disk)).await.unwrap_err();
    assert!(matches!(gave_up, RunError::GaveUp { .. }));
    vec![
        ("Start", start),
        ("GaveUp", gave_up),
        ("Ended", RunError::Ended(disk())),
        ("Signals", RunError::Signals(std::io::Error::other(Disk(Block)))),
        ("NoUnwinding", RunError::NoUnwinding),
    ]
}

async fn limits() -> Vec<(&'static str, RestartLimitReached)> {
    let reason = failing(disk).start(&Runtime::new()).await.unwrap().ended().await;
    let outer: &RestartLimitReached = reason.crash().unwrap().downcast_ref().unwrap();
    let inner: &RestartLimitReached = outer.last.crash().unwrap().downcast_ref().unwrap();
    vec![("", outer.clone()), ("", inner.clone()), ("", ended_tree().await)]
}

/// Returns the error of a root whose child ended the tree.
async fn ended_tree() -> RestartLimitReached {
    let child = ChildSpec::task("a", |ctx| async move { Err(ctx.end_tree(disk())) });
    let tree = Supervisor::one_for_one().child(child).start(&Runtime::new()).await.unwrap();
    let reason = tree.ended().await;
    reason.crash().unwrap().downcast_ref::<RestartLimitReached>().unwrap().clone()
}

async fn no_restarts() -> Vec<(&'static str, NoRestart)> {
    let limit = ended_tree().await;
    vec![("", limit.last.crash().unwrap().downcast_ref::<NoRestart>().unwrap().clone())]
}

#[cfg(all(unix, feature = "process"))]
async fn commands() -> Vec<(&'static str, regrow::CommandFailed)> {
    let failing = ChildSpec::command("false", || tokio::process::Command::new("false"));
    let reason = support::kinds::only_end(&Runtime::new(), failing).await;
    vec![("", reason.crash().unwrap().downcast_ref::<regrow::CommandFailed>().unwrap().clone())]
}

/// Returns an error of the operating system, wrapped in the start error of a child.
#[cfg(all(unix, feature = "process"))]
async fn refusal() -> Box<dyn Error> {
    let missing = ChildSpec::command("missing", || tokio::process::Command::new("/no/program"));
    let error = Supervisor::one_for_one().child(missing).start(&Runtime::new()).await.unwrap_err();
    let refused = error.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert!(refused.to_string().starts_with("`/no/program` can't be started: it is not there"));
    let answer = refused.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(answer.raw_os_error(), Some(2));
    Box::new(error)
}

fn keyed_errors() -> Vec<(&'static str, KeyedError<u8>)> {
    let (key, error) = (7, start_errors().swap_remove(6).1);
    vec![
        ("NotStarted", KeyedError::NotStarted { key, error }),
        ("NotReady", KeyedError::NotReady { key, limit: SECOND }),
        ("Call", KeyedError::Call { key, error: CallError::Exited(disk()) }),
    ]
}

async fn keyed_cast_errors() -> Vec<(&'static str, KeyedCastError<u8, ()>)> {
    let supervisor = DynamicSupervisor::new().max_children(1).start(&Runtime::new()).await.unwrap();
    let busy: KeyedServers<u8, Busy> = KeyedServers::new(&supervisor);
    busy.cast_or_start(&7, || Busy::spec(()), (), SECOND).await.unwrap();
    let refused = busy.cast_or_start(&8, || Busy::spec(()), (), SECOND).await.unwrap_err();
    let mut exited = refused.clone();
    exited.error = KeyedError::Call { key: 8, error: CallError::Exited(disk()) };
    vec![("", refused), ("", exited)]
}

/// Returns the errors of listeners and of connecting children, each as the reason of a process.
#[cfg(all(target_os = "linux", feature = "net"))]
async fn net_errors() -> Vec<Listed> {
    use std::os::fd::OwnedFd;
    let rt = Runtime::new();
    let missing = "/no/folder/socket";
    let listener = ChildSpec::unix_listener("a", missing, |_, _| pending());
    let bind = Supervisor::one_for_one().child(listener).start(&rt).await.unwrap_err();
    let client = ChildSpec::connect_unix("a", missing, |_, _| pending());
    let client = client.ready_within(Duration::MAX);
    let connect = Supervisor::one_for_one().child(client).start(&rt).await.unwrap_err();

    // A listener that was shut down through another handle.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    port.set_nonblocking(true).unwrap();
    let other = std::net::TcpStream::from(OwnedFd::from(port.try_clone().unwrap()));
    let port = regrow::Keep::of(tokio::net::TcpListener::from_std(port).unwrap());
    let listener = ChildSpec::tcp_listener("a", port, |_, _, _| pending()).named("listener");
    let tree = Supervisor::one_for_one().child(listener).start(&rt).await.unwrap();
    let listener = regrow::SupervisorRef::named(&rt, "listener");
    let acceptor = listener.which_child("acceptor").await.unwrap().pid().unwrap();
    let ended = rt.ended(acceptor);
    other.shutdown(std::net::Shutdown::Both).unwrap();
    let reason = ended.await;
    drop(tree.stop().await); // it may have given up: there is no other listener
    let accept = reason.crash().unwrap().downcast_ref::<regrow::AcceptError>().unwrap();
    assert!(accept.to_string().contains("no connection can be accepted at 127.0.0.1:"), "{accept}");
    assert_eq!(accept.source.raw_os_error(), Some(22));
    vec![
        ("BindError", "", Box::new(bind)),
        ("ConnectError", "", Box::new(connect)),
        ("AcceptError", "", Box::new(reason.into_error())),
    ]
}

fn register_errors(pid: Pid) -> Vec<(&'static str, RegisterError)> {
    let (name, child) = ("n".to_owned(), "a".to_owned());
    vec![
        ("Held", RegisterError::Held { name: name.clone(), pid }),
        ("Reserved", RegisterError::Reserved { name, child, supervisor: pid }),
        ("NoProc", RegisterError::NoProc(pid)),
    ]
}

fn registry_errors(pid: Pid) -> Vec<(&'static str, RegistryError)> {
    vec![
        ("AlreadyRegistered", RegistryError::AlreadyRegistered { pid }),
        ("Reserved", RegistryError::Reserved { child: "a".to_owned(), supervisor: pid }),
        ("NoProc", RegistryError::NoProc(pid)),
    ]
}

fn task_errors() -> Vec<(&'static str, TaskError)> {
    vec![
        ("Exited", TaskError::Exited(disk())),
        ("Timeout", TaskError::Timeout(SECOND)),
        ("Taken", TaskError::Taken),
        ("TokioGone", TaskError::TokioGone),
        ("NotStarted", TaskError::NotStarted(start_errors().swap_remove(1).1)),
    ]
}

/// Returns the error of a child that reports no heartbeat.
async fn missed_heartbeat() -> HeartbeatMissed {
    let rt = Runtime::new();
    let child = ChildSpec::task("silent", |_| pending()).named("silent");
    let child = child.heartbeat(Heartbeat::every(SECOND).restart_after(SECOND));
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let reason = rt.ended(rt.whereis("silent").unwrap()).await;
    reason.crash().unwrap().downcast_ref::<HeartbeatMissed>().unwrap().clone()
}

fn scope_errors(pid: Pid) -> Vec<(&'static str, ScopeError)> {
    vec![
        ("Task", ScopeError::Task { pid, reason: disk() }),
        ("Body", ScopeError::Body(disk())),
        ("OwnerEnded", ScopeError::OwnerEnded(disk())),
    ]
}

/// Returns every error type of the crate, in each of its variants.
async fn all_errors() -> Vec<Listed> {
    let pid = Pid::from_raw(1);
    let job = || ChildSpec::task("job", |_| pending());
    let lint = Supervisor::one_for_one().child(job()).child(job()).lint().deny().unwrap_err();
    let reasons = [disk(), ExitReason::Killed, ExitReason::crashed("boom")];
    let exits = reasons.map(|reason| ("", reason.into_error())).into();
    let mut all: Vec<Listed> = listed("CallError", call_errors()).collect();
    all.extend(listed("StartError", start_errors()));
    all.extend(listed("CastError", cast_errors().await));
    all.extend(listed("KeyedError", keyed_errors()));
    all.extend(listed("KeyedCastError", keyed_cast_errors().await));
    all.extend(listed("ChildError", child_errors(pid)));
    all.extend(listed("ControlError", control_errors(pid)));
    all.extend(listed("RegistryError", registry_errors(pid)));
    all.extend(listed("RegisterError", register_errors(pid)));
    all.extend(listed("TaskError", task_errors()));
    all.extend(listed("ScopeError", scope_errors(pid)));
    all.extend(listed("LintError", vec![("", lint)]));
    all.extend(listed("ExitError", exits));
    all.extend(listed("RunError", run_errors().await));
    all.extend(listed("RestartLimitReached", limits().await));
    all.extend(listed("NoRestart", no_restarts().await));
    all.push(("HeartbeatMissed", "", Box::new(missed_heartbeat().await)));
    all.extend(behaviours::errors().await);
    #[cfg(feature = "serde")]
    all.extend(listed("JsonLinesError", json_lines_errors()));
    #[cfg(all(unix, feature = "process"))]
    all.extend(listed("CommandFailed", commands().await));
    #[cfg(all(unix, feature = "process"))]
    all.push(("Refused", "", refusal().await));
    #[cfg(all(target_os = "linux", feature = "net"))]
    all.extend(net_errors().await);
    all
}

fn child_errors(pid: Pid) -> Vec<(&'static str, ChildError)> {
    vec![
        ("NotFound", ChildError::NotFound("a".into())),
        ("Running", ChildError::Running { id: "a".into(), pid }),
        ("Restarting", ChildError::Restarting("a".into())),
        ("Stopping", ChildError::Stopping("a".into())),
        ("Changed", ChildError::Changed { id: "a".into(), pid: Some(pid) }),
        ("Changed", ChildError::Changed { id: "a".into(), pid: None }),
        ("Temporary", ChildError::Temporary("a".into())),
        ("NotStarted", ChildError::NotStarted(start_errors().swap_remove(6).1)),
        ("Unreachable", ChildError::Unreachable(CallError::Exited(disk()))),
    ]
}

fn control_errors(pid: Pid) -> Vec<(&'static str, ControlError)> {
    vec![
        ("NotFound", ControlError::NotFound("app/a".into())),
        ("Child", ControlError::Child(CallError::Exited(disk()).into())),
        ("Failed", ControlError::Failed(ChildError::Stopping("a".into()))),
        ("Failed", ControlError::Failed(start_errors().swap_remove(6).1.into())),
        ("SupervisorStopping", ControlError::SupervisorStopping(pid)),
        ("Topmost", ControlError::Topmost(pid)),
        ("IsSupervisor", ControlError::IsSupervisor(pid)),
        ("NotAServer", ControlError::NotAServer(pid)),
        ("NotBegun", ControlError::NotBegun),
        ("Unfinished", ControlError::Unfinished),
        ("TokioGone", ControlError::TokioGone),
    ]
}

#[cfg(feature = "serde")]
fn json_lines_errors() -> Vec<(&'static str, regrow::JsonLinesError)> {
    use regrow::JsonLinesError::{Open, Write};
    let full = || std::io::Error::from_raw_os_error(2);
    vec![("Open", Open(full())), ("Write", Write(full()))]
}

/// Returns an error and its causes in one text, as `anyhow` and other crates print them.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        text = format!("{text}: {cause}");
        at = cause.source();
    }
    text
}

/// Returns complaints if this error repeats a source, leaves out a cause or displays a cause twice.
fn complaints(error: &dyn Error, causes: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let (shown, chained, all) = (error.to_string(), chain(error), format!("{error:?}"));
    let mut at = error.source();
    while let Some(cause) = at {
        if shown.contains(&cause.to_string()) {
            found.push(format!("{shown:?} repeats its source {:?}", cause.to_string()));
        }
        at = cause.source();
    }
    for cause in causes {
        if chained.matches(cause).count() != 1 {
            found.push(format!("{chained:?} says {cause:?} not once"));
        }
        if !all.contains(cause) {
            found.push(format!("{all} leaves out {cause:?}"));
        }
    }
    found
}

#[tokio::test(start_paused = true)]
async fn no_error_repeats_its_source_and_each_cause_is_displayed_once() {
    let mut found = Vec::new();
    for (of, variant, error) in all_errors().await {
        let causes: &[&str] = if error.source().is_some() { &CAUSES } else { &[] };
        let causes = match (of, variant) {
            ("Refused" | "BindError" | "ConnectError", _) => &["(os error 2)"][..],
            ("JsonLinesError", _) => &["No such file or directory"],
            ("AcceptError", _) => &["(os error 22)"],
            ("BreakerError", "Open") => &["\"store\""],
            _ => causes,
        };
        let complaints = complaints(&*error, causes).into_iter();
        found.extend(complaints.map(|what| format!("{of}::{variant}: {what}")));
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Errors of this crate are nested three levels deep: each is the exit reason in the next one.
#[tokio::test(start_paused = true)]
async fn each_cause_of_three_nested_errors_is_displayed_once() {
    let wraps: [fn(ExitReason) -> Box<dyn Error + Send + Sync>; 8] = [
        |reason| CallError::Exited(reason).into(),
        |reason| StartError::Failed(reason).into(),
        |reason| TaskError::Exited(reason).into(),
        |reason| ScopeError::Body(reason).into(),
        |reason| reason.into_error().into(),
        |reason| behaviours::handler_failed(reason).into(),
        |reason| HandlerError::Manager(CallError::Exited(reason)).into(),
        |reason| PoolError::Unavailable(CallError::Exited(reason)).into(),
    ];
    for one in wraps {
        for two in wraps {
            for three in wraps {
                let error = three(ExitReason::from(two(ExitReason::from(one(disk())))));
                let chained = chain(&*error);
                for text in [chained, format!("{:#}", ExitReason::from(error))] {
                    for cause in CAUSES {
                        assert_eq!(text.matches(cause).count(), 1, "{text}");
                    }
                }
            }
        }
    }
}

/// Returns the types that implement `Error`, by an `impl` or by a derive.
fn error_types(source: &Source) -> Vec<String> {
    let code = source.shipped();
    let name = |text: &str| text.trim_start().chars().take_while(|&c| is_word(c)).collect();
    let by_hand = words(&code, "Error").filter_map(|at| {
        let implements =
            code[..at].rsplit(['\n', ';', '}']).next()?.trim_start().starts_with("impl");
        code[at + 5..].strip_prefix(" for ").filter(|_| implements).map(name)
    });
    let derived = words(&code, "derive").filter_map(|at| {
        let (list, rest) = code[at..].split_once(']')?;
        words(list, "Error").next()?;
        let item = ["struct ", "enum "].iter().filter_map(|kind| rest.split_once(kind));
        item.min_by_key(|(before, _)| before.len()).map(|(_, after)| name(after))
    });
    by_hand.chain(derived).collect()
}

/// Returns the variants of an enum; for a struct, one variant with an empty name.
fn variants(sources: &[Source], of: &str) -> BTreeSet<String> {
    let heads = [format!("pub enum {of} "), format!("pub enum {of}<")];
    let head_in = |code: &str| heads.iter().find_map(|head| code.find(head));
    let declaring = sources.iter().filter(|source| head_in(&source.text).is_some());
    let Some(code) = declaring.map(Source::code).find(|code| head_in(code).is_some()) else {
        return BTreeSet::from([String::new()]);
    };
    let declaration = &code[head_in(&code).unwrap()..];
    let body = &declaration[declaration.find('{').unwrap()..];
    let (mut depth, mut names, mut name) = (0, BTreeSet::new(), String::new());
    for c in body.chars() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            c if depth == 1 && is_word(c) => name.push(c),
            _ => {}
        }
        if depth == 1 && c == ',' || depth == 0 {
            names.extend(Some(std::mem::take(&mut name)).filter(|name| !name.is_empty()));
        }
        if depth == 0 {
            break;
        }
    }
    names
}

#[tokio::test(start_paused = true)]
async fn every_error_type_and_variant_is_in_the_list_of_tested_errors() {
    // The errors of nodes and terms are tested by `cluster/errors.rs`.
    let mut sources = sources("src");
    sources.retain(|source| !source.path.starts_with("src/cluster/"));
    let mut types: BTreeSet<String> = sources.iter().flat_map(error_types).collect();
    if !cfg!(all(unix, feature = "process")) {
        types.remove("CommandFailed");
        types.remove("Refused");
    }
    if !cfg!(feature = "tower") {
        types.remove("ServiceError");
    }
    if !cfg!(feature = "serde") {
        types.remove("JsonLinesError");
    }
    if !cfg!(all(target_os = "linux", feature = "net")) {
        for of in ["BindError", "ConnectError", "AcceptError"] {
            types.remove(of);
        }
    }
    let expected: BTreeSet<_> = types
        .iter()
        .flat_map(|of| variants(&sources, of).into_iter().map(move |variant| (of.clone(), variant)))
        .collect();
    let all = all_errors().await;
    let listed = all.iter().map(|(of, variant, _)| ((*of).to_owned(), (*variant).to_owned()));
    assert_eq!(listed.collect::<BTreeSet<_>>(), expected);
    assert!(types.len() >= 10, "{types:?}");
}

/// Returns the reasons in the log lines that report ends.
fn logged_reasons(log: &Log) -> Vec<String> {
    let told = log.take();
    let mut shown = Vec::new();
    for head in [
        "ERROR exit",
        "WARN start failed",
        "WARN restarting",
        "WARN shutdown error",
        "WARN gave up",
        "WARN stopped, but not cleanly",
        "ERROR the run failed",
    ] {
        let lines: Vec<_> = told.iter().filter(|line| line.head() == head).collect();
        assert!(!lines.is_empty(), "no {head:?} in {told:?}");
        let fields = ["reason", "error", "first"];
        shown.extend(lines.iter().map(|line| fields.map(|name| line.field(name)).concat()));
    }
    shown
}

/// Each cause appears once in every log line about an end, in a tree as text, and in the report of
/// a run.
#[tokio::test(start_paused = true)]
async fn logs_trees_and_reports_show_every_cause_of_a_reason_once() {
    let (log, rt) = (Log::listen(), Runtime::new());
    rt.set_log_level(LogLevel::Debug);
    let refusing = || ChildSpec::new("bad", Refusing(|| StartError::Failed(disk())));
    let failed = ChildSpec::task("store", |_| async { Err(disk()) });
    let rare = regrow::Backoff::new();
    let late = ChildSpec::task("late", |mut ctx| async move {
        ctx.cancellation_token().cancelled().await;
        Err(disk())
    });
    let app = Supervisor::one_for_one().named("app").child(late).child(failed.backoff(rare));
    let stop = tokio_util::sync::CancellationToken::new();
    let running = Run::new(app).on(&rt).without_signals().stop_on(stop.clone()).run();
    let running = tokio::spawn(running);
    settled().await;
    let tree = regrow::SupervisorRef::named(&rt, "app");
    assert!(tree.start_child(refusing()).await.is_err());
    let snapshot = tree.tree().await.unwrap();
    stop.cancel();
    let report = running.await.unwrap().unwrap();
    let mut shown = vec![snapshot.to_string(), report.to_string()];
    #[cfg(feature = "serde")]
    shown.push(snapshot.to_json());
    Run::new(failing(disk)).on(&rt).without_signals().run().await.unwrap_err();
    shown.extend(logged_reasons(&log));
    for text in shown {
        for cause in CAUSES {
            assert_eq!(text.matches(cause).count(), 1, "{cause:?} in {text}");
        }
    }
}

/// How an error misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whim {
    DisplayPanics,
    DisplayFails,
    SourcePanics,
    IsItsOwnSource,
    SaysSomethingElseEachTime,
    SaysNothing,
}

#[derive(Debug, PartialEq, Eq)]
struct Odd(Whim);

static SAID: AtomicUsize = AtomicUsize::new(0);

impl fmt::Display for Odd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Whim::DisplayPanics => {
                f.write_str("half a sentence")?;
                panic!("boom {}", "display")
            }
            Whim::DisplayFails => Err(fmt::Error),
            Whim::SourcePanics | Whim::IsItsOwnSource => f.write_str("odd"),
            Whim::SaysSomethingElseEachTime => {
                write!(f, "word {}", SAID.fetch_add(1, Ordering::Relaxed))
            }
            Whim::SaysNothing => Ok(()),
        }
    }
}

impl Error for Odd {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self.0 {
            Whim::SourcePanics => panic!("boom {}", "source"),
            Whim::IsItsOwnSource => Some(self),
            _ => None,
        }
    }
}

const WHIMS: [(Whim, &str); 6] = [
    (Whim::DisplayPanics, "error: half a sentence (its `Display` panicked: boom display)"),
    (Whim::DisplayFails, "error: (its `Display` failed)"),
    (Whim::SourcePanics, "error: odd: (its `source` panicked: boom source)"),
    (Whim::IsItsOwnSource, "error: odd: … (more than 1000 causes)"),
    (Whim::SaysSomethingElseEachTime, "error: word "),
    (Whim::SaysNothing, "error: "),
];

/// The process ends with the type of the error and a text. Its supervisor decides as for any other
/// error, and all observers continue.
#[tokio::test(start_paused = true)]
async fn a_user_error_whose_display_or_source_misbehaves_is_a_valid_reason() {
    hush_injected_panics();
    for (whim, text) in WHIMS {
        let (log, rt) = (Log::listen(), Runtime::new());
        rt.set_log_level(LogLevel::Debug);
        let odd = ChildSpec::task("odd", move |_| async move { Err(Odd(whim).into()) });
        let tree = Supervisor::one_for_one().named("app").intensity(2, SECOND).child(odd);
        let beside = idle(&rt);
        let error = Run::new(tree).on(&rt).without_signals().run().await.unwrap_err();
        let RunError::GaveUp { limit, .. } = &error else { panic!("{error:?}") };
        assert_eq!(limit.last.crash().unwrap().downcast_ref(), Some(&Odd(whim)));
        assert!(format!("{:#}", limit.last).starts_with(text), "{:#}", limit.last);
        assert_eq!(limit.last, limit.last.clone());
        assert!(format!("{error:?}").contains("the last end was that of child \"odd\": error"));
        let told = log.take();
        let of = |head: &str| told.iter().filter(|line| line.head() == head).collect::<Vec<_>>();
        assert_eq!((of("ERROR exit").len(), of("WARN restarting").len()), (4, 2), "{told:?}");
        for line in of("WARN restarting") {
            assert!(line.field("reason").starts_with(text), "{line:?}");
        }
        assert!(rt.is_alive(beside));
    }
}

/// A panic during the conversion of an error into a reason would replace that error as the reason.
#[test]
fn converting_a_misbehaving_error_into_a_reason_never_panics() {
    hush_injected_panics();
    for (whim, _) in WHIMS {
        let reason = ExitReason::from(Odd(whim));
        assert_eq!(reason.crash().unwrap().downcast_ref(), Some(&Odd(whim)));
        let shown = [reason.to_string(), format!("{reason:#}"), format!("{reason:?}")];
        assert!(shown.iter().all(|text| text.len() < 1_000), "{shown:?}");
        let again = reason.clone().into_error().to_string();
        assert_eq!(again, "the process ended: error");
    }
    let shutdown = ExitReason::shutdown_with(Odd(Whim::DisplayPanics));
    assert!(shutdown.to_string().contains("its `Display` panicked: boom display"), "{shutdown}");
    assert!(shutdown.is_clean());
}

/// A tree may be too deep for recursion on the stack of a thread, so its error is formatted without
/// recursion.
#[test]
fn the_error_of_a_deep_tree_shows_both_ends_of_the_path() {
    let mut error = StartError::Failed(disk());
    for at in (0..5_000).rev() {
        error = StartError::Child { id: format!("c{at}"), error: Box::new(error) };
    }
    let told = chain(&error);
    assert!(told.starts_with("child \"c0\" was not started: child \"c1\" was not started: "));
    assert!(told.contains(": … (4966 more): child \"c4999\" was not started: it ended before"));
    assert_eq!(complaints_of_chain(&told), [0; 0]);
    assert!(told.len() < 2_000, "{}", told.len());
    std::mem::forget(error);
}

fn complaints_of_chain(told: &str) -> Vec<usize> {
    CAUSES.iter().map(|cause| told.matches(cause).count()).filter(|&count| count != 1).collect()
}
