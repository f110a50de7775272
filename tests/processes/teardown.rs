//! The order of a teardown, which is the same for every cause: values, names and groups,
//! notifications.

use crate::support;

use std::sync::{Arc, Mutex};

use regrow::{ExitReason, Pid, ProcessHandle, Received, Runtime};
use support::{OnDrop, TestProcess, crash, down, exit};
use tokio::sync::oneshot;

/// The state of the runtime that a value of the body observed while it was dropped.
#[derive(Debug, PartialEq)]
struct Seen {
    alive: bool,
    holder: Option<Pid>,
    members: Vec<Pid>,
    watcher_told: bool,
}

/// A process named "n" in group "g", which is monitored and linked, with a value that records the
/// state of the runtime when it is dropped.
struct Deathbed {
    rt: Runtime,
    process: ProcessHandle,
    go: oneshot::Sender<()>,
    seen: Arc<Mutex<Vec<Seen>>>,
    observer: TestProcess,
    down: Received,
}

/// How a process ends after `go` was sent.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Way {
    Return,
    Panic,
    Kill,
    Signal,
    Cascade,
}

const WAYS: [Way; 5] = [Way::Return, Way::Panic, Way::Kill, Way::Signal, Way::Cascade];

impl Way {
    fn reason(self) -> ExitReason {
        match self {
            Way::Return => ExitReason::Normal,
            Way::Panic => panic!("a panic's reason can't be made"),
            Way::Kill => ExitReason::Killed,
            Way::Signal | Way::Cascade => crash("r"),
        }
    }
}

impl Deathbed {
    async fn prepare(way: Way) -> Deathbed {
        let rt = Runtime::with_mailbox_depth();
        let observer = TestProcess::trapping(&rt);
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (ready, is_ready) = oneshot::channel();
        let (go, going) = oneshot::channel::<()>();
        let look = look_around(&rt, observer.pid(), &seen);
        let process = rt.spawn(move |mut ctx| async move {
            let own = ctx.pid();
            let _value = OnDrop::new(move || look(own));
            ready.send(()).unwrap();
            going.await.unwrap();
            match way {
                Way::Return => {}
                Way::Panic => panic!("boom"),
                _ => drop(ctx.recv().await),
            }
        });
        let pid = process.pid();
        assert!(rt.register("n", pid) && rt.register_tag("g", pid));
        let reference = rt.monitor(observer.pid(), pid);
        let down = down(reference, pid, ExitReason::NoProc);
        assert!(rt.link(observer.pid(), pid));
        is_ready.await.unwrap();
        Deathbed { rt, process, go, seen, observer, down }
    }

    fn end(&self, way: Way) {
        let pid = self.process.pid();
        match way {
            Way::Return | Way::Panic => {}
            Way::Kill => assert!(self.rt.kill(pid)),
            Way::Signal => assert!(self.rt.exit(pid, way.reason())),
            Way::Cascade => {
                let peer = TestProcess::new(&self.rt);
                self.rt.link(pid, peer.pid());
                peer.fail(way.reason());
            }
        }
    }
}

fn look_around(
    rt: &Runtime,
    observer: Pid,
    seen: &Arc<Mutex<Vec<Seen>>>,
) -> impl FnOnce(Pid) + Send + use<> {
    let (rt, seen) = (rt.clone(), Arc::clone(seen));
    move |pid| {
        seen.lock().unwrap().push(Seen {
            alive: rt.is_alive(pid),
            holder: rt.whereis("n"),
            members: rt.whereis_tag("g"),
            watcher_told: rt.info(observer).unwrap().mailbox_depth > 0,
        });
    }
}

/// Guarantee 1, the first half: values are dropped while the process is still alive, with its name
/// and groups, and before its watcher is notified.
#[tokio::test]
async fn values_are_dropped_before_names_are_freed_and_the_end_is_announced() {
    for way in WAYS {
        let bed = Deathbed::prepare(way).await;
        let pid = bed.process.pid();
        bed.end(way);
        bed.go.send(()).unwrap();
        bed.process.join().await;
        let (holder, members) = (Some(pid), vec![pid]);
        let expected = Seen { alive: true, holder, members, watcher_told: false };
        assert_eq!(*bed.seen.lock().unwrap(), [expected], "{way:?}");
    }
}

/// Guarantee 1, the second half: each observer receives one report, and all reports have the same
/// reason.
#[tokio::test]
async fn every_observer_of_an_exit_receives_one_report_with_the_same_reason() {
    for way in WAYS {
        let mut bed = Deathbed::prepare(way).await;
        let pid = bed.process.pid();
        let ended = bed.rt.ended(pid);
        bed.end(way);
        bed.go.send(()).unwrap();
        let told = bed.process.join().await;
        if way == Way::Panic {
            assert_eq!(told.crash().unwrap().message(), "boom");
        } else {
            assert_eq!(told, way.reason());
        }
        assert_eq!(ended.await, told);
        let Received::Down { reference, .. } = bed.down else { unreachable!() };
        let expected = [down(reference, pid, told.clone()), exit(pid, told)];
        assert_eq!(bed.observer.mail().await, expected, "{way:?}");
        assert!(!bed.rt.is_alive(pid));
    }
}

/// SIG-040 and T16. The teardown is complete when a process receives the `Down`.
#[tokio::test]
async fn names_and_groups_are_free_when_the_down_arrives() {
    for way in WAYS {
        let bed = Deathbed::prepare(way).await;
        let pid = bed.process.pid();
        let (report, reported) = oneshot::channel();
        let watcher = bed.rt.spawn(move |mut ctx| async move {
            let rt = ctx.runtime();
            let Received::Down { .. } = ctx.recv().await else { panic!("not a Down") };
            let gone = !rt.is_alive(pid) && rt.info(pid).is_none() && !rt.list().contains(&pid);
            let free = rt.whereis("n").is_none() && rt.whereis_tag("g").is_empty();
            report.send((gone, free, rt.tags(), rt.register("n", ctx.pid()))).unwrap();
        });
        bed.rt.monitor(watcher.pid(), pid);
        bed.end(way);
        bed.go.send(()).unwrap();
        assert_eq!(reported.await, Ok((true, true, vec![], true)), "{way:?}");
    }
}

/// The panic of a destructor is caught. It changes neither the reason nor the rest of the teardown.
#[tokio::test]
async fn a_panicking_destructor_changes_neither_reason_nor_teardown() {
    for way in [Way::Return, Way::Kill, Way::Signal] {
        let rt = Runtime::new();
        let process = rt.spawn(move |mut ctx| async move {
            let _value = OnDrop::new(|| panic!("in the destructor"));
            if way != Way::Return {
                ctx.recv().await;
            }
        });
        if way == Way::Return {
            // The value is dropped while the body is polled, so its panic is a panic of the body.
            let reason = process.join().await;
            assert_eq!(reason.crash().unwrap().message(), "in the destructor");
            continue;
        }
        let (mut observer, pid) = (TestProcess::trapping(&rt), process.pid());
        assert!(rt.register("n", pid) && rt.register_tag("g", pid));
        let reference = rt.monitor(observer.pid(), pid);
        rt.link(observer.pid(), pid);
        tokio::task::yield_now().await;
        if way == Way::Kill {
            rt.kill(pid)
        } else {
            rt.exit(pid, way.reason())
        };
        assert_eq!(process.join().await, way.reason());
        let expected = [down(reference, pid, way.reason()), exit(pid, way.reason())];
        assert_eq!(observer.mail().await, expected);
        assert_eq!((rt.whereis("n"), rt.tags(), rt.is_alive(pid)), (None, vec![], false));
        support::assert_nothing_left(&rt).await;
    }
}

/// A body panics, and its captures panic when they are dropped: the first panic is the reason.
#[tokio::test]
async fn the_first_panic_is_the_reason_when_a_destructor_panics_too() {
    let rt = Runtime::new();
    let value = OnDrop::new(|| panic!("in the destructor"));
    let process = rt.spawn(move |_| {
        let mut value = Some(value);
        std::future::poll_fn(move |_| {
            assert!(value.is_none(), "boom");
            value = None;
            std::task::Poll::Ready(())
        })
    });
    assert_eq!(process.join().await.crash().unwrap().message(), "boom");
    support::assert_nothing_left(&rt).await;
}

/// While the values of a process are dropped, a destructor can send to other processes, end them,
/// spawn, and add names, groups and links to the process. A message to the process is refused.
#[tokio::test]
async fn a_destructor_may_use_the_runtime() {
    let rt = Runtime::new();
    let mut friend = TestProcess::trapping(&rt);
    let (friend_pid, inside) = (friend.pid(), rt.clone());
    let process = rt.spawn(move |mut ctx| async move {
        let own = ctx.pid();
        let _value = OnDrop::new(move || {
            assert!(inside.send(friend_pid, b"farewell".to_vec()));
            assert!(inside.exit(friend_pid, crash("from a destructor")));
            assert!(inside.register("late", own) && inside.register_tag("late", own));
            assert!(inside.link(friend_pid, own));
            assert!(!inside.send(own, b"nobody reads this".to_vec()));
            inside.spawn(|_| async {});
        });
        ctx.recv().await;
    });
    let pid = process.pid();
    tokio::task::yield_now().await;
    rt.exit(pid, crash("r"));
    assert_eq!(process.join().await, crash("r"));
    let farewell = support::text("farewell");
    let expected = [farewell, exit(pid, crash("from a destructor")), exit(pid, crash("r"))];
    assert_eq!(friend.mail().await, expected);
    assert_eq!((rt.whereis("late"), rt.tags()), (None, vec![]));
    support::assert_nothing_left(&rt).await;
}

/// Queued items are dropped too: the writer of a stream learns that its reader is gone.
#[tokio::test]
async fn queued_items_are_dropped_with_their_process() {
    let rt = Runtime::new();
    let process = support::idler(&rt);
    let (writer, reader) = regrow::stream();
    assert!(rt.send_stream(process.pid(), reader));
    assert_eq!(writer.write(b"a".to_vec()).await, Ok(()));
    process.kill();
    process.join().await;
    assert_eq!(writer.write(b"b".to_vec()).await, Err(b"b".to_vec()));
}
