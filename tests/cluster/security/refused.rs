//! Peers that are no nodes of the cluster: they lack a flag, or don't know the cookie.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use regrow::cluster::{Cookie, HandshakeError, NodeError, Resolver};
use regrow::{ChildSpec, GenServer, Name, NodeChange, Result, ServerContext, Supervisor};
use serde::{Deserialize, Deserializer};
use tokio::net::TcpListener;

use crate::beam::COOKIE;
use crate::fake::{FLAGS, Fake, digest, is_auth};
use crate::log::Log;
use crate::pairs::{Running, node, start};

/// Stands for all flags that OTP 25 requires.
const DIGEST: u64 = 1 << 26;
const UNLINK_ID: u64 = 1 << 25;
const V4_NC: u64 = 1 << 34;

/// A node that dials a peer with this name, whose socket is returned.
async fn dialed(name: &'static str) -> (Running, Fake, tokio::task::JoinHandle<Option<NodeError>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::without_epmd().node(name, listener.local_addr().unwrap());
    let a = start(node("a@127.0.0.1").resolver(resolver)).await;
    let there = a.rt.node(name);
    let dial = tokio::spawn(async move { there.connect().await.err() });
    let (stream, _) = listener.accept().await.unwrap();
    (a, Fake { stream }, dial)
}

fn handshake_error(error: Option<NodeError>) -> HandshakeError {
    match error {
        Some(NodeError::Handshake(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a02_a_peer_without_a_required_flag_is_refused() {
    let mut a = start(node("a@127.0.0.1")).await;
    for flag in (0..64).map(|bit| 1 << bit).filter(|flag| FLAGS & flag != 0) {
        let mut peer = Fake::connect(a.address).await;
        let status = peer.introduce_with("old@reader", FLAGS & !flag).await;
        assert_eq!(status, "not_allowed", "{flag:#x}");
        assert_eq!(peer.read_message().await, None); // no challenge
    }
    for lacking in [DIGEST | V4_NC, DIGEST | UNLINK_ID, 0] {
        let mut peer = Fake::connect(a.address).await;
        assert_eq!(peer.introduce_with("old@reader", lacking).await, "not_allowed");
        peer.closed().await;
    }
    // The digest stands for the others.
    let mut peer = Fake::connect(a.address).await;
    assert_eq!(peer.introduce_with("new@reader", DIGEST | V4_NC | UNLINK_ID).await, "ok");
    let challenge = peer.challenge().await;
    peer.answer(challenge, COOKIE).await;
    a.expect("new@reader", &[NodeChange::Up]).await;
}

#[tokio::test]
async fn a02_a_node_that_is_dialed_and_lacks_a_required_flag_is_refused() {
    for (flag, name) in [(V4_NC, "V4_NC"), (UNLINK_ID, "UNLINK_ID")] {
        let (_a, mut peer, dial) = dialed("old@reader").await;
        peer.accept("old@reader", FLAGS & !flag).await;
        // The answer to the challenge is not sent.
        assert_eq!(peer.read_message().await, None);
        let error = handshake_error(dial.await.unwrap());
        assert_eq!(error, HandshakeError::MissingFlags(name.into()));
    }
}

#[tokio::test]
async fn a02_a_peer_with_a_wrong_cookie_is_refused_and_gets_no_answer() {
    let a = start(node("a@127.0.0.1")).await;
    for cookie in ["", "guessed", &COOKIE.to_uppercase(), &format!("{COOKIE}\0")] {
        let mut peer = Fake::connect(a.address).await;
        assert_eq!(peer.introduce("liar@reader").await, "ok");
        let challenge = peer.challenge().await;
        peer.answer(challenge, cookie).await;
        assert_eq!(peer.read_message().await, None, "{cookie:?}");
    }
    assert!(a.rt.connected_nodes().await.is_empty());
}

/// The peer here continues whatever the answer to its challenge is.
#[tokio::test]
async fn a02_a_node_that_is_dialed_and_does_not_know_the_cookie_is_refused() {
    let (a, mut peer, dial) = dialed("liar@reader").await;
    peer.accept("liar@reader", FLAGS).await;
    let reply = peer.read_message().await.unwrap();
    let challenge = u32::from_be_bytes(reply[1..5].try_into().unwrap());
    peer.message(&[&b"a"[..], &digest("guessed", challenge)].concat()).await;
    peer.frame(&is_auth()).await;
    assert!(!peer.is_answered().await);
    assert_eq!(handshake_error(dial.await.unwrap()), HandshakeError::WrongCookie);
    assert!(a.rt.connected_nodes().await.is_empty());
}

/// A program that has read a whole handshake has the answer to one challenge.
#[tokio::test]
async fn a02_an_answer_that_was_overheard_is_of_no_use() {
    let a = start(node("a@127.0.0.1")).await;
    let mut peer = Fake::connect(a.address).await;
    peer.introduce("peer@reader").await;
    let overheard = peer.challenge().await;
    drop(peer);
    for _ in 0..20 {
        let mut liar = Fake::connect(a.address).await;
        liar.introduce("peer@reader").await;
        assert_ne!(liar.challenge().await, overheard);
        liar.answer(overheard, COOKIE).await;
        assert_eq!(liar.read_message().await, None);
    }
}

static DECODED: AtomicUsize = AtomicUsize::new(0);

/// Counts its decodes.
struct Counted;

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DECODED.fetch_add(1, Relaxed);
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Counted)
    }
}

struct Counting;

const COUNTING: Name<Counting> = Name::new("counting");

impl GenServer for Counting {
    type Args = ();
    type Call = Counted;
    type Cast = Counted;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Counting)
    }

    async fn handle_cast(&mut self, _: Counted, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

/// `{6, Pid, '', counting}` with `{'$gen_cast', x}`, and a length.
fn cast() -> Vec<u8> {
    let pid = [&b"\x58\x77\x0aliar@there"[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]].concat();
    let control = [&b"\x70\x83\x68\x04\x61\x06"[..], &pid, b"\x77\x00\x77\x08counting"].concat();
    let body = [&control[..], b"\x83\x68\x02\x77\x09$gen_cast\x77\x01x"].concat();
    [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
}

/// Frames with a cast to an exposed server, in the place of each message of the handshake, and behind
/// a wrong answer. The same frame is decoded once the cookie was shown.
#[tokio::test]
async fn a02_no_term_is_decoded_before_the_cookie_is_shown() {
    let a = start(node("a@127.0.0.1").expose(COUNTING)).await;
    let child = Counting::child(()).named(COUNTING);
    let _tree = Supervisor::one_for_one().child(child).start(&a.rt).await.unwrap();
    let casts = cast().repeat(3);

    let mut peer = Fake::connect(a.address).await;
    peer.write(&casts).await;
    peer.closed().await;

    let mut peer = Fake::connect(a.address).await;
    peer.introduce("liar@there").await;
    peer.write(&casts).await;
    peer.closed().await;

    let mut peer = Fake::connect(a.address).await;
    peer.introduce("liar@there").await;
    let challenge = peer.challenge().await;
    let reply = [b"r", &[0, 0, 0, 7][..], &digest("guessed", challenge)].concat();
    let reply = [&u16::try_from(reply.len()).unwrap().to_be_bytes()[..], &reply].concat();
    peer.write(&[reply, casts.clone()].concat()).await;
    peer.closed().await;
    assert_eq!(DECODED.load(Relaxed), 0);

    let (mut peer, _) = Fake::join(a.address, "liar@there").await;
    peer.write(&casts).await;
    peer.ask().await;
    assert!(peer.is_answered().await);
    assert_eq!(DECODED.load(Relaxed), 3);
}

/// The handshake and the attempt to connect don't import the decoder of terms.
#[test]
fn a02_the_handshake_has_no_decoder_of_terms() {
    let sources = [
        include_str!("../../../src/cluster/handshake/acceptor.rs"),
        include_str!("../../../src/cluster/handshake/initiator.rs"),
        include_str!("../../../src/cluster/handshake/message.rs"),
        include_str!("../../../src/cluster/connection/attempt.rs"),
    ];
    for source in sources {
        assert!(!source.contains("cluster::term") && !source.contains("Decoder"));
    }
}

/// Handshakes that succeed, and that fail on either side.
#[tokio::test]
async fn the_cookie_is_shown_by_nothing() {
    const SECRET: &str = "hush-3c1f";
    let log = Log::listen();
    let cookie = Cookie::new(SECRET);
    let own = node("a@127.0.0.1").cookie(cookie.clone());
    let mut shown = vec![format!("{cookie:?} {own:?} {:?}", ChildSpec::from(own.clone()))];
    let a = start(own).await;
    let resolver = Resolver::without_epmd().node("a@127.0.0.1", a.address);
    for (name, cookie) in [("b@127.0.0.1", SECRET), ("c@127.0.0.1", "another")] {
        let own = node(name).cookie(Cookie::new(cookie)).resolver(resolver.clone());
        let other = start(own).await;
        let connected = other.rt.node("a@127.0.0.1").connect().await;
        assert_eq!(connected.is_ok(), cookie == SECRET, "{connected:?}");
        shown.push(format!("{connected:?}"));
    }
    shown.push(format!("{:?}", log.take()));
    // The text, and its bytes as `Debug` shows them.
    let bytes = format!("{:?}", SECRET.as_bytes());
    for text in shown {
        assert!(!text.contains(SECRET) && !text.contains(bytes.trim_matches(['[', ']'])), "{text}");
    }
}
