//! Values that travel beside messages: which code sees them, and what carries them on.

use crate::support;

use std::time::Duration;

use regrow::{
    CallError, DynamicSupervisor, ExitReason, GenServer, KeyedServers, LifecycleEvent, Metadata,
    Overflow, Received, Runtime, ServerRef, Task, TaskSupervisor, TraceEvent, TraceItem, scope,
};
use support::node::{Call, Id, Node, Note, Notes, job, note, visible};
use support::settled;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{block_in_place, yield_now};
use tokio::time::MissedTickBehavior;

const SECOND: Duration = Duration::from_secs(1);

async fn start(rt: &Runtime) -> (ServerRef<Node>, UnboundedReceiver<Note>) {
    let (notes, noted) = Notes::new();
    (Node::start(rt, notes).await.unwrap(), noted)
}

fn noted(text: &str, id: impl Into<Option<u64>>) -> Note {
    (text.to_owned(), id.into())
}

/// Returns all notes that were made until every task is idle, in order of their texts.
async fn all(notes: &mut UnboundedReceiver<Note>) -> Vec<Note> {
    settled().await;
    let mut all = Vec::new();
    while let Ok(note) = notes.try_recv() {
        all.push(note);
    }
    all.sort();
    all
}

/// One request through three servers: each handler sees the value, also after an await, and the
/// caller itself sees only what it saw before.
#[tokio::test(start_paused = true)]
async fn each_server_of_a_chain_of_calls_sees_the_value() {
    let rt = Runtime::new();
    let (first, mut notes) = start(&rt).await;
    let ((second, _), (third, mut last)) = (start(&rt).await, start(&rt).await);
    let chain = move |n: u64| {
        let (second, third) = (second.clone(), third.clone());
        let ask_third = job(move |_, _| {
            Box::pin(async move {
                let answer = third.call(|reply| Call::Do(note("third"), reply)).await;
                assert_eq!(answer, Ok(Some(n)));
            })
        });
        job(move |node, _| {
            Box::pin(async move {
                node.notes.note("before");
                yield_now().await;
                let answer = second.call(|reply| Call::Do(ask_third, reply)).await;
                assert_eq!(answer, Ok(Some(n)));
                node.notes.note("after");
            })
        })
    };
    for n in 1..3 {
        let call = first.call(|reply| Call::Do(chain(n), reply));
        assert_eq!(rt.with_metadata(Id(n), call).await, Ok(Some(n)));
        assert_eq!(visible(), None);
        assert_eq!(all(&mut notes).await, [noted("after", n), noted("before", n)]);
        assert_eq!(all(&mut last).await, [noted("third", n)]);
    }
    let plain = first.call(|reply| Call::Do(note("plain"), reply)).await;
    assert_eq!(plain, Ok(None), "a call that carries nothing");
}

/// Requests that are handled at the same time, by servers on one thread, each see their own value.
#[tokio::test(start_paused = true)]
async fn requests_that_are_handled_at_the_same_time_see_their_own_values() {
    let rt = Runtime::new();
    let servers = [start(&rt).await, start(&rt).await, start(&rt).await];
    let interleaved = || {
        job(|_, _| {
            Box::pin(async {
                for _ in 0..10 {
                    yield_now().await;
                }
            })
        })
    };
    let calls = servers.iter().zip(0..).map(|((server, _), n)| {
        rt.with_metadata(Id(n), server.call(move |reply| Call::Do(interleaved(), reply)))
    });
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers, [Ok(Some(0)), Ok(Some(1)), Ok(Some(2))]);
}

/// What a handler sends and schedules carries its value.
#[tokio::test(start_paused = true)]
async fn what_a_handler_sends_and_schedules_carries_its_value() {
    let rt = Runtime::new();
    let (server, mut notes) = start(&rt).await;
    let (other, mut received) = start(&rt).await;
    let act = job(move |_, ctx| {
        Box::pin(async move {
            ctx.continue_with(note("continued"));
            ctx.cast_after(SECOND, note("later"));
            ctx.cast_after_as("key", SECOND, note("keyed"));
            assert!(other.cast(note("cast")));
            assert!(other.try_cast(note("tried")).is_ok());
            let (rt, pid) = (ctx.runtime(), other.pid().unwrap());
            assert!(rt.send(pid, b"sent".to_vec()));
            rt.send_after(pid, SECOND, b"sent later".to_vec());
        })
    });
    rt.with_metadata(Id(7), async { assert!(server.cast(act)) }).await;
    assert_eq!(all(&mut notes).await, [noted("continued", 7)]);
    assert_eq!(all(&mut received).await, ["cast", "sent", "tried"].map(|text| noted(text, 7)));
    tokio::time::sleep(SECOND).await;
    assert_eq!(all(&mut notes).await, ["keyed", "later"].map(|text| noted(text, 7)));
    assert_eq!(all(&mut received).await, [noted("sent later", 7)]);
    assert!(server.cast(note("next")));
    assert_eq!(all(&mut notes).await, [noted("next", None)]);
}

/// The tasks that a handler starts, of each kind, see its value, and so does the handler of a result.
#[tokio::test(start_paused = true)]
async fn the_tasks_of_a_handler_and_their_results_carry_its_value() {
    let rt = Runtime::new();
    let (server, mut notes) = start(&rt).await;
    let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
    let act = job(move |node, ctx| {
        let noting = |text| {
            let notes = node.notes.clone();
            async move {
                notes.note(text);
                Ok::<_, ExitReason>(())
            }
        };
        let (own, scoped) = (noting("own"), noting("scoped"));
        let (supervised, child) = (noting("supervised"), noting("child"));
        ctx.spawn_task(noting("task"), |_| note("result"));
        Box::pin(async move {
            Task::spawn(ctx, |_| own).join().await.unwrap().unwrap();
            let in_scope = scope(ctx, async |scope| Ok(scope.spawn(|_| scoped).await?));
            in_scope.await.unwrap();
            let supervised = tasks.spawn(ctx, |_| supervised).await.unwrap();
            supervised.join().await.unwrap().unwrap();
            tasks.start_child(|_| child).await.unwrap();
        })
    });
    rt.with_metadata(Id(7), async { assert!(server.cast(act)) }).await;
    let tasks = ["child", "own", "result", "scoped", "supervised", "task"];
    assert_eq!(all(&mut notes).await, tasks.map(|text| noted(text, 7)));
}

/// The code that makes the future of a task sees what the task sees.
#[tokio::test(start_paused = true)]
async fn the_closure_of_a_task_sees_the_value() {
    let rt = Runtime::new();
    let (server, mut notes) = start(&rt).await;
    let tasks = TaskSupervisor::new().start(&rt).await.unwrap();
    let act = job(move |node, ctx| {
        let all = node.notes.clone();
        let noting = move |text| {
            let notes = all.clone();
            move |_| {
                notes.note(text);
                async { Ok::<_, ExitReason>(()) }
            }
        };
        Box::pin(async move {
            Task::spawn(ctx, noting("own")).join().await.unwrap().unwrap();
            let supervised = tasks.spawn(ctx, noting("supervised")).await.unwrap();
            supervised.join().await.unwrap().unwrap();
            tasks.start_child(noting("child")).await.unwrap();
            tasks.start_child_waiting(noting("waiting"), SECOND).await.unwrap();
        })
    });
    rt.with_metadata(Id(7), async { assert!(server.cast(act)) }).await;
    let texts = ["child", "own", "supervised", "waiting"];
    assert_eq!(all(&mut notes).await, texts.map(|text| noted(text, 7)));
}

/// What runs without a request, and what runs for long, carries nothing.
#[tokio::test(start_paused = true)]
async fn intervals_idle_timeouts_and_other_processes_carry_nothing() {
    let rt = Runtime::new();
    let (server, mut notes) = start(&rt).await;
    let act = job(|node, ctx| {
        Box::pin(async move {
            ctx.cast_every(SECOND, MissedTickBehavior::Skip, || note("tick"));
            ctx.idle_timeout(SECOND / 2);
            let notes = node.notes.clone();
            ctx.runtime().spawn(|_| async move { notes.note("process") });
            let notes = node.notes.clone();
            tokio::spawn(async move { notes.note("tokio") });
            let (this, rt) = (ctx.this(), ctx.runtime());
            rt.send_interval(this.pid().unwrap(), SECOND, b"bytes".to_vec());
        })
    });
    let _ = rt.with_metadata(Id(7), async { server.cast(act) }).await;
    assert_eq!(all(&mut notes).await, ["process", "tokio"].map(|text| noted(text, None)));
    tokio::time::sleep(SECOND).await;
    assert_eq!(all(&mut notes).await, ["bytes", "idle", "tick"].map(|text| noted(text, None)));
}

/// A message that is handled in a later handler is handed on with its own value.
#[tokio::test(start_paused = true)]
async fn a_kept_call_is_answered_under_its_own_metadata() {
    let rt = Runtime::new();
    let (server, mut notes) = start(&rt).await;
    let answer_all = job(|node, _| {
        Box::pin(async move {
            for (reply, metadata) in std::mem::take(&mut node.kept) {
                let seen = metadata.hand_on(async {
                    yield_now().await;
                    visible()
                });
                reply.send(seen.await);
            }
            node.notes.note("answered");
        })
    });
    let keep = |n| rt.with_metadata(Id(n), server.call(Call::Keep));
    let answer = async { rt.with_metadata(Id(9), async { server.cast(answer_all) }).await };
    let plain = server.call(Call::Keep);
    let (first, second, plain, _) = tokio::join!(keep(1), keep(2), plain, answer);
    assert_eq!((first, second, plain), (Ok(Some(1)), Ok(Some(2)), Ok(None)));
    assert_eq!(all(&mut notes).await, [noted("answered", 9)]);
}

/// A keyed call reaches the server that it started with its value.
#[tokio::test(start_paused = true)]
async fn a_call_that_starts_its_server_carries_its_value() {
    let rt = Runtime::new();
    let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
    let keyed: KeyedServers<u8, Node> = KeyedServers::new(&supervisor);
    let (notes, _noted) = Notes::new();
    for n in 1..3 {
        let spec = || Node::spec(notes.clone());
        let make = |reply| Call::Do(note("keyed"), reply);
        let call = keyed.call_or_start(&1, spec, make, SECOND);
        assert_eq!(rt.with_metadata(Id(n), call).await, Ok(Some(n)));
    }
}

/// The message that a selective receive takes has its own metadata, whatever arrived before.
#[tokio::test(start_paused = true)]
async fn a_selective_receive_takes_a_message_with_its_metadata() {
    let rt = Runtime::new();
    let reader = rt.spawn(|mut ctx| async move {
        let id = |metadata: Metadata| metadata.get::<Id>().map(|id| id.0);
        settled().await;
        let is_second = |received: &Received| *received == Received::Message(b"second".to_vec());
        ctx.recv_match(is_second).await;
        assert_eq!(id(ctx.metadata()), Some(2));
        ctx.recv().await;
        assert_eq!(id(ctx.metadata()), Some(1));
        let handed_on = ctx.metadata().hand_on(async { visible() });
        assert_eq!((handed_on.await, visible()), (Some(1), None));
        ctx.recv().await;
        assert_eq!(id(ctx.metadata()), None);
    });
    let send = |text: &'static [u8]| assert!(rt.send(reader.pid(), text.to_vec()));
    rt.with_metadata(Id(1), async { send(b"first") }).await;
    rt.with_metadata(Id(2), async { send(b"second") }).await;
    send(b"third");
    assert!(!reader.join().await.is_abnormal());
}

/// A sender that waits for room is not the code that queues its message.
#[tokio::test(start_paused = true)]
async fn a_message_that_waited_for_room_has_the_metadata_of_its_sender() {
    let rt = Runtime::new();
    let (notes, mut noted_by) = Notes::new();
    let spec = Node::spec(notes).mailbox_capacity(1, Overflow::Wait);
    let server = spec.start(&rt).await.unwrap();
    let hold = job(|_, _| Box::pin(tokio::time::sleep(SECOND)));
    let _ = rt.with_metadata(Id(1), async { server.cast(hold) }).await;
    settled().await;
    let cast = |n, text| rt.with_metadata(Id(n), server.cast_wait(note(text)));
    let call = rt.with_metadata(Id(4), server.call(|reply| Call::Do(note("d"), reply)));
    let (first, second, third, call) = tokio::join!(
        cast(2, "b"),
        cast(3, "c"),
        async {
            let full = server.try_cast(note("given back")).unwrap_err();
            rt.with_metadata(Id(5), async { server.try_cast(full.cast).unwrap_err() }).await.reason
        },
        call
    );
    assert!(first.is_ok() && second.is_ok());
    assert_eq!((third, call), (CallError::Overloaded, Ok(Some(4))));
    assert_eq!(all(&mut noted_by).await, [noted("b", 2), noted("c", 3), noted("d", 4)]);
}

/// A process that a handler polls inside of its own poll sees nothing of the handler's message.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_process_that_is_polled_in_a_handler_sees_nothing_of_its_message() {
    let rt = Runtime::new();
    let (server, _notes) = start(&rt).await;
    let (report, reported) = std::sync::mpsc::channel();
    let act = job(move |_, _| {
        Box::pin(async move {
            block_in_place(|| {
                let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
                tokio.block_on(async {
                    let inner = Runtime::new();
                    let body = |_| async move { report.send(visible()).unwrap() };
                    inner.spawn(body).join().await;
                });
            });
        })
    });
    let call = server.call(|reply| Call::Do(act, reply));
    assert_eq!(rt.with_metadata(Id(7), call).await, Ok(Some(7)));
    assert_eq!(reported.recv(), Ok(None));
}

/// Metadata travels with what else a message may have: the time at which it was queued, the limit of
/// its call, a listener.
#[tokio::test(start_paused = true)]
async fn a_tracked_traced_and_limited_call_carries_metadata() {
    let rt = Runtime::new();
    let (server, _notes) = start(&rt).await;
    rt.track_handlers(true);
    rt.propagate_deadlines(true);
    let mut trace = server.trace().await.unwrap();
    let see =
        job(|_, ctx| Box::pin(async { assert_eq!(ctx.deadline().time_left(), Some(SECOND)) }));
    let call = server.call_timeout(|reply| Call::Do(see, reply), SECOND);
    assert_eq!(rt.with_metadata(Id(7), call).await, Ok(Some(7)));
    let event = trace.next().await.unwrap();
    assert!(matches!(event, TraceEvent::Begin { item: TraceItem::Call, .. }), "{event}");
    assert_eq!(rt.info(server.pid().unwrap()).unwrap().handled, Some(1));
}

/// A cast that carries metadata is counted as a cast when it is left.
#[tokio::test(start_paused = true)]
async fn messages_with_metadata_that_are_left_are_counted_by_their_kind() {
    let rt = Runtime::new();
    let (server, _notes) = start(&rt).await;
    let mut events = rt.events();
    let hold = job(|_, _| Box::pin(std::future::pending()));
    let send = async {
        server.cast(hold);
        settled().await;
        server.cast(note("left"));
        rt.send(server.pid().unwrap(), b"left".to_vec());
        rt.kill(server.pid().unwrap());
    };
    rt.with_metadata(Id(7), send).await;
    let Some(LifecycleEvent::LeftUnhandled { casts, messages, calls, .. }) = events.next().await
    else {
        panic!("two messages were left")
    };
    assert_eq!((calls, casts, messages), (0, 1, 1));
}

/// A cast that a handler gave to `continue_with` does not change an idle time-out, with metadata or
/// without.
#[tokio::test(start_paused = true)]
async fn a_continued_cast_with_metadata_keeps_the_idle_timeout() {
    for id in [None, Some(Id(7))] {
        let rt = Runtime::new();
        let (server, mut notes) = start(&rt).await;
        let act = job(|_, ctx| {
            Box::pin(async {
                ctx.idle_timeout(SECOND);
                ctx.continue_with(note("continued"));
            })
        });
        match id {
            Some(id) => _ = rt.with_metadata(id, async { server.cast(act) }).await,
            None => _ = server.cast(act),
        }
        tokio::time::sleep(2 * SECOND).await;
        let id = id.map(|id| id.0);
        assert_eq!(all(&mut notes).await, [noted("continued", id), noted("idle", None)]);
    }
}
