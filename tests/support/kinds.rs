//! One scripted child of every kind, so that a test of a common property is written once.

use std::future::Future;
use std::time::Duration;

use regrow::{ChildSpec, ExitReason, Received, RestartLimitReached, Result, Runtime, Supervisor};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How a child behaves.
#[derive(Debug, Clone, PartialEq)]
pub enum Does {
    /// Waits for the stop request, then returns `Ok`.
    Stops,
    /// Returns `Ok` at once.
    Ends,
    /// Returns an error with this text at once.
    Fails(&'static str),
    /// Panics with this text at once.
    Panics(&'static str),
    /// Waits for the stop request, then returns an error.
    FailsAtStop,
    /// Ignores the stop request; ends when it is killed.
    Ignores,
}

pub type Say = UnboundedSender<&'static str>;

/// The reports of children, in order.
pub struct Heard(UnboundedReceiver<&'static str>);

pub fn telling() -> (Say, Heard) {
    let (say, heard) = unbounded_channel();
    (say, Heard(heard))
}

impl Heard {
    pub async fn next(&mut self) -> &'static str {
        self.0.recv().await.expect("a sender is kept by the test")
    }
}

/// Makes a child of one kind, with the id `"child"`.
pub type Make = fn(Does, Say) -> ChildSpec;

/// The name of a kind of child, and the function that makes one.
pub type Kind = (&'static str, Make);

/// All kinds of children. Each reports `"up"` when it runs, and `"stopping"` when it receives the
/// stop request.
pub const KINDS: [Kind; 3] = [("task", task), ("serve", serve), ("blocking", blocking)];

/// Runs a child that is not restarted, and returns the reason of its end.
pub async fn only_end(rt: &Runtime, spec: ChildSpec) -> ExitReason {
    let once = Supervisor::one_for_one().intensity(0, Duration::from_secs(1));
    let tree = once.child(spec).start(rt).await.unwrap();
    let reason = tree.ended().await;
    let limit = reason.crash().and_then(|crash| crash.downcast_ref::<RestartLimitReached>());
    limit.expect("it gave up").last.clone()
}

async fn behave(does: Does, say: Say, stop: impl Future<Output = ()>) -> Result {
    say.send("up").ok();
    match does {
        Does::Ends => return Ok(()),
        Does::Fails(text) => return Err(text.into()),
        Does::Panics(text) => panic!("{text}"),
        Does::Stops | Does::FailsAtStop | Does::Ignores => stop.await,
    }
    say.send("stopping").ok();
    match does {
        Does::FailsAtStop => Err("fails at stop".into()),
        Does::Ignores => std::future::pending().await,
        _ => Ok(()),
    }
}

fn task(does: Does, say: Say) -> ChildSpec {
    ChildSpec::task("child", move |mut ctx| async move {
        let stop = ctx.cancellation_token();
        behave(does, say, stop.cancelled()).await
    })
}

fn serve(does: Does, say: Say) -> ChildSpec {
    ChildSpec::serve("child", move |shutdown| behave(does, say, shutdown))
}

fn blocking(does: Does, say: Say) -> ChildSpec {
    ChildSpec::blocking("child", move |mut ctx| {
        say.send("up").ok();
        match does {
            Does::Ends => return Ok(()),
            Does::Fails(text) => return Err(text.into()),
            Does::Panics(text) => panic!("{text}"),
            Does::Stops | Does::FailsAtStop | Does::Ignores => {
                while let Some(Received::Message(_)) = ctx.recv() {}
            }
        }
        say.send("stopping").ok();
        match does {
            Does::FailsAtStop => Err("fails at stop".into()),
            Does::Ignores => {
                // A send to a process that was killed returns `false`.
                while ctx.runtime().send(ctx.pid(), Vec::new()) {
                    std::thread::yield_now();
                }
                Ok(())
            }
            _ => Ok(()),
        }
    })
}
