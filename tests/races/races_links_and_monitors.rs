//! Races between links or monitors and the ends of the processes they connect.

use crate::support;

use regrow::{ExitReason, Pid, Received, Runtime};
use support::race::race;
use support::{TestProcess, crash, down, exit, idler, text};
use tokio::sync::oneshot;

fn pair(rt: &Runtime) -> (TestProcess, TestProcess) {
    (TestProcess::new(rt), TestProcess::new(rt))
}

fn trapping_pair(rt: &Runtime) -> (TestProcess, TestProcess) {
    (TestProcess::trapping(rt), TestProcess::new(rt))
}

fn linked_pair(rt: &Runtime) -> (TestProcess, TestProcess) {
    let (a, b) = pair(rt);
    assert!(rt.link(a.pid(), b.pid()));
    (a, b)
}

/// Returns the reason of a process that was sent a fatal signal. Fails, instead of waiting for
/// ever, if the process is alive.
async fn dies(rt: &Runtime, test_process: &TestProcess) -> ExitReason {
    assert!(!rt.send(test_process.pid(), b"anybody?".to_vec()), "it is still alive");
    test_process.ended().await
}

fn links(rt: &Runtime, test_process: &TestProcess) -> usize {
    rt.info(test_process.pid()).expect("it is alive").links
}

/// T08. The watcher receives one `Down`, with the true reason or with `NoProc`.
#[test]
fn a_monitor_of_an_ending_process_reports_once() {
    race(
        |rt| (TestProcess::new(rt), idler(rt)),
        |rt, (_, target)| assert!(rt.exit(target.pid(), crash("r"))),
        |rt, (watcher, target)| rt.monitor(watcher.pid(), target.pid()),
        async |rt, (mut watcher, target), (), reference| {
            let reason = match watcher.next().await {
                Received::Down { reason, .. } => reason,
                other => panic!("not a Down: {other:?}"),
            };
            assert!([crash("r"), ExitReason::NoProc].contains(&reason), "{reason}");
            target.join().await;
            assert_eq!(watcher.mail().await, []);
            assert!(!rt.demonitor(reference));
            watcher.handle.kill();
        },
    );
}

/// T09. A link to an ending process holds, and the linker ends with the true reason. Or the link is
/// refused, the linker stays alive, and no half of the link is left.
#[test]
fn a_link_to_an_ending_process_holds_or_is_refused() {
    race(
        pair,
        |rt, (_, target)| assert!(rt.exit(target.pid(), crash("r"))),
        |rt, (linker, target)| rt.link(linker.pid(), target.pid()),
        async |rt, (linker, target), (), linked| {
            assert_eq!(target.ended().await, crash("r"));
            if linked {
                assert_eq!(dies(rt, &linker).await, crash("r"));
            } else {
                assert!(linker.lives().await);
                assert_eq!(links(rt, &linker), 0);
                linker.handle.kill();
            }
        },
    );
}

/// T09. A linker that traps exits receives one `Exit` in both cases.
#[test]
fn a_link_to_an_ending_process_sends_one_exit_to_a_trapping_linker() {
    race(
        trapping_pair,
        |rt, (_, target)| assert!(rt.exit(target.pid(), crash("r"))),
        |rt, (linker, target)| rt.link(linker.pid(), target.pid()),
        async |rt, (mut linker, target), (), linked| {
            target.ended().await;
            let reason = if linked { crash("r") } else { ExitReason::NoProc };
            assert_eq!(linker.mail().await, [exit(target.pid(), reason)]);
            assert_eq!(links(rt, &linker), 0);
            linker.handle.kill();
        },
    );
}

/// T09. The linker ends while it makes the link. Its peer ends too if the link holds, and is not
/// affected otherwise.
#[test]
fn a_link_made_by_an_ending_process_holds_or_is_refused() {
    race(
        pair,
        |rt, (linker, _)| assert!(rt.exit(linker.pid(), crash("r"))),
        |rt, (linker, target)| rt.link(linker.pid(), target.pid()),
        async |rt, (linker, target), (), linked| {
            linker.ended().await;
            if linked {
                assert_eq!(dies(rt, &target).await, crash("r"));
            } else {
                assert!(target.lives().await);
                assert_eq!(links(rt, &target), 0);
                target.handle.kill();
            }
        },
    );
}

/// Both sides link at the same time: there is one link, and one `Exit`.
#[test]
fn concurrent_links_from_both_sides_make_one_link() {
    race(
        trapping_pair,
        |rt, (one, other)| assert!(rt.link(one.pid(), other.pid())),
        |rt, (one, other)| assert!(rt.link(other.pid(), one.pid())),
        async |rt, (mut one, other), (), ()| {
            assert_eq!((links(rt, &one), links(rt, &other)), (1, 1));
            other.fail(crash("r"));
            other.ended().await;
            assert_eq!(one.mail().await, [exit(other.pid(), crash("r"))]);
            one.handle.kill();
        },
    );
}

/// A link and an unlink at the same time leave both sides linked, or neither side.
#[test]
fn a_concurrent_link_and_unlink_leave_no_half_link() {
    race(
        linked_pair,
        |rt, (one, other)| assert!(rt.link(other.pid(), one.pid())),
        |rt, (one, other)| rt.unlink(one.pid(), other.pid()),
        async |rt, (one, other), (), ()| {
            let halves = (links(rt, &one), links(rt, &other));
            assert!([(0, 0), (1, 1)].contains(&halves), "{halves:?}");
            for test_process in [one, other] {
                test_process.handle.kill();
            }
        },
    );
}

/// T45. A second link while the peer ends hides neither the end of the peer nor its reason.
#[test]
fn linking_again_to_an_ending_process_keeps_the_first_link() {
    race(
        linked_pair,
        |rt, (_, target)| assert!(rt.exit(target.pid(), crash("r"))),
        |rt, (linker, target)| rt.link(linker.pid(), target.pid()),
        async |rt, (linker, target), (), _| {
            target.ended().await;
            assert_eq!(dies(rt, &linker).await, crash("r"));
        },
    );
}

/// T45. The same race for a linker that traps exits: the `Exit` with the true reason arrives before
/// the `NoProc` of the second link.
#[test]
fn linking_again_to_an_ending_process_reports_the_true_reason_first() {
    race(
        |rt| {
            let (linker, target) = trapping_pair(rt);
            assert!(rt.link(linker.pid(), target.pid()));
            (linker, target)
        },
        |rt, (_, target)| assert!(rt.exit(target.pid(), crash("r"))),
        |rt, (linker, target)| rt.link(linker.pid(), target.pid()),
        async |rt, (mut linker, target), (), linked| {
            target.ended().await;
            let mail = linker.mail().await;
            let (first, refused) =
                (exit(target.pid(), crash("r")), exit(target.pid(), ExitReason::NoProc));
            assert_eq!(mail.first(), Some(&first), "linked: {linked}");
            assert!(mail[1..].is_empty() || (mail[1..] == [refused] && !linked), "{mail:?}");
            assert_eq!(links(rt, &linker), 0);
            linker.handle.kill();
        },
    );
}

type Mail = oneshot::Receiver<Vec<Received>>;

/// Starts a process that traps exits, and receives nothing until the returned sender is used.
fn reader(rt: &Runtime) -> (Pid, oneshot::Sender<()>, Mail) {
    let (open, opened) = oneshot::channel();
    let (report, reported) = oneshot::channel();
    let process = rt.spawn(|mut ctx| async move {
        opened.await.ok();
        let (rt, own, last) = (ctx.runtime(), ctx.pid(), text("the last"));
        rt.send(own, b"the last".to_vec());
        let mut mail = vec![ctx.recv().await];
        while mail.last() != Some(&last) {
            mail.push(ctx.recv().await);
        }
        mail.pop();
        report.send(mail).ok();
    });
    rt.set_trap_exit(process.pid(), true);
    (process.pid(), open, reported)
}

/// After `unlink` has returned, the mailbox contains no `Exit` of the link, not even a queued one.
#[test]
fn an_unlink_from_an_ending_process_leaves_no_exit() {
    race(
        |rt| {
            let (reader, target) = (reader(rt), idler(rt));
            assert!(rt.link(reader.0, target.pid()));
            (reader, target)
        },
        |rt, (_, target)| assert!(rt.exit(target.pid(), crash("r"))),
        |rt, (reader, target)| rt.unlink(reader.0, target.pid()),
        async |_, ((_, open, mail), target), (), ()| {
            target.join().await;
            open.send(()).unwrap();
            assert_eq!(mail.await, Ok(vec![]));
        },
    );
}

/// After `demonitor_flush` has returned, there is no `Down`. After `demonitor` has returned `true`,
/// which means in time, there is none either.
#[test]
fn a_demonitor_of_an_ending_process_returns_whether_a_down_remains() {
    race(
        |rt| {
            let (reader, target) = (reader(rt), idler(rt));
            let monitors = [(); 2].map(|()| rt.monitor(reader.0, target.pid()));
            (reader, target, monitors)
        },
        |rt, (_, target, _)| assert!(rt.exit(target.pid(), crash("r"))),
        |rt, (_, _, [flushed, plain])| (rt.demonitor_flush(*flushed), rt.demonitor(*plain)),
        async |_, ((_, open, mail), target, [_, plain]), (), (_, in_time)| {
            target.join().await;
            open.send(()).unwrap();
            let told = down(plain, target.pid(), crash("r"));
            assert_eq!(mail.await, Ok(if in_time { vec![] } else { vec![told] }));
        },
    );
}

/// A process starts to trap exits while its peer ends. The process receives one `Exit`, or ends
/// with the same reason, but not both.
#[test]
fn set_trap_exit_during_a_link_exit_gives_one_exit_or_the_end() {
    race(
        linked_pair,
        |rt, (peer, _)| assert!(rt.exit(peer.pid(), crash("r"))),
        |rt, (_, trapping)| rt.set_trap_exit(trapping.pid(), true),
        async |rt, (peer, mut trapping), (), before| {
            peer.ended().await;
            if rt.send(trapping.pid(), b"anybody?".to_vec()) {
                let mail = trapping.mail().await;
                assert_eq!(mail, [exit(peer.pid(), crash("r")), text("anybody?")]);
                assert_eq!(before, Some(false));
                trapping.handle.kill();
            } else {
                assert_eq!(trapping.ended().await, crash("r"));
                assert_eq!(trapping.rest().await, []);
            }
        },
    );
}

/// T11. A watcher and its target end at the same time: neither side keeps the monitor.
#[test]
fn a_watcher_and_its_target_that_end_at_once_leave_no_monitors() {
    race(
        |rt| {
            let trio = [(); 3].map(|()| idler(rt));
            for (watcher, target) in [(0, 1), (0, 2), (1, 0)] {
                rt.monitor(trio[watcher].pid(), trio[target].pid());
            }
            trio
        },
        |_, [watcher, ..]| watcher.kill(),
        |_, [_, target, _]| target.kill(),
        async |rt, [watcher, target, third], _, _| {
            watcher.join().await;
            target.join().await;
            assert_eq!(rt.info(third.pid()).unwrap().monitors, 0);
        },
    );
}
