//! Shortens a failing program by removing every command that the failure does not need.

use super::commands::{Command, OUTSIDE, Program};
use super::runner::run;

pub(crate) fn shrink(program: &Program) -> Program {
    let mut best = program.clone();
    loop {
        let before = size(&best);
        best = simpler(best, |command| command.by = OUTSIDE);
        best = simpler(best, |command| command.pause = 0);
        best = simpler(best, |command| command.busy = 0);
        let mut chunk = before.div_ceil(2);
        while chunk > 0 {
            best = without_chunks(best, chunk);
            chunk /= 2;
        }
        if size(&best) == before {
            return best;
        }
    }
}

fn size(program: &Program) -> usize {
    program.batches.iter().map(Vec::len).sum()
}

/// Removes every run of `chunk` commands that the failure doesn't need.
fn without_chunks(mut program: Program, chunk: usize) -> Program {
    let mut at = 0;
    while at < size(&program) {
        let shorter = without(&program, at..at + chunk);
        if run(&shorter).is_err() {
            program = shorter;
        } else {
            at += chunk;
        }
    }
    program
}

/// Applies the change to every command with which the program still fails after it.
fn simpler(mut program: Program, change: impl Fn(&mut Command)) -> Program {
    for batch in 0..program.batches.len() {
        for nth in 0..program.batches[batch].len() {
            let mut plain = program.clone();
            change(&mut plain.batches[batch][nth]);
            if run(&plain).is_err() {
                program = plain;
            }
        }
    }
    program
}

fn without(program: &Program, gone: std::ops::Range<usize>) -> Program {
    let mut nth = 0;
    let mut keep = |_: &Command| {
        nth += 1;
        !gone.contains(&(nth - 1))
    };
    let batches = program.batches.iter();
    let batches = batches.map(|batch| batch.iter().copied().filter(&mut keep).collect());
    let batches = batches.filter(|batch: &Vec<Command>| !batch.is_empty()).collect();
    Program { batches, ..*program }
}
