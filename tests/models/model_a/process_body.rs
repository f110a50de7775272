//! The body of a process: an interpreter of commands.

use std::sync::Arc;
use std::time::Duration;

use regrow::{Context, Received};
use tokio::sync::mpsc::UnboundedReceiver;

use super::commands::{Answer, Command, Id, Op, Take};
use super::real_runtime::World;
use super::records::Step;
use crate::injected_panics::BOOM;

/// Records the end of a process when it is dropped. The kernel drops it with the body, in the poll
/// that tears the process down, also if the body never ran.
pub(crate) struct Mourner(pub(crate) Arc<World>, pub(crate) Id);

impl Drop for Mourner {
    fn drop(&mut self) {
        self.0.books().steps.push(Step::Died(self.1));
    }
}

pub(crate) async fn obey(
    mut ctx: Context,
    mut jobs: UnboundedReceiver<Command>,
    mourner: Mourner,
    eager: bool,
) {
    let (world, id) = (Arc::clone(&mourner.0), mourner.1);
    loop {
        let command = tokio::select! {
            biased;
            Some(command) = jobs.recv() => command,
            received = ctx.recv(), if eager => {
                world.hear(id, received);
                continue;
            }
        };
        for _ in 0..command.busy {
            tokio::task::yield_now().await;
        }
        match command.op {
            Op::Return => return world.done(command.id, Answer::new()),
            Op::Panic => {
                world.done(command.id, Answer::new());
                panic!("{BOOM} {}", command.id);
            }
            Op::Receive(take) => {
                receive(&mut ctx, &world, take).await;
                world.done(command.id, Answer::new());
            }
            _ => world.perform(command),
        }
        // A signal that the process sent itself ends it at this await, before its next command.
        tokio::task::yield_now().await;
    }
}

async fn receive(ctx: &mut Context, world: &World, take: Take) {
    let id = world.books().id(ctx.pid());
    let now = Duration::ZERO;
    loop {
        let received = match take {
            Take::All => ctx.recv_timeout(now).await,
            Take::Tag(tag) => {
                let tagged = |item: &Received| matches!(item, Received::Message(m) if m[8] == tag);
                ctx.recv_match_timeout(tagged, now).await
            }
            Take::Signals => {
                let signal = |item: &Received| !matches!(item, Received::Message(_));
                ctx.recv_match_timeout(signal, now).await
            }
        };
        let Some(received) = received else { return };
        world.hear(id, received);
        if let Take::Tag(_) = take {
            return;
        }
    }
}
