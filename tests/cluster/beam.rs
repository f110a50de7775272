//! Nodes of Erlang, each a process of the operating system that evaluates expressions, and an EPMD
//! for each test.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use regrow::cluster::{Cookie, Node, Resolver};
use regrow::{Runtime, Supervisor, SupervisorRef};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

pub(crate) use crate::erlang::{is_full, skipped};

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

/// How long an EPMD may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);
/// How long an evaluation may take. It ends a test that would never end.
const VALUE_LIMIT: Duration = Duration::from_secs(120);

/// Whether each test runs alone, so that the time that something takes can be checked.
pub(crate) fn is_alone() -> bool {
    is_full() && std::env::var("RUST_TEST_THREADS").is_ok_and(|threads| threads == "1")
}

/// Where the programs of a node run: their address, the port of their EPMD, and the process whose
/// network namespace they are in.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) address: Ipv4Addr,
    pub(crate) epmd_port: u16,
    pub(crate) namespace: Option<u32>,
}

impl Place {
    /// A command that starts a program at this place.
    pub(crate) fn command(&self, program: &str) -> Command {
        let Some(holder) = self.namespace else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.args(["--target", &holder.to_string(), "--net", program]);
        command
    }
}

/// An EPMD at a port of its own.
pub(crate) struct Epmd {
    pub(crate) port: u16,
    _daemon: Option<Child>,
}

impl Epmd {
    /// Starts an EPMD; `None` if Erlang is not installed.
    pub(crate) async fn start() -> Option<Epmd> {
        // Another program may take the port first; then the EPMD ends.
        for _ in 0..10 {
            let (port, mut daemon) = Epmd::spawn().await?;
            if timeout(START_LIMIT, answers(port, &mut daemon)).await.expect("`epmd` starts") {
                return Some(Epmd { port, _daemon: Some(daemon) });
            }
        }
        panic!("no `epmd` got a port");
    }

    /// Starts the program; `None` if there is none.
    async fn spawn() -> Option<(u16, Child)> {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut command = Command::new("epmd");
        command.args(["-address", "127.0.0.1", "-port", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.kill_on_drop(true).spawn() {
            Ok(daemon) => Some((port, daemon)),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                skipped("this test needs Erlang, and there is no `epmd`");
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts an EPMD; `None` if Erlang, or its application `ssl`, is not installed.
    #[cfg(feature = "cluster-tls")]
    pub(crate) async fn start_with_tls() -> Option<Epmd> {
        let epmd = Epmd::start().await?;
        let load = "case code:which(inet_tls_dist) of non_existing -> halt(1); _ -> halt(0) end.";
        let erl = Command::new("erl").args(["-noshell", "-eval", load]).status().await;
        if erl.is_ok_and(|status| status.success()) {
            return Some(epmd);
        }
        skipped("this test needs the application `ssl` of Erlang");
        None
    }

    /// An EPMD that a test has started itself.
    pub(crate) fn at(port: u16) -> Epmd {
        Epmd { port, _daemon: None }
    }

    pub(crate) fn resolver(&self) -> Resolver {
        Resolver::epmd_at(self.port)
    }

    /// This machine, with this EPMD.
    pub(crate) fn place(&self) -> Place {
        Place { address: Ipv4Addr::LOCALHOST, epmd_port: self.port, namespace: None }
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

/// Waits until an EPMD answers at its port; false if it has ended.
async fn answers(port: u16, daemon: &mut Child) -> bool {
    loop {
        let is_open = TcpStream::connect(("127.0.0.1", port)).await.is_ok();
        // The end of the program, or the time for the next attempt.
        if timeout(Duration::from_millis(10), daemon.wait()).await.is_ok() {
            return false;
        }
        if is_open {
            return true;
        }
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
        Beam::start_args(epmd, name, cookie, tick_time, &[]).await
    }

    /// Starts a node with these arguments of `erl` as well.
    pub(crate) async fn start_args(
        epmd: &Epmd,
        name: &str,
        cookie: &str,
        tick_time: u32,
        args: &[&str],
    ) -> Beam {
        Beam::start_at(&epmd.place(), name, cookie, tick_time, args).await
    }

    /// Starts a node at a place.
    pub(crate) async fn start_at(
        place: &Place,
        name: &str,
        cookie: &str,
        tick_time: u32,
        args: &[&str],
    ) -> Beam {
        let mut command = place.command("erl");
        command.args(args);
        // A host without a dot belongs to a short name.
        let kind = if name.ends_with("@localhost") { "-sname" } else { "-name" };
        let address = format!("{{{}}}", place.address.to_string().replace('.', ","));
        command.env("ERL_EPMD_PORT", place.epmd_port.to_string());
        command.args(["-noshell", "-start_epmd", "false", kind, name, "-setcookie", cookie]);
        command.args(["-kernel", "inet_dist_use_interface", &address]);
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
        timeout(VALUE_LIMIT, self.next_value()).await.expect("the evaluation ends in two minutes")
    }

    async fn next_value(&mut self) -> String {
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
        send_signal(&self.process, signal).await;
    }
}

/// Sends a signal of the operating system to a program.
pub(crate) async fn send_signal(program: &Child, signal: &str) {
    let pid = program.id().unwrap().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().await.unwrap().success());
}
