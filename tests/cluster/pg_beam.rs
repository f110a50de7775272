//! Groups that nodes of this crate and of Erlang share.

use regrow::{Pid, Runtime, Supervisor, SupervisorRef};

use crate::beam::{Beam, COOKIE, Epmd};
use crate::pg::{Watch, idle};
use crate::rng::Rng;

/// Shows pids in the same way as `shown`.
const SHOW: &str = "string:join(lists:usort([begin B = term_to_binary(P), \
    lists:flatten(io_lib:format(\"~s/~b\", [node(P), \
    binary:decode_unsigned(binary:part(B, byte_size(B), -12))])) end || P <- ALL]), \" \")";

pub(crate) fn show(all: &str) -> String {
    SHOW.replace("ALL", all)
}

/// Shows pids by their nodes and numbers.
pub(crate) fn shown(rt: &Runtime, pids: &[Pid]) -> String {
    let text = |pid: &Pid| {
        let pid = rt.external_pid(*pid).unwrap();
        let [id, serial, creation] = [pid.id(), pid.serial(), pid.creation()].map(u128::from);
        format!("{}/{}", pid.node().as_str(), id << 64 | serial << 32 | creation)
    };
    let mut texts: Vec<_> = pids.iter().map(text).collect();
    texts.sort();
    if texts.is_empty() { "[]".to_owned() } else { format!("{:?}", texts.join(" ")) }
}

/// A node of this crate and nodes of Erlang, all connected, all with the scope.
struct Cluster {
    rt: Runtime,
    _tree: SupervisorRef,
    beams: Vec<Beam>,
    epmd: Epmd,
}

impl Cluster {
    async fn start(beams: usize) -> Option<Cluster> {
        let epmd = Epmd::start().await?;
        let rt = Runtime::new();
        let node = epmd.node_spec("rust@127.0.0.1").groups("pg");
        let _tree = Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
        let mut cluster = Cluster { rt, _tree, beams: Vec::new(), epmd };
        for number in 0..beams {
            cluster.add(number).await;
        }
        Some(cluster)
    }

    async fn add(&mut self, number: usize) {
        let name = format!("beam{number}@127.0.0.1");
        let mut beam = Beam::start(&self.epmd, &name, COOKIE).await;
        assert_eq!(beam.eval("element(1, pg:start(pg))").await, "ok");
        assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
        for other in 0..self.beams.len() {
            let ping = format!("net_adm:ping('beam{other}@127.0.0.1')");
            assert_eq!(beam.eval(&ping).await, "pong");
        }
        self.beams.push(beam);
    }

    /// Waits until all nodes have the same members of a group: those that each node has itself.
    async fn agree(&mut self, group: &str) {
        let (here, there) = group_names(group);
        let local: Vec<_> =
            self.rt.whereis_tag(&here).into_iter().filter(|pid| !pid.is_foreign()).collect();
        let mut all = shown(&self.rt, &local).trim_matches(['"', '[', ']']).to_owned();
        for beam in &mut self.beams {
            let own = beam.eval(&show(&format!("pg:get_local_members({there})"))).await;
            all = format!("{all} {}", own.trim_matches(['"', '[', ']']));
        }
        let mut all: Vec<_> = all.split_whitespace().collect();
        all.sort_unstable();
        let expected =
            if all.is_empty() { "[]".to_owned() } else { format!("{:?}", all.join(" ")) };
        let mut watch = Watch::new(&self.rt, &here).await;
        let rt = self.rt.clone();
        watch.until(|members| shown(&rt, members) == expected).await;
        for beam in &mut self.beams {
            beam.until(&show(&format!("pg:get_members({there})")), &expected).await;
        }
    }
}

/// The names of a group here and in Erlang.
fn group_names(group: &str) -> (String, String) {
    match group.strip_prefix(':') {
        Some(atom) => (group.to_owned(), atom.to_owned()),
        None => (group.to_owned(), format!("<<\"{group}\">>")),
    }
}

const GROUPS: [&str; 3] = [":red", "green room", ":blue"];

/// Makes the processes of a node of Erlang.
const SPAWN: &str = "[put(N, spawn(fun() -> receive stop -> ok end end)) || N <- [0, 1, 2]], ok";

#[tokio::test]
async fn two_beams_and_a_node_agree_after_random_changes() {
    let Some(mut cluster) = Cluster::start(2).await else { return };
    for beam in &mut cluster.beams {
        assert_eq!(beam.eval(SPAWN).await, "ok");
    }
    let rt = cluster.rt.clone();
    let mut own: Vec<_> = (0..3).map(|_| idle(&rt)).collect();
    let mut random = Rng::new(11);
    for step in 0..150 {
        let (group, at) = (random.pick(&GROUPS), random.below(3));
        let (here, there) = group_names(group);
        let change = random.weighted(&[(5, "join"), (2, "leave"), (2, "kill")]);
        let node = random.below(3);
        if let Some(beam) = cluster.beams.get_mut(node) {
            let change = match change {
                "kill" => format!(
                    "exit(get({at}), kill), \
                     put({at}, spawn(fun() -> receive stop -> ok end end)), ok"
                ),
                change => format!("pg:{change}({there}, get({at})), ok"),
            };
            assert_eq!(beam.eval(&change).await, "ok");
        } else {
            match change {
                "join" => assert!(rt.register_tag(here, own[at])),
                "leave" => drop(rt.unregister_tag(&here, own[at])),
                _ => {
                    assert!(rt.kill(own[at]));
                    own[at] = idle(&rt);
                }
            }
        }
        if step % 50 == 49 {
            for group in GROUPS {
                cluster.agree(group).await;
            }
        }
    }
}

#[tokio::test]
async fn members_of_a_beam_leave_with_it_and_with_its_scope() {
    let Some(mut cluster) = Cluster::start(2).await else { return };
    let rt = cluster.rt.clone();
    let own = idle(&rt);
    assert!(rt.register_tag(":red", own));
    for beam in &mut cluster.beams {
        assert_eq!(beam.eval(SPAWN).await, "ok");
        let join = "pg:join(red, [get(0), get(1), get(0)])";
        assert_eq!(beam.eval(join).await, "ok");
    }
    cluster.agree(":red").await;
    let mut watch = Watch::new(&rt, ":red").await;
    assert_eq!(watch.members().len(), 5);

    // The scope of one ends, and is started again without members. Others join.
    let restarted = "R = erlang:monitor(process, pg), exit(whereis(pg), kill), \
                     receive {'DOWN', R, _, _, _} -> element(1, pg:start(pg)) end";
    assert_eq!(cluster.beams[0].eval(restarted).await, "ok");
    watch.until(|members| members.len() == 3).await;
    assert_eq!(cluster.beams[0].eval("pg:join(red, get(2))").await, "ok");
    cluster.agree(":red").await;

    // The scope of this node ends. Its members are published again.
    let scope = rt.whereis("pg").unwrap();
    assert!(rt.kill(scope));
    cluster.agree(":red").await;
    assert_eq!(watch.members().len(), 4);

    // A node ends, and another one with its name comes.
    let mut lost = cluster.beams.pop().unwrap();
    lost.process.kill().await.unwrap();
    watch.until(|members| members.len() == 2).await;
    cluster.agree(":red").await;
    cluster.add(1).await;
    assert_eq!(cluster.beams[1].eval(SPAWN).await, "ok");
    assert_eq!(cluster.beams[1].eval("pg:join(red, get(0))").await, "ok");
    cluster.agree(":red").await;

    // The connection is lost, and each side has its own members. Then both agree again.
    assert!(rt.node("beam1@127.0.0.1").disconnect().await);
    watch.until(|members| members.len() == 2).await;
    // The members leave before the connection is known to be lost.
    let there = rt.node("beam1@127.0.0.1");
    while there.is_connected().await {}
    there.connect().await.unwrap();
    cluster.agree(":red").await;
    assert_eq!(watch.members().len(), 3);
}

/// A monitor of OTP is notified, and a message to each member reaches it.
#[tokio::test]
async fn a_beam_monitors_a_group_and_sends_to_its_members() {
    let Some(mut cluster) = Cluster::start(1).await else { return };
    let rt = cluster.rt.clone();
    let beam = &mut cluster.beams[0];
    assert_eq!(beam.eval("element(2, pg:monitor(<<\"room\">>))").await, "[]");
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let reader = rt.spawn(|mut ctx| async move {
        let _ = sender.send(ctx.recv().await.term().unwrap().term().unwrap().to_string());
    });
    assert!(rt.register_tag("room", reader.pid()));
    let joined = "receive {_, join, <<\"room\">>, [P]} -> P ! hello, node(P) end";
    assert_eq!(beam.eval(joined).await, "'rust@127.0.0.1'");
    assert_eq!(received.recv().await.unwrap(), "hello");
    // The reader has ended.
    let left = "receive {_, leave, <<\"room\">>, [P]} -> node(P) end";
    assert_eq!(beam.eval(left).await, "'rust@127.0.0.1'");
    assert_eq!(beam.eval("pg:which_groups()").await, "[]");
}

/// A scope of OTP makes itself known to visible nodes only, so this node asks again.
#[tokio::test]
async fn a_scope_of_a_beam_that_starts_after_the_connection_is_found() {
    let Some(epmd) = Epmd::start().await else { return };
    let rt = Runtime::new();
    let node = epmd.node_spec("rust@127.0.0.1").groups("pg");
    let _tree = Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    assert_eq!(beam.eval("net_adm:ping('rust@127.0.0.1')").await, "pong");
    let mut watch = Watch::new(&rt, ":red").await;
    assert_eq!(beam.eval("element(1, pg:start(pg))").await, "ok");
    assert_eq!(beam.eval("pg:join(red, self())").await, "ok");
    watch.until(|members| members.len() == 1).await;
}
