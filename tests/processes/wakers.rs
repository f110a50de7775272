//! Users' wakers that panic as they are woken: whoever wakes them goes on, and so does everybody
//! else who waits.

use crate::support;

use std::future::{Future, pending};
use std::pin::pin;
use std::task::Context;
use std::time::Duration;

use regrow::{ChildSpec, ExitReason, Runtime, Supervisor};
use support::sleeper::sleeper;
use support::{idler, settled};
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

const HOUR: Duration = Duration::from_secs(3600);

/// Watchers of a group receive by hand, and one of its members dies: its end is whole.
#[tokio::test(start_paused = true)]
async fn a_member_of_a_group_ends_as_it_should() {
    let rt = Runtime::new();
    let (told, mut is_told) = unbounded_channel();
    let sleepers = [true, false].map(sleeper);
    for (_, waker) in sleepers.clone() {
        let told = told.clone();
        rt.spawn(move |mut ctx| async move {
            ctx.runtime().monitor_group(ctx.pid(), "group");
            {
                let receives = pin!(ctx.recv());
                assert!(receives.poll(&mut Context::from_waker(&waker)).is_pending());
                told.send(()).unwrap();
                pending::<()>().await;
            }
        });
    }
    for _ in 0..2 {
        is_told.recv().await.unwrap();
    }
    let member = idler(&rt);
    assert!(rt.register_tag("group", member.pid()));
    member.kill();
    assert_eq!(timeout(HOUR, member.join()).await, Ok(ExitReason::Killed));
    settled().await;
    for (sleeper, _) in sleepers {
        assert_eq!(sleeper.woken(), 1);
    }
}

/// A child waits by hand to be told to stop: its supervisor stops in order.
#[tokio::test(start_paused = true)]
async fn a_supervisor_stops_as_it_should() {
    let rt = Runtime::new();
    let (up, mut is_up) = unbounded_channel();
    let odd = ChildSpec::task("odd", move |mut ctx| {
        let up = up.clone();
        async move {
            let token = ctx.cancellation_token();
            let (_, waker) = sleeper(true);
            let told = pin!(token.cancelled());
            assert!(told.poll(&mut Context::from_waker(&waker)).is_pending());
            up.send(()).unwrap();
            pending().await
        }
    });
    let polite = ChildSpec::task("polite", |_| pending());
    let tree = Supervisor::one_for_one().child(polite).child(odd).start(&rt).await.unwrap();
    is_up.recv().await.unwrap();
    let polite = rt.ended(tree.which_children().await.unwrap()[0].pid().unwrap());
    assert_eq!(tree.stop().await, Ok(ExitReason::Shutdown));
    assert_eq!(polite.await, ExitReason::Shutdown);
}
