//! A daemon: a configuration file, signals, a deadline, exit codes.
//!
//! You learn how `Program` and `Run` run a tree as a program: at `SIGHUP` the configuration is
//! validated, and then the one subtree that uses it is restarted; `SIGTERM` and Ctrl-C stop the
//! tree in order, and one deadline holds for the whole stop. One child is an operating system
//! process, whose output goes to the log.
//!
//! ```text
//! cargo run --features process --example daemon -- my.conf [--hang]
//! cargo run --features process --example daemon -- --selftest
//! ```
//!
//! Without a path the daemon writes a configuration file and prints its path. You will see the tree,
//! and a line whenever the configuration is read. Change the file and send `SIGHUP`. Send `SIGTERM`
//! for the report: the outcome of each child, and how long its stop took. `--hang` adds a child that
//! ignores the stop, so that the stop takes as long as `deadline_ms` says. If the file is invalid at
//! a reload, there is an ERROR in the log, and the daemon goes on with the last valid configuration.
//!
//! | exit code | |
//! |---|---|
//! | 0 | the stop was clean: every child ended in time |
//! | 1 | the stop was cut short, the tree gave up, or a blocking job was left behind |
//! | 2 | the configuration can't be read |

mod selftest;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use regrow::{
    ChildSpec, GenServer, LogLevel, Program, Restart, Result, Run, Runtime, ServerContext,
    Shutdown, Supervisor, SupervisorRef, SupervisorSpec, TaskContext,
};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, sleep};

/// How long one job takes.
const JOB: Duration = Duration::from_millis(20);

/// The contents of the configuration file.
#[derive(Clone)]
struct Config {
    greeting: String,
    every: Duration,
    deadline: Duration,
}

impl Config {
    const DEFAULT: &str = "greeting = good morning\nevery_ms = 200\ndeadline_ms = 10000\n";

    fn read(path: &Path) -> Result<Config, Box<dyn Error + Send + Sync>> {
        let text = std::fs::read_to_string(path)?;
        let value = |key: &str| {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            let mut found = pairs.filter(|(name, _)| name.trim() == key);
            found.next().map(|(_, value)| value.trim()).ok_or(format!("there is no `{key}`"))
        };
        let millis = |key| Ok::<_, Box<dyn Error + Send + Sync>>(value(key)?.parse()?);
        let every = Duration::from_millis(millis("every_ms")?);
        let deadline = Duration::from_millis(millis("deadline_ms")?);
        Ok(Config { greeting: value("greeting")?.to_owned(), every, deadline })
    }
}

/// `jobs` starts first and stops last, so that no sender is left when it drains its mailbox. A reload
/// restarts `intake`.
fn tree(config: watch::Receiver<Config>, hang: bool) -> SupervisorSpec {
    let sent = Arc::new(AtomicU32::new(0));
    let jobs = ChildSpec::task("jobs", {
        let sent = sent.clone();
        move |ctx| work(sent, ctx)
    });
    let helper = ChildSpec::command("helper", || {
        let mut helper = Command::new("sh");
        helper.args(["-c", "echo at your service; exec sleep 100000"]).stdout(Stdio::piped());
        helper
    });
    let feed = Feed::child((config, sent)).with_id("feed");
    let hung = ChildSpec::task("hung", |mut ctx| async move {
        ctx.cancellation_token(); // a stop cancels this token, which this body ignores
        std::future::pending().await
    });
    let mut tree = Supervisor::one_for_one()
        .named("daemon")
        .child(jobs.named("jobs").shutdown(Shutdown::Timeout(Duration::from_secs(5))))
        .child(helper)
        .child(Supervisor::one_for_one().with_id("intake").child(feed));
    if hang {
        tree = tree.child(hung.shutdown(Shutdown::Infinity));
    }
    tree.child(ChildSpec::task("announce", announce).restart(Restart::Temporary))
}

/// Runs one job after another. After a request to stop it runs the jobs that are still queued.
async fn work(sent: Arc<AtomicU32>, mut ctx: TaskContext) -> Result {
    let stop = ctx.cancellation_token();
    let mut done = 0;
    while let Some(_job) = stop.run_until_cancelled(ctx.recv()).await {
        sleep(JOB).await;
        done += 1;
    }
    let before = done;
    while let Some(_job) = ctx.recv_timeout(Duration::ZERO).await {
        sleep(JOB).await;
        done += 1;
    }
    println!("jobs: {} drained, {done} of {} done", done - before, sent.load(Ordering::SeqCst));
    Ok(())
}

/// Sends jobs at the interval of the configuration that is valid at its start.
struct Feed {
    job: String,
    sent: Arc<AtomicU32>,
}

impl Feed {
    fn send(&self, rt: &Runtime) {
        for _ in 0..5 {
            let went = rt.send_named("jobs", self.job.clone().into_bytes());
            self.sent.fetch_add(u32::from(went), Ordering::SeqCst);
        }
    }
}

impl GenServer for Feed {
    type Args = (watch::Receiver<Config>, Arc<AtomicU32>);
    type Call = ();
    type Cast = ();

    async fn init((config, sent): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        let Config { greeting: job, every, .. } = config.borrow().clone();
        println!("feed: {job}, every {every:?}");
        ctx.cast_every(every, MissedTickBehavior::Skip, || ());
        let feed = Feed { job, sent };
        feed.send(&ctx.runtime());
        Ok(feed)
    }

    async fn handle_call(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), ctx: &mut ServerContext<Self>) -> Result {
        self.send(&ctx.runtime());
        Ok(())
    }
}

/// Prints the tree when all children have started: the root answers only then.
async fn announce(ctx: TaskContext) -> Result {
    println!("{}", SupervisorRef::named(&ctx.runtime(), "daemon").tree().await?);
    println!("daemon {} is up", std::process::id());
    Ok(())
}

fn daemon(path: PathBuf, hang: bool) -> ExitCode {
    regrow::log::init(LogLevel::Info);
    let config = match Config::read(&path) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            return ExitCode::from(2);
        }
    };
    let program = Program::new().report_with(|outcome| match outcome {
        Ok(report) => println!("{report}"),
        Err(error) => eprintln!("{error:?}"), // with all causes
    });
    program.run(async || {
        let rt = Runtime::new();
        rt.set_log_level(LogLevel::Info);
        let deadline = config.deadline;
        let (valid, config) = watch::channel(config);
        let reload = async move || {
            valid.send_replace(Config::read(&path)?);
            Ok(())
        };
        let run = Run::new(tree(config, hang)).on(&rt).deadline(deadline);
        Ok(run.on_hangup(reload).restart_on_hangup("intake"))
    })
}

fn main() -> ExitCode {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let mut flag = |flag: &str| {
        let many = args.len();
        args.retain(|arg| arg != flag);
        args.len() < many
    };
    let (test, hang) = (flag("--selftest"), flag("--hang"));
    if test {
        return match selftest::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("selftest: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let path = args.pop().map_or_else(|| fresh_file("daemon"), |path| Ok(path.into()));
    match path {
        Ok(path) => daemon(path, hang),
        Err(error) => {
            eprintln!("no configuration: {error}");
            ExitCode::from(2)
        }
    }
}

/// Writes a configuration file with the defaults.
fn fresh_file(name: &str) -> std::io::Result<PathBuf> {
    let path = std::env::temp_dir().join(format!("regrow-{name}-{}.conf", std::process::id()));
    std::fs::write(&path, Config::DEFAULT)?;
    println!("the configuration is {}", path.display());
    Ok(path)
}
