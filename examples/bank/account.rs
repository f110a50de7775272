//! An account. Each step is idempotent: a repeated request has no further effect.

use std::time::Duration;

use regrow::{GenServer, Reply, Result, Runtime, ServerContext, ServerRef};

use crate::disk::{Accident, Shared, Transfer};

/// An account without calls for this long sends a statement.
const IDLE_TIMEOUT: Duration = Duration::from_millis(200);

pub(crate) struct Account {
    owner: &'static str,
    disk: Shared,
    waiting: Vec<(u32, Reply<u32>)>,
}

pub(crate) enum Call {
    /// Replies with the balance as soon as that is at least this amount.
    AtLeast(u32, Reply<u32>),
    Take(u32, Reply<bool>),
    Put(u32, Transfer, Reply<u32>),
}

impl GenServer for Account {
    type Args = (&'static str, Shared);
    type Call = Call;
    type Cast = ();

    async fn init((owner, disk): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.idle_after(IDLE_TIMEOUT);
        Ok(Account { owner, disk, waiting: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        let mut disk = self.disk.lock().unwrap();
        match call {
            Call::AtLeast(amount, reply) => self.waiting.push((amount, reply)),
            Call::Take(id, reply) => reply.send(disk.take(self.owner, id)),
            Call::Put(id, Transfer { to, accident, .. }, reply) => {
                let money = disk.put(self.owner, id);
                if money > 0 && to == self.owner && accident == Accident::PayeeCrashes {
                    return Err("the power went out before the reply was sent".into());
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

/// Calls an account until it replies: it may crash and be restarted meanwhile.
pub(crate) async fn call_until_answered<T: Send + 'static>(
    rt: &Runtime,
    owner: &str,
    call: impl Fn(Reply<T>) -> Call,
) -> T {
    let account: ServerRef<Account> = rt.server(owner);
    loop {
        if let Ok(answer) = account.call_waiting(&call, Duration::from_secs(1)).await {
            return answer;
        }
    }
}
