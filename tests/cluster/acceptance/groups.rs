//! 9. Groups of two nodes of Erlang and one of this crate, each at a host of its own.

use super::hosts::Hosts;
use super::program::Program;
use crate::beam::{Beam, COOKIE};
use crate::pg_beam::show;
use crate::rng::Rng;

const RUST: &str = "rust@10.77.0.1";
const BEAMS: [&str; 2] = ["beam@10.77.0.2", "beam@10.77.0.3"];
const GROUPS: [&str; 3] = ["red", "green", "blue"];

/// The nodes, and how many of their members each group has.
struct Cluster {
    hosts: Hosts,
    rust: Program,
    beams: [Beam; 2],
    random: Rng,
}

impl Cluster {
    async fn start() -> Option<Cluster> {
        let hosts = Hosts::start(3).await?;
        let rust = Program::start(&hosts.place(1), RUST, "tick=4 groups=pg").await;
        let first = Beam::start_at(&hosts.place(2), BEAMS[0], COOKIE, 4, &[]).await;
        let second = Beam::start_at(&hosts.place(3), BEAMS[1], COOKIE, 4, &[]).await;
        let mut cluster = Cluster { hosts, rust, beams: [first, second], random: Rng::new(9) };
        for beam in &mut cluster.beams {
            assert_eq!(beam.eval("element(1, pg:start(pg))").await, "ok");
        }
        cluster.connect().await;
        Some(cluster)
    }

    /// Connects all nodes, as the next use does.
    async fn connect(&mut self) {
        for beam in &mut self.beams {
            for node in [RUST, BEAMS[0], BEAMS[1]] {
                let ping = format!("net_adm:ping('{node}')");
                beam.until(&ping, "pong").await;
            }
        }
    }

    /// Each of these nodes joins and leaves groups at random.
    async fn change(&mut self, times: usize, nodes: &[usize]) {
        for _ in 0..times {
            let (group, joins) = (self.random.pick(&GROUPS), self.random.percent(60));
            let node = self.random.pick(nodes);
            let change = if joins { "join" } else { "leave" };
            if node == 0 {
                assert_eq!(self.rust.ask(&format!("{change} :{group}")).await, "ok");
            } else {
                let change = format!("pg:{change}({group}, self()), ok");
                assert_eq!(self.beams[node - 1].eval(&change).await, "ok");
            }
        }
    }

    /// Waits until these nodes have the same members of each group: those of each of them.
    async fn agree(&mut self, nodes: &[usize]) {
        for group in GROUPS {
            let mut all = Vec::new();
            for node in nodes {
                let members = if *node == 0 {
                    self.rust.ask(&format!("members :{group}")).await
                } else {
                    let own = show(&format!("pg:get_local_members({group})"));
                    self.beams[*node - 1].eval(&own).await
                };
                let of_node = [RUST, BEAMS[0], BEAMS[1]][*node];
                let members = members.trim_matches(['"', '[', ']']).to_owned();
                let own = members.split_whitespace().filter(|pid| pid.starts_with(of_node));
                all.extend(own.map(str::to_owned));
            }
            all.sort();
            all.dedup();
            let expected =
                if all.is_empty() { "[]".to_owned() } else { format!("{:?}", all.join(" ")) };
            for node in nodes {
                if *node == 0 {
                    self.rust.until(&format!("members :{group}"), &expected).await;
                } else {
                    let members = show(&format!("pg:get_members({group})"));
                    self.beams[*node - 1].until(&members, &expected).await;
                }
            }
        }
    }
}

/// Each host is split off in turn. While it is, each side has the members that it can reach.
#[tokio::test]
async fn a09_each_side_of_a_split_has_its_own_members_and_all_agree_after_it() {
    let Some(mut cluster) = Cluster::start().await else { return };
    cluster.change(30, &[0, 1, 2]).await;
    cluster.agree(&[0, 1, 2]).await;
    for (alone, others) in [(0, [1, 2]), (2, [0, 1])] {
        cluster.hosts.cut(u8::try_from(alone + 1).unwrap()).await;
        // The loss is noticed after the tick time.
        cluster.agree(&others).await;
        cluster.agree(&[alone]).await;
        cluster.change(20, &[0, 1, 2]).await;
        cluster.agree(&others).await;
        cluster.agree(&[alone]).await;
        cluster.hosts.heal(u8::try_from(alone + 1).unwrap()).await;
        cluster.connect().await;
        cluster.change(10, &[0, 1, 2]).await;
        cluster.agree(&[0, 1, 2]).await;
    }
}
