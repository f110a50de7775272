//! Shows the supervision trees of a running program in a terminal. The screens show the same data
//! as the observer's page, because the program sends the same items to both. `regrow-top` also
//! records the items to a file, and replays a recorded file.
//!
//! The modules are declared in the order of dependence: each uses only modules above it. A
//! *picture* is an item that contains all nodes of the program. A *frame* is what the terminal
//! shows.

mod clock;
mod fault;
mod shown;
mod args;
mod model;
mod source;
mod record;
mod state;
mod player;
mod row;
mod view;
mod keys;
mod screens;
mod once;
mod terminal;
mod mode;
mod app;

use std::io::{IsTerminal, Write, stdout};
use std::process::ExitCode;

use tokio::sync::{mpsc, watch};

use app::{App, Event};
use args::{Args, Asked, From};
use mode::Mode;
use player::Player;
use record::{Recorder, Recording};
use screens::frame::Status;
use shown::Shown;
use source::{News, Program, Target, first_items};
use terminal::Terminal;
use view::{Chosen, Screen, View};

/// The maximum number of queued reports of the source.
const QUEUE: usize = 256;

/// Why `regrow-top` ends with an error.
enum Failure {
    /// The arguments are wrong.
    Arguments(String),
    Other(String),
}

impl std::convert::From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure::Other(format!("the terminal failed: {error}"))
    }
}

fn main() -> ExitCode {
    let args = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    let outcome = match args::parse(args) {
        Ok(Asked::Help) => print(args::HELP),
        Ok(Asked::Version) => print(concat!("regrow-top ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Asked::Run(args)) => run(args),
        Err(why) => Err(Failure::Arguments(why)),
    };
    let (why, code) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Arguments(why)) => (why, 2),
        Err(Failure::Other(why)) => (why, 1),
    };
    // A failure to write to standard error can't be reported anywhere.
    let _ = writeln!(std::io::stderr(), "regrow-top: {}", Shown::new(&why));
    ExitCode::from(code)
}

/// Prints a text. A closed pipe is not an error, because the reader of the pipe needs no more text.
fn print(text: &str) -> Result<(), Failure> {
    match stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Other(format!("can't write: {error}")))
        }
        _ => Ok(()),
    }
}

fn run(args: Args) -> Result<(), Failure> {
    let view = first_view(&args);
    let is_once = args.once || !stdout().is_terminal();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match args.from {
        From::Program(url) => {
            let target = Target::new(&url, &args.headers).map_err(Failure::Arguments)?;
            let create = |path| Recorder::create(path, &target.url());
            let recorder =
                args.record.as_deref().map(create).transpose().map_err(Failure::Other)?;
            match is_once {
                true => tokio.block_on(once(&target, view, recorder)),
                false => tokio.block_on(live(target, view, recorder)),
            }
        }
        From::File(path) => {
            let recording = Recording::open(&path).map_err(Failure::Other)?;
            match is_once {
                true => last_frame(&recording, view),
                false => tokio.block_on(replay(Player::new(recording, args.speed), view)),
            }
        }
    }
}

/// Returns the first view, with the screen and the process that the arguments name.
fn first_view(args: &Args) -> View {
    let mut view = View::default();
    if let Some(pid) = args.pid {
        view.show_process(Chosen { path: String::new(), pid: Some(pid) });
    }
    if let Some(screen) = args.screen.as_deref().and_then(Screen::named) {
        view.show(screen);
    }
    view
}

/// Prints one frame of a program.
async fn once(target: &Target, view: View, mut recorder: Option<Recorder>) -> Result<(), Failure> {
    let pid = view.process.as_ref().and_then(|process| process.pid);
    let news = first_items(target, pid).await;
    let news = news.map_err(|why| Failure::Other(format!("{}: {why}", target.url())))?;
    for one in &news {
        recorder.as_mut().map_or(Ok(()), |recorder| recorder.add(one)).map_err(Failure::Other)?;
    }
    let state = Shown::from("printed once");
    let status = Status { url: target.url(), state, ..Status::default() };
    print(&once::frame_text(news, view, &status).map_err(Failure::Other)?)
}

/// Prints the last frame of a recording.
fn last_frame(recording: &Recording, view: View) -> Result<(), Failure> {
    if let Some(damage) = &recording.damage {
        let _ = writeln!(std::io::stderr(), "regrow-top: {}", Shown::new(damage));
    }
    let news = (0..recording.moments.len()).filter_map(|at| recording.news(at));
    let state = Shown::from("recorded at ").and(Shown::clock(recording.time_ms)).and(" UTC");
    let status = Status { url: recording.url.clone(), state, ..Status::default() };
    print(&once::frame_text(news, view, &status).map_err(Failure::Other)?)
}

async fn live(target: Target, view: View, recorder: Option<Recorder>) -> Result<(), Failure> {
    let (news, mut arriving) = mpsc::channel(QUEUE);
    let (chosen, choice) = watch::channel(None);
    let mode = Mode::live(target.url(), recorder);
    Program::follow(target, news, choice);
    let (queue, events) = mpsc::channel(1);
    let items = queue.clone();
    tokio::spawn(async move {
        while let Some(one) = arriving.recv().await {
            let one: News = one;
            fault::at("task");
            if items.send(Event::News(one)).await.is_err() {
                return;
            }
        }
    });
    show(App::new(mode, view, chosen), queue, events).await
}

async fn replay(player: Player, view: View) -> Result<(), Failure> {
    let (chosen, _choice) = watch::channel(None);
    let (queue, events) = mpsc::channel(1);
    show(App::new(Mode::Replay(Box::new(player)), view, chosen), queue, events).await
}

/// Shows the interactive view until it ends.
async fn show(
    app: App,
    queue: mpsc::Sender<Event>,
    events: mpsc::Receiver<Event>,
) -> Result<(), Failure> {
    let mut terminal = Terminal::new()?;
    signals(&queue)?;
    std::thread::spawn(move || {
        loop {
            let event = terminal::read().map_or(Event::Hangup, Event::Input);
            let is_over = matches!(event, Event::Hangup);
            if queue.blocking_send(event).is_err() || is_over {
                return;
            }
        }
    });
    let outcome = app.run(&mut terminal, events).await;
    drop(terminal);
    Ok(outcome?)
}

/// Listens to the signals that end the view, so that `regrow-top` restores the terminal before it
/// ends.
#[cfg(unix)]
fn signals(queue: &mpsc::Sender<Event>) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()] {
        let (mut signal, queue) = (signal(kind)?, queue.clone());
        tokio::spawn(async move {
            signal.recv().await;
            let _ = queue.send(Event::Stop).await;
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn signals(_: &mpsc::Sender<Event>) -> std::io::Result<()> {
    Ok(())
}
