//! Nodes of Erlang, each a process of the operating system that evaluates expressions, and an EPMD
//! for each test.

use std::io::ErrorKind;
use std::process::Stdio;

use regrow::cluster::{Cookie, Node, Resolver};
use regrow::{Runtime, Supervisor, SupervisorRef};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Reads expressions, one a line, and writes their values.
const LOOP: &str = r#"
    F = fun F() ->
        case io:get_line("") of
            eof -> halt();
            Line ->
                {ok, Tokens, _} = erl_scan:string(Line),
                {ok, Exprs} = erl_parse:parse_exprs(Tokens),
                Value = try element(2, erl_eval:exprs(Exprs, []))
                        catch Class:Reason -> {Class, Reason} end,
                io:format("=> ~0p~n", [Value]),
                F()
        end
    end,
    io:format("=> ready~n"),
    F().
"#;

pub(crate) const COOKIE: &str = "cluster-test";

/// An EPMD at a port of its own.
pub(crate) struct Epmd {
    pub(crate) port: u16,
    _daemon: Child,
}

impl Epmd {
    /// Starts an EPMD; `None` if Erlang is not installed.
    pub(crate) async fn start() -> Option<Epmd> {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut command = Command::new("epmd");
        command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = match command.kill_on_drop(true).spawn() {
            Ok(daemon) => daemon,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("SKIPPED: this test needs Erlang, and there is no `epmd`");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
        Some(Epmd { port, _daemon: daemon })
    }

    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::epmd_at(self.port)
    }

    /// A node of this crate.
    pub(crate) fn node_spec(&self, name: &str) -> Node {
        Node::new(name).cookie(Cookie::new(COOKIE)).resolver(self.resolver())
    }

    /// Starts a node of this crate in a runtime of its own.
    pub(crate) async fn node(&self, name: &str) -> (Runtime, SupervisorRef) {
        let node = self.node_spec(name);
        let rt = Runtime::new();
        let tree = Supervisor::one_for_one().child(node).start(&rt).await.unwrap();
        (rt, tree)
    }
}

/// A node of Erlang.
pub(crate) struct Beam {
    pub(crate) process: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Beam {
    pub(crate) async fn start(epmd: &Epmd, name: &str, cookie: &str) -> Beam {
        Beam::start_with(epmd, name, cookie, 60).await
    }

    /// Starts a node with this tick time, in seconds.
    pub(crate) async fn start_with(epmd: &Epmd, name: &str, cookie: &str, tick_time: u32) -> Beam {
        let mut command = Command::new("erl");
        command.env("ERL_EPMD_PORT", epmd.port.to_string());
        command.args(["-noshell", "-start_epmd", "false", "-name", name, "-setcookie", cookie]);
        command.args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"]);
        command.args(["-kernel", "net_ticktime", &tick_time.to_string()]);
        command.args(["-kernel", "logger_level", "none", "-eval", LOOP]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.kill_on_drop(true).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut beam = Beam { process, input, output };
        assert_eq!(beam.value().await, "ready");
        beam
    }

    /// Evaluates expressions, and returns the last value as text.
    pub(crate) async fn eval(&mut self, expressions: &str) -> String {
        self.send(expressions).await;
        self.value().await
    }

    /// Begins an evaluation, whose value the next call of [`value`](Self::value) returns.
    pub(crate) async fn send(&mut self, expressions: &str) {
        let line = format!("{}.\n", expressions.replace('\n', " "));
        self.input.write_all(line.as_bytes()).await.unwrap();
    }

    pub(crate) async fn value(&mut self) -> String {
        loop {
            let line = self.output.next_line().await.unwrap();
            let line = line.expect("the node of Erlang has ended");
            if let Some(value) = line.strip_prefix("=> ") {
                return value.to_owned();
            }
        }
    }

    /// Waits until an expression has this value, for at most ten seconds. The two sides of a
    /// connection don't know it at the same instant.
    pub(crate) async fn until(&mut self, expression: &str, value: &str) {
        let wait = format!(
            "W = fun W(0) -> {expression}; \
             W(N) -> case {expression} of {value} -> {value}; _ -> timer:sleep(10), W(N - 1) end \
             end, W(1000)"
        );
        assert_eq!(self.eval(&wait).await, value);
    }

    /// Sends a signal of the operating system.
    pub(crate) async fn signal(&self, signal: &str) {
        let pid = self.process.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
    }
}
