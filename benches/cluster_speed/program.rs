//! The nodes, each a program that reads orders and prints figures.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::NODE;

/// The cookie of all nodes.
pub(crate) const COOKIE: &str = "bench";

const SOURCE: &str = include_str!("speed.erl");

/// A node that runs.
pub(crate) struct Program {
    process: Child,
    orders: ChildStdin,
    figures: BufReader<ChildStdout>,
}

/// A compiled module of Erlang.
pub(crate) struct Module(PathBuf);

impl Drop for Module {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns a port that no program uses.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

/// Compiles the module of the nodes of Erlang, if `erlc` is installed.
pub(crate) fn compile() -> Option<Module> {
    let folder = std::env::temp_dir().join(format!("regrow-speed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).ok()?;
    std::fs::write(folder.join("speed.erl"), SOURCE).ok()?;
    match Command::new("erlc").arg("speed.erl").current_dir(&folder).status() {
        Ok(status) if status.success() => Some(Module(folder)),
        Ok(status) => panic!("`erlc` failed: {status}"),
        Err(error) => {
            println!("SKIPPED: nodes of Erlang, because `erlc` can't be started: {error}\n");
            None
        }
    }
}

/// Starts a node of Erlang.
pub(crate) fn beam(module: &Module, name: &str, epmd: u16) -> Program {
    let mut command = Command::new("erl");
    command.env("ERL_EPMD_PORT", epmd.to_string());
    command.args(["-noshell", "+S", "2:2", "-start_epmd", "false", "-setcookie", COOKIE]);
    command.args(["-name", &full(name), "-connect_all", "false", "-pa"]).arg(&module.0);
    command.args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-run", "speed", "main"]);
    start(command)
}

/// Starts a node of this crate.
pub(crate) fn regrow(name: &str, epmd: u16) -> Program {
    let mut command = Command::new(std::env::current_exe().expect("a bench is a file"));
    command.args([NODE, &full(name), &epmd.to_string()]);
    start(command)
}

fn full(name: &str) -> String {
    format!("{name}@127.0.0.1")
}

fn start(mut command: Command) -> Program {
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut process = command.spawn().expect("the program can be started");
    let orders = process.stdin.take().expect("it is piped");
    let figures = BufReader::new(process.stdout.take().expect("it is piped"));
    let mut program = Program { process, orders, figures };
    assert_eq!(program.line(), "ready");
    program
}

impl Program {
    /// Sends an order. Returns as many figures as it prints.
    pub(crate) fn measure(&mut self, order: &str, count: usize) -> Vec<f64> {
        self.orders.write_all(order.as_bytes()).expect("the node runs");
        let line = self.line();
        let figures: Vec<f64> = line.split_whitespace().filter_map(|f| f.parse().ok()).collect();
        assert_eq!(figures.len(), count, "{order}: {line}");
        figures
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.figures.read_line(&mut line).expect("it prints text");
        assert!(read > 0, "the node has ended");
        line.trim().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
