//! The spans of handled messages: which span each is the child of, or follows from.

use crate::support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{
    DynamicSupervisor, GenServer, KeyedServers, MessageSpans, Runtime, ServerContext, ServerRef,
    Task,
};
use support::log::keep_lines_wanted;
use support::node::{Call, Job, Node, Notes, job};
use support::settled;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::subscriber::DefaultGuard;
use tracing::{Instrument, Subscriber, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

const SECOND: Duration = Duration::from_secs(1);

/// A layer that records the relations of spans.
#[derive(Clone, Default)]
struct Seen {
    names: Arc<Mutex<HashMap<u64, String>>>,
    /// `first -> second`: the second is a child of the first; `first ~> second`: it follows from it;
    /// `-> second`: it has no parent.
    relations: Arc<Mutex<Vec<String>>>,
    open: Arc<Mutex<i64>>,
    /// The number of spans above each, itself included.
    depths: Arc<Mutex<HashMap<u64, usize>>>,
    longest: Arc<Mutex<usize>>,
}

/// The name of a span: `server kind` for a message, else its own name.
#[derive(Default)]
struct Name {
    server: String,
    kind: String,
    others: Vec<&'static str>,
}

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "server" => value.clone_into(&mut self.server),
            "kind" => value.clone_into(&mut self.kind),
            other => self.others.push(other),
        }
    }

    fn record_debug(&mut self, field: &Field, _: &dyn std::fmt::Debug) {
        self.others.push(field.name());
    }
}

impl Seen {
    fn listen() -> (Self, DefaultGuard) {
        keep_lines_wanted();
        let seen = Seen::default();
        let subscriber = Registry::default().with(seen.clone());
        (seen, tracing::subscriber::set_default(subscriber))
    }

    fn name(&self, id: &Id) -> String {
        self.names.lock().unwrap()[&id.into_u64()].clone()
    }

    /// Returns the greatest number of spans each of which is a child of the one before.
    fn longest_chain(&self) -> usize {
        *self.longest.lock().unwrap()
    }

    /// Takes the relations that were recorded, in the order in which the spans were made.
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.relations.lock().unwrap())
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut name = Name::default();
        attributes.record(&mut name);
        let is_message = attributes.metadata().target() == "regrow::message";
        let name = match is_message {
            true => {
                assert_eq!(
                    (attributes.metadata().name(), &name.others[..]),
                    ("message", &["pid"][..])
                );
                format!("{} {}", name.server, name.kind)
            }
            false => attributes.metadata().name().to_owned(),
        };
        self.names.lock().unwrap().insert(id.into_u64(), name.clone());
        let parent = context.span(id).and_then(|span| span.parent()).map(|span| span.id());
        let mut depths = self.depths.lock().unwrap();
        let depth = parent.as_ref().map_or(0, |parent| depths[&parent.into_u64()]) + 1;
        depths.insert(id.into_u64(), depth);
        drop(depths);
        let mut longest = self.longest.lock().unwrap();
        *longest = depth.max(*longest);
        drop(longest);
        let parent = parent.map(|id| self.name(&id) + " ").unwrap_or_default();
        self.relations.lock().unwrap().push(format!("{parent}-> {name}"));
        *self.open.lock().unwrap() += 1;
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, _: Context<'_, S>) {
        let relation = format!("{} ~> {}", self.name(follows), self.name(span));
        self.relations.lock().unwrap().push(relation);
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        *self.open.lock().unwrap() -= 1;
    }
}

async fn start(rt: &Runtime, label: &str) -> ServerRef<Node> {
    Node::spec(Notes::new().0).label(label).start(rt).await.unwrap()
}

fn spanned() -> Runtime {
    let rt = Runtime::new();
    rt.message_spans(MessageSpans::Child);
    rt
}

fn nothing() -> Job {
    job(|_, _| Box::pin(async {}))
}

/// Makes a job that asks a server to do another job.
fn ask(server: &ServerRef<Node>, then: Job) -> Job {
    let server = server.clone();
    job(move |_, _| {
        Box::pin(async move {
            tokio::task::yield_now().await;
            server.call(|reply| Call::Do(then, reply)).await.unwrap();
        })
    })
}

/// One request that enters in a span and goes through three servers is one tree of spans. A span
/// that a handler has entered itself is in between.
#[tokio::test(start_paused = true)]
async fn a_request_through_three_servers_is_one_trace() {
    let (seen, _guard) = Seen::listen();
    let rt = spanned();
    let (a, b, c) = (start(&rt, "a").await, start(&rt, "b").await, start(&rt, "c").await);
    let in_own_span = {
        let (b, then) = (b.clone(), ask(&c, nothing()));
        job(move |_, _| {
            let call = async move { b.call(|reply| Call::Do(then, reply)).await.unwrap() };
            Box::pin(async { _ = call.instrument(info_span!("own")).await })
        })
    };
    let request = a.call(|reply| Call::Do(in_own_span, reply));
    request.instrument(info_span!("request")).await.unwrap();
    let trace =
        ["-> request", "request -> a call", "a call -> own", "own -> b call", "b call -> c call"];
    assert_eq!(seen.take(), trace);

    a.call(|reply| Call::Do(nothing(), reply)).await.unwrap();
    assert_eq!(seen.take(), ["-> a call"], "a call that is made in no span");
    settled().await;
    assert_eq!(*seen.open.lock().unwrap(), 0, "each span is closed");
}

/// Casts this job to a server in a span, and asserts which spans follow.
async fn assert_trace(seen: &Seen, server: &ServerRef<Node>, then: Job, relations: &[&str]) {
    info_span!("request").in_scope(|| assert!(server.cast(then)));
    tokio::time::sleep(2 * SECOND).await;
    let expected = ["-> request", "request -> a cast"].iter().chain(relations);
    assert_eq!(seen.take(), expected.copied().collect::<Vec<_>>());
    assert_eq!(*seen.open.lock().unwrap(), 0, "{relations:?}: each span is closed");
}

/// The spans go on over casts. What a server sends to be handled later begins a trace, which is linked
/// to the one before.
#[tokio::test(start_paused = true)]
async fn casts_are_in_the_trace_of_their_sender_and_timers_are_linked_to_it() {
    let (seen, _guard) = Seen::listen();
    let rt = spanned();
    let (a, b) = (start(&rt, "a").await, start(&rt, "b").await);
    let pid = b.pid().unwrap();
    let cast = job(move |_, _| Box::pin(async move { assert!(b.cast(nothing())) }));
    assert_trace(&seen, &a, cast, &["a cast -> b cast"]).await;
    let continued = job(|_, ctx| Box::pin(async { ctx.continue_with(nothing()) }));
    assert_trace(&seen, &a, continued, &["-> a cast", "a cast ~> a cast"]).await;
    let timer = job(|_, ctx| Box::pin(async { _ = ctx.cast_after(SECOND, nothing()) }));
    assert_trace(&seen, &a, timer, &["-> a cast", "a cast ~> a cast"]).await;
    let message = job(move |_, ctx| {
        Box::pin(async move { _ = ctx.runtime().send_after(pid, SECOND, Vec::new()) })
    });
    assert_trace(&seen, &a, message, &["-> b message", "a cast ~> b message"]).await;
}

/// Makes a job that passes itself on, this often.
fn again(pass: Pass, times: u32) -> Job {
    job(move |_, ctx| {
        Box::pin(async move {
            if times > 0 {
                pass(ctx, again(pass, times - 1));
            }
        })
    })
}

const TICKS: u32 = 1_000;

type Pass = fn(&mut ServerContext<Node>, Job);

/// A loop without end keeps no chain of open spans: a subscriber closes a span only when its children
/// are closed, and closes a chain by recursion.
#[tokio::test(start_paused = true)]
async fn a_loop_of_messages_does_not_keep_its_spans_open() {
    let loops: [(&str, Pass); 5] = [
        ("cast_after", |ctx, job| _ = ctx.cast_after(Duration::from_millis(1), job)),
        ("cast_after_as", |ctx, job| ctx.cast_after_as("tick", Duration::from_millis(1), job)),
        ("continue_with", |ctx, job| ctx.continue_with(job)),
        ("cast", |ctx, job| assert!(ctx.this().cast(job))),
        ("task", |ctx, job| _ = ctx.spawn_task(async {}, |()| job)),
    ];
    for (name, pass) in loops {
        let (seen, _guard) = Seen::listen();
        let rt = spanned();
        let a = start(&rt, "a").await;
        info_span!("request").in_scope(|| assert!(a.cast(again(pass, TICKS))));
        while seen.relations.lock().unwrap().len() < TICKS as usize {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let open = *seen.open.lock().unwrap();
            assert!(open <= 2 * 130, "{name}: {open} spans are open");
        }
        let longest = seen.longest_chain();
        assert!(longest <= 129, "{name}: a chain of {longest} spans");
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(*seen.open.lock().unwrap(), 0, "{name}: each span is closed");
    }
}

/// A subscriber that has no interest in the spans of messages still has one trace of the user's own
/// spans, and a loop without end keeps none of them open.
#[tokio::test(start_paused = true)]
async fn a_filter_of_the_spans_of_messages_does_not_cut_the_trace() {
    keep_lines_wanted();
    let seen = Seen::default();
    let own_only = filter_fn(|metadata| metadata.target() != "regrow::message");
    let subscriber = Registry::default().with(own_only).with(seen.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    let rt = spanned();
    let (a, b) = (start(&rt, "a").await, start(&rt, "b").await);
    let own = job(|_, _| Box::pin(async { drop(info_span!("own")) }));
    let request = a.call(|reply| Call::Do(ask(&b, own), reply));
    request.instrument(info_span!("request")).await.unwrap();
    assert_eq!(seen.take(), ["-> request", "request -> own"]);

    let pass: Pass = |ctx, job| {
        let cast = || assert!(ctx.this().cast(job));
        info_span!("own").in_scope(cast);
    };
    assert!(a.cast(again(pass, 1000)));
    tokio::time::sleep(SECOND).await;
    assert_eq!(*seen.open.lock().unwrap(), 0, "each span is closed");
    let longest = seen.longest_chain();
    assert!((100..=129).contains(&longest), "a chain of {longest} spans");
}

/// A task of a server has a span of its own, and its result is handled in another one. Other tasks run
/// in the span of the code that started them.
#[tokio::test(start_paused = true)]
async fn tasks_are_in_the_trace_of_the_code_that_started_them() {
    let (seen, _guard) = Seen::listen();
    let rt = spanned();
    let (a, b) = (start(&rt, "a").await, start(&rt, "b").await);
    let called = b.clone();
    let server_task = job(move |_, ctx| {
        Box::pin(async move {
            let work = async move { called.call(|reply| Call::Do(nothing(), reply)).await };
            ctx.spawn_task(work, |_| nothing());
        })
    });
    let relations = ["a cast -> a task", "a task -> b call", "a task -> a cast"];
    assert_trace(&seen, &a, server_task, &relations).await;
    let task = job(move |_, ctx| {
        let work = async move { assert!(b.cast(nothing())) };
        Box::pin(async { Task::spawn(ctx, |_| work).join().await.unwrap() })
    });
    assert_trace(&seen, &a, task, &["a cast -> b cast"]).await;
    // A task of tokio, which has what is handed on to it.
    let handed_on = job(|_, ctx| {
        let (metadata, this) = (ctx.metadata(), ctx.this());
        let work = async move { assert!(this.cast(nothing())) };
        Box::pin(async move { drop(tokio::spawn(metadata.hand_on(work))) })
    });
    assert_trace(&seen, &a, handed_on, &["a cast -> a cast"]).await;
}

/// A request that is answered in a later handler is in its own trace there.
#[tokio::test(start_paused = true)]
async fn a_deferred_answer_is_in_the_trace_of_its_call() {
    let (seen, _guard) = Seen::listen();
    let rt = spanned();
    let (a, b) = (start(&rt, "a").await, start(&rt, "b").await);
    let answer_all = job(move |node, _| {
        Box::pin(async move {
            for (reply, metadata) in std::mem::take(&mut node.kept) {
                metadata.hand_on(b.call(|reply| Call::Do(nothing(), reply))).await.unwrap();
                reply.send(None);
            }
        })
    });
    let call = a.call(Call::Keep).instrument(info_span!("request"));
    let open = async { info_span!("other").in_scope(|| a.cast(answer_all)) };
    tokio::join!(call, open).0.unwrap();
    let trace =
        ["-> request", "-> other", "request -> a call", "other -> a cast", "a call -> b call"];
    assert_eq!(seen.take(), trace);
}

/// With `FollowsFrom` the span of a message has no parent, and follows from the span of its sender.
/// The relation can be changed and turned off at any time.
#[tokio::test(start_paused = true)]
async fn spans_follow_from_the_sender_by_choice() {
    let (seen, _guard) = Seen::listen();
    let rt = Runtime::new();
    let (a, b) = (start(&rt, "a").await, start(&rt, "b").await);
    let request = || {
        let call = a.call(|reply| Call::Do(ask(&b, nothing()), reply));
        async { call.instrument(info_span!("request")).await.unwrap() }
    };
    request().await;
    assert_eq!(seen.take(), ["-> request"]);
    rt.message_spans(MessageSpans::FollowsFrom);
    request().await;
    let trace = ["-> request", "-> a call", "request ~> a call", "-> b call", "a call ~> b call"];
    assert_eq!(seen.take(), trace);
    rt.message_spans(MessageSpans::Off);
    request().await;
    assert_eq!(seen.take(), ["-> request"]);
}

/// A server that is started by a call is in the trace of the call.
#[tokio::test(start_paused = true)]
async fn a_call_that_starts_its_server_is_in_the_trace_of_its_caller() {
    let (seen, _guard) = Seen::listen();
    let rt = spanned();
    let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
    let keyed: KeyedServers<u8, Node> = KeyedServers::new(&supervisor);
    let spec = || Node::spec(Notes::new().0).label("keyed");
    let make = |reply| Call::Do(nothing(), reply);
    let call = keyed.call_or_start(&1, spec, make, SECOND);
    call.instrument(info_span!("request")).await.unwrap();
    let trace = seen.take();
    assert_eq!(trace.last().unwrap(), "request -> keyed call", "{trace:?}");
}

/// A connection of a listener that answers in a span of its own begins a trace, which its servers
/// continue.
#[cfg(feature = "net")]
#[tokio::test]
async fn a_connection_begins_a_trace() {
    use regrow::{ChildSpec, Supervisor};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    let (seen, _guard) = Seen::listen();
    let rt = spanned();
    let (a, b) = (start(&rt, "a").await, start(&rt, "b").await);
    let serve = move |_, mut stream: TcpStream, _| {
        let (a, b) = (a.clone(), b.clone());
        let request = async move {
            stream.read_u8().await?;
            a.call(|reply| Call::Do(ask(&b, nothing()), reply)).await?;
            stream.write_u8(1).await?;
            Ok(())
        };
        request.instrument(info_span!("connection"))
    };
    let port = ChildSpec::tcp_listener("port", "127.0.0.1:0", serve);
    let address = port.address();
    let tree = Supervisor::one_for_one().child(port).start(&rt).await.unwrap();
    seen.take();
    let mut client = TcpStream::connect(address.get().unwrap()).await.unwrap();
    client.write_u8(1).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), 1);
    // The request to the supervisor of the connections is a message, too.
    let is_of_the_request = |relation: &String| relation != "-> connections call";
    let trace: Vec<_> = seen.take().into_iter().filter(is_of_the_request).collect();
    assert_eq!(trace, ["-> connection", "connection -> a call", "a call -> b call"]);
    tree.stop().await.unwrap();
}
