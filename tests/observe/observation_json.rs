//! The JSON of observations: its fields are those of the page "The observation format".

use crate::support;

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    Backoff, ChildSpec, ControlAction, ControlRequest, DynamicSupervisor, DynamicSupervisorRef,
    Exhausted, Health, LogLevel, Restart, Runtime, Shutdown, Supervisor, TaskContext,
};
use serde_json::Value;
use support::{crash, settled};

const SECOND: Duration = Duration::from_secs(1);

/// The page that documents the format.
const PAGE: &str = "book/src/observation-format.md";

/// Returns the names of all fields of a value, at every level.
fn fields(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| {
            into.insert(name.clone());
            fields(value, into);
        }),
        Value::Array(all) => all.iter().for_each(|value| fields(value, into)),
        _ => {}
    }
}

fn task(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

fn deaf() -> ChildSpec {
    let body = |mut ctx: TaskContext| async move {
        let _asked = ctx.cancellation_token();
        pending().await
    };
    ChildSpec::task("deaf", body).shutdown(Shutdown::Timeout(SECOND))
}

fn parsed(json: &str) -> Value {
    assert_eq!(json.lines().count(), 1);
    serde_json::from_str(json).expect("it is JSON")
}

/// Runs a tree through as many kinds of changes as possible. Returns the JSON of all.
async fn everything() -> Vec<Value> {
    let rt = Runtime::with_mailbox_depth();
    let mut observation = rt.observe().sample_every(SECOND).track_mailboxes();
    let mut items = vec![parsed(&observation.next().await.unwrap().to_json())];
    let backoff = Backoff::default().first(SECOND).jitter(0.0);
    let parked = task("parked").restart_budget(0, SECOND, Exhausted::GiveUp);
    let spec = Supervisor::one_for_one().named("app").child(task("kv").backoff(backoff));
    let spec = spec.child(parked).child(DynamicSupervisor::new().named("rooms")).child(deaf());
    let app = spec.start(&rt).await.unwrap();
    let rooms = DynamicSupervisorRef::named(&rt, "rooms");
    rooms.start_child(task("room").restart(Restart::Temporary)).await.unwrap();
    let mut collect = async || {
        settled().await;
        while let Some(Some(observed)) = observation.next().now_or_never() {
            items.push(parsed(&observed.to_json()));
        }
    };
    collect().await;
    let mut picture = parsed(&app.observe().unwrap().picture().await.to_json());
    rt.set_health(rt.whereis("kv").unwrap(), Health::Degraded("slow".into()));
    rt.exit(rt.whereis("parked").unwrap(), crash("no luck"));
    rt.exit(rt.whereis("kv").unwrap(), crash("no luck"));
    rt.exit(rt.whereis("room").unwrap(), crash("no luck"));
    collect().await;
    tokio::time::sleep(5 * SECOND).await;
    collect().await;
    rt.control(ControlRequest::new(ControlAction::LogLevel(LogLevel::Off))).await.unwrap();
    app.terminate_child("kv").await.unwrap();
    app.delete_child("kv").await.unwrap();
    app.stop().await.unwrap();
    collect().await;
    items.push(picture.take());
    items
}

#[tokio::test(start_paused = true)]
async fn each_field_is_documented() {
    let page = std::fs::read_to_string(PAGE).expect("the page exists");
    let items = everything().await;
    let mut names = BTreeSet::new();
    items.iter().for_each(|item| fields(item, &mut names));
    let missing: Vec<_> =
        names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{PAGE} does not document {missing:?}");
    let seen: BTreeSet<_> = items.iter().filter_map(|item| item["change"].as_str()).collect();
    assert!(seen.len() >= 13, "{seen:?}");
    let names = std::fs::read_to_string("src/observation/text.rs").unwrap();
    let kinds: Vec<_> = names
        .lines()
        .filter(|line| line.trim_start().starts_with("ChangeKind::"))
        .filter_map(|line| line.split("=> \"").nth(1)?.split('"').next())
        .collect();
    assert_eq!(kinds.len(), 20, "{kinds:?}");
    let missing: Vec<_> =
        kinds.iter().filter(|kind| !page.contains(&format!("| `{kind}` |"))).collect();
    assert!(missing.is_empty(), "{PAGE} does not document {missing:?}");
    for item in &items {
        assert_eq!(item["version"], 1, "{item}");
        assert!(item["seq"].is_u64() && item["time_ms"].is_u64(), "{item}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_as_json_has_a_node_for_each_child() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app").child(task("kv")).start(&rt).await.unwrap();
    let picture = app.observe().unwrap().picture().await;
    let json: Value = serde_json::from_str(&picture.to_json()).unwrap();
    assert_eq!((&json["type"], &json["version"]), (&"picture".into(), &1.into()));
    let [of_app, kv] = &json["nodes"].as_array().unwrap()[..] else { panic!("{json}") };
    assert_eq!(
        (&of_app["kind"], &of_app["strategy"]),
        (&"supervisor".into(), &"one_for_one".into())
    );
    assert_eq!(
        of_app["budget"],
        serde_json::json!({ "left": 3, "restarts": 3, "period_ms": 5_000 })
    );
    assert_eq!((&kv["path"], &kv["parent"]), (&"app/kv".into(), &"app".into()));
    assert_eq!(kv["pid"].as_u64(), rt.whereis("kv").map(|pid| pid.raw()));
    assert_eq!((&kv["state"], &kv["health"]), (&"running".into(), &"ready".into()));
    assert!(kv.get("strategy").is_none());
    assert_eq!(serde_json::to_value(&picture).unwrap(), json);
}

#[tokio::test(start_paused = true)]
async fn hostile_ids_and_reasons_are_escaped() {
    let rt = Runtime::new();
    let id = "<img onerror=x>\u{1b}[2J";
    let tree = Supervisor::one_for_one().named("app").child(task(id)).start(&rt).await.unwrap();
    let mut observation = tree.observe().unwrap();
    let picture = observation.next().await.unwrap().to_json();
    rt.exit(rt.whereis(id).unwrap(), crash("</script>\u{1b}]0;x\u{7}\n{\"version\":2}"));
    settled().await;
    let ended = observation.next().await.unwrap();
    for text in [picture, ended.to_json()] {
        assert!(!text.contains('<') && !text.chars().any(char::is_control), "{text}");
    }
    assert!(!ended.to_string().chars().any(char::is_control), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn the_details_of_a_process_are_complete_and_documented() {
    let rt = Runtime::new();
    let app = Supervisor::one_for_one().named("app").child(task("kv")).start(&rt).await.unwrap();
    let kv = rt.whereis("kv").unwrap();
    let watcher = rt.spawn(|_| pending()).pid();
    rt.monitor(watcher, kv);
    rt.link(watcher, kv);
    rt.register_tag("stores", kv);
    rt.send(kv, b"secret".to_vec());
    let detail = rt.process_detail(kv).unwrap();
    assert_eq!((detail.path.as_deref(), detail.label.as_deref()), (Some("app/kv"), Some("kv")));
    assert_eq!((detail.parent, &detail.ancestors[..]), (app.pid(), &[app.pid().unwrap()][..]));
    assert_eq!((&detail.monitored_by[..], detail.mailbox.queued), (&[watcher][..], Some(1)));
    assert!(detail.links.contains(&watcher) && detail.links.contains(&app.pid().unwrap()));
    assert_eq!(rt.process_detail(watcher).unwrap().monitors, [kv]);
    let json = detail.to_json();
    assert!(!json.contains("secret"));
    let (page, mut names) = (std::fs::read_to_string(PAGE).unwrap(), BTreeSet::new());
    fields(&serde_json::from_str(&json).unwrap(), &mut names);
    let missing: Vec<_> =
        names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{PAGE} does not document {missing:?}");
    rt.kill(kv);
    settled().await;
    assert!(rt.process_detail(kv).is_none());
}

/// The pids of two runtimes are equal, and mean other processes.
#[tokio::test]
async fn pictures_of_one_runtime_have_one_number_and_of_two_runtimes_two() {
    let (one, two) = (Runtime::new(), Runtime::new());
    let program = async |rt: &Runtime| rt.observe().picture().await.program;
    assert_eq!(program(&one).await, program(&one).await);
    assert_ne!(program(&one).await, program(&two).await);
    let mut observation = one.observe();
    let before = observation.picture().await;
    drop(one);
    assert_eq!(observation.picture().await.program, before.program);
    assert_eq!(parsed(&before.to_json())["program"], before.program);
    assert!(before.program < 1 << 53);
}
