//! The clearing house: runs transfers, and undoes those that crash.

use std::collections::HashMap;

use regrow::{GenServer, Name, Pid, Received, Reply, Result, Runtime, ServerContext};

use crate::account::{Call, call_until_answered};
use crate::disk::{Accident, Shared, Transfer};

pub(crate) const CLEARING: Name<Clearing> = Name::new("clearing house");

pub(crate) type Outcome = Result<(), &'static str>;

/// Runs each transfer in a task of its own, and undoes a transfer whose task crashes.
pub(crate) struct Clearing {
    disk: Shared,
    /// By transfer: its task, and the reply to its caller, unless the caller is gone.
    running: HashMap<u32, (Pid, Option<Reply<Outcome>>)>,
}

pub(crate) struct Order(pub Transfer, pub Reply<Outcome>);

pub(crate) enum Note {
    Recover,
    Done(u32, Outcome),
}

impl GenServer for Clearing {
    type Args = Shared;
    type Call = Order;
    type Cast = Note;

    async fn init(disk: Shared, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(true); // a crash of a task ends neither this server nor other tasks
        ctx.continue_with(Note::Recover); // handled before any order
        Ok(Clearing { disk, running: HashMap::new() })
    }

    async fn handle_call(&mut self, order: Order, ctx: &mut ServerContext<Self>) -> Result {
        let Order(transfer, reply) = order;
        let mut disk = self.disk.lock().unwrap();
        disk.transfers += 1;
        let id = disk.transfers;
        disk.open.insert(id, (transfer, 0));
        let work = run_transfer(ctx.runtime(), id, transfer);
        let task = ctx.spawn_task(work, move |outcome| Note::Done(id, outcome));
        self.running.insert(id, (task, Some(reply))); // the reply is sent when the task is done
        Ok(())
    }

    async fn handle_cast(&mut self, note: Note, ctx: &mut ServerContext<Self>) -> Result {
        match note {
            Note::Recover => {
                let left: Vec<_> = self.disk.lock().unwrap().open.keys().copied().collect();
                left.into_iter().for_each(|id| self.undo(id, None, ctx));
            }
            Note::Done(id, outcome) => {
                self.disk.lock().unwrap().open.remove(&id);
                if let Some((_, Some(reply))) = self.running.remove(&id) {
                    reply.send(outcome);
                }
            }
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        let Received::Exit { from, .. } = info else { return Ok(()) };
        let crashed = self.running.extract_if(|_, (task, _)| *task == from).next();
        if let Some((id, (_, reply))) = crashed {
            self.undo(id, reply, ctx);
        }
        Ok(())
    }
}

impl Clearing {
    /// Moves the money back to the payer. A call of the crashed task to the payer was queued before
    /// this one, so it can't take the money afterwards.
    fn undo(&mut self, id: u32, reply: Option<Reply<Outcome>>, ctx: &mut ServerContext<Self>) {
        let (transfer, _) = self.disk.lock().unwrap().open[&id];
        let rt = ctx.runtime();
        let back = async move {
            call_until_answered(&rt, transfer.from, |r| Call::Put(id, transfer, r)).await
        };
        let outcome = |money| if money > 0 { Err("undone") } else { Ok(()) };
        let task = ctx.spawn_task(back, move |money| Note::Done(id, outcome(money)));
        self.running.insert(id, (task, reply));
    }
}

async fn run_transfer(rt: Runtime, id: u32, transfer: Transfer) -> Outcome {
    let Transfer { from, to, accident, .. } = transfer;
    if !call_until_answered(&rt, from, |reply| Call::Take(id, reply)).await {
        return Err("not enough money");
    }
    match accident {
        Accident::TaskPanics => panic!("the power went out in transfer {id}"),
        Accident::TaskHangs => std::future::pending().await,
        Accident::None | Accident::PayeeCrashes => {}
    }
    call_until_answered(&rt, to, |reply| Call::Put(id, transfer, reply)).await;
    Ok(())
}
