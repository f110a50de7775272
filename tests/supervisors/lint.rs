//! The findings of `lint` for a tree that does not run yet.

use std::time::Duration;

use regrow::{
    AutoShutdown, ChildSpec, Finding, Restart, Shutdown, StartError, Supervisor, SupervisorSpec,
};

const SECOND: Duration = Duration::from_secs(1);

fn job(id: &str) -> ChildSpec {
    ChildSpec::task(id, |_| std::future::pending())
}

fn findings(spec: &SupervisorSpec) -> Vec<Finding> {
    spec.lint().findings
}

#[test]
fn a_sound_tree_has_no_lint_findings() {
    let inner = Supervisor::rest_for_one().with_id("inner").child(job("a")).child(job("b"));
    let tree = Supervisor::one_for_one().named("app").child(inner).child(job("c").named("c"));
    let lint = tree.lint();
    assert_eq!((lint.worst_stop, lint.most_starts), (Some(15 * SECOND), Some(16)));
    let text = "a stop takes 15s at worst; one child is started 16 times at most";
    assert_eq!(lint.to_string(), text);
    assert_eq!(lint.deny(), Ok(()));
}

/// T36.
#[test]
fn lint_reports_a_supervisor_with_a_shutdown_limit_and_a_worker_without() {
    let inner = Supervisor::one_for_one()
        .with_id("inner")
        .child(job("slow").shutdown(Shutdown::Timeout(10 * SECOND)))
        .child(job("brutal").shutdown(Shutdown::BrutalKill));
    let inner = ChildSpec::from(inner).shutdown(Shutdown::Timeout(5 * SECOND));
    let tree = Supervisor::one_for_one().with_id("app").child(inner);
    let (path, limit, needs) = ("app/inner".to_owned(), 5 * SECOND, Some(10 * SECOND));
    // A crash of "brutal" leads to a stop of "slow", which takes longer than the period. So four
    // give-ups never fall within 5 s.
    let (takes, restarts, period) = (10 * SECOND, 3, 5 * SECOND);
    assert_eq!(
        findings(&tree),
        [
            Finding::SlowStop { path: "app".into(), takes, restarts, period },
            Finding::HurriedSupervisor { path, limit, needs },
        ]
    );

    let endless =
        Supervisor::one_for_one().with_id("app").child(job("a").shutdown(Shutdown::Infinity));
    let lint = endless.lint();
    assert_eq!(lint.findings, [Finding::EndlessStop { path: "app/a".into() }]);
    assert_eq!(lint.worst_stop, None);
}

#[test]
fn lint_reports_refused_specs_by_path() {
    let twice = Supervisor::one_for_one().with_id("inner").child(job("a")).child(job("a"));
    let loud = job("loud").restart(Restart::Transient).significant(true);
    let tree = Supervisor::one_for_one().with_id("app").child(twice).child(loud);
    let [Finding::Refused { path: one, .. }, Finding::Refused { path: two, error }] =
        &findings(&tree)[..]
    else {
        panic!("{:?}", findings(&tree))
    };
    assert_eq!((one.as_str(), two.as_str()), ("app", "app/inner"));
    assert_eq!(error, &StartError::DuplicateId("a".into()));
}

/// T33, T38.
#[test]
fn lint_reports_children_that_stay_down_and_trees_that_never_give_up() {
    let host = job("host").restart(Restart::Temporary).significant(true);
    let game = Supervisor::one_for_one()
        .with_id("game")
        .auto_shutdown(AutoShutdown::AnySignificant)
        .child(host);
    let endless = Supervisor::one_for_one().with_id("endless").unlimited_restarts().child(job("x"));
    let deep = Supervisor::one_for_one().with_id("deep").intensity(24, SECOND).child(job("y"));
    let tree = Supervisor::one_for_one()
        .with_id("app")
        .child(ChildSpec::from(game).restart(Restart::Transient))
        .child(endless)
        .child(deep);
    let lint = tree.lint();
    assert_eq!(
        lint.findings,
        [
            Finding::StaysDown { path: "app/game".into() },
            Finding::ManyStarts { path: "app/endless/x".into(), starts: None },
            Finding::ManyStarts { path: "app/deep/y".into(), starts: Some(100) },
        ]
    );
    assert_eq!(lint.most_starts, None);
    let error = lint.deny().unwrap_err();
    assert_eq!(error.findings().len(), 3);
    assert!(error.to_string().contains("app/deep/y may be started 100 times"), "{error}");
}

/// The lint visits each child once, so its time is not quadratic in the number of children.
#[test]
fn lint_handles_a_hundred_thousand_children() {
    for spec in [Supervisor::one_for_one(), Supervisor::one_for_all(), Supervisor::rest_for_one()] {
        let spec = (0..100_000).fold(spec, |spec, n| spec.child(job(&n.to_string())));
        let lint = spec.lint();
        assert_eq!(lint.worst_stop, Some(500_000 * SECOND));
        assert_eq!((lint.most_starts, lint.findings.len()), (Some(4), 1), "a long stop");
    }
}
