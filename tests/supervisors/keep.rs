//! State that survives a restart.

use crate::support;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regrow::{
    ChildSpec, ExitReason, Keep, KeepGuard, Restart, Result, Runtime, Shutdown, StartCause,
    Supervisor,
};
use support::OnDrop;
use support::injected_panics::hush_injected_panics;
use support::kinds::only_end;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

const HOUR: Duration = Duration::from_secs(3600);

/// Returns a kept list, and the number of its creations.
fn counted() -> (Keep<Vec<u32>>, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let keep = Keep::with(move || {
        count.fetch_add(1, Ordering::SeqCst);
        Vec::new()
    });
    (keep, made)
}

/// How a body that borrows the value ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Returns,
    Fails,
    Panics,
    Killed,
}

const ENDS: [End; 4] = [End::Returns, End::Fails, End::Panics, End::Killed];

/// Reports the list that it found, adds a number to it, and ends in this way.
async fn borrow(mut list: KeepGuard<Vec<u32>>, end: End, say: Say) -> Result {
    say.send(list.clone())?;
    let next = list.len() as u32;
    list.push(next);
    match end {
        End::Returns => Ok(()),
        End::Fails => Err("fails".into()),
        End::Panics => panic!("{}", support::injected_panics::BOOM),
        End::Killed => std::future::pending().await,
    }
}

type Say = UnboundedSender<Vec<u32>>;

/// The value is created once, and survives every kind of end of an incarnation.
#[tokio::test]
async fn a_kept_value_survives_every_kind_of_restart() {
    hush_injected_panics();
    for end in ENDS {
        let rt = Runtime::new();
        let (say, mut said) = unbounded_channel();
        let (keep, made) = counted();
        let child =
            ChildSpec::task(
                "child",
                move |_| async move { borrow(keep.lend().await?, end, say).await },
            );
        let spec = Supervisor::one_for_one().intensity(3, HOUR).child(child);
        let tree = spec.start(&rt).await.unwrap();
        for found in [vec![], vec![0], vec![0, 1], vec![0, 1, 2]] {
            assert_eq!(said.recv().await, Some(found), "{end:?}");
            if end == End::Killed {
                let child = tree.which_child("child").await.unwrap();
                rt.kill(child.pid().unwrap());
            }
        }
        tree.ended().await;
        assert_eq!(made.load(Ordering::SeqCst), 1, "{end:?}");
    }
}

/// A blocking child can borrow the value from its thread.
#[tokio::test]
async fn a_blocking_child_can_borrow_a_kept_value() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let (keep, _) = counted();
    let child = ChildSpec::blocking("child", move |ctx| {
        let Some(list) = ctx.block_on(keep.lend()) else { return Ok(()) };
        let mut list = list?;
        say.send(list.clone())?;
        list.push(7);
        Err("again".into())
    });
    only_end(&rt, child.clone()).await;
    only_end(&rt, child).await;
    assert_eq!((said.recv().await, said.recv().await), (Some(vec![]), Some(vec![7])));
}

/// Only a panic discards the value, and only if the value was created with `discard_on_panic`.
#[tokio::test]
async fn discard_on_panic_discards_the_value_only_after_a_panic() {
    hush_injected_panics();
    for end in [End::Returns, End::Fails, End::Panics] {
        let rt = Runtime::new();
        let (say, mut said) = unbounded_channel();
        let (keep, made) = counted();
        let keep = keep.discard_on_panic();
        let child =
            ChildSpec::task(
                "child",
                move |_| async move { borrow(keep.lend().await?, end, say).await },
            );
        only_end(&rt, child.clone()).await;
        only_end(&rt, child).await;
        assert_eq!(said.recv().await, Some(vec![]));
        let left = if end == End::Panics { vec![] } else { vec![0] };
        assert_eq!(said.recv().await, Some(left), "{end:?}");
        assert_eq!(made.load(Ordering::SeqCst), if end == End::Panics { 2 } else { 1 });
    }
}

/// A child resets the value itself. This is the way for a server, and for a child that keeps a
/// value only after a clean end.
#[tokio::test]
async fn a_child_may_reset_its_kept_value_after_a_crash() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let (keep, _) = counted();
    let child = ChildSpec::task("child", move |ctx| async move {
        if let StartCause::Restart { previous, .. } = ctx.start_cause()
            && !previous.is_clean()
        {
            assert!(keep.reset().await);
        }
        borrow(keep.lend().await?, End::Killed, say).await
    });
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    for _ in 0..2 {
        assert_eq!(said.recv().await, Some(vec![]));
        rt.kill(tree.which_child("child").await.unwrap().pid().unwrap());
    }
    assert_eq!(said.recv().await, Some(vec![]));
}

/// If the creation fails, the child fails with the same error, and the next incarnation tries
/// again.
#[tokio::test]
async fn a_failed_creation_of_a_kept_value_is_retried_by_the_next_borrow() {
    let rt = Runtime::new();
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    let keep = Keep::new(move || {
        let first = count.fetch_add(1, Ordering::SeqCst) == 0;
        async move { if first { Err(io::Error::other("in use")) } else { Ok(7) } }
    });
    let (say, mut said) = unbounded_channel();
    let child = ChildSpec::task("child", move |_| async move {
        say.send(keep.get().await?)?;
        Ok(())
    });
    let reason = only_end(&rt, child.clone()).await;
    let crash = reason.crash().unwrap();
    assert_eq!(crash.downcast_ref::<io::Error>().unwrap().to_string(), "in use");
    assert_eq!(only_end(&rt, child).await, ExitReason::Normal);
    assert_eq!(said.recv().await, Some(7));
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

/// A child that is killed during the creation leaves no partly created value.
#[tokio::test]
async fn a_dropped_creation_of_a_kept_value_leaves_none() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let keep = Keep::new(move || {
        say.send("making").unwrap();
        std::future::pending::<io::Result<u8>>()
    });
    let lent = keep.clone();
    let child = ChildSpec::task("child", move |_| async move { lent.get().await.map(drop) });
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    assert_eq!(said.recv().await, Some("making"));
    assert!(format!("{keep:?}").contains("lent out"));
    rt.kill(tree.which_child("child").await.unwrap().pid().unwrap());
    assert_eq!(said.recv().await, Some("making"));
    tree.stop().await.unwrap();
    assert!(format!("{keep:?}").contains("not made"));
    assert!(!keep.reset().await);
}

/// The value lives as long as the child specification that its supervisor keeps.
#[tokio::test]
async fn a_kept_value_is_dropped_with_its_child_spec() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let make = |name: &'static str, say: &UnboundedSender<String>| {
        let (made, gone) = (say.clone(), say.clone());
        let keep = Keep::with(move || {
            made.send(format!("{name} made")).unwrap();
            let gone = gone.clone();
            OnDrop::new(move || drop(gone.send(format!("{name} gone"))))
        });
        ChildSpec::task(name, move |mut ctx| async move {
            let _kept = keep.lend().await?;
            drop(ctx.recv().await);
            Ok(())
        })
    };
    let transient = make("a", &say).restart(Restart::Transient);
    let temporary = make("b", &say).restart(Restart::Temporary);
    let spec = Supervisor::one_for_one().child(make("c", &say)).child(transient).child(temporary);
    let tree = spec.start(&rt).await.unwrap();
    let mut next = async || said.recv().await.unwrap();
    assert_eq!((next().await, next().await, next().await).2, "b made");
    let pid = async |id| tree.which_child(id).await.unwrap().pid().unwrap();

    rt.send(pid("b").await, Vec::new());
    assert_eq!(next().await, "b gone", "forgotten when it ended");
    let ended = rt.ended(pid("a").await);
    rt.send(pid("a").await, Vec::new());
    ended.await;
    tree.restart_child("a").await.unwrap();
    tree.terminate_child("a").await.unwrap();
    tree.delete_child("a").await.unwrap();
    assert_eq!(next().await, "a gone", "and not made again by its second incarnation");
    tree.stop().await.unwrap();
    assert_eq!(next().await, "c gone");
}

/// A client that connects between two incarnations is served by the second.
#[tokio::test]
async fn a_kept_port_stays_open_through_restarts() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let port = Keep::new(|| async { TcpListener::bind("127.0.0.1:0").await.map(Arc::new) });
    let (open, gate) = tokio::sync::watch::channel(true);
    let server = ChildSpec::task("server", move |_| async move {
        let mut gate = gate;
        gate.wait_for(|open| *open).await?;
        let port = port.get().await?;
        say.send(port.local_addr()?)?;
        drop(port.accept().await?);
        Err(ExitReason::crashed("after each client"))
    });
    let spec = Supervisor::one_for_one().intensity(9, HOUR).child(server);
    let tree = spec.start(&rt).await.unwrap();
    let address = said.recv().await.unwrap();
    open.send(false).unwrap();
    TcpStream::connect(address).await.unwrap();
    let between = TcpStream::connect(address).await.unwrap();
    open.send(true).unwrap();
    assert_eq!(said.recv().await, Some(address));
    assert_eq!(said.recv().await, Some(address), "it served the second, too");
    drop(between);
    tree.stop().await.unwrap();
}

/// Siblings that share a value take turns, and a group restart loses nothing of it.
#[tokio::test]
async fn siblings_can_share_a_kept_value_through_a_group_restart() {
    let rt = Runtime::new();
    let (say, mut said) = unbounded_channel();
    let (keep, made) = counted();
    let sibling = |id: &'static str| {
        let (keep, say) = (keep.clone(), say.clone());
        ChildSpec::task(id, move |mut ctx| async move {
            keep.lend().await?.push(1);
            say.send(keep.lend().await?.len())?;
            drop(ctx.recv().await);
            Err("as asked".into())
        })
        .shutdown(Shutdown::BrutalKill)
    };
    let spec = Supervisor::one_for_all().child(sibling("a")).child(sibling("b"));
    let tree = spec.start(&rt).await.unwrap();
    while said.recv().await != Some(2) {}
    rt.send(tree.which_child("a").await.unwrap().pid().unwrap(), Vec::new());
    while said.recv().await != Some(4) {}
    tree.stop().await.unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

/// A value that exists already is lent as any other, and each use after it was dropped fails.
#[tokio::test]
async fn a_kept_value_that_existed_already_is_not_constructed_again() {
    let keep = Keep::of(String::from("one"));
    keep.lend().await.unwrap().push('!');
    assert_eq!(keep.get().await.unwrap(), "one!");
    assert_eq!(keep.lend().await.unwrap().take(), "one!");
    let gone = keep.lend().await.unwrap_err();
    assert!(gone.to_string().contains("`Keep::of` has been dropped"), "{gone}");
    assert_eq!(keep.get().await.unwrap_err(), gone);
    assert!(!keep.reset().await);
}

/// A web server that is restarted keeps its port, and the next incarnation answers a client that
/// connected in between.
#[cfg(feature = "axum")]
#[tokio::test]
async fn a_kept_listener_is_served_by_axum_through_a_restart() {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn ask(mut client: TcpStream) -> String {
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        answer
    }

    let rt = Runtime::new();
    let keep = Keep::new(|| TcpListener::bind("127.0.0.1:0"));
    let address = keep.lend().await.unwrap().local_addr().unwrap();
    let (open, gate) = tokio::sync::watch::channel(true);
    let web = ChildSpec::serve("web", move |shutdown| {
        let (keep, mut gate) = (keep.clone(), gate.clone());
        async move {
            gate.wait_for(|open| *open).await?;
            let app = Router::new().route("/", get(async || "hello"));
            axum::serve(keep.lend().await?, app).with_graceful_shutdown(shutdown).await?;
            Ok::<_, ExitReason>(())
        }
    });
    let tree = Supervisor::one_for_one().child(web).start(&rt).await.unwrap();
    assert!(ask(TcpStream::connect(address).await.unwrap()).await.ends_with("hello"));

    open.send(false).unwrap();
    let web = tree.which_child("web").await.unwrap().pid().unwrap();
    let ended = rt.ended(web);
    rt.kill(web);
    assert_eq!(ended.await, ExitReason::Killed);
    let between = TcpStream::connect(address).await.unwrap();
    open.send(true).unwrap();
    assert!(ask(between).await.ends_with("hello"));
    tree.stop().await.unwrap();
}
