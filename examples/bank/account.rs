//! An account: every step may be asked for again, and is done once.

use std::time::Duration;

use regrow::{GenServer, Reply, Result, Runtime, ServerContext, ServerRef};

use crate::disk::{Accident, Shared, Transfer};

/// After so long without a visitor a statement is sent.
const QUIET: Duration = Duration::from_millis(200);

pub(crate) struct Account {
    owner: &'static str,
    disk: Shared,
    waiting: Vec<(u32, Reply<u32>)>,
}

pub(crate) enum Ask {
    /// Answered with the balance once there is so much.
    AtLeast(u32, Reply<u32>),
    Take(u32, Reply<bool>),
    Put(u32, Transfer, Reply<u32>),
}

impl GenServer for Account {
    type Args = (&'static str, Shared);
    type Call = Ask;
    type Cast = ();

    async fn init((owner, disk): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.idle_timeout(QUIET);
        Ok(Account { owner, disk, waiting: Vec::new() })
    }

    async fn handle_call(&mut self, ask: Ask, ctx: &mut ServerContext<Self>) -> Result {
        ctx.idle_timeout(QUIET);
        let mut disk = self.disk.lock().unwrap();
        match ask {
            Ask::AtLeast(amount, reply) => self.waiting.push((amount, reply)),
            Ask::Take(id, reply) => reply.send(disk.take(self.owner, id)),
            Ask::Put(id, Transfer { to, accident, .. }, reply) => {
                let money = disk.put(self.owner, id);
                if money > 0 && to == self.owner && accident == Accident::PayeeCrashes {
                    return Err("the power went out before anybody was told".into());
                }
                reply.send(money);
            }
        }
        let balance = disk.balances[self.owner];
        for (_, reply) in self.waiting.extract_if(.., |(amount, _)| *amount <= balance) {
            reply.send(balance);
        }
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        let mut disk = self.disk.lock().unwrap();
        println!("     to {}: your balance is {}", self.owner, disk.balances[self.owner]);
        disk.statements += 1;
        Ok(())
    }
}

/// Asks an account until it answers: it may crash and come back meanwhile.
pub(crate) async fn surely<T: Send + 'static>(
    rt: &Runtime,
    owner: &str,
    ask: impl Fn(Reply<T>) -> Ask,
) -> T {
    let account: ServerRef<Account> = rt.server(owner);
    loop {
        if let Ok(answer) = account.call_waiting(&ask, Duration::from_secs(1)).await {
            return answer;
        }
    }
}
