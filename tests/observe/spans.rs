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

/// The fields of each span, and the spans of each event.
#[derive(Clone, Default)]
struct Seen {
    told: Arc<Mutex<Vec<Logged>>>,
    /// Spans made, and closed.
    spans: Arc<Mutex<[usize; 2]>>,
}

/// The text of an event, and its spans.
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
        // As in `support/log.rs`: while there is one subscriber only, a thread without any may
        // decide for all that nobody wants a line.
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

/// The one span of a process with this label.
fn of(pid: Pid, label: Option<&str>) -> Vec<SpanFields> {
    let mut fields = SpanFields::from([("pid", pid.to_string())]);
    fields.extend(label.map(|label| ("label", label.to_owned())));
    vec![fields]
}

fn logged(text: &str, spans: Vec<SpanFields>) -> Logged {
    (text.to_owned(), spans)
}

/// Logs each of its callbacks.
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

/// From its init to its destructor; what it spawns is a process of its own, and not inside.
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
    assert_eq!(seen.take(), [logged("drop", inside())]); // it doesn't trap
    assert_eq!(rt.process_count(), 0);
    let [made, closed] = seen.spans();
    assert_eq!((made, closed), (3, 3), "one each, and none is left open");
}

/// A panic is in there, and what follows it.
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

/// Raw processes as well; a body is in its span until its last value is dropped.
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

/// A span says the label that the process has.
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
            logged("cast", of(pid, None)), // the handler that gave it began before
            logged("cast", of(pid, Some("new"))),
        ]
    );
    assert_eq!(seen.spans(), [2, 1]);
}

/// Spans that are off, or have no subscriber, cost nothing and log nothing.
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
