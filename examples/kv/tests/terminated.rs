//! The key-value service as a process: terminated while clients write, and started again.
#![cfg(unix)]

#[path = "../../../tests/support/program.rs"]
mod program;

use std::io::{Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use program::{Program, reported};

const CLIENTS: usize = 4;

/// Starts the service on this file. Also returns its address.
fn start(kv: &Path, file: &Path) -> (Program, SocketAddr) {
    let mut program = Program::start(Command::new(kv).arg("127.0.0.1:0").arg(file));
    let line = program.says("http://");
    let address = line.trim_start_matches("http://").split(',').next().unwrap();
    (program, address.parse().unwrap())
}

/// Sends one request on its own connection. Returns the status and body.
fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
    let mut socket = TcpStream::connect(address)?;
    let length = body.len();
    write!(
        socket,
        "{method} {path} HTTP/1.1\r\nhost: kv\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let status = answer.get(9..12).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    // If the connection was closed without an answer, the outcome of the request is unknown.
    status.map(|status| (status, body.to_owned())).ok_or(std::io::ErrorKind::UnexpectedEof.into())
}

/// Writes one key after another until the service is gone. Returns how many were acknowledged, and
/// reports when the first five were.
fn write(client: usize, address: SocketAddr, under_way: &Sender<()>) -> u32 {
    let mut keys = 0;
    while let Ok((status, _)) = ask(address, "PUT", &format!("/kv/{client}-{keys}"), "there") {
        keys += u32::from(status == 204);
        if keys == 5 {
            under_way.send(()).unwrap();
        }
    }
    keys
}

/// SIGTERM under load: the front stops first, after its last answers, then the store, and the program
/// exits with success. Every acknowledged key is there after the next start.
#[test]
fn a_terminated_store_loses_nothing_that_it_acknowledged() {
    let kv = Path::new(env!("CARGO_BIN_EXE_kv"));
    let file = std::env::temp_dir().join(format!("regrow-programs-kv-{}.db", std::process::id()));
    let (mut program, address) = start(kv, &file);
    let (under_way, is_under_way) = channel();
    let client = |client| {
        let under_way = under_way.clone();
        thread::spawn(move || write(client, address, &under_way))
    };
    let clients: Vec<_> = (0..CLIENTS).map(client).collect();
    for _ in 0..CLIENTS {
        is_under_way.recv().unwrap();
    }
    program.signal("TERM");
    let (lines, code) = program.rest();
    let acknowledged: Vec<u32> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    assert_eq!(code, Some(0), "{lines:#?}");
    let report = reported(&lines);
    let paths: Vec<&str> = report.iter().map(|(path, _)| *path).collect();
    assert_eq!(paths, ["kv/http", "kv/store"]);
    assert!(report.iter().all(|(_, rest)| rest.ends_with("stopped (shutdown)")), "{report:?}");

    let (mut again, address) = start(kv, &file);
    for (client, keys) in acknowledged.into_iter().enumerate() {
        for key in 0..keys {
            let found = ask(address, "GET", &format!("/kv/{client}-{key}"), "").unwrap();
            assert_eq!(found, (200, "there".to_owned()), "client {client}, key {key}");
        }
    }
    again.signal("TERM");
    assert_eq!(again.rest().1, Some(0));
    for end in ["db", "db-wal", "db-shm"] {
        drop(std::fs::remove_file(file.with_extension(end)));
    }
}
