//! Shortens a program that fails.

use super::plan::{Command, Kind, Program, Sup};
use super::runner::run;

/// Removes every command and every node that the failure doesn't need.
pub(crate) fn shrink(program: &Program) -> Program {
    let mut best = without_commands(program.clone());
    loop {
        let before = nodes(&best.tree).len();
        best = without_nodes(best);
        if nodes(&best.tree).len() == before {
            return without_commands(best);
        }
    }
}

fn without_commands(best: Program) -> Program {
    let mut best = without_items(best);
    let mut chunk = best.commands.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < best.commands.len() {
            let mut shorter = best.clone();
            shorter.commands.drain(at..(at + chunk).min(best.commands.len()));
            match run(&shorter) {
                Err(_) => best = shorter,
                Ok(_) => at += chunk,
            }
        }
        chunk /= 2;
    }
    best
}

fn without_items(mut best: Program) -> Program {
    for nth in 0..best.commands.len() {
        let mut at = 0;
        loop {
            let mut shorter = best.clone();
            let Command::Queue(_, items) = &mut shorter.commands[nth] else { break };
            if at >= items.len() {
                break;
            }
            items.remove(at);
            match run(&shorter) {
                Err(_) => best = shorter,
                Ok(_) => at += 1,
            }
        }
    }
    best
}

fn without_nodes(mut best: Program) -> Program {
    for id in nodes(&best.tree) {
        let mut smaller = best.clone();
        cut(&mut smaller.tree, id);
        if run(&smaller).is_err() {
            best = smaller;
        }
    }
    best
}

fn nodes(tree: &Sup) -> Vec<u32> {
    let mut all = Vec::new();
    for child in &tree.children {
        all.push(child.id);
        if let Kind::Supervisor(inner) = &child.kind {
            all.extend(nodes(inner));
        }
    }
    all
}

fn cut(tree: &mut Sup, id: u32) {
    tree.children.retain(|child| child.id != id);
    for child in &mut tree.children {
        if let Kind::Supervisor(inner) = &mut child.kind {
            cut(inner, id);
        }
    }
}
