//! The arguments of the command line.

use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
regrow-top: watches the trees of a running program in a terminal

Usage:
  regrow-top [OPTIONS] URL
  regrow-top [OPTIONS] --replay FILE

URL is where the program serves its observer (the feature `observer` of regrow),
such as http://127.0.0.1:8090, or http://127.0.0.1:3000/observer for routes that are
mounted in an application. Only http: for a program on another machine use a tunnel,
such as `ssh -L 8090:127.0.0.1:8090 host` or `kubectl port-forward`.

Options:
  -H, --header 'NAME: VALUE'  Sends this header with each request; may be repeated
      --record FILE           Writes all that arrives to a new file, for a bug report
      --replay FILE           Shows a file that --record wrote, instead of a program
      --speed N               Replays N times as fast (0.1 to 1000; default 1)
      --once                  Prints the screen as text and ends. This is also what
                              happens if the output is no terminal
      --screen NAME           Begins with tree, history, process, pressure or stopping
      --pid PID               Begins with this process
  -h, --help                  Prints this text
  -V, --version               Prints the version

Keys:
  1 2 3 4 5    screen: Tree, History, Process, Pressure, Stopping
  up down      move; also k and j, PgUp and PgDn, Home and End
  left right   fold and unfold (Tree); one step back and forth (replay)
  f            fold and unfold, also in a replay
  Enter        show the selected process, or the other children
  /            filter; Esc removes the filter
  x            failures only (History)
  space        pause and continue (replay)
  ?            help; q or Ctrl-C ends

A recording contains the ids, names and reasons of the program, and no messages.
Credentials are not written to it. All times of day are in UTC.

Exit codes: 0, 1 if there was nothing to show, 2 for wrong arguments.
";

/// Where the items come from.
#[derive(Debug, PartialEq)]
pub(crate) enum From {
    /// A running program, at this URL.
    Program(String),
    /// A recording.
    File(PathBuf),
}

/// The options, and the program or the recording that `regrow-top` shows.
#[derive(Debug, PartialEq)]
pub(crate) struct Args {
    pub(crate) from: From,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) record: Option<PathBuf>,
    pub(crate) speed: f64,
    pub(crate) once: bool,
    pub(crate) screen: Option<String>,
    pub(crate) pid: Option<u64>,
}

/// What the arguments request.
#[derive(Debug, PartialEq)]
pub(crate) enum Asked {
    Help,
    Version,
    Run(Args),
}

/// The arguments that were read so far.
struct Given {
    args: Args,
    urls: Vec<String>,
    replay: Option<PathBuf>,
    speed: Option<f64>,
}

impl Given {
    /// Stores the value of an option.
    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "-H" | "--header" => self.args.headers.push(header(&value)?),
            "--record" => self.args.record = Some(value.into()),
            "--replay" => self.replay = Some(value.into()),
            "--speed" => self.speed = Some(factor(&value)?),
            "--screen" => self.args.screen = Some(screen(value)?),
            _ => self.args.pid = Some(pid(&value)?),
        }
        Ok(())
    }
}

/// Reads the arguments. `args` does not contain the name of the program. The error says what to
/// change.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Asked, String> {
    let mut rest = args.into_iter();
    let args = Args {
        from: From::Program(String::new()),
        headers: Vec::new(),
        record: None,
        speed: 1.0,
        once: false,
        screen: None,
        pid: None,
    };
    let mut given = Given { args, urls: Vec::new(), replay: None, speed: None };
    while let Some(arg) = rest.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (&*arg, None),
        };
        match name {
            "-h" | "--help" => return Ok(Asked::Help),
            "-V" | "--version" => return Ok(Asked::Version),
            "--once" => given.args.once = true,
            "-H" | "--header" | "--record" | "--replay" | "--speed" | "--screen" | "--pid" => {
                let value = value.or_else(|| rest.next());
                given
                    .set(name, value.ok_or_else(|| format!("{name} needs a value: see --help"))?)?;
            }
            other if other.starts_with('-') => {
                return Err(format!("there is no option {other:?}: see --help"));
            }
            _ => given.urls.push(arg),
        }
    }
    let Given { mut args, urls, replay, speed } = given;
    args.speed = speed.unwrap_or(1.0);
    args.from = from(urls, replay, speed.is_some())?;
    if let From::File(_) = args.from
        && (args.record.is_some() || !args.headers.is_empty())
    {
        return Err("--record and --header are for a running program, not for --replay".into());
    }
    Ok(Asked::Run(args))
}

/// Decides where the items come from.
fn from(urls: Vec<String>, replay: Option<PathBuf>, has_speed: bool) -> Result<From, String> {
    let mut urls = urls.into_iter();
    match (urls.next(), urls.next(), replay) {
        (Some(url), None, None) if has_speed => {
            Err(format!("--speed is for --replay, and {url:?} is a running program"))
        }
        (Some(url), None, None) => Ok(From::Program(url)),
        (None, _, Some(file)) => Ok(From::File(file)),
        (None, _, None) => Err("give the URL of an observer, or --replay FILE: see --help".into()),
        (Some(url), None, Some(_)) => Err(format!("give either {url:?} or --replay, not both")),
        (Some(first), Some(second), _) => {
            Err(format!("give one URL, not {first:?} and {second:?}"))
        }
    }
}

/// Splits a header into name and value. The error does not contain the value, which may be secret.
fn header(text: &str) -> Result<(String, String), String> {
    let form = "a header has the form 'NAME: VALUE'";
    let (name, value) = text.split_once(':').ok_or(form)?;
    let (name, value) = (name.trim(), value.trim());
    if name.is_empty() {
        return Err(form.into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor| (0.1..=1000.0).contains(factor));
    factor.ok_or_else(|| format!("--speed takes a number from 0.1 to 1000, not {text:?}"))
}

fn pid(text: &str) -> Result<u64, String> {
    let pid = text.strip_prefix('#').unwrap_or(text).parse();
    pid.map_err(|_| format!("--pid takes a pid such as 12, not {text:?}"))
}

fn screen(name: String) -> Result<String, String> {
    match name.as_str() {
        "tree" | "history" | "process" | "pressure" | "stopping" => Ok(name),
        _ => Err(format!(
            "there is no screen {name:?}: there are tree, history, process, pressure, stopping"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Asked, String> {
        parse(line.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('_', " ")))
    }

    #[test]
    fn a_url_with_headers_and_a_recording() {
        let asked = read("-H Authorization:_Bearer_x http://h:1/o --record=f.jsonl --header A:b");
        let Ok(Asked::Run(args)) = asked else { panic!("{asked:?}") };
        assert_eq!(args.from, From::Program("http://h:1/o".into()));
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(args.headers, [pair("Authorization", "Bearer x"), pair("A", "b")]);
        assert_eq!(args.record, Some("f.jsonl".into()));
    }

    #[test]
    fn wrong_arguments_are_named() {
        let wrong = [
            ("", "URL"),
            ("a b", "one URL"),
            ("a --replay f", "not both"),
            ("a --speed 2", "--replay"),
            ("--replay f --speed 0", "0.1"),
            ("--replay f --record g", "running program"),
            ("--frob a", "--frob"),
            ("a --record", "--record"),
            ("a --screen nothing", "nothing"),
            ("a --pid x", "--pid"),
            ("a -H secret", "NAME: VALUE"),
        ];
        for (line, text) in wrong {
            let error = read(line).unwrap_err();
            assert!(error.contains(text) && !error.contains("secret"), "{line}: {error}");
        }
        assert_eq!(read("a --help"), Ok(Asked::Help));
    }
}
