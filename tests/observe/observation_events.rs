//! The last events of each child, which a viewer finds that begins later.

use crate::support;

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    CallError, ChangeKind, ChildSpec, DynamicSupervisor, Exhausted, GenServer, Health, Pid, Reply,
    Restart, Result, Runtime, ServerContext, Shutdown, Supervisor, TaskContext,
};
use support::{crash, settled};

const SECOND: Duration = Duration::from_secs(1);

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

/// Returns the events of a process, each as its process and its kind.
fn kinds(rt: &Runtime, pid: Pid) -> Vec<(Option<Pid>, &'static str)> {
    rt.events_of(pid).iter().map(|event| (event.pid, event.kind.name())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_late_viewer_finds_what_happened_to_a_child_and_to_its_last_incarnations() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app").child(idle("job")).start(&rt).await.unwrap();
    let first = rt.whereis("job").unwrap();
    rt.set_health(first, Health::Degraded("slow".into()));
    tokio::time::sleep(SECOND).await;
    rt.exit(first, crash("no luck"));
    settled().await;
    let second = rt.whereis("job").unwrap();
    rt.set_health(second, Health::Unready("no disk".into()));
    app.terminate_child("job").await.unwrap();
    app.restart_child("job").await.unwrap();
    let third = rt.whereis("job").unwrap();
    let (first, second) = (Some(first), Some(second));
    let expected = [
        (first, "starting"),
        (first, "health"),
        (first, "ended"),
        (second, "starting"),
        (second, "health"),
        (second, "ended"),
        (Some(third), "starting"),
    ];
    assert_eq!(kinds(&rt, third), expected);
    let events = rt.process_detail(third).unwrap().events;
    assert_eq!(events.len(), rt.events_of(third).len());
    let ended = |at: usize| match &events[at].kind {
        ChangeKind::Ended { reason, uptime, stopped, .. } => {
            (reason.to_string(), *uptime, *stopped)
        }
        other => panic!("{other}"),
    };
    assert_eq!(ended(2), ("no luck".into(), SECOND, false));
    assert!(ended(5).2, "its supervisor stopped it");
    let ChangeKind::Starting { attempt } = events[6].kind else { panic!() };
    assert_eq!(attempt, 2);
    assert_eq!(events[1].to_string(), format!("{} health: slow", first.unwrap()));
    // Of a process that has ended, those are left that are in no history.
    assert_eq!(kinds(&rt, first.unwrap()), [(first, "health")]);
    assert_eq!(kinds(&rt, Pid::from_raw(u64::MAX)), []);
}

/// More processes than a runtime keeps ended ones of, each of which has an event.
const MANY: usize = 5_000;

/// Starts children that report another health, and then live or end.
async fn many(rt: &Runtime, lives: bool) -> regrow::DynamicSupervisorRef {
    let conns = DynamicSupervisor::new().start(rt).await.unwrap();
    for _ in 0..MANY {
        let conn = ChildSpec::task("conn", move |ctx: TaskContext| async move {
            ctx.set_health(Health::Starting);
            if lives { pending().await } else { Ok(()) }
        });
        conns.start_child(conn.restart(Restart::Temporary)).await.unwrap();
    }
    settled().await;
    conns
}

#[tokio::test(start_paused = true)]
async fn the_events_of_live_processes_do_not_replace_each_other() {
    let rt = Runtime::new();
    let conns = many(&rt, true).await;
    let children = conns.which_children().await.unwrap();
    assert_eq!(children.len(), MANY);
    for pid in children.iter().filter_map(regrow::ChildInfo::pid) {
        assert_eq!(kinds(&rt, pid), [(Some(pid), "starting"), (Some(pid), "health")]);
    }
}

#[tokio::test(start_paused = true)]
async fn ends_of_other_processes_do_not_replace_the_events_of_the_last_incarnations_of_a_child() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app").child(idle("job")).start(&rt).await.unwrap();
    let rooms = DynamicSupervisor::new().start(&rt).await.unwrap();
    let room = ChildSpec::task("room", |_| pending()).named("room");
    rooms.start_child(room).await.unwrap();
    let first = ["job", "room"].map(|name| rt.whereis(name).unwrap());
    for pid in first {
        rt.set_health(pid, Health::Starting);
        rt.exit(pid, crash("no luck"));
    }
    settled().await;
    let conns = many(&rt, false).await;
    assert_eq!(conns.count_children().await.unwrap().specs, 0);
    for (first, name) in first.into_iter().zip(["job", "room"]) {
        let second = rt.whereis(name).unwrap();
        let (first, second) = (Some(first), Some(second));
        let expected =
            [(first, "starting"), (first, "health"), (first, "ended"), (second, "starting")];
        assert_eq!(kinds(&rt, second.unwrap()), expected);
    }
    drop(app);
}

#[tokio::test(start_paused = true)]
async fn the_last_sixteen_events_of_a_process_are_kept() {
    let rt = Runtime::new();
    let _app = Supervisor::one_for_one().named("app").child(idle("job")).start(&rt).await.unwrap();
    let job = rt.whereis("job").unwrap();
    for n in 0..100 {
        rt.set_health(job, Health::Degraded(n.to_string().into()));
    }
    rt.set_health(job, Health::Degraded("99".into())); // no change
    let events = rt.events_of(job);
    let texts: Vec<String> = events[1..].iter().map(|event| event.kind.to_string()).collect();
    let expected: Vec<String> = (84..100).map(|n| format!("health: {n}")).collect();
    assert_eq!(texts, expected);
    // A process outside of all trees has no path, and no events.
    let outside = rt.spawn(|_| pending()).pid();
    rt.set_health(outside, Health::Degraded("alone".into()));
    assert_eq!(kinds(&rt, outside), []);
}

#[tokio::test(start_paused = true)]
async fn failed_starts_and_stops_that_went_wrong_and_limits_are_kept() {
    let rt = Runtime::new();
    let deaf = |mut ctx: TaskContext| async move {
        let _asked = ctx.cancellation_token();
        pending().await
    };
    let deaf = ChildSpec::task("deaf", deaf).shutdown(Shutdown::Timeout(SECOND)).named("deaf");
    let parked = idle("parked").restart_budget(0, SECOND, Exhausted::GiveUp);
    let app = Supervisor::one_for_one().named("app").child(deaf).child(parked);
    let app = app.start(&rt).await.unwrap();
    let (deaf, parked) = (rt.whereis("deaf").unwrap(), rt.whereis("parked").unwrap());
    app.terminate_child("deaf").await.unwrap();
    assert_eq!(kinds(&rt, deaf), [(Some(deaf), "shutdown_failed")]);
    rt.exit(parked, crash("no luck"));
    settled().await;
    assert_eq!(kinds(&rt, parked), [(Some(parked), "limit_reached")]);
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_child_keeps_its_events_through_its_restarts() {
    let rt = Runtime::new();
    let rooms = DynamicSupervisor::new().named("rooms").start(&rt).await.unwrap();
    let first = rooms.start_child(idle("room").restart(Restart::Permanent)).await.unwrap();
    rt.set_health(first, Health::Degraded("full".into()));
    rt.kill(first);
    settled().await;
    let second = rt.whereis("room").unwrap();
    let expected = [(first, "starting"), (first, "health"), (first, "ended"), (second, "starting")];
    assert_eq!(kinds(&rt, second), expected.map(|(pid, kind)| (Some(pid), kind)));
}

/// A server that calls another one, whose name it has.
struct Calls(String);

impl GenServer for Calls {
    type Args = String;
    type Call = Reply<Result<(), CallError>>;
    type Cast = ();

    async fn init(other: String, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Calls(other))
    }

    async fn handle_call(
        &mut self,
        reply: Reply<Result<(), CallError>>,
        ctx: &mut ServerContext<Self>,
    ) -> Result {
        let other = ctx.runtime().server::<Calls>(self.0.clone());
        reply.send(other.call_unlimited(|reply| reply).await.and_then(|inner| inner));
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        tokio::time::sleep(5 * SECOND).await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn refused_calls_and_slow_handlers_are_kept() {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    rt.warn_after(SECOND);
    let one = Calls::child("two".to_owned()).with_id("one").named("one");
    let two = Calls::child("one".to_owned()).with_id("two").named("two");
    let app = Supervisor::one_for_one().named("app").child(one).child(two);
    let _app = app.start(&rt).await.unwrap();
    let one = rt.server::<Calls>("one");
    let answer = one.call_unlimited(|reply| reply).await.unwrap();
    assert!(matches!(answer, Err(CallError::Deadlock { .. })), "{answer:?}");
    one.cast(());
    tokio::time::sleep(2 * SECOND).await;
    let kinds: Vec<_> =
        kinds(&rt, rt.whereis("one").unwrap()).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(kinds, ["starting", "deadlock", "slow_handler"]);
}

#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn events_as_json_have_the_fields_of_changes() {
    let rt = Runtime::new();
    let _app = Supervisor::one_for_one().named("app").child(idle("job")).start(&rt).await.unwrap();
    let job = rt.whereis("job").unwrap();
    rt.set_health(job, Health::Degraded("<img>\u{1b}[2J".into()));
    let json = rt.process_detail(job).unwrap().to_json();
    assert!(!json.contains('<') && !json.chars().any(char::is_control), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let events = json["events"].as_array().unwrap();
    assert_eq!(events[0]["change"], "starting");
    assert_eq!(
        (&events[1]["change"], &events[1]["health"]),
        (&"health".into(), &"degraded".into())
    );
    assert!(events[1]["time_ms"].is_u64() && events[1]["pid"].as_u64() == Some(job.raw()));
    let same: serde_json::Value = serde_json::from_str(&rt.events_of(job)[1].to_json()).unwrap();
    assert_eq!((&same["change"], &same["pid"]), (&events[1]["change"], &events[1]["pid"]));
}

#[tokio::test(start_paused = true)]
async fn an_observation_receives_the_same_events_as_changes() {
    let rt = Runtime::new();
    let _app = Supervisor::one_for_one().named("app").child(idle("job")).start(&rt).await.unwrap();
    let job = rt.whereis("job").unwrap();
    let mut observation = rt.observe();
    observation.next().await;
    rt.set_health(job, Health::Degraded("slow".into()));
    let observed = observation.next().now_or_never().unwrap().unwrap().to_string();
    assert_eq!(observed, format!("app/job {}", rt.events_of(job)[1]));
}
