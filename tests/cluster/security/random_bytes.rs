//! Random frames from a peer that knows the cookie: each has no effect, or ends its connection. For
//! ten seconds or, with `REGROW_PROOF=full`, ten minutes.

use std::time::{Duration, Instant};

use regrow::cluster::{Node, to_bytes};
use regrow::{GenServer, Supervisor};

use super::hostile::assert_works;
use crate::fake::Fake;
use crate::kv::{KV, Kv};
use crate::pairs::{node, start};
use crate::random_terms;
use crate::rng::Rng;

fn duration() -> Duration {
    let is_full = std::env::var("REGROW_PROOF").is_ok_and(|size| size == "full");
    Duration::from_secs(if is_full { 600 } else { 10 })
}

/// A pid or a reference of the peer, whose name is `bad@reader` and whose creation is 9.
fn own(rng: &mut Rng) -> Vec<u8> {
    let numbers = [0, 0, 0, 9, 0, 0, 0, rng.below(4) as u8];
    if rng.percent(50) {
        let id = [0, 0, 0, rng.below(4) as u8, 0, 0, 0, 0, 0, 0, 0, 9];
        [&b"\x58\x77\x0abad@reader"[..], &id].concat()
    } else {
        [&b"\x5a\x00\x01\x77\x0abad@reader"[..], &numbers].concat()
    }
}

fn term(rng: &mut Rng) -> Vec<u8> {
    random_terms::term(rng, 3).to_bytes().unwrap()
}

/// An argument of a control message: one that fits an operation, or any term.
fn argument(rng: &mut Rng, given: &[Vec<u8>]) -> Vec<u8> {
    match rng.below(8) {
        0..3 => own(rng),
        3..5 => given[rng.below(given.len())].clone(),
        5 => rng.pick(&[&b"\x77\x02kv"[..], b"\x77\x03rex", b"\x77\x0anet_kernel"]).to_vec(),
        6 => vec![97, rng.below(256) as u8],
        _ => term(rng)[1..].to_vec(),
    }
}

/// A message to a server: a call, a cast, or any term, of which some bytes may be others.
fn payload(rng: &mut Rng) -> Vec<u8> {
    let from = [&b"\x68\x02"[..], &own(rng), &own(rng)].concat();
    let request = rng.pick(&[&b"\x77\x04size"[..], b"\x68\x02\x77\x03get\x6d\x00\x00\x00\x01x"]);
    match rng.below(4) {
        0 => [&b"\x83\x68\x03\x77\x09$gen_call"[..], &from, request].concat(),
        1 => [&b"\x83\x68\x02\x77\x09$gen_cast"[..], &term(rng)[1..]].concat(),
        _ => term(rng),
    }
}

fn frame(rng: &mut Rng, given: &[Vec<u8>]) -> Vec<u8> {
    let (operation, count) = (rng.below(40) as u8, rng.below(7));
    let mut frame = vec![112, 131, 104, count as u8 + 1, 97, operation];
    (0..count).for_each(|_| frame.extend(argument(rng, given)));
    if rng.percent(70) {
        frame.extend(payload(rng));
    }
    if rng.percent(30) {
        let at = rng.below(frame.len());
        frame[at] = rng.below(256) as u8;
    }
    frame
}

/// The node has a server and a function, so there is more to break.
fn exposed() -> Node {
    let called = async |(text, count): (String, u32)| text.repeat(count.min(3) as usize);
    node("a@127.0.0.1").expose(KV).function("shop", "name", called).max_frame(1 << 20)
}

#[tokio::test]
async fn a08_random_frames_end_nothing_but_their_connection() {
    let a = start(exposed()).await;
    let _tree =
        Supervisor::one_for_one().child(Kv::child(()).named(KV)).start(&a.rt).await.unwrap();
    let probe = a.rt.spawn(|mut ctx| async move {
        loop {
            ctx.recv().await;
        }
    });
    let server = a.rt.whereis("net_kernel");
    let first = u64::from(std::process::id());
    println!("the seeds begin with {first}");
    let (begin, mut seed) = (Instant::now(), first);
    while begin.elapsed() < duration() {
        let mut rng = Rng::new(seed);
        // Signals end the server and the process, which is right.
        let pids = [a.rt.whereis("kv"), Some(probe.pid())].into_iter().flatten();
        let given: Vec<_> = pids
            .filter_map(|pid| to_bytes(&a.rt.external_pid(pid)?).ok())
            .map(|bytes| bytes[1..].to_vec())
            .collect();
        let (mut peer, _) = Fake::join(a.address, "bad@reader").await;
        for _ in 0..rng.below(100) {
            peer.frame(&frame(&mut rng, &given)).await;
        }
        peer.ask().await;
        peer.is_answered().await;
        assert_eq!(a.rt.whereis("net_kernel"), server, "seed {seed}");
        seed += 1;
    }
    println!("{} seeds", seed - first);
    assert_works(&a).await;
}
