//! All that reports a process gives it the same path.

use crate::support;

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{ChildSpec, Events, Health, LifecycleEvent, Observed, Runtime, Supervisor};
use support::crash;

/// Waits on another thread until a process is reported that does not yield, and then releases it.
fn path_of_long_poll(mut events: Events, release: mpsc::Sender<()>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
        loop {
            let event = tokio.block_on(events.next()).expect("the runtime lives");
            if let LifecycleEvent::LongPoll { path, .. } = event {
                release.send(()).unwrap();
                return path.expect("it is in a tree").to_string();
            }
        }
    })
}

/// Makes a child that crashes with the first message, after it has blocked its thread.
fn child(id: &str, released: mpsc::Receiver<()>) -> ChildSpec {
    let released = Arc::new(Mutex::new(released));
    ChildSpec::task(id, move |mut ctx| {
        let released = released.clone();
        async move {
            ctx.recv().await;
            released.lock().unwrap().recv().unwrap();
            Err::<(), _>(crash("no luck"))
        }
    })
}

async fn path_of_crash(events: &mut Events) -> String {
    loop {
        if let Some(LifecycleEvent::CrashReport(report)) = events.next().await {
            return report.path.to_string();
        }
    }
}

#[tokio::test]
async fn all_reports_of_a_process_have_the_same_path() {
    let ids = [("", "app/\"\""), ("a/b", "app/a%2Fb"), ("50%", "app/50%25"), ("old", "app/old")];
    for (id, expected) in ids {
        let rt = Runtime::new();
        let (release, released) = mpsc::channel();
        let child = child(id, released);
        let app = Supervisor::one_for_one().named("app").child(child).start(&rt).await.unwrap();
        let pid = app.which_child(id).await.unwrap().pid().unwrap();
        if id == "old" {
            assert!(rt.set_label(pid, "new"));
        }
        let mut observation = app.observe().unwrap();
        let Some(Observed::Picture(picture)) = observation.next().await else { panic!() };
        assert_eq!(picture.nodes[1].path, expected);
        assert_eq!(rt.process_detail(pid).unwrap().path.unwrap(), expected);
        rt.set_health(pid, Health::Starting);
        rt.watch_polls(Duration::from_millis(20)).unwrap();
        let (long_poll, mut events) = (path_of_long_poll(rt.events(), release), rt.events());
        let ended = rt.ended(pid);
        rt.send(pid, Vec::new());
        ended.await;
        assert_eq!(long_poll.join().unwrap(), expected);
        assert_eq!(path_of_crash(&mut events).await, expected);
        app.stop().await.unwrap();
        let mut seen = Vec::new();
        while let Some(Some(Observed::Change(change))) = observation.next().now_or_never() {
            if change.path != "app" {
                assert_eq!(change.path, expected, "{change}");
                seen.push(change.kind.name());
            }
        }
        assert!(seen.contains(&"health") && seen.contains(&"ended"), "{seen:?}");
    }
}
