//! Exits from the pid of a dynamic child: the end of the child, or an exit that the child sends while
//! it runs.

use crate::support;

use std::future::pending;
use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, DynamicSupervisorRef, GenServer, Result, Runtime, ServerContext,
};
use support::{crash, settled};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Sends an exit to the process that has the name `jobs`. The sender is the process that runs this.
fn send_exit(rt: &Runtime) {
    assert!(rt.exit(rt.whereis("jobs").unwrap(), crash("sent")));
}

async fn jobs(rt: &Runtime) -> DynamicSupervisorRef {
    DynamicSupervisor::new().named("jobs").start(rt).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_a_running_child_sends_to_its_supervisor_is_not_its_end() {
    let rt = Runtime::new();
    let jobs = jobs(&rt).await;
    let body = |mut ctx: regrow::TaskContext| async move {
        send_exit(&ctx.runtime());
        ctx.recv().await;
        send_exit(&ctx.runtime());
        Err(crash("true"))
    };
    let pid = jobs.start_child(ChildSpec::task("sender", body)).await.unwrap();
    settled().await;
    let children = jobs.which_children().await.unwrap();
    assert_eq!((children.len(), children[0].pid(), children[0].restarts), (1, Some(pid), 0));
    assert!(rt.is_alive(pid));
    rt.send(pid, b"end".to_vec());
    settled().await;
    let children = jobs.which_children().await.unwrap();
    let reasons: Vec<_> = children[0].history.iter().map(|run| run.reason.clone()).collect();
    assert_eq!((children.len(), children[0].restarts, reasons), (1, 1, vec![crash("true")]));
    assert_eq!(rt.process_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_a_stopping_child_sends_does_not_finish_its_stop() {
    let rt = Runtime::new();
    let jobs = jobs(&rt).await;
    let body = |mut ctx: regrow::TaskContext| async move {
        ctx.shutdown().await;
        send_exit(&ctx.runtime());
        sleep(SECOND).await;
        Ok(())
    };
    let pid = jobs.start_child(ChildSpec::task("sender", body)).await.unwrap();
    let began = Instant::now();
    assert_eq!(jobs.terminate_child(pid).await, Ok(()));
    assert_eq!((rt.is_alive(pid), began.elapsed()), (false, SECOND));
}

/// A server that sends its supervisor an exit in `init`, before the supervisor knows its pid.
struct SendsInInit;

impl GenServer for SendsInInit {
    type Args = ();
    type Call = ();
    type Cast = ();

    async fn init((): (), ctx: &mut ServerContext<Self>) -> Result<Self> {
        send_exit(&ctx.runtime());
        sleep(SECOND).await;
        Ok(SendsInInit)
    }
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_a_child_sends_while_it_starts_is_not_its_end() {
    let rt = Runtime::new();
    let jobs = jobs(&rt).await;
    let pid = jobs.start_child(SendsInInit::child(())).await.unwrap();
    settled().await;
    let children = jobs.which_children().await.unwrap();
    assert_eq!((children.len(), children[0].pid(), children[0].restarts), (1, Some(pid), 0));
    assert_eq!(rt.process_count(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_unlink_does_not_hide_the_end_of_a_dynamic_child() {
    let rt = Runtime::new();
    let jobs = jobs(&rt).await;
    let pid = jobs.start_child(ChildSpec::task("job", |_| pending())).await.unwrap();
    rt.unlink(jobs.pid().unwrap(), pid);
    rt.kill(pid);
    settled().await;
    let children = jobs.which_children().await.unwrap();
    assert_eq!((children.len(), children[0].restarts), (1, 1));
    assert!(children[0].pid().is_some_and(|new| new != pid && rt.is_alive(new)));
}
