//! Calls between servers of this crate and `gen_server` and `GenServer` on the BEAM, both ways.

use std::process::Stdio;
use std::time::Duration;

use regrow::cluster::{Atom, Cookie, Node};
use regrow::{CallError, GenServer, Runtime, Supervisor, SupervisorRef};
use tokio::process::Command;

use crate::beam::{Beam, COOKIE, Epmd, skipped};
use crate::kv::{Call, Cast, KV, Kv};

/// A node that exposes the server.
async fn rust(epmd: &Epmd) -> (Runtime, SupervisorRef) {
    let node = Node::new("rust@127.0.0.1").cookie(Cookie::new(COOKIE)).resolver(epmd.resolver());
    let rt = Runtime::new();
    let names = rt.clone();
    let node = node.function("names", "find", move |(name,): (Atom,)| {
        let pid = names.whereis(name.as_str()).and_then(|pid| names.external_pid(pid));
        async move { pid }
    });
    let tree = Supervisor::one_for_one().child(Kv::child(()).named(KV)).child(node.expose(KV));
    let tree = tree.start(&rt).await.unwrap();
    (rt, tree)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn a_beam_calls_and_casts_to_a_server() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = rust(&epmd).await;
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let mut lost = rt.dead_letters();
    let kv = "K = {kv, 'rust@127.0.0.1'}, ";
    let mut eval = async |code: &str| beam.eval(&format!("{kv}{code}")).await;
    assert_eq!(eval("gen_server:call(K, size)").await, "0");
    assert_eq!(
        eval("gen_server:cast(K, {note, <<\"tea\">>}), gen_server:call(K, size)").await,
        "1"
    );
    assert_eq!(eval("gen_server:call(K, {put, <<\"milk\">>, 2})").await, "ok");
    assert_eq!(eval("gen_server:call(K, {get, <<\"milk\">>})").await, "<<\"milk\">>");
    assert_eq!(eval("gen_server:call(K, {get, <<\"none\">>})").await, "nil");
    assert_eq!(eval("gen_server:call(K, has_caller)").await, "true");
    // By its pid, which a monitor of the name returns.
    let by_pid = "P = rpc:call('rust@127.0.0.1', names, find, [kv]), \
                  {gen_server:call(P, size), gen_server:cast(P, {note, <<\"x\">>}), gen_server:call(P, size)}";
    assert_eq!(eval(by_pid).await, "{3,ok,4}");
    let asked = "R = gen_server:send_request(K, size), gen_server:receive_response(R, 5000)";
    assert_eq!(eval(asked).await, "{reply,4}");
    let multi = "gen_server:multi_call(['rust@127.0.0.1'], kv, size)";
    assert_eq!(eval(multi).await, "{[{'rust@127.0.0.1',4}],[]}");
    // A timeout: the late answer is dropped.
    let late = "{'EXIT', {timeout, _}} = (catch gen_server:call(K, {later, 1000}, 0)), \
                timer:sleep(1500), {gen_server:call(K, size), process_info(self(), messages)}";
    assert_eq!(eval(late).await, "{4,{messages,[]}}");
    // What gets no answer ends at once.
    let exit = |call: &str| {
        format!(
            "{{'EXIT', {{Why, {{gen_server, call, _}}}}}} = (catch gen_server:call(K, {call})), Why"
        )
    };
    assert_eq!(
        eval(&exit("drop")).await,
        "{no_reply,<<\"the server has dropped the reply of this call\">>}"
    );
    let why = eval(&exit("{put, secret, 1}")).await;
    assert!(why.starts_with("{bad_request,<<\"found an atom, expected a string"), "{why}");
    assert_eq!(lost.next().await.unwrap().cause, regrow::DeadLetterCause::Undecodable);
    // `multi_call` of OTP 25 doesn't say which monitor is that of the call: it waits for its time.
    let multi = "gen_server:multi_call(['rust@127.0.0.1'], kv, drop, 100)";
    assert_eq!(eval(multi).await, "{[],['rust@127.0.0.1']}");
    let nobody = "catch gen_server:call({nobody, 'rust@127.0.0.1'}, size)";
    assert!(eval(nobody).await.starts_with("{'EXIT',{noproc,"));
    assert_eq!(eval(&exit("crash")).await, "{error,<<\"no luck\">>}");
    rt.server(KV).call_waiting(Call::Size, Duration::from_secs(5)).await.unwrap();
    assert_eq!(eval(&exit("stop")).await, "normal");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn a_server_of_the_beam_is_called_and_sent_casts() {
    let Some(epmd) = Epmd::start().await else { return };
    let (rt, _tree) = rust(&epmd).await;
    let mut beam = Beam::start(&epmd, "beam@127.0.0.1", COOKIE).await;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/beam_server.erl");
    let start = format!(
        "{{ok, M, B}} = compile:file(\"{source}\", [binary]), code:load_binary(M, \"\", B), \
         {{ok, _}} = gen_server:start({{local, kv}}, M, [], []), ok"
    );
    assert_eq!(beam.eval(&start).await, "ok");
    let there = rt.node("beam@127.0.0.1").server(KV);
    assert!(there.cast(Cast::Note("tea".into())));
    assert_eq!(there.call(Call::Size).await, Ok(1));
    assert_eq!(there.call(|reply| Call::Put("milk".into(), 2, reply)).await, Ok(()));
    let get = |key: &str| {
        let key = key.to_owned();
        there.call(|reply| Call::Get { key, reply })
    };
    assert_eq!(get("milk").await, Ok(Some("milk".to_owned())));
    assert_eq!(get("none").await, Ok(None));
    // By any terms.
    let untyped = rt.node("beam@127.0.0.1").process("kv");
    let atom = |name| Atom::new(name).unwrap();
    let price: Result<u32, String> = untyped.call((atom("price"), "milk")).await.unwrap();
    assert_eq!(price, Ok(4));
    assert_eq!(untyped.call(atom("caller")).await, Ok(atom("rust@127.0.0.1")));
    assert_eq!(untyped.cast((atom("note"), "x")), Ok(true));
    assert_eq!(there.call(Call::Size).await, Ok(4));
    // The answer is of another type.
    let text = there.call(Call::Text).await;
    let Err(CallError::InvalidAnswer(why)) = text else { panic!("{text:?}") };
    assert!(why.starts_with("found a binary, expected u32"), "{why}");
    // A timeout: the late answer is dropped, and the monitor is removed.
    let short = Duration::from_millis(1);
    let late = there.call_timeout(|reply| Call::Later(50, reply), short).await;
    assert_eq!(late, Err(CallError::Timeout));
    assert_eq!(there.call(|reply| Call::Later(60, reply)).await, Ok(4));
    beam.until("process_info(whereis(kv), monitored_by)", "{monitored_by,[]}").await;
    // The end of the server.
    let Err(CallError::Exited(reason)) = there.call(Call::Crash).await else { panic!() };
    assert!(reason.to_string().contains("no_luck"), "{reason}");
    assert_eq!(there.call(Call::Size).await, Err(CallError::NoHolder("kv".into())));
    // The end of its node.
    assert_eq!(
        beam.eval("{ok, _} = gen_server:start({local, kv}, beam_server, [], []), ok").await,
        "ok"
    );
    let waits = tokio::spawn({
        let there = there.clone();
        async move { there.call(|reply| Call::Slow(60_000, reply)).await }
    });
    // The server is busy once the request has arrived.
    beam.until("element(2, process_info(whereis(kv), status))", "waiting").await;
    beam.until("element(2, process_info(whereis(kv), current_function))", "{timer,sleep,1}").await;
    beam.process.kill().await.unwrap();
    assert_eq!(waits.await.unwrap(), Err(CallError::NoConnection));
    assert_eq!(there.call(Call::Size).await, Err(CallError::NoConnection));
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
async fn elixir_calls_a_server() {
    let Some(epmd) = Epmd::start().await else { return };
    let (_rt, _tree) = rust(&epmd).await;
    let script = r#"
        kv = {:kv, :"rust@127.0.0.1"}
        IO.inspect(GenServer.call(kv, {:put, "milk", 1}))
        IO.inspect(GenServer.cast(kv, {:note, "tea"}))
        IO.inspect(GenServer.call(kv, {:get, "milk"}))
        IO.inspect(GenServer.call(kv, :size))
        IO.inspect(GenServer.multi_call([:"rust@127.0.0.1"], :kv, :size))
        try do
          GenServer.call(kv, {:get, :milk})
        catch
          :exit, {{:bad_request, why}, _} -> IO.puts(why)
        end
        try do
          GenServer.call(kv, :crash)
        catch
          :exit, {why, _} -> IO.inspect(why)
        end
    "#;
    let mut elixir = Command::new("elixir");
    elixir.env("ERL_EPMD_PORT", epmd.port.to_string()).stdin(Stdio::null());
    elixir.args(["--name", "elixir@127.0.0.1", "--cookie", COOKIE, "--erl"]);
    elixir.args(["-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}", "-e", script]);
    let output = match elixir.output().await {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            skipped("this test needs Elixir, and there is no `elixir`");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let shown = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = shown.lines().collect();
    let expected = [
        ":ok",
        ":ok",
        "\"milk\"",
        "2",
        "{[\"rust@127.0.0.1\": 2], []}",
        "found an atom, expected a string, at byte 7",
        "{:error, \"no luck\"}",
    ];
    assert_eq!(lines, expected, "{}", String::from_utf8_lossy(&output.stderr));
}
