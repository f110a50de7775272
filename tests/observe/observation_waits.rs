//! The processes that wait for each other, as an observation shows them.

use crate::support;

use std::future::pending;
use std::time::Duration;

use futures_util::FutureExt;
use regrow::{
    ChildSpec, GenServer, Observation, Observed, Reply, Restart, Result, Runtime, Sample,
    ServerContext, Supervisor, SupervisorRef,
};
use support::settled;

const SECOND: Duration = Duration::from_secs(1);

/// A server that keeps each call until it gets a cast.
struct Keeper(Vec<Reply<()>>);

impl GenServer for Keeper {
    type Args = ();
    type Call = Reply<()>;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Keeper(Vec::new()))
    }

    async fn handle_call(&mut self, call: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        self.0.push(call);
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        self.0.drain(..).for_each(|reply| reply.send(()));
        Ok(())
    }
}

/// A child that calls this server once, without a limit.
fn caller(rt: &Runtime, id: &str, server: &str) -> ChildSpec {
    let server = rt.server::<Keeper>(server);
    let body = move |_| {
        let server = server.clone();
        async move {
            drop(server.call_unlimited(|reply| reply).await);
            pending().await
        }
    };
    ChildSpec::task(id, body).named(id).restart(Restart::Temporary)
}

async fn tree(rt: &Runtime, name: &str) -> SupervisorRef {
    let keeper = format!("{name}'s keeper");
    let spec = Supervisor::one_for_one().named(name);
    let spec = spec.child(Keeper::child(()).with_id("keeper").named(keeper));
    spec.start(rt).await.unwrap()
}

/// Returns the next sample.
async fn sample(observation: &mut Observation) -> Sample {
    loop {
        if let Observed::Sample(sample) = observation.next().await.unwrap() {
            return sample;
        }
    }
}

fn paths(sample: &Sample) -> Vec<(&str, &str)> {
    let waits = sample.waits.waits.iter();
    waits
        .map(|wait| {
            (
                wait.caller_path.as_ref().map_or("", |path| path.as_str()),
                wait.server_path.as_ref().map_or("", |path| path.as_str()),
            )
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_sample_shows_which_process_waits_for_which() {
    let rt = Runtime::new();
    let app = tree(&rt, "app").await;
    let mut observation = app.observe().unwrap().sample_every(SECOND);
    observation.next().await;
    let unknown = sample(&mut observation).await;
    assert!(!unknown.waits.is_known && unknown.waits.waits.is_empty());
    rt.detect_deadlocks(true);
    app.start_child(caller(&rt, "a", "app's keeper")).await.unwrap();
    let known = sample(&mut observation).await;
    assert!(known.waits.is_known);
    assert_eq!(paths(&known), [("app/a", "app/keeper")]);
    let (a, keeper) = (rt.whereis("a").unwrap(), rt.whereis("app's keeper").unwrap());
    assert_eq!((known.waits.waits[0].caller, known.waits.waits[0].server), (a, keeper));
    let text = known.to_string();
    assert!(text.ends_with(&format!("; app/a {a} waits for app/keeper {keeper}")), "{text}");
    // The answer ends the wait.
    rt.server::<Keeper>("app's keeper").cast(());
    assert!(sample(&mut observation).await.waits.waits.is_empty());
}

/// The graph forgets an answered call when the caller notices the answer; the list leaves it out
/// before that.
#[tokio::test(start_paused = true)]
async fn a_call_that_was_answered_is_no_wait_even_if_its_caller_was_not_polled_since() {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    let app = tree(&rt, "app").await;
    let server = rt.server::<Keeper>("app's keeper");
    let (poll, mut polled) = tokio::sync::mpsc::unbounded_channel::<()>();
    let calling = server.clone();
    rt.spawn(move |_| async move {
        let mut call = Box::pin(calling.call_unlimited(|reply| reply));
        assert!(call.as_mut().now_or_never().is_none());
        polled.recv().await;
        drop(call);
        pending::<()>().await
    });
    settled().await;
    assert_eq!(rt.wait_graph().waits.len(), 1);
    server.cast(());
    settled().await;
    assert_eq!(rt.wait_graph().waits, []);
    poll.send(()).unwrap();
    settled().await;
    assert_eq!(rt.wait_graph().waits, []);
    drop(app);
}

#[tokio::test(start_paused = true)]
async fn an_observation_of_one_tree_shows_the_waits_that_begin_or_end_there() {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    let (one, two) = (tree(&rt, "one").await, tree(&rt, "two").await);
    one.start_child(caller(&rt, "out", "two's keeper")).await.unwrap();
    two.start_child(caller(&rt, "within", "two's keeper")).await.unwrap();
    settled().await;
    let mut of_one = one.observe().unwrap().sample_every(SECOND);
    assert_eq!(paths(&sample(&mut of_one).await), [("one/out", "two/keeper")]);
    let mut of_two = two.observe().unwrap().sample_every(SECOND);
    assert_eq!(sample(&mut of_two).await.waits.waits.len(), 2);
    let mut below = rt.observe().below("one/keeper").sample_every(SECOND);
    assert_eq!(sample(&mut below).await.waits.waits, []);
}

#[tokio::test(start_paused = true)]
async fn at_most_256_waits_are_listed_and_the_others_are_counted() {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    let app = tree(&rt, "app").await;
    let server = rt.server::<Keeper>("app's keeper");
    let start = async |more: usize| {
        for _ in 0..more {
            let server = server.clone();
            rt.spawn(|_| async move { drop(server.call_unlimited(|reply| reply).await) });
        }
        settled().await;
    };
    for (more, left_out) in [(256, 0), (44, 44), (1700, 1744)] {
        start(more).await;
        let graph = rt.wait_graph();
        assert_eq!((graph.waits.len(), graph.left_out), (256, left_out));
    }
    let mut observation = app.observe().unwrap().sample_every(SECOND);
    let sample = sample(&mut observation).await;
    assert_eq!((sample.waits.waits.len(), sample.waits.left_out), (256, 1744));
    let last = sample.to_string();
    assert!(last.ends_with("; 1744 more waits"), "{last}");
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_waits_for_a_child_is_listed() {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    let deaf = ChildSpec::task("deaf", |mut ctx| async move {
        let _asked = ctx.cancellation_token();
        pending().await
    });
    let app = Supervisor::one_for_one().named("app").child(deaf).start(&rt).await.unwrap();
    let stopping = tokio::spawn(async move { app.stop().await });
    settled().await;
    let waits = rt.wait_graph().waits;
    assert_eq!(waits.len(), 1, "{waits:?}");
    assert_eq!(waits[0].caller_path.as_deref(), Some("app"));
    assert_eq!(waits[0].server_path.as_deref(), Some("app/deaf"));
    stopping.await.unwrap().unwrap();
}
