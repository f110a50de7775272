//! Servers that are suspended and resumed by a request from outside.

use super::control::control;
use crate::support;

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    CallError, ChildError, ChildSpec, ControlAction, ControlError, ControlRequest, GenServer,
    LifecycleEvent, Reply, Result, Runtime, ServerContext, ServerRef, Supervisor, SupervisorRef,
};
use support::settled;
use tokio::runtime::Builder;

const SECOND: Duration = Duration::from_secs(1);

/// Answers calls. A cast takes its time.
struct Room;

impl GenServer for Room {
    type Args = ();
    type Call = Reply<()>;
    type Cast = Duration;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Room)
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, takes: Duration, _: &mut ServerContext<Self>) -> Result {
        tokio::time::sleep(takes).await;
        Ok(())
    }
}

async fn app(rt: &Runtime) -> (SupervisorRef, ServerRef<Room>) {
    let task = ChildSpec::task("task", |_| pending());
    let app = Supervisor::one_for_one().named("app").child(Room::child(()).with_id("room"));
    let tree = app.child(task).start(rt).await.unwrap();
    let picture = rt.observe().picture().await;
    let room = rt.server_at(picture.find("app/room").unwrap().pid.unwrap()).unwrap();
    (tree, room)
}

#[tokio::test(start_paused = true)]
async fn a_suspended_server_runs_no_handler_until_it_is_resumed() {
    let rt = Runtime::new();
    let (_tree, room) = app(&rt).await;
    for _ in 0..2 {
        control(&rt, ControlAction::Suspend, "app/room").await.unwrap();
        assert!(room.get_status().await.unwrap().suspended);
        assert!(rt.process_detail(room.pid().unwrap()).unwrap().suspended);
    }
    assert_eq!(room.call(|reply| reply).await, Err(CallError::Timeout));
    for _ in 0..2 {
        control(&rt, ControlAction::Resume, "app/room").await.unwrap();
        assert!(!room.get_status().await.unwrap().suspended);
    }
    room.call(|reply| reply).await.unwrap();
}

/// A request that is withdrawn is not carried out when the handler has returned.
#[tokio::test(start_paused = true)]
async fn a_server_whose_handler_runs_too_long_is_not_suspended_later() {
    let rt = Runtime::new();
    let (_tree, room) = app(&rt).await;
    room.cast(4 * SECOND);
    control(&rt, ControlAction::Suspend, "app/room").await.unwrap();
    control(&rt, ControlAction::Resume, "app/room").await.unwrap();
    room.cast(6 * SECOND);
    let late = control(&rt, ControlAction::Suspend, "app/room").await;
    assert_eq!(late, Err(ControlError::NotBegun));
    room.call(|reply| reply).await.unwrap();
}

/// A suspension that was carried out is not reported as refused, also if tokio shuts down before the
/// answer has arrived.
#[test]
fn a_suspension_that_was_carried_out_as_tokio_shuts_down_is_not_refused() {
    let tokio = || {
        let mut tokio = Builder::new_current_thread();
        // The main task has a turn after each other task.
        tokio.enable_time().start_paused(true).event_interval(1).build().unwrap()
    };
    let inside = tokio();
    let (mut events, asked) = inside.block_on(async {
        let rt = Runtime::new();
        let (_tree, room) = app(&rt).await;
        let room = room.pid().unwrap();
        let picture = rt.observe().picture().await;
        let request = ControlRequest::new(ControlAction::Suspend);
        let request = request.of(picture.find("app/room").unwrap());
        let (events, runtime) = (rt.events(), rt.clone());
        let mut asked = Box::pin(async move { runtime.control(request).await });
        assert!(asked.as_mut().now_or_never().is_none());
        while !rt.process_detail(room).unwrap().suspended {
            tokio::task::yield_now().await;
        }
        (events, asked)
    });
    drop(inside);
    tokio().block_on(async {
        assert_eq!(asked.await, Err(ControlError::Unfinished));
        loop {
            if let Some(LifecycleEvent::Control { outcome, .. }) = events.next().await {
                return assert_eq!(outcome.name(), "unfinished");
            }
        }
    });
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_before_it_is_suspended_is_an_error() {
    let rt = Runtime::new();
    let (_tree, room) = app(&rt).await;
    room.cast(60 * SECOND);
    let (suspended, ()) = tokio::join!(control(&rt, ControlAction::Suspend, "app/room"), async {
        settled().await;
        rt.kill(room.pid().unwrap());
    });
    let ended = ControlError::Child(ChildError::Unreachable(CallError::NoProc));
    assert_eq!(suspended, Err(ended));
}

#[tokio::test(start_paused = true)]
async fn processes_that_are_no_servers_and_supervisors_are_not_suspended() {
    let rt = Runtime::new();
    let (tree, _room) = app(&rt).await;
    let refused = control(&rt, ControlAction::Suspend, "app/task").await;
    assert!(matches!(refused, Err(ControlError::NotAServer(_))), "{refused:?}");
    let refused = control(&rt, ControlAction::Suspend, "app").await;
    assert_eq!(refused, Err(ControlError::IsSupervisor(tree.pid().unwrap())));
}
