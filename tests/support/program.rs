//! An example run as a real process, with its output and exit code.
#![allow(dead_code)] // no test file uses all of it

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

/// An example that runs.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    log: Lines<BufReader<ChildStderr>>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Program {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        Program { child, lines, log }
    }

    /// Reads standard output up to a line that contains `text`, and returns the line.
    pub(crate) fn says(&mut self, text: &str) -> String {
        find(&mut self.lines, text)
    }

    /// Reads standard error up to a line that contains `text`, and returns the line.
    pub(crate) fn logs(&mut self, text: &str) -> String {
        find(&mut self.log, text)
    }

    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Waits for the end of the program; returns its remaining lines and its exit code.
    pub(crate) fn rest(&mut self) -> (Vec<String>, Option<i32>) {
        let rest = self.lines.by_ref().map(Result::unwrap).collect();
        (rest, self.child.wait().unwrap().code())
    }
}

fn find(lines: &mut impl Iterator<Item = std::io::Result<String>>, text: &str) -> String {
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains(text)));
    line.unwrap_or_else(|| panic!("it never said {text:?}")).unwrap()
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.kill()); // it has ended, unless the test failed
    }
}

/// Returns the children in a stop report, in its order, and the outcome of each.
pub(crate) fn reported(lines: &[String]) -> Vec<(&str, &str)> {
    let from = lines.iter().position(|line| line.starts_with("stopped by")).expect("a report");
    let children = lines[from + 1..].iter();
    let all = children.map(|line| line.trim().split_once("  ").expect("a path and more"));
    // The child that announces the start is left out: it ends by itself, maybe during the stop.
    all.filter(|(path, _)| !path.ends_with("/announce")).collect()
}
