//! A server whose calls and casts say what to do, and that notes which metadata its code sees.

use std::pin::Pin;

use regrow::{GenServer, Metadata, Received, Reply, Result, ServerContext};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The metadata of the tests.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Id(pub u64);

/// Returns the id that the running code sees.
pub fn visible() -> Option<u64> {
    Metadata::current().get::<Id>().map(|id| id.0)
}

/// What was noted: a text, and the id that the code saw.
pub type Note = (String, Option<u64>);

/// Where notes go.
#[derive(Clone)]
pub struct Notes(UnboundedSender<Note>);

impl Notes {
    pub fn new() -> (Self, UnboundedReceiver<Note>) {
        let (sender, notes) = unbounded_channel();
        (Notes(sender), notes)
    }

    /// Notes what the running code sees.
    pub fn note(&self, text: impl Into<String>) {
        // An error means that the test reads no notes.
        let _ = self.0.send((text.into(), visible()));
    }
}

pub type Doing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

pub type Job =
    Box<dyn for<'a> FnOnce(&'a mut Node, &'a mut ServerContext<Node>) -> Doing<'a> + Send>;

/// Makes a job of a closure.
pub fn job<F>(act: F) -> Job
where
    F: for<'a> FnOnce(&'a mut Node, &'a mut ServerContext<Node>) -> Doing<'a> + Send + 'static,
{
    Box::new(act)
}

/// Makes a job that notes what it sees.
pub fn note(text: &'static str) -> Job {
    job(move |node, _| Box::pin(async move { node.notes.note(text) }))
}

pub struct Node {
    pub notes: Notes,
    /// Replies that were kept, with the metadata of their calls.
    pub kept: Vec<(Reply<Option<u64>>, Metadata)>,
}

pub enum Call {
    /// Does the job, and answers with the id that the handler sees then.
    Do(Job, Reply<Option<u64>>),
    /// Keeps the reply and the metadata.
    Keep(Reply<Option<u64>>),
}

impl GenServer for Node {
    type Args = Notes;
    type Call = Call;
    type Cast = Job;

    async fn init(notes: Notes, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Node { notes, kept: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Do(job, reply) => {
                job(self, ctx).await;
                reply.send(visible());
            }
            Call::Keep(reply) => self.kept.push((reply, ctx.metadata())),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, job: Job, ctx: &mut ServerContext<Self>) -> Result {
        job(self, ctx).await;
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        if let Some(text) = info.message() {
            self.notes.note(String::from_utf8(text).expect("the tests send text"));
        }
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        self.notes.note("idle");
        Ok(())
    }
}
