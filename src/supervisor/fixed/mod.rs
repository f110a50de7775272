//! The supervisor of a declared list of children: started in order, stopped in reverse, restarted as
//! its strategy says.

pub(crate) mod child_state;
pub(crate) mod child_record;
pub(crate) mod children;
pub(crate) mod server;
pub(crate) mod orphans;
mod one_child;
mod restart;
mod requests;
pub(crate) mod supervisor_ref;
mod start;
