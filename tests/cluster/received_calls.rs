//! Calls and casts that arrive from another node: what a reply may be a part of, and what the caller
//! gets. The other node is a raw socket.

use std::cell::Cell;
use std::sync::Arc;

use regrow::cluster::{Atom, ExternalPid, ExternalReference, Term};
use regrow::{
    DeadLetterCause, ExitReason, GenServer, Name, Overflow, Reply, Result, ServerContext,
    Supervisor,
};
use serde::{Deserialize, Deserializer, Serialize};
use tokio::sync::Notify;

use crate::fake::Fake;
use crate::pairs::{Running, node, start};

const KV: Name<Kv> = Name::new("kv");

/// A type whose decode panics, with its reply in hand.
struct Bomb;

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let _reply = Reply::<u8>::deserialize(deserializer);
        panic!("a bomb in a call");
    }
}

/// A type whose encode panics.
struct Fuse;

impl Serialize for Fuse {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("a fuse in an answer");
    }
}

#[derive(Deserialize)]
struct Named {
    key: String,
    reply: Reply<String>,
}

#[derive(Deserialize)]
struct Numbered(u64, Reply<u64>);

/// The variants are tried one after the other; the first claims a reply, and fails afterwards.
#[derive(Deserialize)]
#[serde(untagged)]
enum Either {
    Number { reply: Reply<u8>, number: u8 },
    Text { reply: Reply<String>, text: String },
}

#[allow(dead_code)] // Some variants are never decoded.
#[derive(Deserialize)]
enum Call {
    Size(Reply<usize>),
    Get { key: String, reply: Reply<Option<String>> },
    Put(String, u32, Reply<()>),
    First(Reply<u8>, u8),
    Middle(u8, Reply<u16>, u8),
    Inner(Named),
    Tuple(Numbered),
    Either(Either),
    Pair((Reply<(u8, u8)>, u8, u8)),
    Two(Reply<u8>, Reply<u8>),
    Listed(Vec<Reply<u8>>),
    Optional(u8, Option<Reply<u8>>),
    InOption(Option<Reply<u8>>, u8),
    Bomb(Bomb),
    Silent(u8),
    Deep(Box<Deep>, Reply<u8>),
    Drop(Reply<u8>),
    DropLater(Reply<u8>),
    Infinite(Reply<f64>),
    Fuse(Reply<Fuse>),
    Caller(Reply<bool>),
}

#[allow(dead_code)] // Never decoded.
#[derive(Deserialize)]
enum Deep {
    End,
    More(Box<Deep>),
}

#[allow(dead_code)] // `Ask` is never decoded.
#[derive(Deserialize)]
enum Cast {
    Note(String),
    Ask(Reply<u8>),
}

struct Kv {
    notes: Vec<String>,
    dropped: Vec<Reply<u8>>,
}

impl GenServer for Kv {
    type Args = ();
    type Call = Call;
    type Cast = Cast;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Kv { notes: Vec::new(), dropped: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Size(reply) => reply.send(self.notes.len()),
            Call::Get { key, reply } => reply.send(self.notes.iter().find(|n| **n == key).cloned()),
            Call::Put(key, times, reply) => {
                (0..times).for_each(|_| self.notes.push(key.clone()));
                reply.send(());
            }
            Call::First(reply, n) => reply.send(n),
            Call::Middle(a, reply, b) => reply.send(u16::from(a) * 256 + u16::from(b)),
            Call::Inner(Named { key, reply }) => reply.send(key),
            Call::Tuple(Numbered(n, reply)) => reply.send(n),
            Call::Either(Either::Number { reply, number }) => reply.send(number),
            Call::Either(Either::Text { reply, text }) => reply.send(text),
            Call::Pair((reply, a, b)) => reply.send((a, b)),
            Call::Drop(reply) => drop(reply),
            Call::DropLater(reply) => {
                self.dropped.push(reply);
                let dropped = std::mem::take(&mut self.dropped);
                ctx.runtime().spawn(|_| async move { drop(dropped) });
            }
            Call::Infinite(reply) => reply.send(f64::INFINITY),
            Call::Fuse(reply) => reply.send(Fuse),
            Call::Caller(reply) => {
                let is_awaited = reply.is_awaited();
                reply.send(is_awaited);
            }
            Call::Two(..)
            | Call::Listed(_)
            | Call::Optional(..)
            | Call::InOption(..)
            | Call::Bomb(_)
            | Call::Silent(_)
            | Call::Deep(..) => unreachable!("not decoded"),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, _: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Note(note) => self.notes.push(note),
            Cast::Ask(_) => unreachable!("not decoded"),
        }
        Ok(())
    }
}

/// A server whose call is nothing but a reply, and a server with a mailbox for one message.
struct Echo;

impl GenServer for Echo {
    type Args = ();
    type Call = Reply<u8>;
    type Cast = std::convert::Infallible;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Echo)
    }

    async fn handle_call(&mut self, reply: Reply<u8>, _: &mut ServerContext<Self>) -> Result {
        reply.send(7);
        Ok(())
    }
}

const ECHO: Name<Echo> = Name::new("echo");

pub(crate) fn reference(number: u32) -> Term {
    let node = Atom::new("fake@127.0.0.1").unwrap();
    ExternalReference::new(node, 9, &[number, 2, 3]).unwrap().into()
}

pub(crate) fn own_pid() -> Term {
    ExternalPid::new(Atom::new("fake@127.0.0.1").unwrap(), 5, 6, 9).into()
}

/// The tag of `gen_server:call`.
fn tag(number: u32) -> Term {
    Term::improper_list([Term::atom("alias")], reference(number))
}

/// What the caller of a call gets.
#[derive(Debug, PartialEq)]
enum Outcome {
    Answer(String),
    Down(String),
}

fn answer(text: &str) -> Outcome {
    Outcome::Answer(text.to_owned())
}

fn down(text: &str) -> Outcome {
    Outcome::Down(text.to_owned())
}

struct Caller {
    fake: Fake,
    calls: Cell<u32>,
}

impl Caller {
    async fn send(&mut self, name: &str, message: &Term) {
        let control = [Term::from(6), own_pid(), Term::atom(""), Term::atom(name)];
        self.fake.send_terms(&Term::tuple(control), message).await;
    }

    async fn call(&mut self, name: &str, request: Term) -> Outcome {
        let number = self.calls.get() + 1;
        self.calls.set(number);
        let from = Term::tuple([own_pid(), tag(number)]);
        self.send(name, &Term::tuple([Term::atom("$gen_call"), from, request])).await;
        self.outcome(name, number, &tag(number)).await
    }

    async fn outcome(&mut self, name: &str, number: u32, tag: &Term) -> Outcome {
        let (control, payload) = self.fake.read_terms().await.expect("a frame");
        let control = control.as_tuple().unwrap();
        match control[0].as_integer() {
            // ALIAS_SEND
            Some(33) => {
                assert_eq!(control[2], reference(number));
                let payload = payload.unwrap();
                let [answered, value] = payload.as_tuple().unwrap() else { panic!() };
                assert_eq!(answered, tag);
                answer(&value.to_string())
            }
            // MONITOR_P_EXIT
            Some(21) => {
                assert_eq!(control[1..4], [Term::atom(name), own_pid(), reference(number)]);
                down(&control[4].to_string())
            }
            _ => panic!("{control:?}"),
        }
    }
}

async fn connected() -> (Running, Caller) {
    let running = start(node("rust@127.0.0.1").expose(KV).expose_calls(ECHO)).await;
    let kv = Supervisor::one_for_one()
        .child(Kv::child(()).named(KV))
        .child(Echo::child(()).named(ECHO))
        .start(&running.rt)
        .await
        .unwrap();
    std::mem::forget(kv);
    let (fake, _) = Fake::join(running.address, "fake@127.0.0.1").await;
    (running, Caller { fake, calls: Cell::new(0) })
}

fn t(elements: impl IntoIterator<Item = Term>) -> Term {
    Term::tuple(elements)
}

fn a(name: &str) -> Term {
    Term::atom(name)
}

fn b(text: &str) -> Term {
    Term::binary(text)
}

fn n(number: i32) -> Term {
    Term::from(number)
}

#[tokio::test]
async fn a_reply_may_stand_anywhere_in_its_call() {
    let (_running, mut caller) = connected().await;
    assert_eq!(caller.call("kv", a("size")).await, answer("0"));
    assert_eq!(caller.call("kv", t([a("put"), b("milk"), n(2)])).await, answer("ok"));
    assert_eq!(caller.call("kv", a("size")).await, answer("2"));
    assert_eq!(caller.call("kv", t([a("size")])).await, answer("2"));
    assert_eq!(caller.call("kv", t([a("get"), b("milk")])).await, answer("<<\"milk\">>"));
    assert_eq!(caller.call("kv", t([a("get"), b("tea")])).await, answer("nil"));
    assert_eq!(caller.call("kv", t([a("first"), n(3)])).await, answer("3"));
    assert_eq!(caller.call("kv", t([a("middle"), n(1), n(2)])).await, answer("258"));
    let named = Term::map([(a("key"), b("x"))]);
    assert_eq!(caller.call("kv", t([a("inner"), named])).await, answer("<<\"x\">>"));
    assert_eq!(caller.call("kv", t([a("tuple"), t([n(5)])])).await, answer("5"));
    let pair = t([a("pair"), t([n(1), n(2)])]);
    assert_eq!(caller.call("kv", pair).await, answer("{1,2}"));
    for anything in ["size", "anything"] {
        assert_eq!(caller.call("echo", a(anything)).await, answer("7"));
    }
}

/// An untagged enum tries its variants: a reply that was claimed by a variant which then fails is
/// free again.
#[tokio::test]
async fn a_reply_that_an_untagged_variant_has_dropped_is_claimed_again() {
    let (_running, mut caller) = connected().await;
    let either = |key, value| t([a("either"), Term::map([(a(key), value)])]);
    assert_eq!(caller.call("kv", either("number", n(4))).await, answer("4"));
    assert_eq!(caller.call("kv", either("text", b("x"))).await, answer("<<\"x\">>"));
    let neither = caller.call("kv", either("other", n(4))).await;
    assert!(
        matches!(&neither, Outcome::Down(why) if why.starts_with("{bad_request,")),
        "{neither:?}"
    );
}

#[tokio::test]
async fn a_request_that_is_no_call_is_refused_at_once_and_quotes_nothing() {
    let (running, mut caller) = connected().await;
    let mut lost = running.rt.dead_letters();
    let deep = (0..70).fold(a("end"), |deep, _| t([a("more"), deep]));
    let replies = "the reply of a call stands in a list or an option, or has a term";
    let cases = [
        (t([a("two")]), "the value is not the only reply of its call, at byte"),
        (t([a("listed"), Term::list([a("x")])]), replies),
        (t([a("listed"), Term::list([n(1)])]), "found an integer, expected the reply of a call"),
        (t([a("optional"), n(1)]), "expected"),
        (t([a("in_option"), n(1)]), replies),
        (t([a("inner"), Term::map([(a("key"), b("x")), (a("reply"), n(1))])]), replies),
        (t([a("put"), b("secret")]), "the number of elements is wrong"),
        (t([a("put"), b("secret"), n(1), n(2)]), "the number of elements is wrong"),
        (t([a("put"), n(1), n(1)]), "found an integer, expected a string"),
        (t([a("put"), b("secret"), b("secret")]), "found a binary, expected u32"),
        (t([a("secret")]), "the variant is not known"),
        (b("secret"), "found a binary"),
        (t([a("bomb"), n(1)]), "the type of the message panicked while it was decoded"),
        (t([a("silent"), n(1)]), "this message has no reply, so it can't be a call"),
        (t([a("deep"), deep]), "the term is nested deeper than allowed"),
    ];
    for (request, expected) in cases {
        let shown = request.to_string();
        let outcome = caller.call("kv", request).await;
        let Outcome::Down(why) = outcome else { panic!("{shown}: {outcome:?}") };
        assert!(why.starts_with("{bad_request,<<\"") && why.contains(expected), "{shown}: {why}");
        assert!(!why.contains("secret"), "{why}");
        let letter = lost.next().await.expect("a dead letter");
        assert_eq!(letter.cause, DeadLetterCause::Undecodable);
        assert_eq!(letter.name.as_deref(), Some("kv"));
        // Nothing of the failed decode is left.
        assert_eq!(caller.call("kv", a("size")).await, answer("0"));
    }
    assert!(matches!(caller.call("echo", n(1)).await, Outcome::Down(_)));
}

#[tokio::test]
async fn casts_arrive_in_order_and_one_with_a_reply_is_refused() {
    let (running, mut caller) = connected().await;
    let mut lost = running.rt.dead_letters();
    let cast = |message| t([a("$gen_cast"), message]);
    for note in ["milk", "tea"] {
        caller.send("kv", &cast(t([a("note"), b(note)]))).await;
    }
    caller.send("kv", &cast(a("ask"))).await;
    caller.send("echo", &cast(a("anything"))).await;
    assert_eq!(caller.call("kv", a("size")).await, answer("2"));
    for name in ["kv", "echo"] {
        let letter = lost.next().await.expect("a dead letter");
        assert_eq!(letter.cause, DeadLetterCause::Undecodable);
        assert_eq!(letter.name.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn a_call_that_gets_no_answer_is_refused_with_the_reason() {
    let (running, mut caller) = connected().await;
    let no_reply = down("{no_reply,<<\"the server has dropped the reply of this call\">>}");
    assert_eq!(caller.call("kv", a("drop")).await, no_reply);
    assert_eq!(caller.call("kv", a("drop_later")).await, no_reply);
    let infinite = down("{bad_answer,<<\"a float is not finite\">>}");
    assert_eq!(caller.call("kv", a("infinite")).await, infinite);
    let fuse = "{bad_answer,<<\"the type of the answer panicked while it was encoded\">>}";
    assert_eq!(caller.call("kv", a("fuse")).await, down(fuse));
    assert_eq!(caller.call("kv", a("caller")).await, answer("true"));
    running.rt.unregister("kv");
    assert_eq!(caller.call("kv", a("size")).await, down("noproc"));
}

#[tokio::test]
async fn each_kind_of_tag_gets_its_answer() {
    let (_running, mut caller) = connected().await;
    // Of `multi_call`, with a monitor of its own.
    let multi = Term::improper_list([tag(1)], reference(2));
    let call = |tag: &Term, request| t([a("$gen_call"), t([own_pid(), tag.clone()]), request]);
    caller.send("kv", &call(&multi, a("size"))).await;
    assert_eq!(caller.outcome("kv", 1, &multi).await, answer("0"));
    caller.send("kv", &call(&multi, a("drop"))).await;
    assert!(matches!(caller.outcome("kv", 2, &multi).await, Outcome::Down(_)));
    // A plain reference: the answer goes to the pid, by SEND.
    caller.send("kv", &call(&reference(3), a("size"))).await;
    let (control, payload) = caller.fake.read_terms().await.unwrap();
    assert_eq!(control, t([n(2), a(""), own_pid()]));
    assert_eq!(payload.unwrap(), t([reference(3), n(0)]));
    caller.send("kv", &call(&reference(4), a("drop"))).await;
    assert!(matches!(caller.outcome("kv", 4, &multi).await, Outcome::Down(_)));
    // Any other tag: an answer, but nothing to refuse a call by.
    caller.send("kv", &call(&a("tag"), a("drop"))).await;
    caller.send("kv", &call(&a("tag"), a("size"))).await;
    let (_, payload) = caller.fake.read_terms().await.unwrap();
    assert_eq!(payload.unwrap(), t([a("tag"), n(0)]));
}

/// A server whose handler of casts never returns.
struct Slow(Arc<Notify>);

impl GenServer for Slow {
    type Args = Arc<Notify>;
    type Call = Reply<u8>;
    type Cast = ();

    async fn init(handles: Arc<Notify>, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Slow(handles))
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        self.0.notify_one();
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_full_mailbox_refuses_the_calls_of_other_nodes() {
    for policy in [Overflow::Wait, Overflow::Reject, Overflow::DropNewest] {
        let running = start(node("rust@127.0.0.1").expose::<Slow>("slow")).await;
        let handles = Arc::new(Notify::new());
        let slow = Slow::spec(handles.clone()).mailbox_capacity(1, policy).named("slow");
        let slow = slow.start(&running.rt).await.unwrap();
        slow.cast_wait(()).await.unwrap();
        handles.notified().await;
        assert!(slow.cast(())); // fills the mailbox
        let (fake, _) = Fake::join(running.address, "fake@127.0.0.1").await;
        let mut caller = Caller { fake, calls: Cell::new(0) };
        let full = down("{overloaded,<<\"the mailbox of the server is full\">>}");
        assert_eq!(caller.call("slow", a("any")).await, full, "{policy:?}");
        running.rt.exit(slow.pid().unwrap(), ExitReason::Killed);
    }
}
