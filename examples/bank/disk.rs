//! What survives every crash.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// What goes wrong when the money has left one account and is not yet in the other.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Accident {
    None,
    TaskPanics,
    PayeeCrashes,
    TaskHangs,
}

#[derive(Clone, Copy)]
pub(crate) struct Transfer {
    pub from: &'static str,
    pub to: &'static str,
    pub amount: u32,
    pub accident: Accident,
}

/// In a real bank, a database. Money is in exactly one place of it at any time.
#[derive(Default)]
pub(crate) struct Disk {
    pub balances: HashMap<&'static str, u32>,
    /// Transfers that are not over, and the money of each that is on its way.
    pub open: BTreeMap<u32, (Transfer, u32)>,
    pub transfers: u32,
    pub statements: usize,
}

impl Disk {
    /// The payer's money goes on its way; false if there is too little.
    pub(crate) fn take(&mut self, owner: &'static str, id: u32) -> bool {
        let Some((transfer, money)) = self.open.get_mut(&id) else { return false };
        let balance = self.balances.entry(owner).or_default();
        if *money == 0 && *balance >= transfer.amount {
            (*money, *balance) = (transfer.amount, *balance - transfer.amount);
        }
        *money > 0
    }

    /// What is on its way comes in: nothing, if it has come in anywhere before.
    pub(crate) fn put(&mut self, owner: &'static str, id: u32) -> u32 {
        let money = self.open.get_mut(&id).map_or(0, |(_, money)| std::mem::take(money));
        *self.balances.entry(owner).or_default() += money;
        money
    }

    pub(crate) fn on_its_way(&self) -> u32 {
        self.open.values().map(|(_, money)| money).sum()
    }

    pub(crate) fn total(&self) -> u32 {
        self.balances.values().sum::<u32>() + self.on_its_way()
    }
}

pub(crate) type Shared = Arc<Mutex<Disk>>;
