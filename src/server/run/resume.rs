//! A server that goes on after a failed handler, because the
//! [`on_failure`](crate::ChildSpec::on_failure) of its specification says
//! [`Resume`](FailurePolicy::Resume).
//!
//! **Guarantees.** The state is as the failed handler left it, and the items behind the failed one are
//! handled in order. An incarnation goes on at most as often as its
//! [budget](crate::ChildSpec::resume_budget) allows. A server without such a specification pays
//! nothing before its loop ends.
//!
//! **Steps**, when the loop has ended
//! 1. If a handler has failed with a reason that is not clean, and the specification has a closure, call
//!    it, without a lock.
//! 2. If the closure says `Resume`, count the failure against the budget, under the lock of the record.
//! 3. Report the failure, call the hidden `after_resume`, in which a state machine puts its queue in
//!    order, and begin the loop again. Before its first wait it resolves the replies that
//!    the failed handler has dropped, with `NoReply`, and notes that the handler has ended.
//!
//! | between two steps | |
//! |---|---|
//! | an exit signal that the server does not trap, or a kill, arrives | before step 2 the server does not go on, and `terminate` begins; afterwards the loop takes nothing more, and the body is dropped |
//! | a request to stop or the exit of the parent is queued | the loop begins again, and takes it in its turn |
//! | the closure panics | the server does not go on; the supervisor asks the closure again, and logs its panic |
//! | the caller of the failed call stops waiting | its reply is dropped without effect |
//!
//! **Invariants**
//! 1. A process that has [decided](crate::NoRestart) about its restart ends.
//! 2. A supervisor never goes on: the failure of its handler is the limit that it has reached.

use tokio::time::Instant;

use crate::exit::ExitReason;
use crate::kernel::{End, Kernel, Resumed};
use crate::process::{AnyProcess, Stage};
use crate::restart::{Counted, FailurePolicy, OwnRules};
use crate::server::run::failed_callback;
use crate::server::{GenServer, ServerContext};

/// Returns whether the loop begins again after this end.
pub(super) fn goes_on<S: GenServer>(ctx: &mut ServerContext<S>, end: &End) -> bool {
    let (End::Returned(reason) | End::Panicked(reason)) = end else { return false };
    if !is_resumed(&*ctx.process, &ctx.process.kernel, reason) {
        return false;
    }
    // Only a callback fails here: `goes_on` is asked in the poll in which it has failed.
    let Some(handling) = ctx.take_failed() else { return false };
    let left = spend(&*ctx.process);
    match left {
        Some(left) => {
            let resumed = Resumed { reason, handling: *handling, left };
            ctx.process.kernel.report_resumed(&*ctx.process, &resumed);
        }
        None => failed_callback::keep(Some(handling)),
    }
    left.is_some()
}

/// Takes step 1.
fn is_resumed(process: &dyn AnyProcess, kernel: &Kernel, reason: &ExitReason) -> bool {
    let Some(rules) = rules_of(process) else { return false };
    // Invariant 1.
    rules.policy_after(reason, (kernel.number(), process.pid())) == Some(FailurePolicy::Resume)
}

/// The rules of a server that is a child, and no supervisor (invariant 2).
fn rules_of(process: &dyn AnyProcess) -> Option<std::sync::Arc<OwnRules>> {
    process.with(|locked| {
        let core = locked.core();
        let rules = core.relations()?.child.as_ref()?.own_rules.clone()?;
        let is_supervisor = core.supervisor_record().is_some();
        (core.stage == Stage::Live && !is_supervisor).then_some(rules)
    })
}

/// Takes step 2. Returns how many failures the budget still allows, or `None` if it does not allow this
/// one.
fn spend(process: &dyn AnyProcess) -> Option<u32> {
    let now = Instant::now();
    process.with(|locked| {
        let core = locked.core();
        if core.stage != Stage::Live {
            return None;
        }
        let facts = core.relations()?.child.as_ref()?;
        let (limit, id) = (facts.own_rules.as_ref()?.resumes, facts.id.clone());
        let window = &mut core.registrations_mut().limited.get_or_insert_default().resumes;
        window.spend(limit, now, || Counted { number: 0, id }).ok()?;
        window.left(limit, now)
    })
}
