//! Tasks: work with a result that another process waits for.

#[path = "../support/mod.rs"]
mod support;

mod task;
mod task_stream;
mod task_supervisor;
mod scope;
