//! Load from a BEAM: very many casts of several senders, and a large message beside small ones.

use regrow::cluster::Node;
use regrow::{GenServer, Name, Reply, Result, Runtime, ServerContext, Supervisor, SupervisorRef};
use serde::Deserialize;

use crate::beam::{Beam, COOKIE, Epmd};

const LOAD: Name<Load> = Name::new("load");

/// The number of senders.
const SENDERS: usize = 8;

/// What has arrived of each sender.
#[derive(Default)]
struct Load {
    last: [u64; SENDERS],
    out_of_order: u64,
}

#[derive(Deserialize)]
enum Call {
    /// The number of casts of each sender, and of those that came out of order.
    Arrived(Reply<([u64; SENDERS], u64)>),
    Echo(String, Reply<String>),
    Ping(Reply<()>),
}

#[derive(Deserialize)]
enum Cast {
    /// The number of the sender, and that of the cast.
    Note(usize, u64),
}

impl GenServer for Load {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Load::default())
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Arrived(reply) => reply.send((self.last, self.out_of_order)),
            Call::Echo(text, reply) => reply.send(text),
            Call::Ping(reply) => reply.send(()),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        let Cast::Note(sender, number) = cast;
        self.out_of_order += u64::from(number != self.last[sender] + 1);
        self.last[sender] = number;
        Ok(())
    }
}

async fn node(epmd: &Epmd, change: impl FnOnce(Node) -> Node) -> (Runtime, SupervisorRef) {
    let rt = Runtime::new();
    let node = change(epmd.node_spec("rust@127.0.0.1").expose(LOAD));
    let tree = Supervisor::one_for_one().child(Load::child(()).named(LOAD)).child(node);
    let tree = tree.start(&rt).await.unwrap();
    (rt, tree)
}

/// 1,000,000 casts with `REGROW_PROOF=full`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a07_casts_of_eight_processes_of_a_beam_all_arrive_in_the_order_of_each() {
    let Some(epmd) = Epmd::start().await else { return };
    let (_rt, _tree) = node(&epmd, |node| node).await;
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let is_full = std::env::var("REGROW_PROOF").is_ok_and(|proof| proof == "full");
    let each: u64 = if is_full { 125_000 } else { 5_000 };
    let send = format!(
        "L = {{load, 'rust@127.0.0.1'}}, S = self(), \
         Send = fun(P) -> [gen_server:cast(L, {{note, P, N}}) || N <- lists:seq(1, {each})], \
                          ok = gen_server:call(L, ping, infinity), S ! {{sent, P}} end, \
         [spawn_link(fun() -> Send(P) end) || P <- lists:seq(0, {last})], \
         [receive {{sent, P}} -> ok end || P <- lists:seq(0, {last})], \
         gen_server:call(L, arrived)",
        last = SENDERS - 1,
    );
    let all = [each; SENDERS].map(|count| count.to_string()).join(",");
    assert_eq!(beam.eval(&send).await, format!("{{{{{all}}},0}}"));
}

/// The echo is as long as the bound of the bytes that wait for a node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a07_small_calls_are_answered_while_a_message_of_64_mib_is_echoed() {
    const ECHOES: usize = 4;
    let Some(epmd) = Epmd::start().await else { return };
    let (_rt, _tree) = node(&epmd, |node| node).await;
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let beside = format!(
        "L = {{load, 'rust@127.0.0.1'}}, S = self(), B = binary:copy(<<\"x\">>, 64 bsl 20), \
         spawn_link(fun() -> [B = gen_server:call(L, {{echo, B}}, infinity) || _ <- lists:seq(1, {ECHOES})], \
                             S ! over end), \
         Ping = fun Ping(Count) -> receive over -> Count after 0 -> \
                    ok = gen_server:call(L, ping, infinity), Ping(Count + 1) end end, \
         Ping(0)"
    );
    let pings: usize = beam.eval(&beside).await.parse().unwrap();
    // The first call may be answered behind the first echo, and so on.
    assert!(pings >= ECHOES, "{pings} calls");
}

/// The gate itself is a measurement: `cargo bench --bench cluster_speed`.
#[test]
fn a12_the_bench_of_speed_has_the_rows_and_the_goal_of_the_gate() {
    let rows = include_str!("../../benches/cluster_speed/row.rs");
    for row in ["calls, 1 caller", "calls, 8 callers", "calls, 64 callers", "casts, one sender"] {
        assert!(rows.contains(row), "{row}");
    }
    let bench = include_str!("../../benches/cluster_speed/main.rs");
    assert!(bench.contains("const GOAL: f64 = 0.8;"));
}
