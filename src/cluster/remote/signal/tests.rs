//! The sizes of signals, and of their frames.

use crate::base::Pid;
use crate::cluster::handshake::Flags;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::incarnation::Incarnation;
use crate::cluster::remote::local_node::{LocalNode, PidTags};
use crate::cluster::remote::node_pair::{NodePair, Target};
use crate::cluster::remote::reason::read_reason;
use crate::cluster::remote::signal::Signal;
use crate::cluster::term::Words;
use crate::cluster::wire::{Appended, Outbox};
use crate::exit::ExitReason;
use crate::message::EncodedTerm;
use futures_util::FutureExt;

fn name(first: &str, length: usize) -> NodeName {
    NodeName::parse(&format!("{first}@{}", "h".repeat(length))).unwrap()
}

fn signals(own: Pid, other: Pid, name: &str) -> Vec<Signal> {
    let term = EncodedTerm::new(&"x".repeat(300)).unwrap();
    let id = u64::MAX;
    let reference = Words::new([u32::MAX; 5].into_iter()).unwrap();
    let remote = read_reason(&term.as_bytes()[1..]);
    let reasons = [
        ExitReason::Normal,
        ExitReason::crashed("c".repeat(9_000)),
        ExitReason::shutdown_with("s".repeat(200)),
        remote,
    ];
    let targets = [Target::Pid(other), Target::Name(name.into()), Target::Encoded([0; 500].into())];
    let mut all = vec![
        Signal::Send { to: other, term: term.clone() },
        Signal::SendName { own, name: name.into(), term },
        Signal::Link { own, other },
        Signal::Unlink { own, other, removal: u64::MAX },
        Signal::UnlinkAck { own: [0; 500].into(), other, removal: [0; 20].into() },
        Signal::NoLink { own: [0; 500].into(), other },
        Signal::Call { own, name: name.into(), id, request: vec![0; 90] },
    ];
    for target in targets {
        all.push(Signal::Monitor { own, target: target.clone(), id });
        all.push(Signal::Demonitor { own, target: target.clone(), id });
        for reason in reasons.clone() {
            all.push(Signal::Exit { own, other, reason: reason.clone() });
            let is_kill = reason == ExitReason::Normal;
            all.push(Signal::ExitTo { own, other, reason: reason.clone(), is_kill });
            all.push(Signal::Down { target: target.clone(), other, reference, reason });
        }
    }
    all
}

#[test]
fn no_frame_is_longer_than_the_size_of_its_signal() {
    for (length, flags) in [(1, Flags::default()), (240, Flags::OFFERED)] {
        let own = LocalNode::new(name("a", length), u32::MAX, PidTags::default());
        let incarnation = Incarnation::new(7, name("b", length), u32::MAX);
        let other = incarnation.pid(u32::MAX, u32::MAX).unwrap();
        let names = own.name.as_str().len() + incarnation.name.as_str().len();
        for signal in signals(Pid::from_raw((1 << 48) - 1), other, &"n".repeat(255)) {
            let outbox = Outbox::new(usize::MAX);
            let nodes = NodePair { own: &own, other: &incarnation, flags };
            assert_eq!(outbox.append(|frames| signal.append(frames, &nodes)), Appended::Yes);
            let mut frames = Vec::new();
            outbox.take(&mut frames).now_or_never().unwrap();
            let frame = frames.len();
            let size = signal.size(names) - size_of::<Signal>();
            assert!(frame <= size, "{frame} {size} {signal:?}");
        }
    }
}
