//! The model after items of a recording.

use serde_json::{Value, json};

use super::*;

fn supervisor(path: &str, pid: u64, above: Option<u64>, strategy: &str) -> Value {
    json!({"path": path, "id": path.rsplit('/').next(), "pid": pid, "supervisor": above,
        "kind": "supervisor", "state": "running", "health": "ready", "started_ms": 1000,
        "restarts": 0, "queued": 0, "history": [], "strategy": strategy,
        "budget": {"left": 3, "restarts": 3, "period_ms": 5000}, "folded": null})
}

fn worker(path: &str, pid: u64, above: u64) -> Value {
    json!({"path": path, "id": path.rsplit('/').next(), "pid": pid, "supervisor": above,
        "kind": "worker", "state": "running", "health": "ready", "started_ms": 1000,
        "restarts": 0, "queued": 0, "history": []})
}

fn picture(nodes: &[Value], spawned: u64) -> Value {
    json!({"version": 1, "type": "picture", "seq": 1, "time_ms": 2000, "program": 7, "nodes": nodes,
        "counters": {"spawned": spawned, "ended": {"error": 1, "panic": 2}}})
}

fn change(kind: &str, path: &str, pid: u64, above: Option<u64>, more: &Value) -> Value {
    let mut change = json!({"version": 1, "type": "change", "seq": 2, "time_ms": 3000,
        "path": path, "pid": pid, "supervisor": above, "change": kind});
    for (name, value) in more.as_object().into_iter().flatten() {
        change[name] = value.clone();
    }
    change
}

fn app() -> Model {
    let nodes = vec![
        supervisor("app", 1, None, "one_for_one"),
        worker("app/job", 2, 1),
        supervisor("app/pool", 3, Some(1), "dynamic"),
        worker("app/pool/a", 4, 3),
        worker("app/pool/a", 5, 3),
    ];
    let mut model = Model::default();
    model.apply(&picture(&nodes, 10)).unwrap();
    model
}

fn at<'a>(model: &'a Model, path: &str) -> &'a Node {
    let key = Key { path: path.to_owned(), pid: None };
    model.find(&key).and_then(|at| model.get(at)).unwrap_or_else(|| panic!("{path} is not there"))
}

fn paths(model: &Model) -> Vec<&str> {
    model.nodes().map(|node| &*node.path).collect()
}

#[test]
fn children_of_a_dynamic_supervisor_with_one_path_are_several() {
    let model = app();
    assert_eq!(at(&model, "app").children.len(), 2);
    assert_eq!(at(&model, "app/pool").children.len(), 2);
    assert_eq!(model.with_pid(5).map(|node| &*node.path), Some("app/pool/a"));
}

#[test]
fn a_restart_keeps_the_key_and_takes_the_budget() {
    let mut model = app();
    let reason = json!({"reason": "no luck", "class": "error", "place": "a.rs:1:2",
        "uptime_ms": 500, "stopped": false, "for_good": false});
    let restarting = json!({"reason": "no luck", "class": "error", "attempt": 1, "delay_ms": 0,
        "budget_left": 2});
    for item in [
        change("ended", "app/job", 2, Some(1), &reason),
        change("restarting", "app/job", 2, Some(1), &restarting),
        change("waiting", "app/job", 2, Some(1), &json!({"retry_in_ms": 70})),
    ] {
        model.apply(&item).unwrap();
    }
    let job = at(&model, "app/job");
    assert_eq!((job.condition().0, job.retry_at_ms, job.pid), ("restarting", Some(3070), None));
    assert_eq!(at(&model, "app").budget.map(|budget| budget.left), Some(2));

    let started = json!({"kind": "worker", "health": "ready", "previous": 2});
    model.apply(&change("started", "app/job", 9, Some(1), &started)).unwrap();
    let job = at(&model, "app/job");
    assert_eq!((job.condition().0, job.pid, job.restarts), ("running", Some(9), 1));
    assert_eq!((&*job.history[0].reason, job.history[0].started_ms), ("no luck", Some(2500)));
    let kinds: Vec<_> = model.history.entries.iter().map(|entry| &*entry.kind).collect();
    assert_eq!(kinds, ["started", "restarting", "ended"]);
}

#[test]
fn a_restart_below_a_dynamic_supervisor_replaces_that_child_only() {
    let mut model = app();
    let started = json!({"kind": "worker", "health": "ready", "previous": 4});
    model.apply(&change("started", "app/pool/a", 8, Some(3), &started)).unwrap();
    let mut pids: Vec<_> =
        at(&model, "app/pool").children.iter().filter_map(|at| model.get(*at)?.pid).collect();
    pids.sort_unstable();
    assert_eq!(pids, [5, 8]);
}

#[test]
fn with_the_end_of_a_supervisor_its_children_are_gone() {
    let mut model = app();
    let reason = json!({"reason": "x", "class": "shutdown", "uptime_ms": 1, "for_good": false});
    model.apply(&change("ended", "app/pool", 3, Some(1), &reason)).unwrap();
    assert_eq!(paths(&model), ["app", "app/job", "app/pool"]);
    model.apply(&change("ended", "app", 1, None, &reason)).unwrap();
    assert_eq!((paths(&model).len(), model.roots.len(), model.ended_ms), (0, 0, Some(3000)));
}

#[test]
fn an_end_that_a_picture_repeats_is_in_the_history_once() {
    let mut model = app();
    let reason = json!({"reason": "x", "class": "error", "uptime_ms": 1, "for_good": false});
    model.apply(&change("ended", "app/job", 2, Some(1), &reason)).unwrap();
    let mut job = worker("app/job", 9, 1);
    job["history"] = json!([{"pid": 2, "started_ms": 1, "ended_ms": 3000, "reason": "x",
        "class": "error", "place": null, "attempt": 0, "delay_ms": 0, "backtrace": ["a", "b"]}]);
    let nodes = vec![supervisor("app", 1, None, "one_for_one"), job];
    model.apply(&picture(&nodes, 11)).unwrap();
    assert_eq!(model.history.entries.len(), 1);
    // Another program, which has spawned more, and whose pid 2 is another process.
    model.set_detail(2, None);
    let mut another = picture(&nodes, 12);
    another["program"] = json!(8);
    model.apply(&another).unwrap();
    assert_eq!(model.history.entries.len(), 2);
    assert!(model.detail(2).is_none());
}

#[test]
fn a_sample_changes_mailboxes_and_counters() {
    let mut model = app();
    let sample = json!({"version": 1, "type": "sample", "seq": 3, "time_ms": 4000,
        "processes": [{"path": "app/job", "pid": 2, "queued": 17, "oldest_ms": 20, "lost": 1,
            "handling": {"callback": "handle_cast", "elapsed_ms": 7}}],
        "supervisors": [{"path": "app/pool", "pid": 3, "children": 2, "budget": null}],
        "waits": [[2, 4]],
        "counters": {"spawned": 30, "ended": {}, "children":
            [{"path": "app/job", "restarts": 2, "give_ups": 1}]}});
    model.apply(&sample).unwrap();
    let mailbox = &at(&model, "app/job").mailbox;
    assert_eq!((mailbox.queued, mailbox.oldest_ms, mailbox.lost), (Some(17), Some(20), 1));
    assert_eq!(mailbox.handling, Some(("handle_cast".to_owned(), 7)));
    let counters = model.counters.as_ref().unwrap();
    assert_eq!((counters.spawned_per_second, counters.worst[0].restarts), (Some(10.0), 2));
    assert_eq!(at(&model, "app/pool").budget, None);
}

#[test]
fn what_is_not_known_is_ignored_and_another_version_is_refused() {
    let mut model = app();
    let control = json!({"action": "kill", "caller": "ops", "outcome": "done"});
    model.apply(&change("control", "app/job", 2, Some(1), &control)).unwrap();
    assert_eq!(model.history.entries[0].text.as_deref(), Some("kill by ops: done"));
    model.apply(&change("invented", "app/job", 2, Some(1), &json!({}))).unwrap();
    model.apply(&json!({"version": 1, "type": "invented"})).unwrap();
    model.apply(&json!({"version": 1, "type": "picture", "nodes": [{}, 7, null]})).unwrap();
    let other = model.apply(&json!({"version": 2, "type": "picture"})).unwrap_err();
    assert!(other.contains("version 2"), "{other}");
    assert!(model.apply(&json!([])).is_err());
}

/// Every kind of change, for nodes that are there and that are not.
const KINDS: [&str; 20] = [
    "added",
    "starting",
    "started",
    "start_failed",
    "ended",
    "restarting",
    "waiting",
    "stopped",
    "given_up",
    "limit_reached",
    "removed",
    "gave_up",
    "ending",
    "stopping",
    "holds_stop",
    "shutdown_failed",
    "health",
    "slow_handler",
    "deadlock",
    "control",
];

/// Applies an item, and then once for each field with values of other types in that field.
fn apply_broken(item: &Value) {
    let mut model = app();
    model.apply(item).unwrap();
    let strange = [json!(null), json!(-1), json!(u64::MAX), json!("x"), json!([]), json!({})];
    for name in item.as_object().unwrap().keys() {
        for value in &strange {
            let mut item = item.clone();
            item[name] = value.clone();
            let _ = model.apply(&item);
        }
    }
}

#[test]
fn no_change_can_break_the_model() {
    let more = json!({"reason": "x", "class": "error", "uptime_ms": 1, "for_good": true,
        "previous": 4, "retry_in_ms": u64::MAX, "cycle": [1, "x"], "budget_left": 1});
    for kind in KINDS {
        for path in ["app", "app/job", "app/pool/a", "other", "%", "%zz/\"\""] {
            for (pid, above) in [(1, None), (2, Some(1)), (4, Some(3)), (77, Some(3)), (4, Some(4))]
            {
                apply_broken(&change(kind, path, pid, above, &more));
            }
        }
    }
}
