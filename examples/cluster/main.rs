//! A chat whose users are other programs: a room at one node, users at others, in Rust and in Elixir.
//!
//! You learn how a server is exposed to other nodes, how a process of another node is monitored and
//! sent to, and what is seen of a node that is killed.
//!
//! ```text
//! cargo run --features cluster --example cluster -- room           the room, at 127.0.0.1:7100
//! cargo run --features cluster --example cluster -- user ann       a user, each in a terminal of its own
//! cargo run --features cluster --example cluster -- --selftest     all of it; exits with 0 or 1
//! ```
//!
//! A user writes lines. Kill a user with `kill -9`, and the others are notified; kill the room and start
//! it again, and all users are back in it. A user in Elixir:
//!
//! ```text
//! elixir --erl "-start_epmd false -erl_epmd_port 7100 -dist_listen false" \
//!     --name eve@127.0.0.1 --cookie chat examples/cluster/eve.exs
//! ```
//!
//! The nodes accept connections of this machine only. All have the cookie of the variable
//! `CHAT_COOKIE`, or `chat`.

mod room;
mod selftest;
mod user;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use regrow::cluster::{Cookie, Node, Resolver};
use regrow::{GenServer, LogLevel, Program, Run, Supervisor, SupervisorSpec};

use room::{ROOM, Room};
use user::{USER, User, keyboard};

/// The node of the room.
const ROOM_NODE: &str = "room@127.0.0.1";
const PORT: u16 = 7100;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let port = |text: Option<&&str>| text.map_or(Ok(PORT), |text| text.parse());
    let tree = match args[..] {
        ["--selftest"] => return selftest::run(),
        ["room", ref rest @ ..] => port(rest.first()).map(room),
        ["user", name, ref rest @ ..] => port(rest.first()).map(|port| user(name, port)),
        _ => {
            eprintln!("usage: cluster room [PORT] | user NAME [PORT] | --selftest");
            return ExitCode::from(2);
        }
    };
    match tree {
        Ok(tree) => {
            regrow::log::init(LogLevel::Error);
            Program::new().run(async || Ok(Run::new(tree)))
        }
        Err(error) => {
            eprintln!("the port: {error}");
            ExitCode::from(2)
        }
    }
}

fn cookie() -> Cookie {
    Cookie::from_env("CHAT_COOKIE").unwrap_or_else(|_| Cookie::new("chat"))
}

// ANCHOR: room
/// The room, and the node that makes it reachable. Users find the port without the help of EPMD, so
/// the room needs no name there.
fn room(port: u16) -> SupervisorSpec {
    let node = Node::new(ROOM_NODE)
        .cookie(cookie())
        .resolver(Resolver::without_epmd())
        .listen((Ipv4Addr::LOCALHOST, port))
        .expose(ROOM);
    Supervisor::rest_for_one().named("chat").child(Room::child(()).named(ROOM)).child(node)
}
// ANCHOR_END: room

// ANCHOR: user
/// A user, and the node that reaches the room.
fn user(name: &str, port: u16) -> SupervisorSpec {
    let room = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let node = Node::new(format!("{name}@127.0.0.1"))
        .cookie(cookie())
        .resolver(Resolver::without_epmd().node(ROOM_NODE, room));
    Supervisor::rest_for_one()
        .named("chat")
        .child(node)
        .child(User::child(name.to_owned()).named(USER))
        .child(keyboard())
}
// ANCHOR_END: user
