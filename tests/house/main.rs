//! The house rules, the book, the examples, and what the compiler says to a newcomer.

#[path = "../support/mod.rs"]
mod support;

mod tidy;
mod semantics;
mod book;
mod examples;
mod ui;
