//! The spans of processes in the log.

use crate::support;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};

use regrow::{
    ExitReason, GenServer, Pid, Received, Reply, Result, Runtime, ServerContext, Supervisor,
};
use support::{OnDrop, settled};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A subscriber layer that records events with their spans, and counts spans.
#[derive(Clone, Default)]
struct Seen {
    told: Arc<Mutex<Vec<Logged>>>,
    /// The numbers of spans that were created and that were closed.
    spans: Arc<Mutex<[usize; 2]>>,
}

/// The text of an event, and the fields of its spans.
type Logged = (String, Vec<SpanFields>);

/// The fields of one span: `pid`, and `label` if it has one.
type SpanFields = BTreeMap<&'static str, String>;

#[derive(Default)]
struct Fields(SpanFields);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Seen {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != "regrow::process" {
            return;
        }
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let span = context.span(id).expect("it was made just now");
        span.extensions_mut().insert(fields);
        self.spans.lock().unwrap()[0] += 1;
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() != "mine" {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let scope = context.event_scope(event).into_iter().flatten();
        let spans = scope.map(|span| {
            assert_eq!((span.name(), span.metadata().target()), ("process", "regrow::process"));
            span.extensions().get::<Fields>().expect("it is a process").0.clone()
        });
        let told = (fields.0.remove("message").unwrap(), spans.collect());
        self.told.lock().unwrap().push(told);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("it is being closed");
        let process = span.extensions().get::<Fields>().is_some();
        self.spans.lock().unwrap()[1] += usize::from(process);
    }
}

impl Seen {
    fn listen() -> (Self, tracing::subscriber::DefaultGuard) {
        // As in `support/log.rs`: while there is only one subscriber, a thread without a subscriber
        // can make tracing cache, for all threads, that no line is wanted.
        static WANTED: OnceLock<[Dispatch; 2]> = OnceLock::new();
        let wants_all = || Dispatch::new(Registry::default().with(Seen::default()));
        WANTED.get_or_init(|| [wants_all(), wants_all()]);
        let seen = Seen::default();
        let guard = tracing::subscriber::set_default(Registry::default().with(seen.clone()));
        (seen, guard)
    }

    fn take(&self) -> Vec<Logged> {
        std::mem::take(&mut self.told.lock().unwrap())
    }

    fn spans(&self) -> [usize; 2] {
        *self.spans.lock().unwrap()
    }
}

fn say(text: &str) {
    tracing::info!(target: "mine", "{text}");
}

/// Returns the expected spans of an event in this process: one span, with this pid and label.
fn of(pid: Pid, label: Option<&str>) -> Vec<SpanFields> {
    let mut fields = SpanFields::from([("pid", pid.to_string())]);
    fields.extend(label.map(|label| ("label", label.to_owned())));
    vec![fields]
}

fn logged(text: &str, spans: Vec<SpanFields>) -> Logged {
    (text.to_owned(), spans)
}

/// A server that logs in each of its callbacks.
struct Talker;

impl GenServer for Talker {
    type Args = ();
    type Call = Reply<()>;
    type Cast = Option<&'static str>;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        say("init");
        Ok(Talker)
    }

    async fn handle_call(&mut self, reply: Reply<()>, ctx: &mut ServerContext<Self>) -> Result {
        say("before");
        tokio::task::yield_now().await;
        say("after");
        ctx.spawn_task(async { say("task") }, |()| None);
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, label: Self::Cast, ctx: &mut ServerContext<Self>) -> Result {
        if let Some(label) = label {
            ctx.set_label(label);
        }
        say("cast");
        Ok(())
    }

    async fn handle_info(&mut self, _: Received, _: &mut ServerContext<Self>) -> Result {
        panic!("as asked")
    }

    async fn terminate(&mut self, _: &ExitReason) {
        say("terminate");
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        say("drop");
    }
}

/// Events from the `init` to the destructor of a server are inside its span. A task that the server
/// spawns is a process with its own span, which is not inside the server's span.
#[tokio::test(start_paused = true)]
async fn everything_a_server_logs_is_inside_its_span() {
    let (seen, _guard) = Seen::listen();
    let rt = Runtime::new();
    rt.process_spans(true);
    let tree = Supervisor::one_for_one().child(Talker::child(()).with_id("talker").named("t"));
    let tree = tree.start(&rt).await.unwrap();
    let pid = rt.whereis("t").unwrap();
    let inside = || of(pid, Some("talker"));
    assert_eq!(seen.take(), [logged("init", inside())]);
    rt.server::<Talker>("t").call(|reply| reply).await.unwrap();
    settled().await;
    let heard = seen.take();
    assert_eq!(heard[..2], [logged("before", inside()), logged("after", inside())]);
    let (task, cast) = (&heard[2], &heard[3]);
    assert_eq!((task.0.as_str(), task.1.len()), ("task", 1));
    assert_ne!(task.1[0]["pid"], pid.to_string());
    assert_eq!(*cast, logged("cast", inside()));

    tree.terminate_child("talker").await.unwrap();
    tree.stop().await.unwrap();
    assert_eq!(seen.take(), [logged("drop", inside())]); // the server doesn't trap exits
    assert_eq!(rt.process_count(), 0);
    let [made, closed] = seen.spans();
    assert_eq!((made, closed), (3, 3), "one each, and none is left open");
}

/// After a panic, `terminate` and the destructor of the server run inside its span; events outside
/// of the process have no span.
#[tokio::test(start_paused = true)]
async fn a_panic_leaves_the_span_and_terminate_enters_it_again() {
    let (seen, _guard) = Seen::listen();
    let rt = Runtime::new();
    rt.process_spans(true);
    let talker = Talker::start(&rt, ()).await.unwrap();
    let pid = talker.pid().unwrap();
    rt.send(pid, b"fall".to_vec());
    assert!(talker.ended().await.is_abnormal());
    say("outside");
    let inside = of(pid, None);
    let all = ["init", "terminate", "drop"].map(|text| logged(text, inside.clone()));
    assert_eq!(seen.take(), [&all[..], &[logged("outside", vec![])]].concat());
}

/// The body of a raw process is inside its span until its last value is dropped.
#[tokio::test(start_paused = true)]
async fn a_raw_process_body_runs_and_is_dropped_inside_its_span() {
    let (seen, _guard) = Seen::listen();
    let rt = Runtime::new();
    rt.process_spans(true);
    let body = rt.spawn(|_| async {
        let _last = OnDrop::new(|| say("dropped"));
        say("body");
        std::future::pending().await
    });
    settled().await;
    support::killed(&rt, body.pid()).await;
    let inside = of(body.pid(), None);
    assert_eq!(seen.take(), [logged("body", inside.clone()), logged("dropped", inside)]);
}

/// A new label replaces the span of the process by one with that label, from the next handler on.
#[tokio::test(start_paused = true)]
async fn a_new_label_replaces_the_process_span() {
    let (seen, _guard) = Seen::listen();
    let rt = Runtime::new();
    rt.process_spans(true);
    let talker = Talker::start(&rt, ()).await.unwrap();
    let pid = talker.pid().unwrap();
    for label in [None, Some("new"), None] {
        talker.cast(label);
        settled().await;
    }
    assert_eq!(
        seen.take(),
        [
            logged("init", of(pid, None)),
            logged("cast", of(pid, None)),
            logged("cast", of(pid, None)), // the handler that set the label began before
            logged("cast", of(pid, Some("new"))),
        ]
    );
    assert_eq!(seen.spans(), [2, 1]);
}

/// No span is created before process spans are enabled, or after they are disabled.
#[tokio::test(start_paused = true)]
async fn no_span_is_created_unless_process_spans_are_enabled() {
    let (seen, _guard) = Seen::listen();
    let rt = Runtime::new();
    let talker = Talker::start(&rt, ()).await.unwrap();
    talker.cast(None);
    settled().await;
    assert_eq!(seen.take(), [logged("init", vec![]), logged("cast", vec![])]);
    rt.process_spans(true);
    talker.cast(None);
    settled().await;
    assert_eq!(seen.take(), [logged("cast", of(talker.pid().unwrap(), None))]);
    rt.process_spans(false);
    talker.cast(None);
    settled().await;
    assert_eq!((seen.take(), seen.spans()), (vec![logged("cast", vec![])], [1, 0]));
    assert_eq!(rt.info(talker.pid().unwrap()).unwrap().label, None);
}
