//! The drain of a server that is asked to stop.

use crate::support;

use std::time::Duration;

use regrow::{ExitReason, GenServer, LifecycleEvent, Runtime, ServerRef, Shutdown, Supervisor};
use support::scribe::{Cast, Page, Scribe, Setup, TERMINATED, hold, scribe};
use support::settled;
use tokio::time::Instant;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// A scribe that takes 10 ms for each line, under a supervisor that gives it two seconds.
async fn tree(rt: &Runtime, setup: &Setup) -> (regrow::SupervisorRef, ServerRef<Scribe>) {
    let child =
        Scribe::child(setup.clone()).named("scribe").shutdown(Shutdown::Timeout(2 * SECOND));
    let tree = Supervisor::one_for_one().child(child).start(rt).await.unwrap();
    (tree, rt.server("scribe"))
}

fn slow(drain: Option<Duration>) -> Setup {
    Setup { drain, takes: 10 * MS, ..Setup::default() }
}

fn write_all(scribe: &ServerRef<Scribe>, lines: u32) {
    assert!((0..lines).all(|line| scribe.cast(Cast::Write(line))));
}

fn written(page: &Page) -> (usize, bool) {
    let lines = page.lines();
    let terminated = lines.last() == Some(&TERMINATED);
    (lines.len() - usize::from(terminated), terminated)
}

/// The server does not trap exits. Without the drain, it ends at its next await.
#[tokio::test(start_paused = true)]
async fn a_server_handles_its_queue_before_its_supervisor_has_stopped_it() {
    for (drain, expected) in [(Some(SECOND), (50, true)), (None, (0, false))] {
        let rt = Runtime::new();
        let setup = slow(drain);
        let (tree, scribe) = tree(&rt, &setup).await;
        write_all(&scribe, 50);
        settled().await;
        let start = Instant::now();
        tree.stop().await.unwrap();
        assert_eq!(written(&setup.page), expected);
        assert_eq!(rt.unhandled_messages(), if drain.is_some() { 0 } else { 49 });
        assert!(start.elapsed() <= SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_at_its_limit_and_counts_what_is_left() {
    let rt = Runtime::new();
    let setup = slow(Some(SECOND));
    let (tree, scribe) = tree(&rt, &setup).await;
    let mut events = rt.events();
    write_all(&scribe, 500);
    let pid = scribe.pid().unwrap();
    let start = Instant::now();
    tree.stop().await.unwrap();
    assert_eq!((start.elapsed(), written(&setup.page)), (SECOND, (100, true)));
    let left = LifecycleEvent::LeftUnhandled {
        pid,
        label: Some("Scribe".into()),
        name: Some("scribe".into()),
        reason: ExitReason::Shutdown,
        calls: 0,
        casts: 400,
        messages: 0,
    };
    assert_eq!(events.next().await, Some(left));
}

#[tokio::test(start_paused = true)]
async fn a_request_to_stop_drains_too_and_returns_the_requested_reason() {
    let rt = Runtime::new();
    let (scribe, page) = scribe(&rt, slow(Some(SECOND))).await;
    write_all(&scribe, 500);
    let start = Instant::now();
    let reason = ExitReason::crashed("enough");
    assert_eq!(scribe.stop(reason.clone()).await, Ok(reason));
    assert_eq!((start.elapsed(), written(&page)), (SECOND, (100, true)));
    assert_eq!(rt.unhandled_messages(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_drain_refuses_new_casts() {
    let rt = Runtime::new();
    let setup = slow(Some(SECOND));
    let (tree, scribe) = tree(&rt, &setup).await;
    write_all(&scribe, 10);
    let stop = tokio::spawn(async move { tree.stop().await });
    settled().await;
    assert!(!scribe.cast(Cast::Write(99)));
    stop.await.unwrap().unwrap();
    assert_eq!(written(&setup.page), (10, true));
}

/// The time of a drain begins with the request, also while a handler runs. The handler is finished.
#[tokio::test(start_paused = true)]
async fn a_handler_that_overruns_the_drain_is_finished_and_nothing_follows() {
    let rt = Runtime::new();
    let setup = slow(Some(SECOND));
    let (tree, scribe) = tree(&rt, &setup).await;
    let release = hold(&scribe).await;
    write_all(&scribe, 10);
    let start = Instant::now();
    let stop = tokio::spawn(async move { tree.stop().await });
    tokio::time::sleep(3 * SECOND / 2).await;
    drop(release);
    stop.await.unwrap().unwrap();
    assert_eq!((start.elapsed(), written(&setup.page)), (3 * SECOND / 2, (0, true)));
    assert_eq!(rt.unhandled_messages(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_overruns_its_shutdown_time_in_its_drain_is_killed() {
    let rt = Runtime::new();
    let setup = slow(Some(Duration::MAX));
    let (tree, scribe) = tree(&rt, &setup).await;
    write_all(&scribe, 500);
    let start = Instant::now();
    tree.stop().await.unwrap();
    let (lines, terminated) = written(&setup.page);
    assert_eq!((start.elapsed(), terminated), (2 * SECOND, false));
    // The line that is being written at the kill is neither written nor left.
    assert_eq!(lines + usize::try_from(rt.unhandled_messages()).unwrap(), 499);
}

#[tokio::test(start_paused = true)]
async fn a_kill_a_crash_and_the_exit_of_another_process_end_a_server_without_a_drain() {
    for how in ["kill", "crash", "exit"] {
        let rt = Runtime::new();
        let (scribe, page) = scribe(&rt, slow(Some(SECOND))).await;
        let release = hold(&scribe).await;
        if how == "crash" {
            assert!(scribe.cast(Cast::Crash));
        }
        write_all(&scribe, 10);
        let (pid, ended) = (scribe.pid().unwrap(), scribe.ended());
        match how {
            "kill" => assert!(rt.kill(pid)),
            "exit" => assert!(rt.exit(pid, ExitReason::Shutdown)),
            _ => drop(release),
        }
        ended.await;
        assert_eq!((written(&page).0, rt.unhandled_messages()), (0, 10), "{how}");
    }
}

/// The drain is over although the server never waits for a message.
#[tokio::test(start_paused = true)]
async fn a_server_that_continues_for_ever_stops_when_its_drain_is_over() {
    fn again(ctx: &mut regrow::ServerContext<Scribe>) {
        ctx.continue_with(Cast::Write(1));
        ctx.continue_with(Cast::Act(Box::new(again)));
    }
    let rt = Runtime::new();
    let (scribe, page) = scribe(&rt, slow(Some(SECOND))).await;
    assert!(scribe.cast(Cast::Act(Box::new(again))));
    settled().await;
    let start = Instant::now();
    assert_eq!(scribe.stop(ExitReason::Normal).await, Ok(ExitReason::Normal));
    assert!((SECOND..SECOND + 20 * MS).contains(&start.elapsed()), "{:?}", start.elapsed());
    assert!(written(&page).1);
}

/// The slow-handler watch and the drain use the same flag of the process.
#[tokio::test(start_paused = true)]
async fn a_watched_server_drains_to_its_limit_too() {
    let rt = Runtime::new();
    rt.warn_after(60 * SECOND);
    rt.track_handlers(true);
    let (scribe, page) = scribe(&rt, slow(Some(SECOND))).await;
    write_all(&scribe, 500);
    settled().await;
    rt.track_handlers(false);
    let start = Instant::now();
    assert_eq!(scribe.stop(ExitReason::Normal).await, Ok(ExitReason::Normal));
    assert!(start.elapsed() <= SECOND + 10 * MS, "{:?}", start.elapsed());
    assert!(written(&page).1 && written(&page).0 < 110);
}

/// The first request sets the end of the drain, and the reason.
#[tokio::test(start_paused = true)]
async fn a_second_request_to_stop_does_not_prolong_a_drain() {
    let rt = Runtime::new();
    let (scribe, page) = scribe(&rt, slow(Some(SECOND))).await;
    write_all(&scribe, 500);
    let start = Instant::now();
    let reason = ExitReason::crashed("enough");
    let first = scribe.stop(reason.clone());
    let second = async {
        tokio::time::sleep(SECOND / 2).await;
        scribe.stop(ExitReason::Normal).await
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first, Ok(reason.clone()));
    assert_eq!(second, Err(regrow::CallError::Exited(reason)));
    assert_eq!((start.elapsed(), written(&page)), (SECOND, (100, true)));
}

/// A drain begins with the request to stop. A limit that comes later would not hold.
#[tokio::test(start_paused = true)]
async fn a_drain_is_refused_after_the_request_to_stop() {
    let rt = Runtime::new();
    let (scribe, _) = scribe(&rt, slow(None)).await;
    let (sender, mut set) = tokio::sync::mpsc::unbounded_channel();
    let act = || {
        let sender = sender.clone();
        Cast::Act(Box::new(move |ctx| sender.send(ctx.drain_on_stop(SECOND)).unwrap()))
    };
    let release = hold(&scribe).await;
    assert!(scribe.cast(act()));
    let stop = scribe.stop(ExitReason::Normal);
    tokio::pin!(stop);
    assert!(futures_util::FutureExt::now_or_never(&mut stop).is_none());
    drop(release);
    stop.await.unwrap();
    assert_eq!(set.recv().await, Some(false));

    let (scribe, _) = crate::support::scribe::scribe(&rt, slow(None)).await;
    assert!(scribe.cast(act()) && scribe.cast(act()));
    assert_eq!((set.recv().await, set.recv().await), (Some(true), Some(true)));
}
