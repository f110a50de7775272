//! 11. `global` of Erlang doesn't see a node of this crate. 13. Two nodes of this crate without any of Erlang.

use super::hosts::Hosts;
use super::program::Program;
use crate::beam::{Beam, COOKIE, Epmd, is_alone};

/// A node that is visible and speaks no `global` makes `global:sync` wait without an end. The bound is
/// far from what it takes, since another program may have the processor; it is 100 ms if the test runs
/// alone.
#[tokio::test]
async fn a11_global_waits_for_no_node_of_this_crate() {
    let Some(epmd) = Epmd::start().await else { return };
    let (_rt, _tree) = epmd.node("rust@127.0.0.1").await;
    let mut one = Beam::start(&epmd, "one@127.0.0.1", COOKIE).await;
    let mut two = Beam::start(&epmd, "two@127.0.0.1", COOKIE).await;
    assert_eq!(one.eval("net_adm:ping('two@127.0.0.1')").await, "pong");
    // What the nodes of Erlang take to know each other doesn't count.
    assert_eq!(one.eval("global:sync()").await, "ok");
    assert_eq!(two.eval("global:sync()").await, "ok");
    for beam in [&mut one, &mut two] {
        assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
        assert_eq!(beam.eval("nodes(hidden)").await, "['rust@127.0.0.1']");
        let limit = if is_alone() { "100000" } else { "30000000" };
        let sync = format!("{{Micros, ok}} = timer:tc(global, sync, []), Micros < {limit}");
        assert_eq!(beam.eval(&sync).await, "true");
    }
    // What `global` does has its effect at the other node of Erlang, and doesn't wait either.
    assert_eq!(one.eval("yes = global:register_name(shop, self()), global:sync()").await, "ok");
    assert_eq!(two.eval("global:sync(), node(global:whereis_name(shop))").await, "'one@127.0.0.1'");
    assert_eq!(two.eval("global:trans({shop, self()}, fun() -> done end)").await, "done");
    assert_eq!(two.eval("nodes()").await, "['one@127.0.0.1']");
}

/// The programs call each other, and notice that one is killed.
async fn talk(mut one: Program, mut two: Program, names: [&str; 2]) {
    assert_eq!(one.ask(&format!("ask {}", names[1])).await, "0");
    assert_eq!(one.ask("change").await, format!("up {}", names[1]));
    assert_eq!(two.ask("change").await, format!("up {}", names[0]));
    assert_eq!(two.ask(&format!("ask {}", names[0])).await, "0");
    assert_eq!(two.ask(&format!("send {} probe hello", names[0])).await, "true");
    assert_eq!(one.ask("next").await, "<<\"hello\">>");
    assert_eq!(one.ask(&format!("watch {} kv", names[1])).await, "ok");
    assert_eq!(one.ask(&format!("ask {}", names[1])).await, "0"); // the monitor has arrived
    two.process.kill().await.unwrap();
    assert_eq!(one.ask("next").await, "down kv noconnection");
    assert_eq!(one.ask("change").await, format!("down {}", names[1]));
}

#[tokio::test]
async fn a13_two_programs_find_each_other_by_epmd() {
    let Some(epmd) = Epmd::start().await else { return };
    let names = ["one@127.0.0.1", "two@127.0.0.1"];
    let one = Program::start(&epmd.place(), names[0], "").await;
    let two = Program::start(&epmd.place(), names[1], "").await;
    talk(one, two, names).await;
}

/// No program but these two is in the namespaces.
#[tokio::test]
async fn a13_two_programs_at_fixed_addresses_need_no_epmd() {
    let Some(hosts) = Hosts::without_epmd(2).await else { return };
    let names = ["one@10.77.0.1", "two@10.77.0.2"];
    let first = format!("port=9100 peer={}/10.77.0.2:9100", names[1]);
    let one = Program::start(&hosts.place(1), names[0], &first).await;
    let second = format!("port=9100 peer={}/10.77.0.1:9100", names[0]);
    let two = Program::start(&hosts.place(2), names[1], &second).await;
    talk(one, two, names).await;
}
