//! The program `regrow-top` in a real terminal, beside a real program: what its screens show, which
//! keys work, what a crash, a hostile text or the death of the program do to it, and that it leaves
//! the terminal as it was.

use std::fmt::Write as _;
use std::future::pending;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use regrow::{ChildSpec, Runtime, Shutdown, Supervisor, SupervisorSpec, observer};
use tokio::sync::{Notify, mpsc};

use crate::support::child_program::{Started, command as command_of, kind};

const TOP: &str = env!("CARGO_BIN_EXE_regrow-top");

/// A panic that would clear the terminal, set its title and reverse its line.
const HOSTILE: &str = "\x1b[2J\x1b]0;owned\x07\u{9b}31m\u{202e}gone\r\nnext";

/// What the children of the program wait for.
#[derive(Clone, Default)]
struct Cues {
    crash: Arc<Notify>,
    panic: Arc<Notify>,
    end: Arc<Notify>,
}

/// The tree of the program.
fn tree(address: SocketAddr, cues: &Cues) -> SupervisorSpec {
    let (fails, panics, ends) = (cues.clone(), cues.clone(), cues.clone());
    let job = ChildSpec::task("job", move |_| {
        let cues = fails.clone();
        async move {
            cues.crash.notified().await;
            Err("no luck".into())
        }
    });
    let rude = ChildSpec::task("rude \x1b[31m id", move |_| {
        let cues = panics.clone();
        async move {
            cues.panic.notified().await;
            panic!("{HOSTILE}")
        }
    });
    let slow = ChildSpec::task("slow", move |mut ctx| {
        let cues = ends.clone();
        async move {
            ctx.cancellation_token().cancelled().await;
            cues.end.notified().await;
            Ok(())
        }
    });
    let inner = Supervisor::one_for_one()
        .with_id("inner")
        .child(ChildSpec::task("first", |_| pending()))
        .child(ChildSpec::task("second", |_| pending()));
    Supervisor::one_for_one()
        .named("app")
        .child(observer::serve(address))
        .child(slow.shutdown(Shutdown::Timeout(Duration::from_secs(600))))
        .child(job)
        .child(rude)
        .child(inner)
}

/// The program that the tests watch; not a test itself. It takes orders from its standard input.
#[test]
fn program_under_test() {
    let Some(port) = kind() else { return };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse().unwrap()));
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let cues = Cues::default();
        let tree = tree(address, &cues).start(&Runtime::with_mailbox_depth()).await.unwrap();
        println!("up");
        let mut orders = orders();
        while let Some(order) = orders.recv().await {
            match order.as_str() {
                "crash" => cues.crash.notify_one(),
                "panic" => cues.panic.notify_one(),
                "end" => cues.end.notify_one(),
                "stop" => {
                    let tree = tree.clone();
                    tokio::spawn(async move { tree.stop().await });
                }
                other => panic!("there is no order {other:?}"),
            }
        }
    });
}

/// Returns the lines of standard input.
fn orders() -> mpsc::UnboundedReceiver<String> {
    let (sender, orders) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    orders
}

/// A program that serves an observer at a port.
struct Watched {
    port: u16,
    program: Started,
}

impl Watched {
    fn start() -> Self {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        Watched::at(port)
    }

    fn at(port: u16) -> Self {
        let mut program = Started::new(command_of("top::program_under_test", &port.to_string()));
        program.says("up");
        Watched { port, program }
    }

    fn order(&mut self, order: &str) {
        let input = self.program.child.stdin.as_mut().unwrap();
        writeln!(input, "{order}").unwrap();
    }

    fn kill(mut self) -> u16 {
        self.program.child.kill().unwrap();
        self.program.child.wait().unwrap();
        self.port
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// A terminal of 110 columns and 30 rows in which a shell has started `regrow-top`.
struct Terminal {
    socket: String,
    directory: PathBuf,
}

impl Terminal {
    /// Returns `None` if tmux is not installed.
    fn start(args: &str) -> Option<Self> {
        Terminal::start_with("", args)
    }

    /// As `start`, with this variable in the environment of the program.
    fn start_with(variable: &str, args: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if Command::new("tmux").arg("-V").stdout(Stdio::null()).status().is_err() {
            println!("SKIPPED: there is no tmux; apt-get install tmux");
            return None;
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = format!("regrow-top-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(&socket);
        std::fs::create_dir_all(&directory).unwrap();
        let terminal = Terminal { socket, directory };
        let args = args.replace("{directory}", terminal.directory.to_str().unwrap());
        let line = format!(
            "stty -a >{0}/before; env {variable} {TOP} {args}; code=$?; stty -a >{0}/after; echo ended with $code; \
             cmp {0}/before {0}/after && echo as before; exec cat",
            terminal.directory.display()
        );
        terminal.tmux(&["-u", "new-session", "-d", "-x", "110", "-y", "30", &line]);
        Some(terminal)
    }

    fn tmux(&self, args: &[&str]) -> String {
        // Without the settings of the user, and with an encoding that has all characters.
        let mut tmux = Command::new("tmux");
        tmux.args(["-f", "/dev/null", "-L", &self.socket]).args(args).env("LC_ALL", "C.UTF-8");
        let Output { status, stdout, stderr } = tmux.output().unwrap();
        assert!(status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Returns a property of the terminal, as tmux names it.
    fn property(&self, name: &str) -> String {
        self.tmux(&["display-message", "-p", &format!("#{{{name}}}")]).trim().to_owned()
    }

    /// Waits until the screen fulfils a condition, and returns it.
    ///
    /// The screen may be read while the program draws it, so a condition names all parts that a
    /// test needs: what it does not name may still be missing.
    fn wait(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        let (_keep, never) = std::sync::mpsc::channel::<()>();
        loop {
            let screen = self.screen();
            if is_there(&screen) {
                return screen;
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "never showed {what}:\n{screen}");
            let _ = never.recv_timeout(Duration::from_millis(20));
        }
    }

    /// Waits until the screen shows all these texts.
    fn shows(&self, texts: &[&str]) -> String {
        self.wait(&format!("{texts:?}"), |screen| texts.iter().all(|text| screen.contains(text)))
    }

    /// Waits until a line of the screen has all these texts.
    fn has_line(&self, texts: &[&str]) -> String {
        let is_it = |line: &str| texts.iter().all(|text| line.contains(text));
        self.wait(&format!("a line of {texts:?}"), |screen| screen.lines().any(is_it))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let kill = ["-L", &self.socket, "kill-server"];
        drop(Command::new("tmux").args(kill).stderr(Stdio::null()).status());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// Runs `regrow-top` without a terminal. Returns its output, its errors and its exit code.
fn run(args: &[&str]) -> (String, String, Option<i32>) {
    let run = Command::new(TOP).args(args).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(run.stdout), text(run.stderr), run.status.code())
}

#[test]
fn the_screens_show_the_program_and_the_keys_change_them() {
    let mut watched = Watched::start();
    let Some(terminal) = Terminal::start(&watched.url()) else { return };
    terminal.shows(&["live", "[1 Tree]", "app one_for_one #1", "job", "second", "all well"]);
    // Crashes appear without a key.
    watched.order("crash");
    terminal.has_line(&["job", "running", "1", "error: no luck"]);
    terminal.keys(&["2"]);
    terminal.has_line(&["error", "app/job", "error: no luck", "tests/programs/top.rs"]);
    terminal.has_line(&["restarting", "app/job", "attempt 1"]);
    terminal.keys(&["4"]);
    terminal.shows(&["1 errors and panics", "Mailboxes", "Running handlers"]);
    terminal.has_line(&["app/job", "1 restart"]);
    terminal.keys(&["5"]);
    terminal.shows(&["No process is stopping."]);
    terminal.keys(&["3"]);
    terminal.shows(&["Choose a process"]);
    // The fourth row is the job.
    terminal.keys(&["1", "Down", "Down", "Down", "Enter"]);
    terminal.shows(&[
        "app/job",
        "does",
        "at work",
        "parent",
        "app #1",
        "Past incarnations",
        "error: no luck",
    ]);
    terminal.keys(&["?"]);
    terminal.shows(&["any key closes the help", "fold and unfold"]);
    terminal.keys(&["x", "1", "Down", "Down", "Left"]);
    terminal.wait("a folded supervisor", |screen| {
        screen.contains("▸ inner") && !screen.contains("second")
    });
    terminal.keys(&["Right"]);
    terminal.shows(&["▾ inner", "second"]);
    terminal.keys(&["q"]);
    terminal.shows(&["ended with 0", "as before"]);
}

#[test]
fn a_stop_and_the_child_that_holds_it_up_are_shown() {
    let mut watched = Watched::start();
    let Some(terminal) = Terminal::start(&watched.url()) else { return };
    terminal.shows(&["live", "second"]);
    terminal.keys(&["5"]);
    watched.order("stop");
    terminal.shows(&["app is stopping for", "3 processes are alive"]);
    terminal.has_line(&["app/slow", "stopping for"]);
    watched.order("end");
    terminal.shows(&["not connected since", "app is stopping for"]);
}

#[test]
fn a_filter_and_a_narrow_terminal_keep_the_important_things() {
    let mut watched = Watched::start();
    let Some(terminal) = Terminal::start(&watched.url()) else { return };
    terminal.shows(&["second"]);
    terminal.keys(&["/", "s", "e", "c", "o", "n", "d"]);
    let filtered = |screen: &str| screen.contains("second") && !screen.contains("job");
    terminal.wait("the filtered tree", filtered);
    terminal.shows(&["/second", "app", "inner"]);
    terminal.keys(&["Escape"]);
    terminal.shows(&["job"]);

    watched.order("crash");
    terminal.shows(&["no luck"]);
    terminal.tmux(&["resize-window", "-x", "60", "-y", "20"]);
    terminal.wait("the narrow tree", |screen| {
        let fits = screen.lines().all(|line| line.chars().count() <= 60);
        fits && screen.lines().count() == 20 && screen.contains("q quit")
    });
    terminal.has_line(&["job", "running", "1"]);
    terminal.has_line(&["5 Stopping", "all well"]);
    terminal.keys(&["2"]);
    terminal.has_line(&["error", "app/job", "error: no luck"]);
    terminal.tmux(&["resize-window", "-x", "110", "-y", "30"]);
    terminal.has_line(&["error", "app/job", "error: no luck", "tests/programs/top.rs"]);
    terminal.keys(&["C-c"]);
    terminal.shows(&["ended with 0", "as before"]);
}

#[test]
fn a_text_full_of_escape_codes_does_nothing_to_the_terminal() {
    let mut watched = Watched::start();
    let Some(terminal) = Terminal::start(&watched.url()) else { return };
    terminal.shows(&["rude \\u{1b}[31m id", "all well"]);
    let title = terminal.property("pane_title");
    watched.order("panic");
    terminal.shows(&["app one_for_one", "panic: \\u{1b}[2J\\u{1b}]0;owned"]);
    terminal.keys(&["2"]);
    terminal.shows(&["regrow-top  http", "panic: \\u{1b}[2J\\u{1b}]0;owned\\u{7}\\u{9b}31m"]);
    assert_eq!(terminal.property("pane_title"), title);
    let (text, _, code) = run(&[&watched.url(), "--once", "--screen", "history"]);
    assert_eq!(code, Some(0));
    assert!(text.contains("\\u{202e}gone\\u{d}\\u{a}next"), "{text}");
    let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(acts), "{text:?}");
}

#[test]
fn the_tree_of_a_killed_program_stays_until_the_program_is_back() {
    let watched = Watched::start();
    let Some(terminal) = Terminal::start(&watched.url()) else { return };
    terminal.shows(&["live", "app one_for_one #1", "second"]);
    let port = watched.kill();
    terminal.shows(&["not connected since", "UTC", "app one_for_one #1", "second"]);
    let mut watched = Watched::at(port);
    terminal.wait("the program again", |screen| {
        screen.contains("live") && !screen.contains("not connected") && screen.contains("second")
    });
    watched.order("crash");
    terminal.has_line(&["job", "error: no luck"]);
    // A signal restores the terminal as a key does.
    let pid = terminal.property("pane_pid");
    let kill = ["-TERM", "-P", &pid, "regrow-top"];
    assert!(Command::new("pkill").args(kill).status().unwrap().success());
    terminal.shows(&["ended with 0", "as before"]);
    assert_eq!(terminal.property("alternate_on"), "0");
    assert_eq!(terminal.property("cursor_flag"), "1");
}

/// A panic of the view and one of another task, which the view survives.
#[cfg(debug_assertions)]
#[test]
fn a_panic_gives_the_terminal_back_and_ends_the_program() {
    for (place, code) in [("key", 101), ("task", 1)] {
        let mut watched = Watched::start();
        let variable = format!("RUST_BACKTRACE=0 REGROW_TOP_PANIC={place}");
        let Some(terminal) = Terminal::start_with(&variable, &watched.url()) else { return };
        if place == "key" {
            terminal.shows(&["live", "second"]);
            terminal.keys(&["x"]);
        }
        let ended = format!("ended with {code}");
        terminal.shows(&["a panic that the environment asks for", &ended, "as before"]);
        assert_eq!(terminal.property("alternate_on"), "0");
        assert_eq!(terminal.property("cursor_flag"), "1");
        watched.order("end");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "one scenario, step by step")]
fn a_replay_shows_what_was_recorded() {
    let mut watched = Watched::start();
    let args =
        format!("-H 'Authorization: Bearer secret' --record {{directory}}/file {}", watched.url());
    let Some(terminal) = Terminal::start(&args) else { return };
    terminal.shows(&["live, recording"]);
    watched.order("crash");
    terminal.keys(&["2"]);
    let rows = |screen: &str| -> Vec<String> {
        let rows = screen.lines().filter(|line| line.contains("app/job"));
        rows.map(|line| line.trim_end().to_owned()).collect()
    };
    let screen = terminal.wait("all rows of the crash", |screen| match &rows(screen)[..] {
        [started, restarting, error] => {
            started.contains(" started ")
                && restarting.ends_with(" left in the budget")
                && error.contains("error: no luck")
                && error.rsplit_once("  up ").is_some_and(|(_, time)| time.ends_with('s'))
        }
        _ => false,
    });
    let live = rows(&screen);
    terminal.keys(&["q"]);
    terminal.shows(&["ended with 0"]);
    let file = terminal.directory.join("file");
    let recorded = std::fs::read_to_string(&file).unwrap();
    assert!(recorded.starts_with("{\"by\":") && !recorded.contains("secret"), "{recorded}");

    let file = file.to_str().unwrap();
    let replay =
        Terminal::start(&format!("--replay {file} --speed 1000 --screen history")).unwrap();
    let is_at_the_end = |screen: &str| screen.contains("(end)") && rows(screen) == live;
    replay.wait(&format!("the end with {live:#?}"), is_at_the_end);
    // Back before the crash, step by step, and forth again.
    for _ in 0..recorded.lines().count() {
        replay.keys(&["Left"]);
    }
    replay
        .wait("the beginning", |screen| screen.contains("(paused)") && !screen.contains("no luck"));
    replay.keys(&["Space"]);
    replay.wait(&format!("the end again with {live:#?}"), is_at_the_end);

    // A truncated recording says where it ends, and shows the rest.
    std::fs::write(file, &recorded[..recorded.len() - 20]).unwrap();
    let (text, errors, code) = run(&["--replay", file, "--screen", "history"]);
    let line = format!("line {} of the recording is damaged", recorded.lines().count());
    assert!(errors.contains(&line) && code == Some(0), "{errors}");
    assert!(text.contains("error: no luck"), "{text}");
}

#[test]
fn without_a_terminal_the_screen_is_printed_once() {
    let watched = Watched::start();
    let url = watched.url();
    let (text, errors, code) = run(&[&url]);
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    for part in ["printed once", "▾ app one_for_one #1", "      second", "running"] {
        assert!(text.contains(part), "{text}");
    }
    let (text, _, code) = run(&[&url, "--pid", "1"]);
    assert!(text.contains("names        app") && code == Some(0), "{text}");

    let mut expected = String::new();
    for (args, part, code) in [
        (&["https://127.0.0.1:1"][..], "ssh -L", 2),
        (&[], "--help", 2),
        (&["--replay", "/no/such/file"], "/no/such/file", 1),
        (&["http://127.0.0.1:1"], "http://127.0.0.1:1: ", 1),
    ] {
        let (text, errors, exit) = run(args);
        let is_right = text.is_empty() && errors.contains(part) && exit == Some(code);
        if !is_right {
            writeln!(expected, "{args:?}: {exit:?} {errors}").unwrap();
        }
    }
    assert_eq!(expected, "");
    let (help, _, code) = run(&["--help"]);
    assert!(help.contains("--replay") && code == Some(0));
}

#[test]
fn a_refusal_of_the_program_is_shown() {
    let watched = Watched::start();
    // All pages that the observer serves.
    let pages: Vec<_> = (0..32)
        .map(|_| {
            let mut page = TcpStream::connect((Ipv4Addr::LOCALHOST, watched.port)).unwrap();
            page.write_all(b"GET /events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            page.read_exact(&mut [0; 12]).unwrap();
            page
        })
        .collect();
    let (_, errors, code) = run(&[&watched.url()]);
    assert!(errors.contains("503 Service Unavailable: too many pages are open"), "{errors}");
    assert_eq!(code, Some(1));
    let Some(terminal) = Terminal::start(&watched.url()) else { return };
    terminal.shows(&["not connected", "too many pages are open"]);
    drop(pages);
    terminal.shows(&["live", "second"]);
}
