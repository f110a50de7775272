//! The state that survives every crash.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

/// The fault that is injected while the money of a transfer is in transit.
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

/// Stands for a database. Each amount of money is in exactly one place at any time.
#[derive(Default)]
pub(crate) struct Disk {
    pub balances: HashMap<&'static str, u32>,
    /// Transfers that have not finished, each with its money in transit.
    pub open: BTreeMap<u32, (Transfer, u32)>,
    pub transfers: u32,
    pub statements: usize,
}

impl Disk {
    /// Moves the payer's money into transit; false if the balance is too low.
    pub(crate) fn take(&mut self, owner: &'static str, id: u32) -> bool {
        let Some((transfer, money)) = self.open.get_mut(&id) else { return false };
        let balance = self.balances.entry(owner).or_default();
        if *money == 0 && *balance >= transfer.amount {
            (*money, *balance) = (transfer.amount, *balance - transfer.amount);
        }
        *money > 0
    }

    /// Moves the money in transit to this account. Returns the amount: 0 if the money has arrived
    /// before.
    pub(crate) fn put(&mut self, owner: &'static str, id: u32) -> u32 {
        let money = self.open.get_mut(&id).map_or(0, |(_, money)| std::mem::take(money));
        *self.balances.entry(owner).or_default() += money;
        money
    }

    pub(crate) fn in_transit(&self) -> u32 {
        self.open.values().map(|(_, money)| money).sum()
    }

    pub(crate) fn total(&self) -> u32 {
        self.balances.values().sum::<u32>() + self.in_transit()
    }
}

pub(crate) type Shared = Arc<Mutex<Disk>>;
