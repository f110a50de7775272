//! A server that records what it handles, and in which incarnation. The record outlives it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{
    CallError, GenServer, Name, Received, Reply, Result, Runtime, ServerContext, ServerRef,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const RECORDER: Name<Recorder> = Name::new("recorder");

/// How an `init` ends.
pub enum Init {
    Fails,
    /// It succeeds when the sender is dropped.
    Waits(oneshot::Receiver<()>),
}

/// What outlives the incarnations.
#[derive(Clone, Default)]
pub struct Book {
    handled: Arc<Mutex<Vec<(u32, u32)>>>,
    inits: Arc<Mutex<VecDeque<Init>>>,
}

impl Book {
    /// The items that were handled, each with the number of the incarnation.
    pub fn handled(&self) -> Vec<(u32, u32)> {
        self.handled.lock().unwrap().clone()
    }

    /// Scripts the next `init` that has no script yet.
    pub fn next_init(&self, init: Init) {
        self.inits.lock().unwrap().push_back(init);
    }
}

pub struct Recorder {
    book: Book,
    incarnation: u32,
    deferred: Vec<Reply<u32>>,
}

pub type Act = Box<dyn FnOnce(&mut ServerContext<Recorder>) + Send>;

pub enum Call {
    /// Answered with the number of the incarnation.
    Note(u32, Reply<u32>),
    Crash(Reply<u32>),
    /// The reply is dropped in the handler.
    Drop(Reply<u32>),
    /// The reply is dropped by another task.
    DropElsewhere(Reply<u32>),
    Defer(Reply<u32>),
    TimeLeft(Reply<Option<Duration>>),
}

pub enum Cast {
    Note(u32),
    /// The handler returns, or panics, when the sender is dropped.
    Hold(oneshot::Receiver<()>, bool),
    Act(Act),
}

impl GenServer for Recorder {
    type Args = Book;
    type Call = Call;
    type Cast = Cast;

    async fn init(book: Book, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let incarnation = ctx.start_cause().restarts();
        let init = book.inits.lock().unwrap().pop_front();
        match init {
            Some(Init::Fails) => return Err("this init fails".into()),
            Some(Init::Waits(gate)) => drop(gate.await),
            None => {}
        }
        Ok(Recorder { book, incarnation, deferred: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Note(number, reply) => {
                self.note(number);
                reply.send(self.incarnation);
            }
            Call::Crash(_reply) => panic!("incarnation {} was asked", self.incarnation),
            Call::Drop(_reply) => {}
            Call::DropElsewhere(reply) => drop(tokio::spawn(async move { drop(reply) })),
            Call::Defer(reply) => self.deferred.push(reply),
            Call::TimeLeft(reply) => {
                let left = reply.deadline().time_left();
                reply.send(left);
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Note(number) => self.note(number),
            Cast::Hold(gate, crashes) => {
                drop(gate.await);
                assert!(!crashes, "as asked");
            }
            Cast::Act(act) => act(ctx),
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        match info {
            Received::Message(bytes) => self.note(u32::from(bytes[0])),
            Received::Stream(mut stream) => {
                let chunk = stream.read().await.ok_or("an empty stream")?;
                self.note(u32::from(chunk[0]));
            }
            _ => self.note(u32::MAX),
        }
        Ok(())
    }
}

impl Recorder {
    fn note(&self, number: u32) {
        self.book.handled.lock().unwrap().push((self.incarnation, number));
    }
}

pub type Answer = JoinHandle<Result<u32, CallError>>;

/// The recorder by its name.
pub fn recorder(rt: &Runtime) -> ServerRef<Recorder> {
    rt.server(RECORDER)
}

/// Puts the recorder into a handler, which returns, or panics, when the sender is dropped.
pub async fn held(rt: &Runtime, crashes: bool) -> oneshot::Sender<()> {
    let (release, gate) = oneshot::channel();
    assert!(recorder(rt).cast(Cast::Hold(gate, crashes)));
    super::settled().await;
    release
}

/// Makes a call without a limit, in a task of its own. Requires paused time.
pub async fn asked(rt: &Runtime, make: impl FnOnce(Reply<u32>) -> Call + Send + 'static) -> Answer {
    let recorder = recorder(rt);
    let answer = tokio::spawn(async move { recorder.call_unlimited(make).await });
    super::settled().await;
    answer
}

/// Makes a call that is noted under this number.
pub async fn noted(rt: &Runtime, number: u32) -> Answer {
    asked(rt, move |reply| Call::Note(number, reply)).await
}
