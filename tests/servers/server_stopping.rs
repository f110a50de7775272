//! Casts, messages and streams that arrive while a server stops are refused. Those that were
//! accepted are handled before it stops.

use crate::support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{CallError, ExitReason, GenServer, Overflow, Runtime, ServerRef, Supervisor, stream};
use support::race::on_workers;
use support::scribe::{Cast, Page, Scribe, Setup, TERMINATED, hold, scribe};
use support::{idler, settled};
use tokio::sync::watch;

fn write(scribe: &ServerRef<Scribe>, line: u32) -> Result<(), (CallError, u32)> {
    scribe.try_cast(Cast::Write(line)).map_err(|refused| match refused.cast {
        Cast::Write(line) => (refused.reason, line),
        _ => panic!("another cast was given back"),
    })
}

/// Asserts that the scribe takes calls, signals and timers, and refuses everything else.
async fn assert_refuses(rt: &Runtime, scribe: &ServerRef<Scribe>) {
    let pid = scribe.pid().unwrap();
    assert_eq!(write(scribe, 8), Err((CallError::Stopping, 8)));
    assert!(!scribe.cast(Cast::Write(8)));
    let waiting = scribe.cast_wait(Cast::Write(8)).await.unwrap_err();
    assert_eq!(waiting.reason, CallError::Stopping);
    assert!(!rt.send(pid, vec![8]));
    let (writer, reader) = stream();
    assert!(!rt.send_stream(pid, reader));
    assert!(writer.write(b"chunk".to_vec()).await.is_err());
    assert!(rt.is_alive(pid));
}

/// A call that is made after the request is queued, and gets the reason of the end.
async fn late_call(scribe: &ServerRef<Scribe>) -> tokio::task::JoinHandle<CallError> {
    let scribe = scribe.clone();
    let call = tokio::spawn(async move { scribe.call_unlimited(|reply| reply).await.unwrap_err() });
    settled().await;
    call
}

#[tokio::test(start_paused = true)]
async fn a_server_refuses_casts_from_the_request_to_stop_on() {
    let rt = Runtime::new();
    let (scribe, page) = scribe(&rt, Setup::default()).await;
    let release = hold(&scribe).await;
    assert_eq!(write(&scribe, 1), Ok(()));
    let mut stop = Box::pin(scribe.stop(ExitReason::Shutdown));
    assert!(stop.as_mut().now_or_never().is_none());
    assert_refuses(&rt, &scribe).await;
    let call = late_call(&scribe).await;
    drop(release);
    assert_eq!(stop.await, Ok(ExitReason::Shutdown));
    assert_eq!(page.lines(), [1, TERMINATED]);
    assert_eq!(call.await.unwrap(), CallError::Exited(ExitReason::Shutdown));
    assert_eq!(write(&scribe, 9), Err((CallError::NoProc, 9)));
}

#[tokio::test(start_paused = true)]
async fn a_server_refuses_casts_from_the_trapped_exit_of_its_parent_on() {
    let rt = Runtime::new();
    let page = Page::default();
    let setup = Setup { page: page.clone(), trap: true, ..Setup::default() };
    let tree = Supervisor::one_for_one().child(Scribe::child(setup).named("scribe"));
    let tree = tree.start(&rt).await.unwrap();
    let scribe = rt.server::<Scribe>("scribe");
    let release = hold(&scribe).await;
    assert_eq!(write(&scribe, 1), Ok(()));
    let stop = tokio::spawn(async move { tree.stop().await });
    settled().await;
    assert_refuses(&rt, &scribe).await;
    let call = late_call(&scribe).await;
    drop(release);
    stop.await.unwrap().unwrap();
    assert_eq!(page.lines(), [1, TERMINATED]);
    assert_eq!(call.await.unwrap(), CallError::Exited(ExitReason::Shutdown));
}

/// The loop has ended by a panic or by a stop, and will take nothing more. A client that
/// `terminate` waits for learns at once that its cast is not handled.
#[tokio::test(start_paused = true)]
async fn a_server_refuses_casts_while_it_terminates() {
    for crash in [true, false] {
        let rt = Runtime::new();
        let (may_end, ending) = watch::channel(false);
        let setup = Setup { may_end: Some(ending), ..Setup::default() };
        let (scribe, page) = scribe(&rt, setup).await;
        let ended = scribe.ended();
        let mut stop = Box::pin(scribe.stop(ExitReason::Normal));
        if crash {
            assert!(scribe.cast(Cast::Crash));
        } else {
            assert!(stop.as_mut().now_or_never().is_none());
        }
        settled().await;
        assert_refuses(&rt, &scribe).await;
        may_end.send(true).unwrap();
        assert_eq!(ended.await.is_abnormal(), crash);
        assert_eq!(page.lines(), [TERMINATED]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cast_that_waits_for_room_is_given_back_when_the_server_is_asked_to_stop() {
    let rt = Runtime::new();
    let page = Page::default();
    let spec = Scribe::spec(Setup { page: page.clone(), ..Setup::default() });
    let scribe = spec.mailbox_capacity(1, Overflow::Wait).start(&rt).await.unwrap();
    let release = hold(&scribe).await;
    assert_eq!(write(&scribe, 1), Ok(()));
    let waiting = {
        let scribe = scribe.clone();
        tokio::spawn(async move { scribe.cast_wait(Cast::Write(2)).await.map_err(|e| e.reason) })
    };
    let mut unpolled = Box::pin(scribe.cast_wait(Cast::Write(3)));
    assert!(unpolled.as_mut().now_or_never().is_none());
    settled().await;
    let mut stop = Box::pin(scribe.stop(ExitReason::Shutdown));
    assert!(stop.as_mut().now_or_never().is_none());
    // The handler still runs: the cast was given back by the request and not by the end.
    assert_eq!(waiting.await.unwrap(), Err(CallError::Stopping));
    drop(release);
    assert_eq!(stop.await, Ok(ExitReason::Shutdown));
    // There was room before the end, but the server took no more casts.
    assert_eq!(unpolled.await.unwrap_err().reason, CallError::NoProc);
    assert_eq!(page.lines(), [1, TERMINATED]);
}

/// An unlink revokes the queued exit of the parent, so the server lives on, and takes casts again.
#[tokio::test(start_paused = true)]
async fn a_server_that_unlinks_its_ended_parent_takes_casts_again() {
    let rt = Runtime::new();
    let page = Page::default();
    let (started, child) = tokio::sync::oneshot::channel();
    let setup = Setup { page: page.clone(), trap: true, ..Setup::default() };
    let parent = rt.spawn_fallible(|ctx| async move {
        let scribe = Scribe::spec(setup).start_link(&ctx).await?;
        drop(started.send(scribe));
        std::future::pending().await
    });
    let scribe = child.await.unwrap();
    let (own, from) = (scribe.pid().unwrap(), parent.pid());
    let release = hold(&scribe).await;
    let unlink = Cast::Act(Box::new(move |ctx| ctx.runtime().unlink(own, from)));
    assert!(scribe.cast(unlink));
    parent.kill();
    parent.join().await;
    assert_eq!(write(&scribe, 8), Err((CallError::Stopping, 8)));
    drop(release);
    settled().await;
    assert_eq!(write(&scribe, 1), Ok(()));
    settled().await;
    assert_eq!(page.lines(), [1]);
    assert!(rt.is_alive(own));
}

#[tokio::test(start_paused = true)]
async fn a_cast_of_a_stopping_server_to_itself_is_refused() {
    let rt = Runtime::new();
    let (scribe, page) = scribe(&rt, Setup::default()).await;
    let release = hold(&scribe).await;
    let accepted = Arc::new(AtomicUsize::new(7));
    let seen = accepted.clone();
    let act = move |ctx: &mut regrow::ServerContext<Scribe>| {
        seen.store(usize::from(ctx.this().cast(Cast::Write(1))), Ordering::SeqCst);
    };
    assert!(scribe.cast(Cast::Act(Box::new(act))));
    let mut stop = Box::pin(scribe.stop(ExitReason::Normal));
    assert!(stop.as_mut().now_or_never().is_none());
    drop(release);
    assert_eq!(stop.await, Ok(ExitReason::Normal));
    assert_eq!((accepted.load(Ordering::SeqCst), page.lines()), (0, vec![TERMINATED]));
}

/// A process without handlers receives the exit of its parent as a message, and goes on reading.
#[tokio::test(start_paused = true)]
async fn a_plain_process_that_traps_the_exit_of_its_parent_takes_messages() {
    let rt = Runtime::new();
    let parent = idler(&rt);
    let child = rt.spawn_link(parent.pid(), |mut ctx| async move {
        assert_eq!(ctx.runtime().set_trap_exit(ctx.pid(), true), Some(false));
        assert!(ctx.recv().await.exit().is_some());
        assert_eq!(ctx.recv().await.message(), Some(vec![1]));
    });
    settled().await;
    parent.kill();
    parent.join().await;
    assert!(rt.send(child.pid(), vec![1]));
    assert_eq!(child.join().await, ExitReason::Normal);
}

const CASTERS: usize = 3;
const ROUNDS: usize = if cfg!(regrow_proof) { 2_000 } else { 100 };

/// Lets threads cast while `end` ends the server. Returns the number of accepted casts, and the
/// page.
async fn cast_against(
    rt: &Runtime,
    setup: Setup,
    end: impl AsyncFn(&ServerRef<Scribe>),
) -> (usize, Vec<u32>) {
    let page = setup.page.clone();
    let scribe = Scribe::start(rt, setup).await.unwrap();
    let meet = Arc::new(Barrier::new(CASTERS + 1));
    let casters: Vec<_> = (0..CASTERS)
        .map(|_| {
            let (scribe, meet) = (scribe.clone(), meet.clone());
            std::thread::spawn(move || {
                meet.wait();
                (0..200).filter(|&line| scribe.cast(Cast::Write(line))).count()
            })
        })
        .collect();
    meet.wait();
    end(&scribe).await;
    scribe.ended().await;
    (casters.into_iter().map(|caster| caster.join().unwrap()).sum(), page.lines())
}

/// The race of casts against a stop: whatever was accepted is handled before `terminate`.
#[test]
fn every_cast_that_a_server_accepts_is_handled_before_it_stops() {
    on_workers(async |rt| {
        for _ in 0..ROUNDS {
            let stop = async |scribe: &ServerRef<Scribe>| {
                assert_eq!(scribe.stop(ExitReason::Normal).await, Ok(ExitReason::Normal));
            };
            let (accepted, lines) = cast_against(&rt, Setup::default(), stop).await;
            assert_eq!((lines.len(), lines.last()), (accepted + 1, Some(&TERMINATED)));
        }
        assert_eq!(rt.unhandled_messages(), 0);
    });
}

/// The race of casts against a crash and a kill: whatever was accepted is handled or counted.
#[test]
fn every_cast_that_a_server_accepts_is_handled_or_counted_when_it_crashes_or_is_killed() {
    on_workers(async |rt| {
        for round in 0..ROUNDS {
            let before = rt.unhandled_messages();
            let end = async |scribe: &ServerRef<Scribe>| {
                tokio::time::sleep(Duration::from_micros(10)).await;
                if round % 2 == 0 {
                    scribe.cast(Cast::Crash);
                } else {
                    rt.kill(scribe.pid().unwrap());
                }
            };
            let (accepted, lines) = cast_against(&rt, Setup::default(), end).await;
            let handled = lines.iter().filter(|&&line| line != TERMINATED).count();
            let left = usize::try_from(rt.unhandled_messages() - before).unwrap();
            // The cast that crashes may be left as well; the kill leaves nothing of its own.
            assert_eq!(handled + left, accepted, "in round {round}");
        }
    });
}
