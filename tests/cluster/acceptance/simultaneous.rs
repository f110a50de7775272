//! 5. Both sides connect at once, again and again.

use regrow::cluster::EncodedTerm;
use regrow::{NodeChange, Received};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::yield_now;
use tokio::time::{Duration, Instant};

use crate::beam::{Beam, COOKIE, Epmd, is_alone, is_full};
use crate::pairs::subscribe;
use crate::rng::Rng;

/// The messages that each side sends as soon as it is connected.
const MESSAGES: u32 = 20;

/// The node of Erlang connects, sends, and takes what was sent to it.
const CONNECT: &str = "Begun = erlang:monotonic_time(millisecond), \
    Connected = net_kernel:connect_node('NAME'), \
    [{probe, 'NAME'} ! {ROUND, N} || N <- lists:seq(1, COUNT)], \
    Got = [receive {ROUND, N} -> N after 20000 -> lost end || N <- lists:seq(1, COUNT)], \
    {Connected, Got =:= lists:seq(1, COUNT), \
     erlang:monotonic_time(millisecond) - Begun < LIMIT, nodes(hidden)}";

/// Once with the greater name on either side. A handshake that is stuck takes seconds; the time is
/// checked if the test runs alone.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "the steps of one round, in order")]
async fn a05_simultaneous_connects_make_one_connection_and_lose_no_message() {
    let Some(epmd) = Epmd::start().await else { return };
    let mut beam = Beam::start(&epmd, "m@127.0.0.1", COOKIE).await;
    beam.eval("register(shell, self())").await;
    let limit = if is_alone() { 2_000 } else { 20_000 };
    let (mut random, mut longest) = (Rng::new(5), Duration::ZERO);
    for name in ["a@127.0.0.1", "z@127.0.0.1"] {
        let (rt, tree) = epmd.node(name).await;
        let (_, mut changes) = subscribe(&rt);
        let (sender, mut received) = unbounded_channel();
        let probe = rt.spawn(|mut ctx| async move {
            while let Received::Term(term) = ctx.recv().await {
                let _ = sender.send(term.decode::<(u32, u32)>().unwrap());
            }
        });
        assert!(rt.register("probe", probe.pid()));
        let there = rt.node("m@127.0.0.1");
        let shell = there.process("shell");
        let change = |change| Some(("m@127.0.0.1".to_owned(), change));
        // At full length: 15 s and 300 rounds, of each name.
        let begun = Instant::now();
        let is_over = |round| {
            let full = Duration::from_secs(15);
            if is_full() { round >= 300 && begun.elapsed() >= full } else { round >= 100 }
        };
        let mut round = 0;
        while !is_over(round) {
            let connect = CONNECT.replace("NAME", name).replace("ROUND", &round.to_string());
            let connect = connect.replace("COUNT", &MESSAGES.to_string());
            beam.send(&connect.replace("LIMIT", &limit.to_string())).await;
            for _ in 0..random.below(4_000) {
                yield_now().await;
            }
            let dialed = Instant::now();
            there.connect().await.unwrap();
            longest = longest.max(dialed.elapsed());
            for number in 1..=MESSAGES {
                assert!(shell.send(EncodedTerm::new(&(round, number)).unwrap()));
            }
            let expected = format!("{{true,true,true,['{name}']}}");
            assert_eq!(beam.value().await, expected, "{name}, round {round}");
            for number in 1..=MESSAGES {
                assert_eq!(received.recv().await, Some((round, number)), "{name}");
            }
            assert_eq!(changes.recv().await, change(NodeChange::Up));
            assert!(changes.try_recv().is_err(), "there was another connection");
            if random.percent(50) {
                assert!(there.disconnect().await);
            } else {
                let cut = format!("erlang:disconnect_node('{name}')");
                assert_eq!(beam.eval(&cut).await, "true");
            }
            assert_eq!(changes.recv().await, change(NodeChange::Down));
            beam.until("nodes(hidden)", "[]").await;
            round += 1;
        }
        println!("{round} rounds of {name}, the longest connect took {longest:?}");
        tree.stop().await.unwrap();
    }
    assert!(longest < Duration::from_millis(limit), "{longest:?}");
}
