//! Event managers and topics. This file has the handler that the tests script.

mod event_managers;
mod handler_owners;
mod topics;
mod topic_races;
mod destructors;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use regrow::{
    CallError, EventHandler, EventManager, ExitReason, GenServer, HandlerContext, HandlerError,
    HandlerRef, Received, Removal, Reply, Result, Runtime, ServerRef,
};
use tokio::sync::Semaphore;

/// The events of the tests: `panic`, `fail`, `leave`, `swap`, `call self`, `wait`, or any text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Event(pub(crate) &'static str);

impl PartialEq<&str> for Event {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

pub(crate) type Manager = ServerRef<EventManager<Event>>;

/// What the handlers of a test have done, in order, and a gate at which they wait.
#[derive(Clone)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>, pub(crate) Arc<Semaphore>);

impl Notes {
    pub(crate) fn new() -> Self {
        Notes(Arc::default(), Arc::new(Semaphore::new(0)))
    }

    pub(crate) fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    /// Returns the lines since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// How the `init` of a handler ends.
#[derive(Clone, Copy)]
pub(crate) enum Init {
    Fine,
    Fails,
    Panics,
    /// Waits at the gate.
    Waits,
}

/// A handler that notes what it gets. With `id` "fragile" it panics in `terminate`.
pub(crate) struct Spy<const TYPE: u8 = 1> {
    notes: Notes,
    events: Vec<Event>,
}

pub(crate) enum Ask {
    Events(Reply<Vec<Event>>),
    Drop {
        _reply: Reply<()>,
    },
    Panic(Reply<()>),
    ReplyAndPanic(Reply<u8>),
    Later(Reply<()>),
    /// A task drops the reply, and the handler waits at the gate.
    DropInTask(Reply<()>),
    Swap(Reply<()>),
}

impl<const TYPE: u8> EventHandler<Event> for Spy<TYPE> {
    type Args = (Notes, Init);
    type Call = Ask;
    type RemoveArg = &'static str;
    type Output = Vec<Event>;

    async fn init((notes, init): Self::Args, ctx: &mut HandlerContext<Event>) -> Result<Self> {
        match init {
            Init::Fine => {}
            Init::Fails => return Err("no luck".into()),
            Init::Panics => panic!("as asked"),
            Init::Waits => notes.1.acquire().await.unwrap().forget(),
        }
        notes.note(format!("init {}", ctx.id().text()));
        Ok(Spy { notes, events: Vec::new() })
    }

    async fn handle_event(&mut self, event: &Event, ctx: &mut HandlerContext<Event>) -> Result {
        self.notes.note(format!("{} {}", ctx.id().text(), event.0));
        match event.0 {
            "panic" => panic!("as asked"),
            "fail" => return Err("failed".into()),
            "leave" => return ctx.remove(),
            "swap" => {
                let notes = self.notes.clone();
                return ctx.swap::<Self, Spy<2>>("own", "next", |_| (notes, Init::Fine));
            }
            "swap to bad" => {
                let notes = self.notes.clone();
                return ctx.swap::<Self, Spy<2>>("own", "bad", |_| (notes, Init::Fails));
            }
            "call self" => {
                assert_eq!(
                    ctx.manager().sync_notify(Event("never")).await,
                    Err(CallError::CallingSelf)
                );
                let added = ctx.manager().add_handler::<Spy>("x", (self.notes.clone(), Init::Fine));
                let refused = added.await.unwrap_err();
                assert_eq!(refused, HandlerError::Manager(CallError::CallingSelf));
                ctx.manager().notify(Event("from a handler"));
            }
            "wait" => self.notes.1.acquire().await.unwrap().forget(),
            _ => {}
        }
        self.events.push(*event);
        Ok(())
    }

    async fn handle_call(&mut self, call: Ask, ctx: &mut HandlerContext<Event>) -> Result {
        match call {
            Ask::Events(reply) => reply.send(self.events.clone()),
            Ask::Drop { .. } => {}
            Ask::Panic(_reply) => panic!("as asked"),
            Ask::ReplyAndPanic(reply) => {
                reply.send(7);
                panic!("as asked")
            }
            Ask::DropInTask(reply) => {
                tokio::spawn(async move { drop(reply) });
                self.notes.1.acquire().await.unwrap().forget();
            }
            Ask::Swap(_reply) => {
                let notes = self.notes.clone();
                return ctx.swap::<Self, Spy<2>>("own", "next", |_| (notes, Init::Fine));
            }
            Ask::Later(reply) => drop(tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                reply.send(());
            })),
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: &Received, ctx: &mut HandlerContext<Event>) -> Result {
        self.notes.note(format!("{} got {info:?}", ctx.id().text()));
        Ok(())
    }

    async fn terminate(self, why: Removal<&'static str>) -> Vec<Event> {
        let why = match why {
            Removal::Failed(reason) => format!("Failed({reason})"),
            other => format!("{other:?}"),
        };
        self.notes.note(format!("terminate {why}"));
        assert!(!self.events.contains(&Event("end badly")), "terminate panics");
        self.events
    }

    fn format_status(&self) -> Option<String> {
        Some(format!("{} events", self.events.len()))
    }
}

pub(crate) async fn manager(rt: &Runtime) -> Manager {
    EventManager::start(rt, Default::default()).await.unwrap()
}

/// Adds a handler whose `init` succeeds.
pub(crate) async fn add(manager: &Manager, text: &str, notes: &Notes) -> HandlerRef<Event, Spy> {
    manager.add_handler::<Spy>(text, (notes.clone(), Init::Fine)).await.unwrap()
}

/// The texts of the ids of all handlers, in order.
pub(crate) async fn texts(manager: &Manager) -> Vec<String> {
    let all = manager.which_handlers().await.unwrap();
    all.iter().map(|info| info.id.text().to_owned()).collect()
}

pub(crate) fn crashed(reason: &ExitReason) -> String {
    reason.crash().map(|crash| crash.message().to_owned()).unwrap_or_default()
}
