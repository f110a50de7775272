//! What can be seen of a machine: its state and its last changes, in trees, crash reports and tests.

use std::time::Duration;

use regrow::testing::TransitionCheck;
use regrow::{
    EnterContext, Event, ExitReason, LifecycleEvent, MachineContext, Next, Result, Runtime,
    StateMachine, Supervisor, Transition,
};
use tokio::time::{Instant, sleep};

use super::{Running, State, act, go, log};
use crate::support::settled;

fn changes(status: &regrow::MachineStatus) -> Vec<String> {
    status.recent.iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_changes_of_a_machine_are_kept_with_their_times() {
    let running = Running::new().await;
    let pid = running.machine.pid().unwrap();
    settled().await;
    let status = running.rt.machine_status(pid).unwrap();
    assert_eq!((status.state, status.changes, status.recent.len()), ("a", 0, 0));

    running.cast_all([log("p1"), go("equal", State::A), act("repeat", |_| Ok(Next::Repeat))]);
    settled().await;
    let status = running.rt.machine_status(pid).unwrap();
    assert_eq!(
        (status.to_string().as_str(), changes(&status)),
        ("a, 1 postponed", vec!["a → a (cast)".to_owned()])
    );

    sleep(Duration::from_secs(3)).await;
    running.cast(go("go", State::B));
    for n in 0..20 {
        running.cast(go("n", State::Nth(n)));
    }
    settled().await;
    let status = running.rt.machine_status(pid).unwrap();
    assert_eq!((status.state, status.changes, status.postponed), ("nth", 22, 0));
    assert_eq!(changes(&status), vec!["nth → nth (cast)".to_owned(); 8]);
    assert!(status.since.elapsed() < Duration::from_secs(1));
    running.rt.kill(pid);
    running.machine.ended().await;
    assert_eq!(running.rt.machine_status(pid), None);
}

/// A machine whose handler and whose entry of a state take the time that a cast says.
struct Slow(Duration);

impl StateMachine for Slow {
    type Args = ();
    type State = u32;
    type Call = ();
    type Cast = [u64; 2];
    type Payload = ();

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(u32, Self)> {
        Ok((0, Slow(Duration::ZERO)))
    }

    async fn state_enter(
        &mut self,
        _: Option<&u32>,
        _: &u32,
        _: &mut EnterContext<'_, Self>,
    ) -> Result {
        if !self.0.is_zero() {
            sleep(self.0).await;
        }
        Ok(())
    }

    async fn handle_event(
        &mut self,
        state: &u32,
        event: Event<Self>,
        _: &mut MachineContext<'_, Self>,
    ) -> Result<Next<u32>> {
        let Event::Cast([handler, entry]) = event else { return event.unhandled(state) };
        if handler > 0 {
            sleep(Duration::from_secs(handler)).await;
        }
        self.0 = Duration::from_secs(entry);
        Ok(Next::State(state + 1))
    }

    fn state_name(_: &u32) -> &'static str {
        "n"
    }
}

/// The clock is read once for changes without a wait between them, and again after each wait: of the
/// loop, of a handler, of an entry, and of a machine that was suspended.
#[tokio::test(start_paused = true)]
async fn a_change_after_any_wait_has_the_time_of_that_change() {
    let rt = Runtime::new();
    let machine = Slow::start(&rt, ()).await.unwrap();
    settled().await;
    let start = Instant::now();
    // The first two, and the last two, are handled without a wait.
    for times in [[0, 0], [0, 0], [2, 0], [0, 3], [0, 0], [0, 0]] {
        machine.cast(times);
    }
    sleep(Duration::from_secs(10)).await;
    machine.cast([0, 0]); // in one batch with the request
    machine.suspend().await.unwrap();
    machine.cast([0, 0]);
    sleep(Duration::from_secs(10)).await;
    machine.resume().await.unwrap();
    settled().await;
    let status = rt.machine_status(machine.pid().unwrap()).unwrap();
    let times: Vec<_> = status.recent.iter().map(|change| (change.at - start).as_secs()).collect();
    assert_eq!(times, [0, 0, 2, 2, 5, 5, 10, 20]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_no_machine_has_no_machine_status() {
    let rt = Runtime::new();
    assert_eq!(rt.machine_status(crate::support::idle(&rt)), None);
}

/// A secret is in the state, in the data and in the events.
struct Secret;

#[derive(Debug, PartialEq)]
enum Vault {
    Closed(String),
    Open(String),
}

impl StateMachine for Secret {
    type Args = ();
    type State = Vault;
    type Call = ();
    type Cast = String;
    type Payload = String;

    async fn init((): (), _: &mut MachineContext<'_, Self>) -> Result<(Vault, Self)> {
        Ok((Vault::Closed("hunter2".into()), Secret))
    }

    async fn handle_event(
        &mut self,
        state: &Vault,
        event: Event<Self>,
        ctx: &mut MachineContext<'_, Self>,
    ) -> Result<Next<Vault>> {
        match (state, event) {
            (Vault::Closed(_), Event::Cast(text)) if text == "wait" => {
                Ok(ctx.postpone(Event::Cast("hunter2".into())))
            }
            (Vault::Closed(secret), Event::Cast(_)) => Ok(Next::State(Vault::Open(secret.clone()))),
            (Vault::Open(_), Event::Cast(text)) if text == "close" => {
                Ok(Next::State(Vault::Closed(text)))
            }
            (_, Event::Cast(text)) if text == "stop" => ctx.stop(ExitReason::Normal),
            (Vault::Open(_), Event::Cast(text)) if text == "hunter2" => Ok(Next::Repeat),
            (state, event) => event.unhandled(state),
        }
    }

    fn state_name(state: &Vault) -> &'static str {
        match state {
            Vault::Closed(_) => "closed",
            Vault::Open(_) => "open",
        }
    }

    fn event_name(event: &Event<Self>) -> &'static str {
        match event {
            Event::Cast(text) if text == "wait" => "wait",
            Event::Cast(_) => "key",
            event => event.kind(),
        }
    }

    fn format_status(&self, state: &Vault) -> Option<String> {
        matches!(state, Vault::Closed(_)).then(|| "guarded".to_owned())
    }

    const TRANSITIONS: &'static [Transition] = &[
        Transition::initial("closed"),
        Transition::new("closed", "key", "open"),
        Transition::new("open", "key", "open"),
        Transition::new("open", "info", "closed"),
        Transition::end("open", "key"),
    ];
}

#[tokio::test(start_paused = true)]
async fn a_tree_shows_the_state_of_a_machine_and_no_content() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().named("app").child(Secret::child(()).named("vault"));
    let tree = spec.start(&rt).await.unwrap();
    let vault = rt.server::<regrow::Machine<Secret>>("vault");
    vault.cast("wait".into());
    settled().await;
    let text = tree.tree().await.unwrap().to_string();
    assert!(text.ends_with("in closed, 1 postponed  named vault  ? queued"), "{text}");
    vault.cast("key".into());
    settled().await;
    let snapshot = tree.tree().await.unwrap();
    let machine = snapshot.find("Secret").unwrap().machine.clone().unwrap();
    assert_eq!(changes(&machine), ["closed → open (key)", "open → open (key)"]);
    assert!(!format!("{snapshot} {snapshot:?}").contains("hunter2"));
    assert_eq!(snapshot.root.machine, None);
}

#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn the_json_of_a_tree_has_the_changes_of_a_machine() {
    let rt = Runtime::new();
    let spec = Supervisor::one_for_one().named("app").child(Secret::child(()).named("vault"));
    let tree = spec.start(&rt).await.unwrap();
    rt.server::<regrow::Machine<Secret>>("vault").cast("key".into());
    sleep(Duration::from_secs(1)).await;
    let json = tree.tree().await.unwrap().to_json();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let machine = &json["nodes"][1]["machine"];
    assert_eq!((&machine["state"], &machine["changes"]), (&"open".into(), &1.into()));
    assert_eq!(machine["recent"][0]["from"], "closed");
    assert_eq!(machine["recent"][0]["ago_ms"], 1_000);
    assert!(json["nodes"][0].get("machine").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_crash_report_has_the_state_and_the_last_changes_and_no_content() {
    let rt = Runtime::new();
    let mut events = rt.events();
    let vault = Secret::start(&rt, ()).await.unwrap();
    for text in ["wait", "key", "unknown"] {
        vault.cast(text.into());
    }
    let report = loop {
        if let LifecycleEvent::CrashReport(report) = events.next().await.unwrap() {
            break report;
        }
    };
    let machine = report.machine.as_ref().unwrap();
    assert_eq!((machine.state, changes(machine).len()), ("open", 2));
    let text = report.to_string();
    let expected = "\n  state     open\n  changes   open → open (key), 0.0ns before\n            closed → open (key), 0.0ns before\n";
    assert!(text.contains(expected), "{text}");
    assert!(!text.contains("hunter2") && !format!("{report:?}").contains("hunter2"));
}

/// Two machines of one type are watched by one check.
#[tokio::test(start_paused = true)]
async fn a_check_reports_transitions_that_are_undeclared_and_those_that_were_never_seen() {
    let rt = Runtime::new();
    let check = TransitionCheck::<Secret>::new();
    let (first, second) =
        (Secret::start(&rt, ()).await.unwrap(), Secret::start(&rt, ()).await.unwrap());
    check.watch(&first).await.unwrap();
    check.watch(&second).await.unwrap();
    for text in ["key", "close"] {
        first.cast(text.into());
    }
    for text in ["wait", "key", "stop"] {
        second.cast(text.into());
    }
    second.ended().await;
    settled().await;
    assert_eq!(check.undeclared(), [Transition::new("open", "key", "closed")]);
    assert_eq!(check.unseen(), [Transition::new("open", "info", "closed")]);
    assert_eq!(check.seen().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_machine_has_a_line_of_its_own_in_its_status() {
    let running = Running::new().await;
    running.cast(log("p1"));
    assert_eq!(running.machine.get_status().await.unwrap().to_string(), "running: a, 1 postponed");
    let vault = Secret::start(&running.rt, ()).await.unwrap();
    assert_eq!(vault.get_status().await.unwrap().to_string(), "running: closed: guarded");
    vault.cast("wait".into());
    let line = vault.get_status().await.unwrap().line.unwrap();
    assert_eq!(line, "closed, 1 postponed: guarded");
}
