//! 6. A program that is killed and started again, many times.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::program::Program;
use crate::beam::{Beam, COOKIE, Epmd, is_full};

const BEAM: &str = "beam@127.0.0.1";
const RUST: &str = "rust@127.0.0.1";

/// Passes bytes between a node that connects and a node of Erlang, and reads the first message of the
/// latter: the status of the handshake.
struct Relay {
    address: SocketAddr,
    status: oneshot::Receiver<String>,
}

impl Relay {
    async fn start(port: u16) -> Relay {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, status) = oneshot::channel();
        tokio::spawn(async move {
            let (mut dialed, _) = listener.accept().await.unwrap();
            let mut beam = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            let mut name = vec![0; usize::from(dialed.read_u16().await.unwrap())];
            dialed.read_exact(&mut name).await.unwrap();
            beam.write_u16(u16::try_from(name.len()).unwrap()).await.unwrap();
            beam.write_all(&name).await.unwrap();
            let mut status = vec![0; usize::from(beam.read_u16().await.unwrap())];
            beam.read_exact(&mut status).await.unwrap();
            dialed.write_u16(u16::try_from(status.len()).unwrap()).await.unwrap();
            dialed.write_all(&status).await.unwrap();
            let _ = sender.send(String::from_utf8_lossy(&status).into_owned());
            let _ = copy_bidirectional(&mut dialed, &mut beam).await;
        });
        Relay { address, status }
    }
}

/// A node of Erlang that holds the pid of a process of the program, and monitors it.
struct World {
    beam: Beam,
    creations: BTreeSet<String>,
}

impl World {
    /// Notes the pid of the program that runs now, which has to have another creation than all before.
    async fn meet(&mut self) {
        let meet = "P = rpc:call('RUST', names, find, [kv]), put(pid, P), \
                    put(ref, erlang:monitor(process, P)), B = term_to_binary(P), \
                    {gen_server:call(P, size), \
                     binary:decode_unsigned(binary:part(B, byte_size(B), -4))}";
        let met = self.beam.eval(&meet.replace("RUST", RUST)).await;
        let creation = met.strip_prefix("{0,").unwrap_or_else(|| panic!("{met}"));
        assert!(self.creations.insert(creation.to_owned()), "{met} a second time");
    }

    /// Waits until the loss of the program is noticed.
    async fn loses(&mut self) {
        let down = "R = get(ref), P = get(pid), put(old, P), \
                    receive {'DOWN', R, process, P, W} -> W after 20000 -> late end";
        assert_eq!(self.beam.eval(down).await, "noconnection");
    }

    /// The pid of the program before this one is that of no process, for each kind of use.
    async fn old_pid_is_dead(&mut self) {
        let uses = "O = get(old), R = erlang:monitor(process, O), process_flag(trap_exit, true), \
                    M = receive {'DOWN', R, process, O, W} -> W after 20000 -> late end, \
                    {'EXIT', {C, _}} = (catch gen_server:call(O, size)), \
                    link(O), L = receive {'EXIT', O, E} -> E after 20000 -> late end, \
                    O ! lost, exit(O, kill), {M, C, L, net_adm:ping('RUST')}";
        let used = self.beam.eval(&uses.replace("RUST", RUST)).await;
        assert_eq!(used, "{noproc,noproc,noproc,pong}");
    }
}

/// Each second restart takes place while the node of Erlang holds the connection of the program before,
/// which is stopped and then killed: the status is `alive`.
#[tokio::test]
async fn a06_a_program_that_is_killed_and_started_again_has_new_pids() {
    let Some(epmd) = Epmd::start().await else { return };
    let place = epmd.place();
    let beam = Beam::start(&epmd, BEAM, COOKIE).await;
    let mut world = World { beam, creations: BTreeSet::new() };
    let port = "{ok, L} = net_adm:names('127.0.0.1'), element(2, lists:keyfind(\"beam\", 1, L))";
    let port: u16 = world.beam.eval(port).await.parse().unwrap();
    let mut rust = Program::start(&place, RUST, "").await;
    world.meet().await;
    let (restarts, mut alive) = (if is_full() { 50 } else { 10 }, 0);
    for restart in 0..restarts {
        if restart % 2 == 0 {
            rust.process.kill().await.unwrap();
            world.loses().await;
            rust = Program::start(&place, RUST, "").await;
        } else {
            rust.signal("-STOP").await;
            let relay = Relay::start(port).await;
            let mut next =
                Program::start(&place, RUST, &format!("peer={BEAM}/{}", relay.address)).await;
            assert_eq!(next.ask(&format!("connect {BEAM}")).await, "ok");
            assert_eq!(relay.status.await.unwrap(), "salive");
            alive += 1;
            world.loses().await;
            rust.process.kill().await.unwrap();
            rust = next;
        }
        world.meet().await;
        world.old_pid_is_dead().await;
    }
    assert_eq!((world.creations.len(), alive), (restarts + 1, restarts / 2));
}
