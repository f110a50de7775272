//! A closure of an agent that borrows: it runs in the process of the agent, later.
use regrow::AgentRef;

async fn add(names: &AgentRef<Vec<String>>) {
    let name = String::from("tea");
    names.update(|names| names.push(name.clone())).await.unwrap();
}

fn main() {}
