//! Functions that other nodes call: by `rpc` and `erpc` of a BEAM, and by raw requests.

use std::sync::Arc;

use regrow::cluster::{Cookie, Node, Term};
use regrow::{Runtime, Supervisor, SupervisorRef};
use tokio::sync::Notify;

use crate::beam::{Beam, COOKIE, Epmd};
use crate::fake::Fake;
use crate::pairs::{node, start};
use crate::received_calls::{own_pid, reference};

fn with_functions(node: Node) -> Node {
    node.function("shop", "price", async |(name, count): (String, u32)| {
        u32::try_from(name.len()).unwrap() * count
    })
    .function(
        "shop",
        "checked",
        async |(count,): (u32,)| {
            if count > 9 { Err("too many") } else { Ok(count) }
        },
    )
    .function("shop", "nothing", async |(): ()| ())
    .function("shop", "panics", async |(): ()| -> u8 { panic!("no luck") })
    .function("shop", "hangs", async |(): ()| -> u8 { std::future::pending().await })
    .function("shop", "infinite", async |(): ()| f64::INFINITY)
    .function("shop", "both", async |(_, b): (u8, u8)| b)
}

async fn rust(epmd: &Epmd) -> (Runtime, SupervisorRef) {
    let node = Node::new("rust@127.0.0.1").cookie(Cookie::new(COOKIE)).resolver(epmd.resolver());
    let rt = Runtime::new();
    let tree = Supervisor::one_for_one().child(with_functions(node)).start(&rt).await.unwrap();
    (rt, tree)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn a_beam_calls_functions_by_rpc_and_erpc() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, tree) = rust(&epmd).await;
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let both = [
        ("price, [<<\"milk\">>, 3]", "12"),
        ("checked, [3]", "{ok,3}"),
        ("checked, [10]", "{error,<<\"too many\">>}"),
        ("nothing, []", "ok"),
        ("both, [3, 4]", "4"),
        ("both, [300, 4]", ""),
        ("missing, [1]", ""),
        ("panics, []", ""),
        ("infinite, []", ""),
    ];
    for (call, value) in both.iter().filter(|(_, value)| !value.is_empty()) {
        for module in ["rpc", "erpc"] {
            let call = format!("{module}:call('rust@127.0.0.1', shop, {call}, 5000)");
            assert_eq!(beam.eval(&call).await, *value, "{call}");
        }
    }
    let mut eval =
        async |code: &str| beam.eval(&code.replace("@@", "'rust@127.0.0.1', shop")).await;
    let undefined = eval("rpc:call(@@, missing, [1])").await;
    assert!(undefined.starts_with("{badrpc,{'EXIT',{undef,[{shop,missing,[1],[]}"), "{undefined}");
    let undefined = eval("erpc:call(@@, missing, [1])").await;
    assert!(undefined.starts_with("{error,{exception,undef,[{shop,missing,[1],[]}"), "{undefined}");
    let panics = eval("rpc:call(@@, panics, [])").await;
    assert!(panics.starts_with("{badrpc,{'EXIT',{{panic,<<\"no luck\">>},"), "{panics}");
    let wrong = eval("rpc:call(@@, both, [300, 4])").await;
    assert!(wrong.starts_with("{badrpc,{'EXIT',{{bad_arguments,<<\"the value is not"), "{wrong}");
    let wrong = eval("erpc:call(@@, infinite, [])").await;
    let expected = "{error,{exception,{bad_answer,<<\"a float is not finite\">>},";
    assert!(wrong.starts_with(expected), "{wrong}");
    let late = eval("rpc:call(@@, hangs, [], 10)").await;
    assert_eq!(late, "{badrpc,timeout}");
    assert_eq!(eval("erpc:multicall(['rust@127.0.0.1'], shop, both, [3, 4])").await, "[{ok,4}]");
    assert_eq!(eval("rpc:multicall(['rust@127.0.0.1'], shop, both, [3, 4])").await, "{[4],[]}");
    assert_eq!(eval("erpc:cast(@@, both, [3, 4])").await, "ok");
    assert_eq!(eval("rpc:cast(@@, both, [3, 4])").await, "true");
    // Nothing but `erpc` is spawned.
    let other = "R = spawn_request('rust@127.0.0.1', erlang, halt, [], []), \
                 receive {spawn_reply, R, error, W} -> W end";
    assert_eq!(eval(other).await, "notsup");
    // The old way.
    let old =
        "gen_server:call({rex, 'rust@127.0.0.1'}, {call, shop, both, [3, 4], group_leader()})";
    assert_eq!(eval(old).await, "4");
    let old = "gen_server:call({rex, 'rust@127.0.0.1'}, {call, shop, missing, [], group_leader()})";
    assert!(eval(old).await.starts_with("{badrpc,{'EXIT',{undef,"));
    let old = "catch gen_server:call({rex, 'rust@127.0.0.1'}, {block_call, shop, both, [], x})";
    assert!(eval(old).await.starts_with("{'EXIT',{{bad_request,"));
    // A function that hangs ends with its node.
    let hangs = "R = erpc:send_request(@@, hangs, []), R =/= x";
    assert_eq!(eval(hangs).await, "true");
    assert!(rt.connected_nodes().await.len() == 1);
    tree.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_without_functions_runs_none() {
    let Some(epmd) = Epmd::start().await else { return };
    let (_rt, _tree) = epmd.node("rust@127.0.0.1").await;
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let call = "erpc:call('rust@127.0.0.1', shop, price, [])";
    assert_eq!(beam.eval(call).await, "{error,{erpc,notsup}}");
    let call = "rpc:call('rust@127.0.0.1', shop, price, [])";
    assert_eq!(beam.eval(call).await, "{badrpc,notsup}");
    let old = "gen_server:call({rex, 'rust@127.0.0.1'}, {call, shop, price, [], group_leader()})";
    assert!(beam.eval(&format!("catch {old}")).await.starts_with("{'EXIT',{noproc,"));
}

/// A function that is ended with its process, and one whose caller has gone.
#[tokio::test]
async fn the_caller_of_a_function_whose_process_is_killed_gets_an_error() {
    let began = Arc::new(Notify::new());
    let notify = began.clone();
    let hanging = node("rust@127.0.0.1").function("shop", "hangs", move |(): ()| {
        let notify = notify.clone();
        async move {
            notify.notify_one();
            std::future::pending::<u8>().await
        }
    });
    let running = start(hanging).await;
    let (mut fake, _) = Fake::join(running.address, "fake@127.0.0.1").await;
    let atom = Term::atom;
    let function = Term::tuple([atom("erpc"), atom("execute_call"), Term::from(4)]);
    let options = Term::list([atom("monitor")]);
    let control = [Term::from(29), reference(1), own_pid(), own_pid(), function, options];
    let none = || Term::list([]);
    let arguments = Term::list([reference(2), atom("shop"), atom("hangs"), none()]);
    fake.send_terms(&Term::tuple(control), &arguments).await;
    let (reply, _) = fake.read_terms().await.unwrap();
    let reply = reply.as_tuple().unwrap();
    assert_eq!(reply[..4], [Term::from(31), reference(1), own_pid(), Term::from(2)]);
    began.notified().await;
    let pid: regrow::cluster::ExternalPid = regrow::cluster::from_term(&reply[4]).unwrap();
    assert!(running.rt.kill(running.rt.pid_of(&pid).unwrap()));
    let (down, _) = fake.read_terms().await.unwrap();
    let expected = [Term::from(21), reply[4].clone(), own_pid(), reference(1), atom("killed")];
    assert_eq!(down.as_tuple().unwrap(), expected);
}
