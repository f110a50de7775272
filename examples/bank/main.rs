//! A bank whose transfers crash half-way, and that loses no money.
//!
//! You learn how servers that may crash at any line keep an invariant: the state that must survive
//! is on a disk, each write moves money from one place to another, every step is idempotent, and
//! the next incarnation undoes the transfers that were interrupted. The example also shows deferred
//! replies, `continue_with`, an idle timeout and linked tasks, each where it is natural.
//!
//! ```text
//! cargo run --example bank
//! ```
//!
//! You will see transfers that succeed and that crash, crashes of accounts and of the clearing
//! house, and all of these at once. The sum of all money stays the same. It takes a second.

mod account;
mod clearing;
mod disk;
mod tree;

use std::error::Error;
use std::time::Duration;

use futures_util::future::join_all;
use regrow::{CallError, ExitReason, Leftovers, Runtime};

use account::{Call, call_until_answered};
use clearing::{CLEARING, Order, Outcome};
use disk::{Accident, Shared, Transfer};
use tree::{OWNERS, tree};

const UNDONE: Result<Outcome, CallError> = Ok(Err("undone"));
const DONE: Result<Outcome, CallError> = Ok(Ok(()));

/// The client side of the bank.
struct Bank {
    rt: Runtime,
    disk: Shared,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The crashes are on purpose, and described below.
    std::panic::set_hook(Box::new(|_| {}));
    let bank = Bank { rt: Runtime::new(), disk: Shared::default() };
    let tree = tree(&bank.disk).start(&bank.rt).await?;

    println!("Transfers that succeed, or are refused:");
    assert_eq!(bank.pay("ann", "bob", 30, Accident::None).await, DONE);
    let refused = bank.pay("cat", "bob", 1, Accident::None).await;
    assert_eq!(refused, Ok(Err("not enough money")));
    bank.check_total();

    println!("A caller waits until cat has 40; other transfers go on meanwhile:");
    let (had, paid) =
        tokio::join!(bank.balance("cat", 40), bank.pay("bob", "cat", 45, Accident::None));
    assert_eq!((had, paid), (45, DONE));
    bank.check_total();

    println!("A transfer panics half-way:");
    assert_eq!(bank.pay("ann", "bob", 20, Accident::TaskPanics).await, UNDONE);
    assert_eq!(bank.balance("ann", 0).await, 70);
    bank.check_total();

    println!("An account crashes when it is paid; the repeated payment counts once:");
    assert_eq!(bank.pay("ann", "cat", 20, Accident::PayeeCrashes).await, DONE);
    assert_eq!((bank.balance("ann", 0).await, bank.balance("cat", 0).await), (50, 65));
    bank.check_total();

    println!("The clearing house is killed half-way; the next incarnation undoes the transfer:");
    let killed = CallError::Exited(ExitReason::Killed);
    assert_eq!(bank.pay_but_kill("ann", "bob", 50).await, Err(killed));
    assert_eq!(bank.balance("ann", 50).await, 50); // the reply comes when the money is back
    bank.check_total();

    println!("Sixty concurrent transfers, with accidents and kills:");
    bank.stress().await;
    bank.check_total();

    println!("The accounts are idle for a while, so they send statements:");
    while bank.disk.lock().unwrap().statements < OWNERS.len() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tree.stop().await?;
    assert_eq!(bank.rt.leftovers(), Leftovers::default());
    println!("No money was lost.");
    Ok(())
}

impl Bank {
    async fn pay(
        &self,
        from: &'static str,
        to: &'static str,
        amount: u32,
        accident: Accident,
    ) -> Result<Outcome, CallError> {
        let outcome = self.order(Transfer { from, to, amount, accident }).await;
        println!("     {from} pays {to} {amount}: {outcome:?}");
        outcome
    }

    async fn order(&self, transfer: Transfer) -> Result<Outcome, CallError> {
        self.rt.server(CLEARING).call(|reply| Order(transfer, reply)).await
    }

    /// The balance of an account, as soon as it is at least this amount.
    async fn balance(&self, owner: &'static str, least: u32) -> u32 {
        call_until_answered(&self.rt, owner, |reply| Call::AtLeast(least, reply)).await
    }

    async fn pay_but_kill(
        &self,
        from: &'static str,
        to: &'static str,
        amount: u32,
    ) -> Result<Outcome, CallError> {
        let kill = async {
            while self.disk.lock().unwrap().in_transit() == 0 {
                tokio::task::yield_now().await;
            }
            self.rt.kill(self.rt.whereis(CLEARING.as_str()).unwrap());
        };
        tokio::join!(self.pay(from, to, amount, Accident::TaskHangs), kill).0
    }

    /// Runs sixty transfers at once, a third of them with an accident, and kills accounts meanwhile.
    async fn stress(&self) {
        let names = OWNERS.map(|(name, _)| name);
        let payments = (0..60_usize).map(|n| {
            let (from, to) = (names[n % 3], names[(n + 1 + n / 3 % 2) % 3]);
            let accident = match n % 9 {
                0 | 5 => Accident::TaskPanics,
                7 => Accident::PayeeCrashes,
                _ => Accident::None,
            };
            self.order(Transfer { from, to, amount: 1 + n as u32 % 13, accident })
        });
        let kills = async {
            for owner in names {
                self.rt.whereis(owner).map(|pid| self.rt.kill(pid));
                tokio::task::yield_now().await;
            }
        };
        let (outcomes, ()) = tokio::join!(join_all(payments), kills);
        let done = outcomes.iter().filter(|outcome| **outcome == DONE).count();
        let undone = outcomes.iter().filter(|outcome| **outcome == UNDONE).count();
        println!("     of {}, {done} are done and {undone} undone", outcomes.len());
        assert!(outcomes.iter().all(Result::is_ok) && self.disk.lock().unwrap().open.is_empty());
    }

    /// Asserts that the sum of all money is unchanged.
    fn check_total(&self) {
        let total = self.disk.lock().unwrap().total();
        assert_eq!(total, 150);
        println!("     in all: {total}\n");
    }
}
