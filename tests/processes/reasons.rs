//! Exit reasons as values: all observers of one end receive the same reason.

use crate::support;

use std::error::Error;
use std::fmt;

use regrow::{ExitReason, Received, Runtime};
use support::TestProcess;

/// A large value for a reason: 128 KB.
#[derive(Debug, PartialEq)]
struct Story(Vec<u64>);

impl Story {
    fn long() -> Self {
        Story((0..16 * 1024).collect())
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a story of {} words", self.0.len())
    }
}

impl Error for Story {}

/// Ends a process with many observers by this reason, and returns what each observer received.
async fn reported_reasons(reason: ExitReason) -> Vec<ExitReason> {
    let rt = Runtime::new();
    let dying = TestProcess::new(&rt);
    let mut linked: Vec<_> = (0..10).map(|_| TestProcess::trapping(&rt)).collect();
    let mut watching: Vec<_> = (0..10).map(|_| TestProcess::new(&rt)).collect();
    let untrapping = TestProcess::new(&rt);
    assert!(rt.link(dying.pid(), untrapping.pid()));
    for (linked, watching) in linked.iter().zip(&watching) {
        assert!(rt.link(linked.pid(), dying.pid()));
        rt.monitor(watching.pid(), dying.pid());
    }
    let ended = rt.ended(dying.pid());
    dying.fail(reason);
    let mut told = vec![ended.await, dying.ended().await, untrapping.ended().await];
    for observer in linked.iter_mut().chain(&mut watching) {
        match observer.next().await {
            Received::Exit { reason, .. } | Received::Down { reason, .. } => told.push(reason),
            other => panic!("not a signal: {other:?}"),
        }
    }
    assert_eq!(told.len(), 23);
    told
}

/// PROC-012. All observers share one pointer to the value, so the value is not copied.
#[tokio::test]
async fn a_large_shutdown_value_reaches_every_observer_without_a_copy() {
    let reason = ExitReason::shutdown_with(Story::long());
    let value = |reason: &ExitReason| match reason {
        ExitReason::ShutdownWith(detail) => std::ptr::from_ref(detail.downcast_ref().unwrap()),
        other => panic!("not the reason: {other}"),
    };
    let original: *const Story = value(&reason);
    for told in reported_reasons(reason.clone()).await {
        assert_eq!(told, reason);
        assert_eq!(value(&told), original);
    }
}

/// PROC-012, for an error with its type.
#[tokio::test]
async fn a_large_error_reaches_every_observer_unchanged() {
    let reason = ExitReason::from(Story::long());
    for told in reported_reasons(reason.clone()).await {
        assert_eq!(told, reason);
        let story = told.crash().unwrap().downcast_ref::<Story>().unwrap();
        assert_eq!(*story, Story::long());
    }
}

/// PROC-012, for a text.
#[tokio::test]
async fn a_large_crash_text_reaches_every_observer_unchanged() {
    let text = "boom ".repeat(26_215);
    for told in reported_reasons(ExitReason::crashed(text.clone())).await {
        assert_eq!(told.crash().unwrap().message(), text);
    }
}
