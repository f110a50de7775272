//! The tree of the bank: an account for each owner, and the clearing house.

use std::time::Duration;

use regrow::{GenServer, Supervisor, SupervisorSpec};

use crate::account::Account;
use crate::clearing::{CLEARING, Clearing};
use crate::disk::Shared;

/// The owners of the accounts, and what each has at first.
pub(crate) const OWNERS: [(&str, u32); 3] = [("ann", 100), ("bob", 50), ("cat", 0)];

/// Opens the accounts on this disk.
pub(crate) fn tree(disk: &Shared) -> SupervisorSpec {
    let mut spec = Supervisor::one_for_one().intensity(1_000, Duration::from_secs(1));
    for (owner, balance) in OWNERS {
        disk.lock().unwrap().balances.insert(owner, balance);
        let account = Account::child((owner, disk.clone()));
        spec = spec.child(account.with_id(owner).named(owner));
    }
    spec.child(Clearing::child(disk.clone()).named(CLEARING))
}
