//! Queues that are kept for the next incarnation of a child.

use crate::support;

use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    Backoff, CallError, ChildSpec, DeadLetterCause, DynamicSupervisor, ExitReason, GenServer,
    KeyedServers, LifecycleEvent, Overflow, Restart, Runtime, StartChild, StartContext, StartError,
    Started, Supervisor, SupervisorRef, SupervisorSpec, stream,
};
use support::recorder::{
    Answer, Book, Call, Cast, Init, RECORDER, Recorder, asked, held, noted, recorder,
};
use support::{assert_nothing_left, idler, killed, settled};
use tokio::sync::oneshot;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn child(book: &Book) -> ChildSpec {
    Recorder::child(book.clone()).named(RECORDER).keep_queue()
}

async fn tree_of(rt: &Runtime, child: ChildSpec) -> SupervisorRef {
    let spec = Supervisor::one_for_one().intensity(20, 3600 * SECOND).child(child);
    spec.start(rt).await.unwrap()
}

fn next(events: &mut regrow::Events) -> Option<LifecycleEvent> {
    events.next().now_or_never().flatten()
}

/// The counts of the queues that were handed on, and of those that were left unhandled.
fn counts(events: &mut regrow::Events) -> (Vec<[usize; 3]>, Vec<[usize; 3]>) {
    let (mut handed_on, mut left) = (Vec::new(), Vec::new());
    while let Some(event) = next(events) {
        match event {
            LifecycleEvent::QueueHandedOn { calls, casts, messages, .. } => {
                handed_on.push([calls, casts, messages]);
            }
            LifecycleEvent::LeftUnhandled { calls, casts, messages, .. } => {
                left.push([calls, casts, messages]);
            }
            _ => {}
        }
    }
    (handed_on, left)
}

async fn exited(answer: Answer) -> ExitReason {
    match answer.await.unwrap() {
        Err(CallError::Exited(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Panic,
    Killed,
    Signal,
}

/// Ends the recorder, whose handler is held.
async fn end(rt: &Runtime, how: End, release: oneshot::Sender<()>) {
    let pid = rt.whereis("recorder").unwrap();
    match how {
        End::Panic => {}
        End::Killed => assert!(rt.kill(pid)),
        End::Signal => assert!(rt.exit(pid, ExitReason::crashed("a signal"))),
    }
    drop(release);
    settled().await;
}

#[tokio::test(start_paused = true)]
async fn a_successor_handles_what_its_predecessor_has_accepted_in_order() {
    for how in [End::Panic, End::Killed, End::Signal] {
        let (rt, book) = (Runtime::new(), Book::default());
        let _tree = tree_of(&rt, child(&book)).await;
        let (mut events, mut lost) = (rt.events(), rt.dead_letters());
        let release = held(&rt, how == End::Panic).await;
        let old = rt.whereis("recorder").unwrap();
        let first = noted(&rt, 1).await;
        assert!(recorder(&rt).cast(Cast::Note(2)) && rt.send(old, vec![3]));
        let (writer, reader) = stream();
        assert!(rt.send_stream(old, reader));
        writer.write(vec![4]).await.unwrap();
        assert!(recorder(&rt).cast(Cast::Note(5)));
        let last = noted(&rt, 6).await;
        end(&rt, how, release).await;
        assert_eq!((first.await.unwrap(), last.await.unwrap()), (Ok(1), Ok(1)), "{how:?}");
        assert_eq!(book.handled(), [1, 2, 3, 4, 5, 6].map(|number| (1, number)), "{how:?}");
        let new = rt.whereis("recorder").unwrap();
        let handed_on = std::iter::from_fn(|| next(&mut events)).find_map(|event| match event {
            LifecycleEvent::QueueHandedOn { pid, from, label, calls, casts, messages } => {
                Some((pid, from, label, [calls, casts, messages]))
            }
            LifecycleEvent::LeftUnhandled { .. } => panic!("{event:?}"),
            _ => None,
        });
        assert_eq!(handed_on, Some((new, old, Some("Recorder".into()), [2, 2, 2])));
        assert_eq!(rt.unhandled_messages(), 0);
        assert!(lost.next().now_or_never().is_none());
        assert_nothing_left(&rt).await;
    }
}

/// Everything that was queued before the request to stop is handled by the old incarnation.
#[tokio::test(start_paused = true)]
async fn calls_behind_a_request_to_stop_are_kept_for_a_permanent_child() {
    let (rt, book) = (Runtime::new(), Book::default());
    let _tree = tree_of(&rt, child(&book)).await;
    let release = held(&rt, false).await;
    let before = noted(&rt, 1).await;
    let stopping = recorder(&rt);
    tokio::spawn(async move { stopping.stop(ExitReason::Normal).await });
    settled().await;
    let behind = noted(&rt, 2).await;
    assert!(!recorder(&rt).cast(Cast::Note(3)), "casts are refused during a stop");
    drop(release);
    assert_eq!((before.await.unwrap(), behind.await.unwrap()), (Ok(0), Ok(1)));
    assert_eq!(book.handled(), [(0, 1), (1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_lost_and_counted_if_the_child_is_not_restarted() {
    for (restart, stops) in [(Restart::Transient, true), (Restart::Temporary, false)] {
        let (rt, book) = (Runtime::new(), Book::default());
        let _tree = tree_of(&rt, child(&book).restart(restart)).await;
        let mut events = rt.events();
        let release = held(&rt, !stops).await;
        if stops {
            let stopping = recorder(&rt);
            tokio::spawn(async move { stopping.stop(ExitReason::Normal).await });
            settled().await;
        }
        let behind = noted(&rt, 2).await;
        drop(release);
        assert_eq!(exited(behind).await.is_clean(), stops);
        assert_eq!(counts(&mut events), (vec![], vec![[1, 0, 0]]));
        assert_eq!((rt.unhandled_messages(), book.handled().len()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn the_message_whose_handler_crashed_is_never_handled_again() {
    let (rt, book) = (Runtime::new(), Book::default());
    let _tree = tree_of(&rt, child(&book)).await;
    let release = held(&rt, false).await;
    let (mut poisonous, mut good) = (Vec::new(), Vec::new());
    for number in 0..5 {
        good.push(noted(&rt, number).await);
        poisonous.push(asked(&rt, Call::Crash).await);
    }
    drop(release);
    for (incarnation, answer) in poisonous.into_iter().enumerate() {
        let reason = exited(answer).await;
        let text = format!("incarnation {incarnation} was asked");
        assert_eq!(reason.crash().unwrap().message(), text);
    }
    for (incarnation, answer) in (0..).zip(good) {
        assert_eq!(answer.await.unwrap(), Ok(incarnation));
    }
    assert_eq!(book.handled(), [0, 1, 2, 3, 4].map(|number| (number, number)));
    settled().await;
    assert!(rt.whereis("recorder").is_some());
    assert_eq!(rt.unhandled_messages(), 0);
}

/// A reply that the crashed server had put aside belongs to a call that a handler had.
#[tokio::test(start_paused = true)]
async fn calls_that_a_handler_had_fail_with_the_reason_of_their_own_incarnation() {
    let (rt, book) = (Runtime::new(), Book::default());
    let _tree = tree_of(&rt, child(&book)).await;
    let release = held(&rt, false).await;
    let deferred = asked(&rt, Call::Defer).await;
    let _crash = asked(&rt, Call::Crash).await;
    let deferred_later = asked(&rt, Call::Defer).await; // handed on, and put aside
    let crash_later = asked(&rt, Call::Crash).await;
    drop(release);
    assert!(exited(deferred).await.to_string().contains("incarnation 0"));
    assert!(exited(deferred_later).await.to_string().contains("incarnation 1"));
    assert!(exited(crash_later).await.to_string().contains("incarnation 1"));
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_drops_a_reply_gives_no_reply() {
    let (rt, book) = (Runtime::new(), Book::default());
    let _tree = tree_of(&rt, child(&book)).await;
    let release = held(&rt, true).await;
    let in_handler = asked(&rt, Call::Drop).await;
    let elsewhere = asked(&rt, Call::DropElsewhere).await;
    drop(release);
    assert_eq!(in_handler.await.unwrap(), Err(CallError::NoReply));
    assert_eq!(elsewhere.await.unwrap(), Err(CallError::NoReply));
}

#[tokio::test(start_paused = true)]
async fn an_init_that_fails_leaves_the_queue_to_the_start_after_it() {
    let (rt, book) = (Runtime::new(), Book::default());
    for name in [true, false] {
        let child = match name {
            true => child(&book),
            false => Recorder::child(book.clone()).keep_queue(),
        };
        let tree = tree_of(&rt, child).await;
        let pid = tree.which_children().await.unwrap()[0].pid().unwrap();
        let direct = rt.server_at::<Recorder>(pid).unwrap();
        let (release, gate) = oneshot::channel();
        assert!(direct.cast(Cast::Hold(gate, true)));
        settled().await;
        book.next_init(Init::Fails);
        book.next_init(Init::Fails);
        let caller = direct.clone();
        let answer =
            tokio::spawn(async move { caller.call_unlimited(|reply| Call::Note(7, reply)).await });
        settled().await;
        let mut events = rt.events();
        drop(release);
        assert_eq!(answer.await.unwrap(), Ok(3));
        let one = [1, 0, 0];
        assert_eq!(counts(&mut events), (vec![one; 3], vec![]));
        tree.stop().await.unwrap();
    }
    assert_eq!((book.handled(), rt.unhandled_messages()), (vec![(3, 7), (3, 7)], 0));
}

/// What is sent to the successor while its `init` runs comes after the kept queue.
#[tokio::test(start_paused = true)]
async fn kept_items_come_before_everything_that_is_sent_to_the_successor() {
    let (rt, book) = (Runtime::new(), Book::default());
    let _tree = tree_of(&rt, child(&book)).await;
    let release = held(&rt, true).await;
    let first = noted(&rt, 1).await;
    let (finish_init, gate) = oneshot::channel();
    book.next_init(Init::Waits(gate));
    drop(release);
    settled().await;
    let pid = rt.whereis("recorder").unwrap();
    assert_eq!(rt.info(pid).unwrap().depth(), Some(1));
    assert!(recorder(&rt).cast(Cast::Note(2)) && rt.send(pid, vec![3]));
    assert_eq!(rt.info(pid).unwrap().depth(), Some(3));
    drop(finish_init);
    assert_eq!(first.await.unwrap(), Ok(1));
    settled().await;
    assert_eq!(book.handled(), [(1, 1), (1, 2), (1, 3)]);
    assert_eq!(rt.info(pid).unwrap().depth(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn callers_wait_through_a_backoff_within_their_own_deadlines() {
    let (rt, book) = (Runtime::new(), Book::default());
    let backoff = Backoff::new().first(10 * SECOND).jitter(0.0);
    let _tree = tree_of(&rt, child(&book).backoff(backoff)).await;
    let release = held(&rt, true).await;
    let call = |number, limit| {
        let recorder = recorder(&rt);
        tokio::spawn(async move {
            let answer = recorder.call_timeout(|reply| Call::Note(number, reply), limit).await;
            (answer, Instant::now())
        })
    };
    let (short, long) = (call(1, 5 * SECOND), call(2, 30 * SECOND));
    settled().await;
    let (start, old) = (Instant::now(), rt.whereis("recorder").unwrap());
    let ended = rt.ended(old);
    drop(release);
    settled().await;
    assert!(ended.now_or_never().is_some(), "the end is announced although the queue waits");
    let restarting = recorder(&rt).call(|reply| Call::Note(3, reply)).await.unwrap_err();
    assert!(matches!(restarting, CallError::Restarting { retry_in: Some(_) }), "{restarting:?}");
    assert!(!recorder(&rt).cast(Cast::Note(4)));
    let (answer, at) = short.await.unwrap();
    assert_eq!(answer, Err(CallError::Timeout));
    assert!(at.duration_since(start) < 6 * SECOND);
    let (answer, at) = long.await.unwrap();
    assert_eq!(answer, Ok(1));
    assert!(at.duration_since(start) >= 10 * SECOND);
    assert_eq!(book.handled(), [(1, 1), (1, 2)]); // a call without a caller is handled as ever
}

/// A tree with a recorder that waits for its restart, with a call, two casts and a message in its
/// queue.
async fn waiting(rt: &Runtime, book: &Book) -> (SupervisorRef, Answer) {
    let backoff = Backoff::new().first(20 * SECOND);
    let tree = tree_of(rt, child(book).backoff(backoff)).await;
    let release = held(rt, true).await;
    let answer = noted(rt, 1).await;
    assert!(recorder(rt).cast(Cast::Note(2)) && recorder(rt).cast(Cast::Note(3)));
    assert!(rt.send(rt.whereis("recorder").unwrap(), vec![4]));
    drop(release);
    settled().await;
    assert_eq!((rt.unhandled_messages(), answer.is_finished()), (0, false));
    (tree, answer)
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_waits_for_a_restart_is_released_when_no_restart_follows() {
    for event in 0..4 {
        let (rt, book) = (Runtime::new(), Book::default());
        let (tree, answer) = waiting(&rt, &book).await;
        let (mut events, mut lost) = (rt.events(), rt.dead_letters());
        match event {
            0 => tree.terminate_child("Recorder").await.unwrap(),
            1 => drop(tree.stop().await.unwrap()),
            2 => killed(&rt, tree.pid().unwrap()).await,
            _ => drop(rt.shutdown()),
        }
        assert_eq!(exited(answer).await.crash().unwrap().message(), "as asked", "event {event}");
        assert_eq!(counts(&mut events), (vec![], vec![[1, 2, 1]]), "event {event}");
        assert_eq!((rt.unhandled_messages(), book.handled().len()), (4, 0));
        let mut causes = 0;
        while let Some(letter) = lost.next().now_or_never().flatten() {
            assert_eq!(letter.cause, DeadLetterCause::Unhandled);
            causes += 1;
        }
        assert_eq!(causes, 4);
        assert_nothing_left(&rt).await;
    }
}

/// The supervisor waits for another child, so this one ends before it is asked to stop.
#[tokio::test(start_paused = true)]
async fn a_child_that_is_killed_while_its_supervisor_stops_leaves_its_queue_unhandled() {
    let (rt, book) = (Runtime::new(), Book::default());
    let slow = ChildSpec::task("slow", |mut ctx| async move {
        ctx.cancellation_token().cancelled().await;
        tokio::time::sleep(SECOND).await;
        Ok(())
    });
    let spec = Supervisor::one_for_one().child(child(&book)).child(slow);
    let tree = spec.start(&rt).await.unwrap();
    let mut events = rt.events();
    let _release = held(&rt, false).await;
    let answer = noted(&rt, 1).await;
    assert!(recorder(&rt).cast(Cast::Note(2)));
    let stopping = tokio::spawn(async move { tree.stop().await });
    settled().await;
    killed(&rt, rt.whereis("recorder").unwrap()).await;
    assert_eq!(exited(answer).await, ExitReason::Killed);
    assert_eq!(counts(&mut events), (vec![], vec![[1, 1, 0]]));
    stopping.await.unwrap().unwrap();
    assert_eq!(rt.unhandled_messages(), 2);
}

/// Starts a recorder, and after its end a task.
struct Changing(Book);

#[async_trait::async_trait]
impl StartChild for Changing {
    async fn start(&self, ctx: &mut StartContext) -> Result<Started, StartError> {
        match ctx.cause().restarts() {
            0 => ctx.server::<Recorder>(self.0.clone()).await,
            _ => ctx.task(|_| std::future::pending()).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_successor_of_another_type_takes_over_nothing() {
    let (rt, book) = (Runtime::new(), Book::default());
    let changing = ChildSpec::new("changing", Changing(book.clone()));
    let tree = tree_of(&rt, changing.named(RECORDER).keep_queue()).await;
    let mut events = rt.events();
    let release = held(&rt, true).await;
    let answer = noted(&rt, 1).await;
    assert!(recorder(&rt).cast(Cast::Note(2)));
    drop(release);
    settled().await;
    assert!(rt.whereis("recorder").is_some(), "the task has the name");
    assert!(exited(answer).await.is_abnormal());
    assert_eq!(counts(&mut events), (vec![], vec![[1, 1, 0]]));
    tree.stop().await.unwrap();
    assert_eq!((rt.unhandled_messages(), book.handled().len()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_gives_up_releases_the_queue_of_the_last_incarnation() {
    let (rt, book) = (Runtime::new(), Book::default());
    let spec = Supervisor::one_for_one().intensity(1, 3600 * SECOND).child(child(&book));
    let tree = spec.start(&rt).await.unwrap();
    let mut events = rt.events();
    let release = held(&rt, true).await;
    let poisonous = asked(&rt, Call::Crash).await;
    let good = noted(&rt, 1).await;
    assert!(recorder(&rt).cast(Cast::Note(2)));
    drop(release);
    assert!(tree.ended().await.is_abnormal());
    assert!(exited(poisonous).await.to_string().contains("incarnation 1"));
    assert!(exited(good).await.to_string().contains("incarnation 1"));
    assert_eq!(counts(&mut events), (vec![[2, 1, 0]], vec![[1, 1, 0]]));
    assert_eq!((rt.unhandled_messages(), book.handled().len()), (2, 0));
}

/// The bound of the mailbox counts kept items. Sends that wait for room were not accepted.
#[tokio::test(start_paused = true)]
async fn kept_items_count_towards_the_bound_of_the_next_mailbox() {
    for overflow in [Overflow::Reject, Overflow::DropOldest] {
        let (rt, book) = (Runtime::new(), Book::default());
        let _tree = tree_of(&rt, child(&book).mailbox_capacity(2, overflow)).await;
        let release = held(&rt, true).await;
        let (first, second) = (noted(&rt, 1).await, noted(&rt, 2).await);
        let (waits, sender) = (overflow == Overflow::Reject, recorder(&rt));
        let waiting = tokio::spawn(async move {
            if waits { sender.cast_wait(Cast::Note(3)).await.is_ok() } else { false }
        });
        let (finish_init, gate) = oneshot::channel();
        book.next_init(Init::Waits(gate));
        settled().await;
        drop(release);
        settled().await;
        assert!(!waiting.await.unwrap(), "its server has ended");
        assert_eq!(recorder(&rt).cast(Cast::Note(4)), overflow == Overflow::DropOldest);
        drop(finish_init);
        let evicted = if waits { Ok(1) } else { Err(CallError::Overloaded) };
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (evicted, Ok(1)));
        settled().await;
        let expected = if waits { vec![(1, 1), (1, 2)] } else { vec![(1, 2), (1, 4)] };
        assert_eq!(book.handled(), expected);
    }
}

/// Signals and timers belong to the old incarnation. The result of a task is a cast.
#[tokio::test(start_paused = true)]
async fn signals_and_timers_are_not_kept_but_results_of_tasks_are() {
    for overflow in [Overflow::Wait, Overflow::DropOldest] {
        let (rt, book) = (Runtime::new(), Book::default());
        // With `DropOldest`, the result of a task is exempt from the bound.
        let child = child(&book).mailbox_capacity(9, overflow);
        let _tree = tree_of(&rt, child).await;
        let target = idler(&rt);
        let pid = target.pid();
        let act = move |ctx: &mut regrow::ServerContext<Recorder>| {
            ctx.monitor(pid);
            ctx.cast_after(Duration::ZERO, Cast::Note(8));
            ctx.cast_after(SECOND, Cast::Note(9));
            ctx.spawn_task(async {}, |()| Cast::Note(10));
        };
        let mut events = rt.events();
        assert!(recorder(&rt).cast(Cast::Act(Box::new(act))));
        let release = held(&rt, true).await;
        target.kill();
        settled().await;
        assert!(recorder(&rt).cast(Cast::Note(1)));
        drop(release);
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(book.handled(), [(1, 10), (1, 1)]);
        assert_eq!(counts(&mut events), (vec![[0, 2, 0]], vec![]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sibling_that_is_restarted_with_its_group_keeps_its_queue() {
    let strategies: [fn() -> SupervisorSpec; 2] =
        [Supervisor::one_for_all, Supervisor::rest_for_one];
    for strategy in strategies {
        let (rt, book) = (Runtime::new(), Book::default());
        let other = ChildSpec::task("other", |mut ctx| async move {
            ctx.recv().await;
            Err("as asked".into())
        });
        let spec = strategy().child(other.named("other")).child(child(&book));
        let _tree = spec.start(&rt).await.unwrap();
        let _release = held(&rt, false).await;
        let answer = noted(&rt, 1).await;
        assert!(recorder(&rt).cast(Cast::Note(2)));
        assert!(rt.send(rt.whereis("other").unwrap(), vec![0]));
        assert_eq!(answer.await.unwrap(), Ok(1));
        settled().await;
        assert_eq!((book.handled(), rt.unhandled_messages()), (vec![(1, 1), (1, 2)], 0));
    }
}

/// A server that drains handles what was queued before its stop. A call that came after the request
/// waits for the next incarnation.
#[tokio::test(start_paused = true)]
async fn a_sibling_that_drains_hands_on_only_what_came_after_the_request() {
    let (rt, book) = (Runtime::new(), Book::default());
    let other = ChildSpec::task("other", |mut ctx| async move {
        ctx.recv().await;
        Err("as asked".into())
    });
    let spec = Supervisor::one_for_all().child(other.named("other")).child(child(&book));
    let _tree = spec.start(&rt).await.unwrap();
    let drain = |ctx: &mut regrow::ServerContext<Recorder>| {
        ctx.drain_on_stop(4 * SECOND);
    };
    assert!(recorder(&rt).cast(Cast::Act(Box::new(drain))));
    let release = held(&rt, false).await;
    let before = noted(&rt, 1).await;
    assert!(rt.send(rt.whereis("other").unwrap(), vec![0]));
    settled().await;
    assert!(!recorder(&rt).cast(Cast::Note(2)), "casts are refused during a stop");
    let server = rt.server_at::<Recorder>(rt.whereis("recorder").unwrap()).unwrap();
    let after = tokio::spawn(async move { server.call(|reply| Call::Note(3, reply)).await });
    settled().await;
    drop(release);
    assert_eq!((before.await.unwrap(), after.await.unwrap()), (Ok(0), Ok(1)));
    assert_eq!((book.handled(), rt.unhandled_messages()), (vec![(0, 1), (1, 3)], 0));
}

#[tokio::test(start_paused = true)]
async fn a_dynamic_child_keeps_its_queue_until_it_is_terminated() {
    for terminated in [false, true] {
        let (rt, book) = (Runtime::new(), Book::default());
        let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
        let child = child(&book).backoff(Backoff::new().first(10 * SECOND));
        let pid = supervisor.start_child(child).await.unwrap();
        let mut events = rt.events();
        let release = held(&rt, true).await;
        let answer = noted(&rt, 1).await;
        drop(release);
        settled().await;
        assert!(!answer.is_finished());
        if terminated {
            supervisor.terminate_child(pid).await.unwrap();
            assert_eq!(exited(answer).await.crash().unwrap().message(), "as asked");
            assert_eq!(counts(&mut events), (vec![], vec![[1, 0, 0]]));
        } else {
            assert_eq!(answer.await.unwrap(), Ok(1));
            assert_eq!(counts(&mut events), (vec![[1, 0, 0]], vec![]));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_a_task_are_kept_as_well() {
    let rt = Runtime::new();
    let (said, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let task = ChildSpec::task("task", move |mut ctx| async move {
        loop {
            match ctx.recv().await.message().ok_or("no message")?[0] {
                0 => Err("as asked")?,
                number => said.send((ctx.start_cause().restarts(), number))?,
            }
        }
    });
    let _tree = tree_of(&rt, task.named("task").keep_queue()).await;
    let pid = rt.whereis("task").unwrap();
    for number in [1, 0, 2, 0, 3] {
        assert!(rt.send(pid, vec![number]));
    }
    for expected in [(0, 1), (1, 2), (2, 3)] {
        assert_eq!(heard.recv().await, Some(expected));
    }
    assert_eq!(rt.unhandled_messages(), 0);
}

/// The time that a caller has left goes on through the restart.
#[tokio::test(start_paused = true)]
async fn a_kept_call_keeps_its_propagated_deadline() {
    let (rt, book) = (Runtime::new(), Book::default());
    rt.propagate_deadlines(true);
    let backoff = Backoff::new().first(10 * SECOND).jitter(0.0);
    let _tree = tree_of(&rt, child(&book).backoff(backoff)).await;
    let release = held(&rt, true).await;
    let caller = recorder(&rt);
    let left = tokio::spawn(async move { caller.call_timeout(Call::TimeLeft, 30 * SECOND).await });
    settled().await;
    drop(release);
    let left = left.await.unwrap().unwrap().unwrap();
    assert!(left > 19 * SECOND && left <= 20 * SECOND, "{left:?}");
}

/// Without the setting, everything is as in OTP.
#[tokio::test(start_paused = true)]
async fn a_child_that_keeps_no_queue_loses_and_counts_it() {
    let (rt, book) = (Runtime::new(), Book::default());
    let _tree = tree_of(&rt, Recorder::child(book.clone()).named(RECORDER)).await;
    let mut events = rt.events();
    let release = held(&rt, true).await;
    let answer = noted(&rt, 1).await;
    drop(release);
    assert!(exited(answer).await.is_abnormal());
    settled().await;
    assert_eq!(counts(&mut events), (vec![], vec![[1, 0, 0]]));
    assert!(book.handled().is_empty());
}

/// A call that its caller can take back waits in the kept queue. It is handled once, or taken back.
#[tokio::test(start_paused = true)]
async fn a_kept_call_by_key_is_handled_once_or_taken_back() {
    for (limit, waits) in [(30 * SECOND, true), (5 * SECOND, false)] {
        let (rt, book) = (Runtime::new(), Book::default());
        let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
        let keyed: KeyedServers<u32, Recorder> = KeyedServers::new(&supervisor);
        let child = Recorder::child(book.clone()).via(keyed.registry(), 7, ());
        let child = child.keep_queue().backoff(Backoff::new().first(10 * SECOND).jitter(0.0));
        supervisor.start_child(child).await.unwrap();
        let (release, gate) = oneshot::channel();
        assert!(keyed.server(&7).unwrap().cast(Cast::Hold(gate, true)));
        settled().await;
        let (caller, other) = (keyed.clone(), book.clone());
        let answer = tokio::spawn(async move {
            let make = |reply| Call::Note(1, reply);
            caller.call_or_start(&7, || Recorder::spec(other.clone()), make, limit).await
        });
        settled().await;
        drop(release);
        assert_eq!(answer.await.unwrap().ok(), waits.then_some(1));
        tokio::time::sleep(30 * SECOND).await;
        assert_eq!(book.handled(), if waits { vec![(1, 1)] } else { vec![] });
    }
}
