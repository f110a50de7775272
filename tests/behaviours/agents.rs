//! Agents: what closures do to the value, and what becomes of a closure and its caller if the other
//! side ends at any step.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use regrow::{
    Agent, AgentCall, AgentRef, Backoff, CallError, ExitReason, Name, Overflow, Restart, Runtime,
    StartError, Supervisor,
};
use support::{OnDrop, killed, settled};
use tokio::sync::oneshot;

const SECOND: Duration = Duration::from_secs(1);
const NUMBERS: Name<Agent<Vec<u32>>> = Name::new("numbers");

async fn numbers(rt: &Runtime) -> AgentRef<Vec<u32>> {
    Agent::start(rt, Vec::new).await.unwrap()
}

fn crash_text(error: &CallError) -> String {
    match error {
        CallError::Exited(reason) => reason.crash().expect("a crash").message().to_owned(),
        other => panic!("not the crash: {other:?}"),
    }
}

/// AGT-001
#[tokio::test(start_paused = true)]
async fn an_agent_applies_closures_in_order_and_is_gone_after_its_stop() {
    let rt = Runtime::new();
    let agent = Agent::start(&rt, || 40).await.unwrap();
    assert_eq!(agent.update(|n| *n += 1).await, Ok(()));
    assert_eq!(agent.get(|n| *n).await, Ok(41));
    assert_eq!(agent.update(|n| std::mem::replace(n, 7)).await, Ok(41));
    assert_eq!(agent.get(|n| *n).await, Ok(7));
    assert_eq!(agent.stop(ExitReason::Normal).await, Ok(ExitReason::Normal));
    assert_eq!(agent.get(|n| *n).await, Err(CallError::NoProc));
    assert_eq!(rt.process_count(), 0);
}

/// AGT-002
#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_ends_the_agent_and_its_caller_gets_the_crash() {
    let rt = Runtime::new();
    let reader = numbers(&rt).await;
    let error = reader.get(|list| list[3]).await.unwrap_err();
    assert!(crash_text(&error).contains("index is 3"), "{error:?}");
    assert_eq!(reader.get(Vec::len).await, Err(CallError::NoProc));

    let writer = numbers(&rt).await;
    let panics = |list: &mut Vec<u32>| {
        list.push(1);
        panic!("half done");
    };
    let error = writer.update::<()>(panics).await.unwrap_err();
    assert_eq!(crash_text(&error), "half done");

    let caster = numbers(&rt).await;
    let ended = caster.ended();
    assert!(caster.cast(|_| panic!("as a cast")));
    assert_eq!(ended.await.crash().unwrap().message(), "as a cast");
    assert_eq!(rt.process_count(), 0);
}

/// AGT-004
#[tokio::test(start_paused = true)]
async fn a_get_sees_all_casts_of_its_process_before_it_in_order() {
    let rt = Runtime::new();
    let agent = numbers(&rt).await;
    for n in 0..50 {
        assert!(agent.cast(move |list| list.push(n)));
    }
    assert_eq!(agent.get(Clone::clone).await.unwrap(), (0..50).collect::<Vec<_>>());
}

/// AGT-007
#[tokio::test(start_paused = true)]
async fn a_supervised_agent_restarts_with_its_initial_value_under_its_name() {
    let rt = Runtime::new();
    let child = Agent::child(|| vec![1_u32]).named(NUMBERS);
    assert_eq!(child.id(), "Agent<Vec<u32>>");
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let agent = rt.agent(NUMBERS);
    let first = agent.pid();
    agent.update(|list| list.push(2)).await.unwrap();
    assert!(agent.get(|list| list[9]).await.is_err());
    assert_eq!(agent.get_waiting(Clone::clone, SECOND).await, Ok(vec![1]));
    assert_ne!(agent.pid(), first);
    tree.stop().await.unwrap();
    assert_eq!(agent.get(Vec::len).await, Err(CallError::NoHolder("numbers".into())));
}

#[tokio::test(start_paused = true)]
async fn a_specification_of_an_agent_can_be_changed_as_any_other() {
    let rt = Runtime::new();
    let temporary = Agent::child(|| 1_u8).with_id("first").restart(Restart::Temporary);
    let second = Agent::spec(|| 2_u8).label("second").named("second");
    let tree = Supervisor::one_for_one().child(temporary).child(second).start(&rt).await.unwrap();
    let children = tree.which_children().await.unwrap();
    assert_eq!([&*children[0].id, &*children[1].id], ["first", "second"]);
    killed(&rt, children[0].pid().unwrap()).await;
    settled().await;
    assert_eq!(tree.count_children().await.unwrap().active, 1);
    assert_eq!(rt.agent::<u8>("second").get(|n| *n).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_closure_panics_fails_and_leaves_nothing() {
    let rt = Runtime::new();
    let error = Agent::<u8>::start(&rt, || panic!("no value")).await.unwrap_err();
    let StartError::Failed(reason) = error else { panic!("{error:?}") };
    assert_eq!(reason.crash().unwrap().message(), "no value");
    let named = Agent::start_named(&rt, NUMBERS, || panic!("no list")).await;
    assert!(named.is_err());
    assert_eq!((rt.process_count(), rt.whereis("numbers")), (0, None));
}

#[tokio::test(start_paused = true)]
async fn a_start_under_a_held_name_does_not_run_its_closure() {
    let rt = Runtime::new();
    let first = Agent::start_named(&rt, NUMBERS, || vec![1]).await.unwrap();
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = ran.clone();
    let init = move || {
        runs.fetch_add(1, Ordering::SeqCst);
        Vec::new()
    };
    let error = Agent::start_named(&rt, NUMBERS, init).await.unwrap_err();
    let (name, pid) = ("numbers".to_owned(), first.pid().unwrap());
    assert_eq!(error, StartError::AlreadyStarted { name, pid });
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert_eq!(rt.agent::<u8>("numbers").get(|n| *n).await, Err(CallError::WrongType));
}

#[tokio::test(start_paused = true)]
async fn a_closure_whose_caller_has_timed_out_still_runs() {
    let rt = Runtime::new();
    let agent = numbers(&rt).await;
    agent.server().suspend().await.unwrap();
    let push = |list: &mut Vec<u32>| list.push(1);
    assert_eq!(agent.update_timeout(push, SECOND).await, Err(CallError::Timeout));
    let start = tokio::time::Instant::now();
    assert_eq!(agent.get(Vec::len).await, Err(CallError::Timeout));
    assert_eq!(start.elapsed(), 5 * SECOND);
    agent.server().resume().await.unwrap();
    assert_eq!(agent.get(Clone::clone).await, Ok(vec![1]));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_never_polled_has_no_effect() {
    let rt = Runtime::new();
    let agent = numbers(&rt).await;
    drop(agent.update(|list| list.push(1)));
    assert_eq!(agent.get(Vec::len).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_request_to_a_dead_agent_fails_and_drops_its_closure_uncalled() {
    let rt = Runtime::new();
    let agent = numbers(&rt).await;
    killed(&rt, agent.pid().unwrap()).await;
    let dropped = Arc::new(AtomicUsize::new(0));
    let closure = || {
        let dropped = dropped.clone();
        let guard = OnDrop::new(move || _ = dropped.fetch_add(1, Ordering::SeqCst));
        move |_: &mut Vec<u32>| {
            let _guard = &guard;
            panic!("called");
        }
    };
    assert_eq!(agent.update::<()>(closure()).await, Err(CallError::NoProc));
    assert!(!agent.cast(closure()));
    assert_eq!(agent.update_waiting::<()>(closure(), SECOND).await, Err(CallError::NoProc));
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}

#[tokio::test(start_paused = true)]
async fn a_kill_drops_the_queued_closures_and_their_callers_get_the_reason() {
    let rt = Runtime::new();
    let agent = numbers(&rt).await;
    agent.server().suspend().await.unwrap();
    let callers: Vec<_> = (0..3)
        .map(|n| {
            let agent = agent.clone();
            tokio::spawn(async move { agent.update(move |list| list.push(n)).await })
        })
        .collect();
    settled().await;
    assert!(agent.cast(|list| list.clear()));
    killed(&rt, agent.pid().unwrap()).await;
    for caller in callers {
        let answer = caller.await.unwrap();
        assert_eq!(answer, Err(CallError::Exited(ExitReason::Killed)));
    }
    assert_eq!(rt.unhandled_messages(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_stop_has_its_reason_after_what_was_queued_before() {
    let rt = Runtime::new();
    let agent = numbers(&rt).await;
    let (seen, sees) = oneshot::channel();
    assert!(agent.cast(|list| list.push(1)));
    assert!(agent.cast(move |list| drop(seen.send(list.clone()))));
    let stopped = agent.stop_timeout(ExitReason::Shutdown, SECOND).await;
    assert_eq!(stopped, Ok(ExitReason::Shutdown));
    assert_eq!(sees.await, Ok(vec![1]));
    assert!(!agent.cast(Vec::clear));
    assert_eq!(agent.stop(ExitReason::Normal).await, Err(CallError::NoProc));
}

#[tokio::test(start_paused = true)]
async fn a_stop_of_an_agent_that_does_not_take_it_times_out_and_is_carried_out_later() {
    let rt = Runtime::new();
    let agent = Agent::start(&rt, || 0).await.unwrap();
    // The agent does not take the request: this task holds its thread.
    let ended = agent.ended();
    let stop = agent.stop_timeout(ExitReason::Normal, Duration::ZERO);
    assert_eq!(stop.await, Err(CallError::Timeout));
    assert_eq!(ended.await, ExitReason::Normal);
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_calls_its_own_agent_gets_an_error_at_once() {
    for detects_deadlocks in [false, true] {
        let rt = Runtime::new();
        rt.detect_deadlocks(detects_deadlocks);
        let agent = numbers(&rt).await;
        let own = agent.clone();
        let asks_itself = move |_: &Vec<u32>| {
            let asked = own.get(Vec::len).now_or_never();
            let cast = own.cast(|list| list.push(1));
            (asked, cast)
        };
        let (asked, cast) = agent.get(asks_itself).await.unwrap();
        assert_eq!(asked, Some(Err(CallError::CallingSelf)));
        assert!(cast, "a cast to itself is handled after the closure");
        assert_eq!(agent.get(Clone::clone).await, Ok(vec![1]));
    }
}

/// Panics when it is dropped.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_no_caller_waits_for_cannot_end_the_agent() {
    let rt = Runtime::new();
    let agent = numbers(&rt).await;
    agent.server().suspend().await.unwrap();
    let waited = agent.get_timeout(|_| PanicsOnDrop, SECOND).await;
    assert_eq!(waited.err(), Some(CallError::Timeout));
    agent.server().resume().await.unwrap();
    assert_eq!(agent.get(Vec::len).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_refuses_closures_and_runs_none_of_them() {
    let rt = Runtime::new();
    let spec = Agent::spec(|| 0).mailbox_capacity(1, Overflow::Reject);
    let agent = AgentRef::from(spec.start(&rt).await.unwrap());
    agent.server().suspend().await.unwrap();
    assert!(agent.cast(|n| *n += 1));
    assert!(!agent.cast(|n| *n += 10));
    assert_eq!(agent.update(|n| *n += 100).await, Err(CallError::Overloaded));
    agent.server().resume().await.unwrap();
    assert_eq!(agent.server().peek(|agent| *agent.state()).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn a_closure_waits_for_the_successor_of_its_agent_and_runs_once() {
    let rt = Runtime::new();
    let backoff = Backoff::new().first(SECOND).jitter(0.0);
    let tree = Supervisor::one_for_one();
    let tree = tree.child(Agent::child(Vec::<u32>::new).named(NUMBERS).backoff(backoff));
    let _tree = tree.start(&rt).await.unwrap();
    let agent = rt.agent(NUMBERS);
    killed(&rt, agent.pid().unwrap()).await;
    let restarting = agent.update(|list| list.push(1)).await;
    assert!(matches!(restarting, Err(CallError::Restarting { .. })), "{restarting:?}");
    let push = |list: &mut Vec<u32>| {
        list.push(2);
        list.clone()
    };
    let early = agent.update_waiting(push, SECOND / 10).await;
    assert!(matches!(early, Err(CallError::Restarting { .. })), "{early:?}");
    assert_eq!(agent.update_waiting(push, 5 * SECOND).await, Ok(vec![2]));
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_crashes_its_agent_is_not_repeated_by_a_waiting_request() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(Agent::child(Vec::<u32>::new).named(NUMBERS));
    let _tree = tree.start(&rt).await.unwrap();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let crashes = move |_: &mut Vec<u32>| {
        counted.fetch_add(1, Ordering::SeqCst);
        panic!("as asked");
    };
    let error = rt.agent(NUMBERS).update_waiting::<()>(crashes, 5 * SECOND).await.unwrap_err();
    assert_eq!(crash_text(&error), "as asked");
    settled().await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_thread_calls_an_agent_without_async_code() {
    let rt = Runtime::new();
    let agent = Agent::start(&rt, || 40).await.unwrap();
    let thread = move || {
        let add = |reply| {
            AgentCall::update(
                |n: &mut i32| {
                    *n += 2;
                    *n
                },
                reply,
            )
        };
        agent.server().call_blocking(add, 10 * SECOND)
    };
    assert_eq!(tokio::task::spawn_blocking(thread).await.unwrap(), Ok(42));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_of_many_tasks_are_all_made() {
    let rt = Runtime::new();
    let agent = Agent::start(&rt, || 0).await.unwrap();
    let tasks = (0..4).map(|_| {
        let agent = agent.clone();
        tokio::spawn(async move {
            for _ in 0..500 {
                agent.update(|n| *n += 1).await.unwrap();
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
    assert_eq!(agent.get(|n| *n).await, Ok(2_000));
}

/// Four tasks update an agent that crashes and is killed meanwhile. Each closure runs at most once,
/// and exactly once if its caller has a result.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_closure_runs_at_most_once_while_its_agent_crashes_and_is_killed() {
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().intensity(1_000_000, SECOND);
    let tree = tree.child(Agent::child(|| 0_u64).named("stressed")).start(&rt).await.unwrap();
    let agent = rt.agent::<u64>("stressed");
    let tasks = (0..4).map(|task: usize| {
        let (agent, rt) = (agent.clone(), rt.clone());
        tokio::spawn(async move {
            for n in 0..500 {
                let runs = Arc::new(AtomicUsize::new(0));
                let counted = runs.clone();
                let update = move |state: &mut u64| {
                    counted.fetch_add(1, Ordering::SeqCst);
                    assert!(n % 50 != 49, "as asked");
                    *state += 1;
                };
                let updated = agent.update_waiting(update, 60 * SECOND).await;
                let ran = runs.load(Ordering::SeqCst);
                match updated {
                    Ok(()) => assert_eq!(ran, 1),
                    Err(CallError::Exited(_)) => assert!(ran <= 1, "ran {ran} times"),
                    Err(other) => panic!("{other:?}"),
                }
                if task == 0
                    && n % 20 == 0
                    && let Some(pid) = agent.pid()
                {
                    rt.kill(pid);
                }
            }
        })
    });
    join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
    tree.stop().await.unwrap();
    support::assert_nothing_left(&rt).await;
}

/// Waits on this thread, as a closure that must not do so may do nevertheless.
fn waiting<T>(request: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(request))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_whose_closures_wait_for_each_other_get_a_deadlock_error() {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    let first = Agent::start(&rt, || 1).await.unwrap();
    let second = Agent::start(&rt, || 2).await.unwrap();
    let (inner, back) = (second.clone(), first.clone());
    let asked = first.get(move |_| waiting(inner.get(move |_| waiting(back.get(|n| *n))))).await;
    let Ok(Ok(Err(CallError::Deadlock { cycle }))) = asked else { panic!("{asked:?}") };
    let (first_pid, second_pid) = (first.pid().unwrap(), second.pid().unwrap());
    assert_eq!(cycle, [second_pid, first_pid, second_pid]);
    assert_eq!((first.get(|n| *n).await, second.get(|n| *n).await), (Ok(1), Ok(2)));
}
