//! The rules of the repository, the book, the examples, and the compiler errors for common mistakes.

#[path = "../support/mod.rs"]
mod support;

mod tidy;
mod semantics;
mod book;
mod lines_saved;
#[cfg(all(unix, feature = "net"))]
mod workarounds;
mod examples;
mod ui;
