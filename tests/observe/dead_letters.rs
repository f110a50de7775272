//! Dead letters: messages that were sent and will not be handled.

use crate::support;

use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    DeadLetter, DeadLetterCause, DeadLetters, ExitReason, GenServer, MessageKind, Overflow, Reply,
    Result, Runtime, ServerContext, stream,
};
use support::scribe::{Cast, Scribe, Setup, hold, scribe};
use support::{dead_pid, idle, killed, settled};

/// The dead letters so far.
fn letters(dead_letters: &mut DeadLetters) -> Vec<DeadLetter> {
    std::iter::from_fn(|| dead_letters.next().now_or_never().flatten()).collect()
}

fn one(dead_letters: &mut DeadLetters) -> DeadLetter {
    let mut letters = letters(dead_letters);
    assert_eq!(letters.len(), 1, "{letters:?}");
    letters.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_message_to_a_process_that_has_ended_is_a_dead_letter() {
    let rt = Runtime::new();
    let dead = dead_pid(&rt).await;
    let mut dead_letters = rt.dead_letters();
    assert!(!rt.send(dead, vec![1]));
    let letter = one(&mut dead_letters);
    assert_eq!((letter.kind, letter.cause), (MessageKind::Message, DeadLetterCause::NoProcess));
    assert_eq!((letter.pid, letter.name, letter.from), (Some(dead), None, None));
    assert!(!rt.send_stream(dead, stream().1));
    assert_eq!(one(&mut dead_letters).kind, MessageKind::Stream);
    assert!(!rt.send_named("nobody", vec![1]));
    let letter = one(&mut dead_letters);
    assert_eq!((letter.pid, letter.name.as_deref()), (None, Some("nobody")));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_names_its_sender_and_the_type_of_the_message() {
    let rt = Runtime::new();
    let (scribe, _) = scribe(&rt, Setup::default()).await;
    scribe.stop(ExitReason::Normal).await.unwrap();
    let mut dead_letters = rt.dead_letters();
    let to = scribe.clone();
    let sender = rt.spawn(|_| async move { assert!(!to.cast(Cast::Write(1))) });
    assert!(sender.join().await.is_clean());
    let letter = one(&mut dead_letters);
    assert_eq!((letter.from, letter.pid), (Some(sender.pid()), scribe.pid()));
    assert_eq!(letter.message_type, std::any::type_name::<Cast>());
}

/// A server of another type than the scribe.
struct Other;

impl GenServer for Other {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Other)
    }
}

#[tokio::test(start_paused = true)]
async fn a_cast_by_a_name_is_a_dead_letter_with_that_name() {
    let rt = Runtime::new();
    let mut dead_letters = rt.dead_letters();
    assert!(!rt.server::<Scribe>("scribe").cast(Cast::Write(1)));
    let letter = one(&mut dead_letters);
    assert_eq!((letter.pid, letter.name.as_deref()), (None, Some("scribe")));
    assert_eq!(letter.cause, DeadLetterCause::NoProcess);
    let _other = Other::spec(()).named("scribe").start(&rt).await.unwrap();
    assert!(!rt.server::<Scribe>("scribe").cast(Cast::Write(1)));
    assert_eq!(one(&mut dead_letters).cause, DeadLetterCause::WrongType);
}

#[tokio::test(start_paused = true)]
async fn every_policy_of_a_full_mailbox_makes_dead_letters_of_what_it_drops() {
    use DeadLetterCause::{Dropped, Evicted, Full};
    for (overflow, cause) in [
        (Overflow::Reject, Full),
        (Overflow::Wait, Full),
        (Overflow::DropNewest, Dropped),
        (Overflow::DropOldest, Evicted),
    ] {
        let rt = Runtime::new();
        let spec = Scribe::spec(Setup::default()).mailbox_capacity(1, overflow);
        let scribe = spec.start(&rt).await.unwrap();
        let _release = hold(&scribe).await;
        let mut dead_letters = rt.dead_letters();
        assert!(scribe.cast(Cast::Write(1)));
        assert!(letters(&mut dead_letters).is_empty());
        assert_eq!(scribe.cast(Cast::Write(2)), cause != Full);
        let letter = one(&mut dead_letters);
        assert_eq!((letter.kind, letter.cause), (MessageKind::Cast, cause), "{overflow:?}");
        assert_eq!(letter.pid, scribe.pid());
        rt.send(scribe.pid().unwrap(), vec![3]);
        assert_eq!(one(&mut dead_letters).cause, cause);
    }
}

#[tokio::test(start_paused = true)]
async fn an_evicted_call_is_a_dead_letter() {
    let rt = Runtime::new();
    let spec = Scribe::spec(Setup::default()).mailbox_capacity(1, Overflow::DropOldest);
    let scribe = spec.start(&rt).await.unwrap();
    let _release = hold(&scribe).await;
    let mut dead_letters = rt.dead_letters();
    let caller = scribe.clone();
    let call = tokio::spawn(async move { caller.call(|reply| reply).await });
    settled().await;
    assert!(scribe.cast(Cast::Write(1)));
    assert!(call.await.unwrap().is_err());
    let letter = one(&mut dead_letters);
    assert_eq!((letter.kind, letter.cause), (MessageKind::Call, DeadLetterCause::Evicted));
    assert_eq!(letter.from, None, "the sender of the new cast is not the caller");
}

#[tokio::test(start_paused = true)]
async fn a_cast_to_a_server_that_stops_and_what_it_leaves_are_dead_letters() {
    let rt = Runtime::new();
    let (scribe, _) = scribe(&rt, Setup { drain: Some(Duration::ZERO), ..Setup::default() }).await;
    let release = hold(&scribe).await;
    assert!(scribe.cast(Cast::Write(1)));
    let mut dead_letters = rt.dead_letters();
    let mut stop = Box::pin(scribe.stop(ExitReason::Normal));
    assert!(stop.as_mut().now_or_never().is_none());
    assert!(!scribe.cast(Cast::Write(2)));
    assert_eq!(one(&mut dead_letters).cause, DeadLetterCause::Stopping);
    drop(release);
    stop.await.unwrap();
    let letter = one(&mut dead_letters);
    assert_eq!((letter.kind, letter.cause), (MessageKind::Cast, DeadLetterCause::Unhandled));
    assert_eq!((letter.pid, letter.from), (scribe.pid(), None));
}

/// The server handles nothing more, so the result of its task is lost.
#[tokio::test(start_paused = true)]
async fn the_result_of_a_task_of_a_server_that_stops_is_a_dead_letter() {
    for capacity in [None, Some((1, Overflow::Reject))] {
        let rt = Runtime::new();
        let mut spec = Scribe::spec(Setup::default());
        if let Some((capacity, overflow)) = capacity {
            spec = spec.mailbox_capacity(capacity, overflow);
        }
        let scribe = spec.start(&rt).await.unwrap();
        let (finish, finished) = tokio::sync::oneshot::channel::<()>();
        let act = |ctx: &mut ServerContext<Scribe>| {
            ctx.spawn_task(finished, |_| Cast::Write(1));
        };
        assert!(scribe.cast(Cast::Act(Box::new(act))));
        settled().await;
        let _release = hold(&scribe).await;
        let mut stop = Box::pin(scribe.stop(ExitReason::Normal));
        assert!(stop.as_mut().now_or_never().is_none());
        let mut dead_letters = rt.dead_letters();
        finish.send(()).unwrap();
        settled().await;
        let letter = one(&mut dead_letters);
        assert_eq!((letter.kind, letter.cause), (MessageKind::Cast, DeadLetterCause::Stopping));
    }
}

/// A message that its sender has back, and a call whose caller has the error.
#[tokio::test(start_paused = true)]
async fn what_is_given_back_and_a_refused_call_are_no_dead_letters() {
    let rt = Runtime::new();
    let spec = Scribe::spec(Setup::default()).mailbox_capacity(1, Overflow::Reject);
    let scribe = spec.start(&rt).await.unwrap();
    let _release = hold(&scribe).await;
    let mut dead_letters = rt.dead_letters();
    assert!(scribe.cast(Cast::Write(1)));
    assert!(scribe.try_cast(Cast::Write(2)).is_err());
    assert!(scribe.cast_timeout(Cast::Write(3), Duration::ZERO).await.is_err());
    assert!(scribe.call(|reply| reply).await.is_err());
    drop(Box::pin(scribe.cast_wait(Cast::Write(4))).as_mut().now_or_never());
    assert_eq!(letters(&mut dead_letters), []);
    killed(&rt, scribe.pid().unwrap()).await;
    assert_eq!(one(&mut dead_letters).cause, DeadLetterCause::Unhandled);
    assert!(scribe.try_cast(Cast::Write(5)).is_err() && scribe.call(|reply| reply).await.is_err());
    assert_eq!(letters(&mut dead_letters), []);
}

#[tokio::test(start_paused = true)]
async fn the_message_of_a_timer_to_a_name_that_no_process_holds_is_a_dead_letter() {
    let rt = Runtime::new();
    let pid = idle(&rt);
    rt.send_after("nobody", Duration::from_secs(1), vec![1]);
    rt.send_after(pid, Duration::from_secs(1), vec![1]);
    rt.exit_after("nobody", Duration::from_secs(1), ExitReason::Shutdown);
    killed(&rt, pid).await; // its own timers end with it
    let mut dead_letters = rt.dead_letters();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let letter = one(&mut dead_letters);
    assert_eq!((letter.name.as_deref(), letter.from), (Some("nobody"), None));
}

#[tokio::test(start_paused = true)]
async fn a_slow_listener_loses_the_oldest_dead_letters_and_counts_them() {
    let rt = Runtime::new();
    let dead = dead_pid(&rt).await;
    let mut dead_letters = rt.dead_letters();
    for _ in 0..1_030 {
        rt.send(dead, vec![1]);
    }
    assert!(dead_letters.next().await.is_some());
    assert_eq!(dead_letters.missed(), 6);
}

/// The sender of the message that pushes it out is not its sender.
#[tokio::test(start_paused = true)]
async fn an_evicted_message_has_no_sender() {
    let rt = Runtime::new();
    let spec = Scribe::spec(Setup::default()).mailbox_capacity(1, Overflow::DropOldest);
    let scribe = spec.start(&rt).await.unwrap();
    let _release = hold(&scribe).await;
    let mut dead_letters = rt.dead_letters();
    assert!(scribe.cast(Cast::Write(1)));
    let to = scribe.clone();
    rt.spawn(|_| async move { assert!(to.cast(Cast::Write(2))) }).join().await;
    let letter = one(&mut dead_letters);
    assert_eq!((letter.cause, letter.from), (DeadLetterCause::Evicted, None));
}

/// The task of a server that stops: its result is refused like every other cast, under every policy.
#[tokio::test(start_paused = true)]
async fn the_result_of_a_task_is_refused_by_a_server_that_stops() {
    let policies = [Overflow::Reject, Overflow::Wait, Overflow::DropNewest, Overflow::DropOldest];
    for overflow in policies {
        let rt = Runtime::new();
        let (ends, may_end) = tokio::sync::watch::channel(false);
        let setup = Setup { may_end: Some(may_end), ..Setup::default() };
        let spec = Scribe::spec(setup).mailbox_capacity(1, overflow);
        let scribe = spec.start(&rt).await.unwrap();
        let (go, result) = tokio::sync::oneshot::channel::<()>();
        let spawn = Cast::Act(Box::new(|ctx| {
            ctx.spawn_task(result, |_| Cast::Write(1));
        }));
        assert!(scribe.cast(spawn));
        settled().await;
        let mut dead_letters = rt.dead_letters();
        let stop = tokio::spawn(async move { scribe.stop(ExitReason::Normal).await });
        settled().await;
        go.send(()).unwrap();
        settled().await;
        let letter = one(&mut dead_letters);
        assert_eq!((letter.kind, letter.cause), (MessageKind::Cast, DeadLetterCause::Stopping));
        ends.send(true).unwrap();
        stop.await.unwrap().unwrap();
        assert_eq!(rt.unhandled_messages(), 0, "{overflow:?}");
    }
}
