//! The paths in the labels of metrics: bounded in number, and safe.

use crate::support;

use std::future::pending;
use std::time::Duration;

use metrics::{LocalRecorderGuard, set_default_local_recorder};
use regrow::metrics::Metrics;
use regrow::{ChildSpec, DynamicSupervisor, DynamicSupervisorRef, Runtime, Supervisor};
use support::metric_values::MetricValues;
use support::{killed, settled};

const SECOND: Duration = Duration::from_secs(1);

/// Installs a recorder for this thread.
fn recorder() -> (&'static MetricValues, LocalRecorderGuard<'static>) {
    let recorder: &MetricValues = Box::leak(Box::default());
    (recorder, set_default_local_recorder(recorder))
}

fn idle(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| pending()).named(id)
}

#[tokio::test(start_paused = true)]
async fn dynamic_children_share_one_path_beside_that_of_their_supervisor() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let exporter = Metrics::new().exporter(&rt);
    let sessions = DynamicSupervisor::new().named("sessions").intensity(100, SECOND);
    let app = Supervisor::one_for_one().named("app").child(sessions);
    let _app = app.start(&rt).await.unwrap();
    let sessions = DynamicSupervisorRef::named(&rt, "sessions");
    let ids: Vec<String> = (0..300).map(|n| format!("session {n}")).collect();
    for id in &ids {
        sessions.start_child(idle(id)).await.unwrap();
        assert!(rt.send_named(id, b"work".to_vec()));
    }
    let deep = Supervisor::one_for_one().with_id("deep").child(idle("leaf"));
    sessions.start_child(deep).await.unwrap();
    killed(&rt, rt.whereis(ids[0].as_str()).unwrap()).await;
    settled().await;
    exporter.collect().await;
    let of = |name: &str, path: &str| values.gauge(name, &[("path", path)]);
    assert_eq!(of("regrow_children", "app/sessions"), Some(301.0));
    assert_eq!(of("regrow_mailbox_items", "app/sessions/*"), Some(299.0), "of all, one restarted");
    assert_eq!(of("regrow_mailbox_items", "app/sessions"), Some(0.0));
    assert_eq!(of("regrow_children", "app/sessions/*"), Some(1.0), "of the deep supervisor");
    let restarts = values.counter("regrow_restarts_total", &[("path", "app/sessions/*")]);
    assert_eq!(restarts, Some(1));
    assert_eq!(of("regrow_restart_budget_used", "app/sessions"), Some(1.0));

    // Restarts of the dynamic supervisor itself are counted apart.
    killed(&rt, rt.whereis("sessions").unwrap()).await;
    settled().await;
    exporter.collect().await;
    let restarts = |path: &str| values.counter("regrow_restarts_total", &[("path", path)]);
    assert_eq!((restarts("app/sessions"), restarts("app/sessions/*")), (Some(1), Some(1)));
    let paths = values.label_values("regrow_mailbox_items", "path");
    assert_eq!(paths, ["app", "app/sessions", "app/sessions/*"]);
    assert!(!format!("{:?}", values.all()).contains('#'), "no pid is in a label");
}

#[tokio::test(start_paused = true)]
async fn paths_beyond_the_bound_are_added_up_under_one() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let exporter = Metrics::new().max_paths(4).exporter(&rt);
    let mut app = Supervisor::one_for_one().named("app").unlimited_restarts();
    for n in 0..9 {
        app = app.child(idle(&format!("job {n}")));
    }
    let app = app.start(&rt).await.unwrap();
    let outside = rt.spawn(|_| pending());
    assert!(rt.send(outside.pid(), b"work".to_vec()));
    for n in 0..9 {
        for _ in 0..n {
            killed(&rt, rt.whereis(&format!("job {n}")).unwrap()).await;
            settled().await;
        }
        assert!(rt.send_named(&format!("job {n}"), b"work".to_vec()));
    }
    exporter.collect().await;
    exporter.collect().await;
    // Children with restarts come first: jobs 1 to 4.
    let restarts = |path: &str| values.counter("regrow_restarts_total", &[("path", path)]);
    assert_eq!((restarts("app/job 4"), restarts("app/job 5")), (Some(4), None));
    assert_eq!(restarts("/none"), None);
    assert_eq!(restarts("/other"), Some(5 + 6 + 7 + 8));
    let queued = |path: &str| values.gauge("regrow_mailbox_items", &[("path", path)]);
    assert_eq!((queued("app/job 4"), queued("/other")), (Some(1.0), Some(5.0)));
    assert_eq!(queued("/none"), Some(1.0), "the process in no tree");
    // Four further jobs, the one that was not restarted, and the supervisor.
    assert_eq!(values.counter("regrow_paths_folded_total", &[]), Some(6));

    // The counters of children that are gone remain, and their places are not given away.
    app.stop().await.unwrap();
    let next =
        Supervisor::one_for_one().named("next").child(idle("late")).start(&rt).await.unwrap();
    exporter.collect().await;
    assert_eq!((restarts("app/job 4"), restarts("/other")), (Some(4), Some(26)));
    assert_eq!((queued("app/job 4"), queued("next")), (Some(0.0), None));
    assert_eq!(values.counter("regrow_paths_folded_total", &[]), Some(8));
    next.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn hostile_ids_and_labels_are_passed_on_without_a_change_of_their_meaning() {
    let (values, _installed) = recorder();
    let rt = Runtime::new();
    let hostile = "a\"} 1\nb{c=\"\\";
    let exporter = Metrics::new().label("team", hostile).exporter(&rt);
    let app = Supervisor::one_for_one().named("app").child(idle(hostile)).child(idle("/other"));
    let _app = app.start(&rt).await.unwrap();
    exporter.collect().await;
    // In a path, quotes, slashes and controls are escaped, as everywhere; the rest is passed on.
    let path = "app/a%22} 1%0Ab{c=%22\\";
    let labels = [("path", path), ("team", hostile)];
    assert_eq!(values.gauge("regrow_mailbox_items", &labels), Some(0.0));
    let labels = [("path", "app/%2Fother"), ("team", hostile)];
    assert_eq!(values.gauge("regrow_mailbox_items", &labels), Some(0.0));
    assert!(!values.label_values("regrow_mailbox_items", "path").contains(&"/other".to_owned()));
}
