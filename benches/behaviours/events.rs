//! The cost of an event for a thousand servers, and of an event for the handlers of a manager.
//!
//! Beside a publish: the same events as casts, in a loop over the handles. Each side ends when all
//! servers have handled all events. Of an event manager: a server that calls ten closures itself.

use std::sync::Arc;
use std::time::Instant;

use regrow::{
    EventHandler, EventManager, GenServer, HandlerContext, PubSub, Removal, Reply, Result, Runtime,
    ServerContext, ServerRef,
};

use crate::support::{Bench, Row, Table, Target, nanos_each, shut_down};

const SERVERS: usize = 1_000;
const HANDLERS: usize = 10;

pub(crate) fn rows(bench: &Bench) {
    if !bench.shows(Table::Demanding) {
        return;
    }
    bench.header("events, for each delivery", ["casts", "publish", "ratio"]);
    let row = |text| Row { text, unit: "ns", target: Target::Ratio(1.3), size: 1_000_000 };
    let number = row("a number to 1,000 servers");
    bench.compare(&number, |n| casts(n, |n| n), |n| publishes(n, |n| n));
    let cloned = row("a String to 1,000 servers, cloned for each");
    bench.compare(&cloned, |n| casts(n, text), |n| publishes(n, text));
    let shared = row("an Arc<str> to 1,000 servers, shared");
    bench.compare(&shared, |n| casts(n, shared_text), |n| publishes(n, shared_text));

    bench.header("events of a manager, for each handler", ["closures", "handlers", "ratio"]);
    let row = Row { unit: "ns", target: Target::None, size: 1_000_000, text: "ten handlers" };
    bench.compare(&row, closures, handlers);
}

fn text(number: usize) -> String {
    format!("event number {number}, with some text behind it")
}

fn shared_text(number: usize) -> Arc<str> {
    text(number).into()
}

/// A server that drops what it gets.
struct Sink<T>(std::marker::PhantomData<fn() -> T>);

impl<T: Send + 'static> GenServer for Sink<T> {
    type Args = ();
    type Call = Reply<()>;
    type Cast = T;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Sink(std::marker::PhantomData))
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, _: T, _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

async fn sinks<T: Send + 'static>(rt: &Runtime) -> Vec<ServerRef<Sink<T>>> {
    let mut sinks = Vec::with_capacity(SERVERS);
    for _ in 0..SERVERS {
        sinks.push(Sink::start(rt, ()).await.expect("a sink starts"));
    }
    sinks
}

/// Runs `send` for each event, and returns the cost of each delivery.
async fn delivered<T: Send + 'static>(
    size: usize,
    rt: Runtime,
    sinks: Vec<ServerRef<Sink<T>>>,
    send: impl Fn(usize),
) -> f64 {
    let events = size.div_ceil(SERVERS);
    let begin = Instant::now();
    for event in 0..events {
        send(event);
        tokio::task::yield_now().await;
    }
    for sink in &sinks {
        sink.call(|reply| reply).await.expect("a sink answers");
    }
    let cost = nanos_each(begin, events * SERVERS);
    shut_down(&rt).await;
    cost
}

async fn casts<T: Clone + Send + 'static>(size: usize, make: fn(usize) -> T) -> f64 {
    let rt = Runtime::new();
    let sinks = sinks(&rt).await;
    let to = sinks.clone();
    let send = move |number| {
        let event = make(number);
        to.iter().for_each(|sink| assert!(sink.cast(event.clone())));
    };
    delivered(size, rt, sinks, send).await
}

async fn publishes<T: Clone + Send + 'static>(size: usize, make: fn(usize) -> T) -> f64 {
    let rt = Runtime::new();
    let (sinks, topics) = (sinks(&rt).await, PubSub::new(&rt));
    for sink in &sinks {
        topics.subscribe("all", sink, |event| event.event).expect("a subscription").keep();
    }
    delivered(size, rt, sinks, move |number| {
        assert_eq!(topics.publish(&"all", make(number)), SERVERS);
    })
    .await
}

/// A server that passes each number to ten closures.
struct Closures(Vec<Box<dyn FnMut(usize) + Send>>);

impl GenServer for Closures {
    type Args = ();
    type Call = Reply<()>;
    type Cast = usize;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        let closures = (0..HANDLERS).map(|_| {
            let mut sum = 0_usize;
            Box::new(move |number| {
                sum += number;
                std::hint::black_box(sum);
            }) as Box<dyn FnMut(usize) + Send>
        });
        Ok(Closures(closures.collect()))
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        reply.send(());
        Ok(())
    }

    async fn handle_cast(&mut self, number: usize, _: &mut ServerContext<Self>) -> Result {
        self.0.iter_mut().for_each(|closure| closure(number));
        Ok(())
    }
}

async fn closures(size: usize) -> f64 {
    let rt = Runtime::new();
    let server = Closures::start(&rt, ()).await.expect("the server starts");
    let begin = Instant::now();
    (0..size / HANDLERS).for_each(|number| assert!(server.cast(number)));
    server.call(|reply| reply).await.expect("the server answers");
    let cost = nanos_each(begin, size);
    shut_down(&rt).await;
    cost
}

struct Sum(usize);

impl EventHandler<usize> for Sum {
    type Args = ();
    type Call = ();
    type RemoveArg = ();
    type Output = ();

    async fn init((): (), _: &mut HandlerContext<usize>) -> Result<Self> {
        Ok(Sum(0))
    }

    async fn handle_event(&mut self, number: &usize, _: &mut HandlerContext<usize>) -> Result {
        self.0 += std::hint::black_box(*number);
        Ok(())
    }

    async fn terminate(self, _: Removal<()>) {}
}

async fn handlers(size: usize) -> f64 {
    let rt = Runtime::new();
    let manager = EventManager::start(&rt, Default::default()).await.expect("the manager starts");
    for handler in 0..HANDLERS {
        manager.add_handler::<Sum>(handler.to_string(), ()).await.expect("a handler is added");
    }
    let begin = Instant::now();
    (0..size / HANDLERS).for_each(|number| assert!(manager.notify(number)));
    manager.which_handlers().await.expect("the manager answers");
    let cost = nanos_each(begin, size);
    shut_down(&rt).await;
    cost
}
