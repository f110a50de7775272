//! Ids, names, labels and reasons may contain untrusted text. Each view shows such a text on one
//! line, escaped and truncated; values keep the whole text.

use crate::support;

use std::fmt::Display;
use std::future::pending;
use std::time::Duration;

use regrow::{
    CallError, ChildSpec, ExitReason, Health, LogLevel, Restart, Run, RunError, Runtime, Shutdown,
    StartChild, StartContext, StartError, Started, Supervisor, SupervisorSpec, TaskError,
    TreeSnapshot,
};
use support::log::Log;
use support::{crash, from_one, settled};
use tokio_util::sync::CancellationToken;

/// Returns untrusted texts, each with the name of its case.
fn hostile() -> Vec<(&'static str, String)> {
    let text = |text: &str| text.to_owned();
    vec![
        ("empty", String::new()),
        ("blank", text("   ")),
        ("lines", text("one\ntwo\r\nthree\rfour\n")),
        ("columns", text("a\tb\u{b}c\u{c}d")),
        ("escapes", text("\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}[31mred")),
        ("C1 and NUL", text("\u{9b}31m\u{90}\u{9d}\u{85}\0\u{7f}\u{8}")),
        ("directions", text("\u{202e}drowssap\u{2066}\u{2069}\u{200f}\u{61c}")),
        ("separators", text("one\u{2028}two\u{2029}three")),
        ("of no width", text("a\u{200b}\u{feff}\u{2060}\u{e0041}b")),
        ("HTML", text("<script>alert('x')</script><!-- &amp; <br/>\" onload=\"x")),
        ("DOT", text("a\"]; evil [label=\"b\\")),
        ("DOT's escapes", text("\\N\\G\\l\\n\\\"")),
        ("mermaid", text("a\"] --> evil[\"b#quot;%%{init: {}}%%`md`$$x$$")),
        ("a branch", text("├─ fake  one_for_one  #1  up 4.0s")),
        ("a path", text("a/b/../c")),
        ("format", text("{} {0} {name:?} %s %n")),
        // Far longer than any view of it.
        ("20,000 characters", "語".repeat(20_000)),
        ("100 kB", "x".repeat(100_000)),
        ("6,000 lines", "a\n\u{1b}".repeat(6_000)),
    ]
}

/// The maximum length of a line, in characters. No line of a view with one hostile text in each
/// place is longer.
const LONGEST: usize = 5_000;

/// Asserts that a view has the expected number of lines, that no line contains a control character,
/// and that no line is too long.
#[track_caller]
fn assert_shown(view: &str, case: &str, text: &str, lines: usize) {
    let told = |text: &str| text.chars().take(4_000).collect::<String>();
    assert_eq!(text.lines().count(), lines, "{view} of {case}: {}", told(text));
    let obeyed = |c: char| {
        c != '\n' && c.is_control()
            || matches!(
                c,
                '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            )
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
            || matches!(c, '\u{e0000}'..='\u{e007f}')
    };
    assert!(!text.contains(obeyed), "{view} of {case}: {:?}", told(text));
    for line in text.lines() {
        assert!(line.chars().count() <= LONGEST, "{view} of {case}: {}", told(text));
    }
}

/// Makes a child that panics with this text in its first run. The restarted child registers a name
/// with the text, and sets the text as its health.
fn child(text: &str) -> ChildSpec {
    let said = text.to_owned();
    let body = async move |ctx: regrow::TaskContext| {
        if ctx.start_cause().restarts() == 0 {
            panic!("{said}");
        }
        ctx.runtime().register(format!("{said}!"), ctx.pid());
        ctx.set_health(Health::Degraded(said.into()));
        pending().await
    };
    ChildSpec::task(text, body)
}

/// Takes a snapshot of three nodes: the root, a supervisor, and the child.
async fn snapshot(rt: &Runtime, text: &str) -> TreeSnapshot {
    let inner = Supervisor::one_for_one().with_id(text).child(child(text));
    let tree = Supervisor::one_for_one().with_id(text).child(inner).start(rt).await.unwrap();
    settled().await;
    tree.tree().await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_node_with_any_id_is_shown_as_one_line_and_one_box() {
    for (case, text) in hostile() {
        let rt = Runtime::new();
        let tree = snapshot(&rt, &text).await;
        assert_shown("text", case, &tree.to_string(), 3);
        // Three lines for the graph, its settings and its end; three for the boxes; two for the
        // edges.
        assert_shown("DOT", case, &tree.to_dot(), 3 + 3 + 2);
        assert_shown("mermaid", case, &tree.to_mermaid(), 1 + 3 + 2);
        assert_shown("health", case, &tree.health().to_string(), 1);
        let node = &tree.root.children[0].children[0];
        assert_shown(
            "health of a node",
            case,
            &node.health.to_string(),
            usize::from(!text.is_empty()),
        );

        // The values of the snapshot contain the complete text.
        let reason = node.last_reason().unwrap();
        assert!(node.id == text && tree.root.id == text, "{case}");
        assert!(node.names == [format!("{text}!")], "{case}");
        assert!(reason.crash().unwrap().message() == text, "{case}");
        assert!(node.health == Health::Degraded(text.as_str().into()), "{case}");
        rt.shutdown();
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_id_is_shown_as_quotes() {
    let rt = Runtime::with_mailbox_depth();
    let tree = Supervisor::one_for_one().with_id("").child(ChildSpec::task("", |_| pending()));
    let tree = tree.start(&rt).await.unwrap().tree().await.unwrap();
    let expected = "\
\"\"     one_for_one  #1  up 0s  3 of 3 restarts left
└─ \"\"               #2  up 0s";
    assert_eq!(from_one(&tree), expected);
    assert!(from_one(tree.to_dot()).contains(r#"label="\"\"\n#2"#), "{}", tree.to_dot());
    assert!(
        from_one(tree.to_mermaid()).contains("(\"#quot;#quot;<br/>#2"),
        "{}",
        tree.to_mermaid()
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_text_is_cut_between_characters_and_marked_with_an_ellipsis() {
    let rt = Runtime::new();
    let long = "語".repeat(100_000);
    let tree = snapshot(&rt, &long).await;
    let text = tree.to_string();
    assert!(text.starts_with(&format!("{}… ", "語".repeat(64))), "{text}");
    let reason = format!("1 restart, last: panic: {}…", "語".repeat(256 - "panic: ".len()));
    assert!(text.contains(&reason), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_health_path_ends_with_its_child_whatever_the_length_of_the_ids_above() {
    let rt = Runtime::new();
    let leaf = ChildSpec::task("leaf", |ctx| async move {
        ctx.set_health(Health::Starting);
        pending().await
    });
    let inner = Supervisor::one_for_one().with_id("語".repeat(100_000)).child(leaf);
    let tree = Supervisor::one_for_one().child(inner).start(&rt).await.unwrap();
    settled().await;
    let health = tree.tree().await.unwrap().health();
    assert_eq!(health.to_string(), format!("{}…/leaf is starting", "語".repeat(64)));
}

/// Each label ends at its own closing quote: a quote or a bracket in a text does not end the label.
#[tokio::test(start_paused = true)]
async fn dot_and_mermaid_output_escapes_every_text() {
    let rt = Runtime::new();
    for (case, text) in hostile() {
        let tree = snapshot(&rt, &text).await;
        for line in tree.to_dot().lines().filter(|line| line.contains("label=")) {
            let label = line.split_once("label=\"").unwrap().1;
            let mut escaped = false;
            let end = label.find(|c| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            });
            let rest = &label[end.unwrap()..];
            assert!(rest.starts_with("\", style="), "{case}: {rest}");
        }
        for line in tree.to_mermaid().lines().filter(|line| line.contains('"')) {
            let parts: Vec<&str> = line.split('"').collect();
            let [open, label, close] = parts[..] else { panic!("{case}: {line}") };
            assert!(open.ends_with(['(', '[']) && [")", "]"].contains(&close), "{case}: {line}");
            let label = label.replace("<br/>", "");
            let special = |c| "<>&`$%\\".contains(c);
            assert!(!label.contains(special), "{case}: {label}");
        }
    }
}

#[cfg(feature = "serde")]
#[tokio::test(start_paused = true)]
async fn json_keeps_a_text_complete_and_escapes_control_characters() {
    let rt = Runtime::new();
    for (case, text) in hostile() {
        let json = snapshot(&rt, &text).await.to_json();
        assert!(!json.contains(|c: char| c == '<' || c != '\n' && c.is_control()), "{case}");
        assert!(!json.contains(['\u{2028}', '\u{202e}', '\u{feff}', '\u{e0041}']), "{case}");
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let node = &json["nodes"][2];
        assert!(node["id"] == text && node["health"] == text, "{case}");
        assert!(node["names"][0] == format!("{text}!"), "{case}");
        assert!(node["history"][0]["reason"] == format!("panic: {text}"), "{case}");
    }
}

#[cfg(feature = "axum")]
#[tokio::test(start_paused = true)]
async fn routes_answer_with_plain_text_and_nosniff() {
    use axum::body::{Body, to_bytes};
    use tower::ServiceExt;

    for (case, text) in hostile() {
        let rt = Runtime::new();
        let busy = ChildSpec::task(text.as_str(), |ctx| async move {
            ctx.set_health(Health::Starting);
            pending().await
        });
        let tree = Supervisor::one_for_one().with_id(text.as_str()).child(busy);
        let routes = regrow::tree_routes(&tree.start(&rt).await.unwrap());
        settled().await;
        for (route, lines) in [("/healthz", 1), ("/readyz", 1), ("/tree", 2)] {
            let request = axum::http::Request::builder().uri(route).body(Body::empty()).unwrap();
            let answer = routes.clone().oneshot(request).await.unwrap();
            let header =
                |name: &str| answer.headers().get(name).unwrap().to_str().unwrap().to_owned();
            if route != "/healthz" {
                assert_eq!(header("x-content-type-options"), "nosniff");
            }
            assert_eq!(header("content-type"), "text/plain; charset=utf-8");
            let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
            assert_shown(route, case, std::str::from_utf8(&body).unwrap(), lines);
        }
    }
}

/// A child whose start fails with an error of this text.
struct Refuses(String);

#[async_trait::async_trait]
impl StartChild for Refuses {
    async fn start(&self, _: &mut StartContext) -> Result<Started, StartError> {
        Err(StartError::Failed(ExitReason::from(std::io::Error::other(self.0.clone()))))
    }
}

/// Asserts that an error is displayed without control characters. The display of a reason is
/// complete, however long it is; only views are cut.
#[track_caller]
fn assert_on_one_line(case: &str, error: &dyn Display) {
    for text in [format!("{error}"), format!("{error:#}")] {
        let controls =
            text.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{202e}');
        assert!(!controls, "{case}: {}", text.chars().take(500).collect::<String>());
    }
}

#[tokio::test(start_paused = true)]
async fn exit_reasons_and_errors_are_displayed_on_one_line() {
    for (case, text) in hostile() {
        let error = ExitReason::from(std::io::Error::other(text.clone()));
        for reason in [crash(&text), ExitReason::shutdown_with(text.clone()), error] {
            assert_on_one_line(case, &reason);
            assert_on_one_line(case, &reason.clone().into_error());
            assert_on_one_line(case, &CallError::Exited(reason.clone()));
            assert_on_one_line(case, &TaskError::Exited(reason.clone()));
            assert_on_one_line(case, &StartError::Failed(reason.clone()));
            let child = StartError::Failed(reason);
            assert_on_one_line(case, &StartError::Child { id: text.clone(), error: child.into() });
        }
        assert_on_one_line(case, &StartError::DuplicateId(text));
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_error_is_displayed_on_one_line() {
    for (case, text) in hostile() {
        let root = Supervisor::one_for_one().with_id(text.as_str());
        let bad = ChildSpec::new(text.as_str(), Refuses(text.clone()));
        let error = regrow::run(root.clone().child(bad)).await.unwrap_err();
        assert!(matches!(error, RunError::Start(_)));
        assert_shown("a start that failed", case, &error.to_string(), 1);
        assert_shown("its Debug", case, &format!("{error:?}"), 1);

        let said = text.clone();
        let failing = ChildSpec::task(text.as_str(), async move |_| Err(crash(&said)));
        let error = regrow::run(root.child(failing)).await.unwrap_err();
        let RunError::GaveUp { limit, .. } = &error else { panic!("{case}") };
        assert!(limit.last == crash(&text), "{case}");
        let shown = error.to_string();
        assert!(shown.chars().count() < 6_000, "{case}");
        assert_eq!(shown.lines().count(), 1, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_report_has_one_row_for_each_child() {
    for (case, text) in hostile() {
        let said = text.clone();
        let child = ChildSpec::task(text.as_str(), async move |mut ctx: regrow::TaskContext| {
            ctx.cancellation_token().cancelled().await;
            Err(crash(&said))
        });
        let tree = Supervisor::one_for_one().with_id(text.as_str()).child(child);
        let stop = CancellationToken::new();
        let run = tokio::spawn(Run::new(tree).without_signals().stop_on(stop.clone()).run());
        settled().await;
        stop.cancel();
        let report = run.await.unwrap().unwrap();
        assert_shown("the report", case, &report.to_string(), 2);
        assert_on_one_line(case, &report.children[0].outcome);
        let shown = |id: &str| if id.is_empty() { "\"\"".to_owned() } else { id.to_owned() };
        assert!(report.children[0].path == format!("{0}/{0}", shown(&text)), "{case}");
    }
}

#[test]
fn a_lint_finding_is_displayed_on_one_line() {
    for (case, text) in hostile() {
        let job = || ChildSpec::task(text.as_str(), |_| pending());
        let spec: SupervisorSpec = Supervisor::one_for_one().named(text.as_str());
        let spec = spec.child(job().named(text.as_str()).shutdown(Shutdown::Infinity)).child(job());
        let lint = spec.lint();
        assert_eq!(lint.findings.len(), 3, "{case}");
        assert_shown("the lint", case, &lint.to_string(), 4);
        assert_shown("its error", case, &lint.deny().unwrap_err().to_string(), 1);
    }
}

/// The log lines of processes, of children and of the run contain no control character, and are
/// cut.
#[tokio::test(start_paused = true)]
async fn every_log_record_is_one_line() {
    for (case, text) in hostile() {
        let log = Log::listen();
        let rt = Runtime::new();
        rt.set_log_level(LogLevel::Debug);
        let said = text.clone();
        let flaky = ChildSpec::task(text.as_str(), async move |_| Err(crash(&said)));
        let deaf = ChildSpec::task(format!("{text}2"), async |mut ctx: regrow::TaskContext| {
            ctx.cancellation_token();
            pending().await
        });
        let once = ChildSpec::task(format!("{text}3"), async |_| Err(crash("\n\u{1b}[2J")));
        let tree =
            Supervisor::one_for_one().named(text.as_str()).child(deaf.named(format!("{text}2")));
        let tree = tree.child(once.restart(Restart::Temporary)).child(flaky);
        drop(Run::new(tree).on(&rt).without_signals().run().await);
        let bad = ChildSpec::new(text.as_str(), Refuses(text.clone()));
        drop(Supervisor::one_for_one().child(bad).start(&rt).await);
        rt.register_tag(text.as_str(), support::idle(&rt));
        rt.kill_tag(text.as_str());
        rt.log_spawn(support::idle(&rt), &text, &text);
        tokio::time::sleep(Duration::from_secs(3)).await;
        let lines = log.take();
        assert!(lines.len() >= 10, "{case}: {}", lines.len());
        for line in lines {
            let fields =
                ["label", "name", "child", "reason", "error", "detail", "tag", "labels", "tags"];
            let shown: Vec<&str> = fields.iter().map(|field| line.field(field)).collect();
            let shown = format!("{} {}", line.message, shown.join(" "));
            assert_eq!(shown.lines().count(), 1, "{case}: {shown:?}");
            assert!(
                !shown.contains(|c: char| c.is_control() || c == '\u{202e}'),
                "{case}: {shown:?}"
            );
            assert!(shown.chars().count() < 6_000, "{case}: {}", line.message);
        }
        rt.shutdown();
    }
}
