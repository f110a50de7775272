//! A program in Elixir as the client.

use std::io::ErrorKind;
use std::process::Stdio;

use regrow::cluster::{Atom, Cookie, Node, Term};
use regrow::{GenServer, Runtime, Supervisor};
use serde::Deserialize;
use tokio::process::Command;

use crate::beam::{COOKIE, Epmd, skipped};
use crate::kv::{KV, Kv};

/// A `Date` of Elixir. The key `__struct__` is ignored.
#[derive(Deserialize)]
struct Date {
    year: u32,
    month: u8,
    day: u8,
}

/// Each line shows one thing, in the order of `EXPECTED`.
const SCRIPT: &str = r#"
    node = :"rust@127.0.0.1"
    kv = {:kv, node}
    IO.inspect(Node.connect(node))
    IO.inspect(Node.ping(node))
    IO.inspect({Node.list(), Node.list(:hidden)})
    IO.inspect(GenServer.call(kv, {:put, "milk", 1}))
    IO.inspect({GenServer.cast(kv, {:note, "tea"}), GenServer.call(kv, :size)})
    IO.inspect(:rpc.call(node, :shop, :echo, [~D[2024-02-29]]))
    IO.inspect(:erpc.call(node, :shop, :sum, [~D[2024-02-29]]))
    IO.inspect(Task.await(Task.async(fn -> GenServer.call(kv, :has_caller) end)))
    Node.monitor(node, true)
    ref = Process.monitor(kv)
    IO.inspect(Node.disconnect(node))
    receive do {:nodedown, lost} -> IO.inspect({:nodedown, lost}) end
    receive do {:DOWN, ^ref, :process, who, why} -> IO.inspect({who, why}) end
    tasks = Enum.map(1..20, fn _ -> Task.async(fn -> GenServer.call(kv, :size) end) end)
    IO.inspect(Enum.uniq(Task.await_many(tasks)))
    pid = :rpc.call(node, :names, :find, [:kv])
    ref = Process.monitor(pid)
    IO.inspect(node(pid))
    try do
      GenServer.call(pid, :crash)
    catch
      :exit, {why, _} -> IO.inspect(why)
    end
    receive do {:DOWN, ^ref, :process, ^pid, why} -> IO.inspect(why) end
    ref = Process.monitor(pid)
    receive do {:DOWN, ^ref, :process, ^pid, why} -> IO.inspect(why) end
"#;

const EXPECTED: [&str; 16] = [
    "true",
    ":pong",
    "{[], [:\"rust@127.0.0.1\"]}",
    ":ok",
    "{:ok, 2}",
    "~D[2024-02-29]",
    "2055",
    "true",
    "true",
    "{:nodedown, :\"rust@127.0.0.1\"}",
    "{{:kv, :\"rust@127.0.0.1\"}, :noconnection}",
    "[2]",
    ":\"rust@127.0.0.1\"",
    "{:error, \"no luck\"}",
    "{:error, \"no luck\"}",
    ":noproc",
];

#[tokio::test]
async fn elixir_uses_a_node_as_one_of_its_own() {
    let Some(epmd) = Epmd::start().await else { return };
    let rt = Runtime::new();
    let names = rt.clone();
    let node = Node::new("rust@127.0.0.1").cookie(Cookie::new(COOKIE)).resolver(epmd.resolver());
    let node = node
        .function("shop", "echo", async |(term,): (Term,)| term)
        .function("shop", "sum", async |(date,): (Date,)| {
            date.year + u32::from(date.month) + u32::from(date.day)
        })
        .function("names", "find", move |(name,): (Atom,)| {
            let pid = names.whereis(name.as_str());
            async move { pid }
        });
    let tree = Supervisor::one_for_one().child(Kv::child(()).named(KV)).child(node.expose(KV));
    let _tree = tree.start(&rt).await.unwrap();
    let mut elixir = Command::new("elixir");
    elixir.env("ERL_EPMD_PORT", epmd.port.to_string()).stdin(Stdio::null()).kill_on_drop(true);
    elixir.args(["--name", "elixir@127.0.0.1", "--cookie", COOKIE, "--erl"]);
    elixir.args(["-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}", "-e", SCRIPT]);
    let output = match elixir.output().await {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skipped("this test needs Elixir, and there is no `elixir`");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let shown = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines, EXPECTED, "{}", String::from_utf8_lossy(&output.stderr));
}
