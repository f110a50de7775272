//! Network namespaces as hosts: each has an address, an EPMD and a cable to a common switch. The cables
//! are the real network of the operating system, so what is cut here is lost as on a network that fails.
//!
//! ```text
//! host 1  e0 10.77.0.1 ──── p1 ┐
//! host 2  e0 10.77.0.2 ──── p2 ├ bridge `switch`, in a namespace of its own
//! host 3  e0 10.77.0.3 ──── p3 ┘
//! ```
//!
//! A namespace exists as long as a process in it. This process ends with its standard input, so a test
//! program that is killed leaves no namespace.

use std::net::Ipv4Addr;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Duration, timeout};

use crate::beam::{Place, skipped};

/// The port of EPMD. No other program is in the namespaces.
const EPMD_PORT: u16 = 4369;

/// How long an EPMD may take to start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Hosts with the numbers 1, 2, … and the switch between them.
pub(crate) struct Hosts {
    switch: Namespace,
    hosts: Vec<Namespace>,
    _daemons: Vec<Child>,
}

/// A network namespace.
struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Makes a namespace; `None` if that is not allowed, or a program for it is missing.
    async fn make() -> Option<Namespace> {
        let mut command = Command::new("unshare");
        // The line says that the namespace is there.
        command.args(["--net", "sh", "-c", "echo made; exec cat"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.kill_on_drop(true).spawn().ok()?;
        let mut lines = BufReader::new(holder.stdout.take()?).lines();
        let made = lines.next_line().await.ok()??;
        (made == "made").then_some(Namespace { holder })
    }

    fn pid(&self) -> u32 {
        self.holder.id().unwrap()
    }

    /// Runs `ip` in this namespace; `None` if there is no such program, or it fails.
    async fn try_ip(&self, arguments: &str) -> Option<()> {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid().to_string(), "--net", "ip"]);
        command.args(arguments.split(' ')).stdin(Stdio::null());
        let output = command.output().await.ok()?;
        let error = String::from_utf8_lossy(&output.stderr);
        (output.status.success() || error.contains("No such process")).then_some(())
    }

    async fn ip(&self, arguments: &str) {
        let done = self.try_ip(arguments).await;
        assert!(done.is_some(), "`ip {arguments}` fails");
    }
}

impl Hosts {
    /// Makes hosts, each with an EPMD; `None` if Erlang, `ip` or the right to make network namespaces
    /// is missing.
    pub(crate) async fn start(count: u8) -> Option<Hosts> {
        let mut hosts = Hosts::without_epmd(count).await?;
        for number in 1..=count {
            let daemon = hosts.epmd(number).await?;
            hosts._daemons.push(daemon);
        }
        Some(hosts)
    }

    /// Makes hosts without any program; `None` if `ip` or the right to make network namespaces is missing.
    pub(crate) async fn without_epmd(count: u8) -> Option<Hosts> {
        let hosts = Hosts::connected(count).await;
        if hosts.is_none() {
            skipped(
                "this test needs root, `ip`, `unshare` and `nsenter`, to make network namespaces",
            );
        }
        hosts
    }

    async fn connected(count: u8) -> Option<Hosts> {
        let switch = Namespace::make().await?;
        switch.try_ip("link add switch type bridge").await?;
        switch.ip("link set switch up").await;
        let mut hosts = Vec::new();
        for number in 1..=count {
            let host = Namespace::make().await?;
            let cable = format!("link add p{number} type veth peer name e0 netns {}", host.pid());
            switch.ip(&cable).await;
            switch.ip(&format!("link set p{number} master switch up")).await;
            host.ip(&format!("address add {}/24 dev e0", address(number))).await;
            host.ip("link set lo up").await;
            host.ip("link set e0 up").await;
            hosts.push(host);
        }
        Some(Hosts { switch, hosts, _daemons: Vec::new() })
    }

    /// Starts the EPMD of a host; `None` if Erlang is not installed.
    async fn epmd(&self, number: u8) -> Option<Child> {
        let place = self.place(number);
        let port = EPMD_PORT.to_string();
        if Command::new("epmd").arg("-names").output().await.is_err() {
            skipped("this test needs Erlang, and there is no `epmd`");
            return None;
        }
        let mut daemon = place.command("epmd");
        daemon.args(["-port", &port]).stdin(Stdio::null()).stdout(Stdio::null());
        let daemon = daemon.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
        let answers = async {
            loop {
                let names = place.command("epmd").args(["-port", &port, "-names"]).output().await;
                if names.is_ok_and(|output| output.status.success()) {
                    break;
                }
            }
        };
        timeout(START_LIMIT, answers).await.expect("`epmd` starts");
        Some(daemon)
    }

    /// Where the programs of a host run.
    pub(crate) fn place(&self, number: u8) -> Place {
        let namespace = Some(self.host(number).pid());
        Place { address: address(number), epmd_port: EPMD_PORT, namespace }
    }

    fn host(&self, number: u8) -> &Namespace {
        &self.hosts[usize::from(number) - 1]
    }

    /// Pulls the cable of a host out of the switch. No packet arrives, and nothing notifies a host.
    pub(crate) async fn cut(&self, number: u8) {
        self.switch.ip(&format!("link set p{number} down")).await;
    }

    /// Plugs the cable of a host in again.
    pub(crate) async fn heal(&self, number: u8) {
        self.switch.ip(&format!("link set p{number} up")).await;
    }

    /// Makes each packet of one host to another one go to a hardware address that no host has. The
    /// packets of the other direction still arrive.
    pub(crate) async fn cut_from(&self, from: u8, to: u8) {
        let to = address(to);
        let wrong = format!("neigh replace {to} lladdr 02:00:00:00:00:99 dev e0 nud permanent");
        self.host(from).ip(&wrong).await;
    }

    /// Makes the host look for the right hardware address.
    pub(crate) async fn heal_from(&self, from: u8, to: u8) {
        let to = address(to);
        self.host(from).ip(&format!("neigh del {to} dev e0")).await;
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}
