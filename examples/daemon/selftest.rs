//! The self-test: starts the daemon as another process, reloads it, stops it, and checks its output.

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::{Config, fresh_file};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Starts this program as another process, sends signals to it, and checks its output.
pub(crate) fn run() -> Outcome {
    let path = fresh_file("selftest")?;
    let mut program = Program::start(&path)?;
    program.prints("feed: good morning, every 200ms")?;
    program.prints("is up")?;

    std::fs::write(&path, Config::DEFAULT.replace("morning", "evening"))?;
    program.signal("HUP")?;
    program.prints("feed: good evening")?;

    // An invalid file changes nothing, and the next valid one is used.
    std::fs::write(&path, "every_ms = often\n")?;
    program.signal("HUP")?;
    program.logs("reload refused")?;
    std::fs::write(&path, Config::DEFAULT.replace("morning", "night"))?;
    program.signal("HUP")?;
    program.prints("feed: good night")?;

    program.signal("TERM")?;
    let jobs = program.prints("jobs: ")?;
    let counts: Vec<u32> = jobs.split(' ').filter_map(|word| word.parse().ok()).collect();
    ensure(counts.len() == 3 && counts[1] > 0 && counts[1] == counts[2], "a job was lost")?;
    program.prints("stopped by SIGTERM")?;
    ensure(program.code()? == Some(0), "a clean stop exits with 0")?;

    std::fs::remove_file(&path)?;
    ensure(Program::start(&path)?.code()? == Some(2), "no configuration exits with 2")
}

fn ensure(holds: bool, what: &str) -> Outcome {
    if holds { Ok(()) } else { Err(what.into()) }
}

/// Another process, which is killed when this is dropped: its lines, and those of its log.
struct Program(Child, mpsc::Receiver<String>, mpsc::Receiver<String>);

/// Prints all lines of this output, and returns them.
fn lines(output: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let lines = output.map(|output| BufReader::new(output).lines());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.into_iter().flatten().map_while(Result::ok) {
            println!("    {line}");
            drop(sender.send(line));
        }
    });
    receiver
}

/// Reads lines until one contains this text.
fn find(lines: &mpsc::Receiver<String>, text: &str) -> Outcome<String> {
    loop {
        match lines.recv_timeout(Duration::from_secs(20)) {
            Ok(line) if line.contains(text) => return Ok(line),
            Ok(_) => {}
            Err(_) => return Err(format!("it never printed {text:?}").into()),
        }
    }
}

impl Program {
    fn start(path: &Path) -> std::io::Result<Program> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(path).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let (out, log) = (lines(child.stdout.take()), lines(child.stderr.take()));
        Ok(Program(child, out, log))
    }

    fn prints(&mut self, text: &str) -> Outcome<String> {
        find(&self.1, text)
    }

    fn logs(&mut self, text: &str) -> Outcome<String> {
        find(&self.2, text)
    }

    fn signal(&self, signal: &str) -> std::io::Result<()> {
        let id = self.0.id().to_string();
        Command::new("kill").args(["-s", signal, &id]).status().map(drop)
    }

    fn code(&mut self) -> std::io::Result<Option<i32>> {
        Ok(self.0.wait()?.code())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill()); // an error means that it has ended already
    }
}
