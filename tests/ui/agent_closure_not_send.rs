//! A closure of an agent with a value that is not `Send`.
use std::rc::Rc;

use regrow::AgentRef;

fn add(numbers: &AgentRef<Vec<u32>>) {
    let number = Rc::new(7);
    numbers.cast(move |numbers| numbers.push(*number));
}

fn main() {}
