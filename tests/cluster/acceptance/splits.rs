//! 4. Splits of a real network, between namespaces, and their heal.

use tokio::time::Instant;

use super::assert_silence;
use super::hosts::Hosts;
use super::program::Program;
use crate::beam::{Beam, COOKIE};

const TICK: u32 = 4;

/// A node of Erlang at host 1, and one of this crate at host 2. Each monitors a process of the other
/// one, and two processes are linked.
struct Split {
    hosts: Hosts,
    beam: Beam,
    rust: Program,
}

const BEAM: &str = "beam@10.77.0.1";
const RUST: &str = "rust@10.77.0.2";

impl Split {
    async fn start() -> Option<Split> {
        let hosts = Hosts::start(2).await?;
        let beam = Beam::start_at(&hosts.place(1), BEAM, COOKIE, TICK, &[]).await;
        let rust = Program::start(&hosts.place(2), RUST, &format!("tick={TICK}")).await;
        let mut split = Split { hosts, beam, rust };
        split.beam.eval("register(shell, self()), process_flag(trap_exit, true)").await;
        split.relate().await;
        Some(split)
    }

    /// Connects by a use, and makes the relations.
    async fn relate(&mut self) {
        self.beam.until(&format!("net_adm:ping('{RUST}')"), "pong").await;
        let relate = "{probe, 'RUST'} ! {link, self()}, \
                      erlang:monitor(process, {kv, 'RUST'}), net_adm:ping('RUST')";
        assert_eq!(self.beam.eval(&relate.replace("RUST", RUST)).await, "pong");
        assert_eq!(self.rust.ask("change").await, format!("up {BEAM}"));
        assert_eq!(self.rust.ask(&format!("watch {BEAM} shell")).await, "ok");
        let linked = "length([P || P <- element(2, process_info(self(), links)), is_pid(P), \
                      node(P) =/= node()])";
        self.beam.until(linked, "1").await;
        let watched = "length([P || P <- element(2, process_info(self(), monitored_by)), \
                       node(P) =/= node()])";
        self.beam.until(watched, "1").await;
    }

    /// Waits until each side has noticed the loss, once for each relation, within this number of tick
    /// times.
    async fn is_lost(&mut self, begun: Instant, most: f64) {
        let lost = "lists:sort([receive {'DOWN', _, _, _, R} -> {down, R}; {'EXIT', _, R} -> {exit, R} end \
                    || _ <- [1, 2]])";
        self.beam.send(lost).await;
        self.rust.send("change").await;
        let (beam, rust) =
            tokio::join!(async { (self.beam.value().await, begun.elapsed()) }, async {
                (self.rust.answer().await, begun.elapsed())
            });
        assert_eq!(beam.0, "[{down,noconnection},{exit,noconnection}]");
        assert_eq!(rust.0, format!("down {BEAM}"));
        let mut seen = [self.rust.ask("next").await, self.rust.ask("next").await];
        seen.sort();
        assert_eq!(seen, ["down shell noconnection", "exit noconnection"]);
        assert_silence(beam.1, TICK, most);
        assert_silence(rust.1, TICK, most);
        assert_eq!(self.beam.eval("nodes(hidden)").await, "[]");
        assert_eq!(self.rust.ask("nodes").await, "");
        // Nothing is noticed twice.
        assert_eq!(self.rust.ask("rest").await, "");
        assert_eq!(self.beam.eval("receive M -> M after 0 -> none end").await, "none");
    }

    /// The next use connects, whichever side it comes from.
    async fn is_healed(&mut self) {
        self.relate().await;
        let call = format!("gen_server:call({{kv, '{RUST}'}}, size)");
        assert_eq!(self.beam.eval(&call).await, "0");
        assert_eq!(self.rust.ask(&format!("send {BEAM} shell hello")).await, "true");
        assert_eq!(self.beam.eval("receive M -> M after 20000 -> late end").await, "<<\"hello\">>");
    }
}

#[tokio::test]
async fn a04_both_sides_of_a_split_notice_it_and_the_next_use_heals_it() {
    let Some(mut split) = Split::start().await else { return };
    for host in [1, 2] {
        let begun = Instant::now();
        split.hosts.cut(host).await;
        split.is_lost(begun, 1.5).await;
        split.hosts.heal(host).await;
        split.is_healed().await;
    }
}

/// A tick may still arrive after the cut. The next ones wait for its acknowledgement, which is lost, and
/// so does the end of the connection. So the side that receives may notice the loss a quarter later.
#[tokio::test]
async fn a04_both_sides_notice_a_loss_of_one_direction_and_the_next_use_heals_it() {
    let Some(mut split) = Split::start().await else { return };
    for (from, to) in [(1, 2), (2, 1)] {
        let begun = Instant::now();
        split.hosts.cut_from(from, to).await;
        split.is_lost(begun, 1.75).await;
        split.hosts.heal_from(from, to).await;
        split.is_healed().await;
    }
}

/// Nothing answers, so that the attempt ends by its time limit.
#[tokio::test]
async fn a04_a_use_during_a_split_fails_and_two_programs_find_each_other_again() {
    let Some(hosts) = Hosts::start(2).await else { return };
    let settings = format!("tick={TICK}");
    let mut one = Program::start(&hosts.place(1), "one@10.77.0.1", &settings).await;
    let mut two = Program::start(&hosts.place(2), "two@10.77.0.2", &settings).await;
    assert_eq!(one.ask("ask two@10.77.0.2").await, "0");
    assert_eq!(one.ask("change").await, "up two@10.77.0.2");
    assert_eq!(two.ask("change").await, "up one@10.77.0.1");
    assert_eq!(one.ask("watch two@10.77.0.2 kv").await, "ok");
    let begun = Instant::now();
    hosts.cut(2).await;
    // A call that is under way ends by the loss.
    one.send("ask two@10.77.0.2").await;
    assert_eq!(two.ask("change").await, "down one@10.77.0.1");
    assert_silence(begun.elapsed(), TICK, 1.5);
    let call = one.answer().await;
    assert!(call == "NoConnection" || call == "Timeout", "{call}");
    assert_eq!(one.ask("change").await, "down two@10.77.0.2");
    assert_eq!(one.ask("next").await, "down kv noconnection");
    let connected = one.ask("connect two@10.77.0.2").await;
    assert!(connected.starts_with("TimedOut") || connected.starts_with("Un"), "{connected}");
    hosts.heal(2).await;
    assert_eq!(two.ask("ask one@10.77.0.1").await, "0");
    assert_eq!(one.ask("change").await, "up two@10.77.0.2");
}
