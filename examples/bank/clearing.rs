//! The clearing house: has transfers carried out, and undoes those that crash.

use std::collections::HashMap;

use regrow::{GenServer, Name, Pid, Received, Reply, Result, Runtime, ServerContext};

use crate::account::{Ask, surely};
use crate::disk::{Accident, Shared, Transfer};

pub(crate) const CLEARING: Name<Clearing> = Name::new("clearing house");

pub(crate) type Outcome = Result<(), &'static str>;

/// Has each transfer carried out by a task of its own, and undoes those that crash.
pub(crate) struct Clearing {
    disk: Shared,
    /// By transfer: the task that is at it, and who waits, if anybody still does.
    at_work: HashMap<u32, (Pid, Option<Reply<Outcome>>)>,
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
        ctx.trap_exit(true); // a task that crashes does not take the others along
        ctx.continue_with(Note::Recover); // nobody waits for it, and it comes before any order
        Ok(Clearing { disk, at_work: HashMap::new() })
    }

    async fn handle_call(&mut self, order: Order, ctx: &mut ServerContext<Self>) -> Result {
        let Order(transfer, reply) = order;
        let mut disk = self.disk.lock().unwrap();
        disk.transfers += 1;
        let id = disk.transfers;
        disk.open.insert(id, (transfer, 0));
        let work = carry_out(ctx.runtime(), id, transfer);
        let task = ctx.spawn_task(work, move |outcome| Note::Done(id, outcome));
        self.at_work.insert(id, (task, Some(reply))); // answered when that is done
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
                if let Some((_, Some(reply))) = self.at_work.remove(&id) {
                    reply.send(outcome);
                }
            }
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, ctx: &mut ServerContext<Self>) -> Result {
        let Received::Exit { from, .. } = info else { return Ok(()) };
        let crashed = self.at_work.extract_if(|_, (task, _)| *task == from).next();
        if let Some((id, (_, reply))) = crashed {
            self.undo(id, reply, ctx);
        }
        Ok(())
    }
}

impl Clearing {
    /// What the task that crashed had asked the payer for was queued there before this is.
    fn undo(&mut self, id: u32, reply: Option<Reply<Outcome>>, ctx: &mut ServerContext<Self>) {
        let (transfer, _) = self.disk.lock().unwrap().open[&id];
        let rt = ctx.runtime();
        let back = async move { surely(&rt, transfer.from, |r| Ask::Put(id, transfer, r)).await };
        let outcome = |money| if money > 0 { Err("undone") } else { Ok(()) };
        let task = ctx.spawn_task(back, move |money| Note::Done(id, outcome(money)));
        self.at_work.insert(id, (task, reply));
    }
}

async fn carry_out(rt: Runtime, id: u32, transfer: Transfer) -> Outcome {
    let Transfer { from, to, accident, .. } = transfer;
    if !surely(&rt, from, |reply| Ask::Take(id, reply)).await {
        return Err("not enough money");
    }
    match accident {
        Accident::TaskPanics => panic!("the power went out in transfer {id}"),
        Accident::TaskHangs => std::future::pending().await,
        Accident::None | Accident::PayeeCrashes => {}
    }
    surely(&rt, to, |reply| Ask::Put(id, transfer, reply)).await;
    Ok(())
}
