//! The fate of all outstanding work of a server for each way to end: the table in the documentation
//! of `GenServer`, cell by cell.

use crate::support;

use std::time::Duration;

use regrow::{
    Backoff, CallError, ChildSpec, ExitReason, GenServer, Name, Received, Reply, Result, Runtime,
    ServerContext, ServerRef, Supervisor,
};
use support::settled;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The action of a handler after its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Finish,
    Fail,
    Panic,
}

/// The events of a test in their order.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Handled(&'static str),
    Dropped(&'static str),
    Terminated,
}

use Told::{Dropped, Handled, Terminated};

struct Desk {
    told: UnboundedSender<Told>,
    kept: Vec<Reply<()>>,
}

enum Call {
    Keep(Reply<()>),
    Hold(oneshot::Receiver<Then>, Reply<()>),
    Plain(Reply<()>),
}

/// A cast that reports its drop if it was not handled. The cast "go on" continues with "stop",
/// which stops the server.
struct Note {
    text: &'static str,
    told: UnboundedSender<Told>,
    handled: bool,
}

impl Drop for Note {
    fn drop(&mut self) {
        let (text, handled) = (self.text, self.handled);
        // The receiver is gone if the test is over.
        let _ = self.told.send(if handled { Handled(text) } else { Dropped(text) });
    }
}

impl GenServer for Desk {
    type Args = (UnboundedSender<Told>, bool);
    type Call = Call;
    type Cast = Note;

    async fn init((told, trap): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(trap);
        Ok(Desk { told, kept: Vec::new() })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Keep(reply) => self.kept.push(reply),
            Call::Plain(reply) => reply.send(()),
            Call::Hold(gate, reply) => match gate.await? {
                Then::Finish => reply.send(()),
                Then::Fail => return ctx.stop(ExitReason::crashed("gave up")),
                Then::Panic => panic!("fell over"),
            },
        }
        Ok(())
    }

    async fn handle_cast(&mut self, mut note: Note, ctx: &mut ServerContext<Self>) -> Result {
        note.handled = true;
        match note.text {
            "stop" => return ctx.stop(ExitReason::Normal),
            "go on" => {
                let (text, told) = ("stop", self.told.clone());
                ctx.continue_with(Note { text, told, handled: false });
            }
            _ => {}
        }
        Ok(())
    }

    async fn terminate(&mut self, _: &ExitReason) {
        self.told.send(Terminated).unwrap();
    }
}

type Answer = std::result::Result<(), CallError>;

/// A desk that is in a handler and has queued messages.
struct Scene {
    rt: Runtime,
    desk: ServerRef<Desk>,
    told: UnboundedSender<Told>,
    hear: UnboundedReceiver<Told>,
    gate: Option<oneshot::Sender<Then>>,
    parent: regrow::ProcessHandle,
    calls: [JoinHandle<Answer>; 3],
}

impl Scene {
    async fn new(trap: bool) -> Self {
        let rt = Runtime::new();
        let (told, hear) = unbounded_channel();
        let (born, child) = oneshot::channel();
        let args = (told.clone(), trap);
        let parent = rt.spawn_fallible(|ctx| async move {
            let desk = Desk::spec(args).start_link(&ctx).await?;
            let _ = born.send(desk);
            std::future::pending().await
        });
        let desk = child.await.unwrap();
        let (gate, held) = oneshot::channel();
        let kept = asked(&desk, Call::Keep).await;
        let in_hand = asked(&desk, |reply| Call::Hold(held, reply)).await;
        let queued = asked(&desk, Call::Plain).await;
        let calls = [kept, in_hand, queued];
        let scene = Scene { rt, desk, told, hear, gate: Some(gate), parent, calls };
        assert!(scene.note("before"));
        scene
    }

    fn note(&self, text: &'static str) -> bool {
        self.desk.cast(Note { text, told: self.told.clone(), handled: false })
    }

    fn let_go(&mut self, then: Then) {
        self.gate.take().unwrap().send(then).unwrap();
    }

    /// Returns the exit reason, the results of the calls, and the reports.
    async fn end(mut self) -> (ExitReason, [Answer; 3], Vec<Told>) {
        let reason = self.desk.ended().await;
        let mut answers = Vec::new();
        for call in &mut self.calls {
            answers.push(call.await.unwrap());
        }
        settled().await;
        let mut told = Vec::new();
        while let Ok(one) = self.hear.try_recv() {
            told.push(one);
        }
        assert_eq!(self.desk.call(Call::Plain).await, Err(CallError::NoProc));
        (reason, answers.try_into().unwrap(), told)
    }
}

/// Starts a call in a task of its own.
async fn asked(
    desk: &ServerRef<Desk>,
    make: impl FnOnce(Reply<()>) -> Call + Send + 'static,
) -> JoinHandle<Answer> {
    let desk = desk.clone();
    let call = tokio::spawn(async move { desk.call_unlimited(make).await });
    settled().await;
    call
}

fn exited(reason: &ExitReason) -> Answer {
    Err(CallError::Exited(reason.clone()))
}

/// GS-035. Messages that were queued before the stop are handled, later casts are refused, and
/// later calls get the reason of the end.
#[tokio::test(start_paused = true)]
async fn a_stop_takes_effect_after_the_messages_queued_before_it() {
    let mut scene = Scene::new(false).await;
    let desk = scene.desk.clone();
    let stop = tokio::spawn(async move { desk.stop(ExitReason::Shutdown).await });
    settled().await;
    let after = asked(&scene.desk, Call::Plain).await;
    assert!(!scene.note("after"));
    scene.let_go(Then::Finish);
    let (reason, answers, told) = scene.end().await;
    assert_eq!((stop.await.unwrap(), &reason), (Ok(ExitReason::Shutdown), &ExitReason::Shutdown));
    assert_eq!(answers, [exited(&reason), Ok(()), Ok(())]);
    assert_eq!(after.await.unwrap(), exited(&reason));
    assert_eq!(told, [Dropped("after"), Handled("before"), Terminated]);
}

/// GS-041.
#[tokio::test(start_paused = true)]
async fn a_trapped_parent_exit_takes_effect_after_the_messages_queued_before_it() {
    let mut scene = Scene::new(true).await;
    scene.rt.exit(scene.parent.pid(), ExitReason::crashed("parent gone"));
    settled().await;
    let after = asked(&scene.desk, Call::Plain).await;
    assert!(!scene.note("after"));
    scene.let_go(Then::Finish);
    let (reason, answers, told) = scene.end().await;
    assert_eq!(reason, ExitReason::crashed("parent gone"));
    assert_eq!(answers, [exited(&reason), Ok(()), Ok(())]);
    assert_eq!(after.await.unwrap(), exited(&reason));
    assert_eq!(told, [Dropped("after"), Handled("before"), Terminated]);
}

/// GS-016, GS-017, GS-040, T41.
#[tokio::test(start_paused = true)]
async fn a_stop_or_panic_in_a_handler_leaves_queued_messages_unhandled() {
    for then in [Then::Fail, Then::Panic] {
        let mut scene = Scene::new(false).await;
        scene.let_go(then);
        let (reason, answers, told) = scene.end().await;
        let text = if then == Then::Fail { "gave up" } else { "fell over" };
        assert_eq!(reason.crash().unwrap().message(), text);
        assert_eq!(answers, [exited(&reason), exited(&reason), exited(&reason)]);
        assert_eq!(told, [Terminated, Dropped("before")]);
    }
}

/// GS-031.
#[tokio::test(start_paused = true)]
async fn a_stop_in_a_continue_runs_terminate() {
    let rt = Runtime::new();
    let (told, mut hear) = unbounded_channel();
    let desk = Desk::start(&rt, (told.clone(), false)).await.unwrap();
    let (pid, watching) = (desk.pid().unwrap(), rt.clone());
    let watcher = rt.spawn(move |mut ctx| async move {
        let reference = watching.monitor(ctx.pid(), pid);
        let down = Received::Down { reference, pid, reason: ExitReason::Normal };
        assert_eq!(ctx.recv().await, down);
    });
    settled().await;
    for text in ["go on", "never"] {
        assert!(desk.cast(Note { text, told: told.clone(), handled: false }));
    }
    assert_eq!(watcher.join().await, ExitReason::Normal);
    let mut heard = Vec::new();
    while let Ok(one) = hear.try_recv() {
        heard.push(one);
    }
    assert_eq!(heard, [Handled("go on"), Handled("stop"), Terminated, Dropped("never")]);
}

/// GS-044, GS-045. The server ends in the middle of its handler, and handles nothing more.
#[tokio::test(start_paused = true)]
async fn a_kill_and_an_untrapped_exit_end_a_server_in_its_handler() {
    for (trap, kill) in [(false, false), (false, true), (true, true)] {
        let scene = Scene::new(trap).await;
        let (pid, expected) = match kill {
            true => (scene.desk.pid().unwrap(), ExitReason::Killed),
            false => (scene.desk.pid().unwrap(), ExitReason::Shutdown),
        };
        if kill {
            scene.rt.kill(pid)
        } else {
            scene.rt.exit(pid, ExitReason::Shutdown)
        };
        assert!(!scene.note("after"));
        assert_eq!(scene.desk.call(Call::Plain).await, Err(CallError::NoProc));
        let (reason, answers, mut told) = scene.end().await;
        assert_eq!(reason, expected);
        assert_eq!(answers, [exited(&reason), exited(&reason), exited(&reason)]);
        told.sort_by_key(|told| format!("{told:?}"));
        assert_eq!(told, [Dropped("after"), Dropped("before")]);
    }
}

const DESK: Name<Desk> = Name::new("desk");

/// Messages that are queued for one incarnation are never handled by the next.
#[tokio::test(start_paused = true)]
async fn a_restarted_server_has_an_empty_mailbox() {
    let rt = Runtime::new();
    let (told, mut hear) = unbounded_channel();
    let again = Backoff::new().jitter(0.0);
    let child: ChildSpec = Desk::child((told.clone(), false)).named(DESK.as_str()).backoff(again);
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let desk = rt.server(DESK);
    let (gate, held) = oneshot::channel();
    let in_hand = asked(&desk, |reply| Call::Hold(held, reply)).await;
    let queued = asked(&desk, Call::Plain).await;
    assert!(desk.cast(Note { text: "before", told: told.clone(), handled: false }));
    gate.send(Then::Fail).unwrap();
    let reason = ExitReason::crashed("gave up");
    assert_eq!(in_hand.await.unwrap(), exited(&reason));
    assert_eq!(queued.await.unwrap(), exited(&reason));

    settled().await;
    let gap = desk.call(Call::Plain).await;
    assert!(matches!(gap, Err(CallError::Restarting { .. })), "{gap:?}");
    assert_eq!(desk.call_waiting(Call::Plain, Duration::from_secs(5)).await, Ok(()));
    assert_eq!((hear.recv().await, hear.recv().await), (Some(Terminated), Some(Dropped("before"))));
    assert!(hear.try_recv().is_err(), "the next incarnation handled what was not its own");
}

/// At the deadline the caller stops waiting. The server still stops when it gets to the request.
#[tokio::test(start_paused = true)]
async fn stop_timeout_fails_at_its_limit_and_the_server_still_stops() {
    let mut scene = Scene::new(false).await;
    let limit = Duration::from_millis(250);
    let start = tokio::time::Instant::now();
    let stopped = scene.desk.stop_timeout(ExitReason::Shutdown, limit).await;
    assert_eq!((stopped, start.elapsed()), (Err(CallError::Timeout), limit));
    assert!(scene.rt.is_alive(scene.desk.pid().unwrap()));
    scene.let_go(Then::Finish);
    let (reason, answers, told) = scene.end().await;
    assert_eq!(reason, ExitReason::Shutdown);
    assert_eq!(answers, [exited(&reason), Ok(()), Ok(())]);
    assert_eq!(told, [Handled("before"), Terminated]);
}

/// GS-036, GS-039. The call returns the actual exit reason. If it differs from the requested
/// reason, the result is an error.
#[tokio::test(start_paused = true)]
async fn stop_timeout_returns_the_true_reason() {
    let limit = Duration::from_secs(1);
    let mut scene = Scene::new(false).await;
    let desk = scene.desk.clone();
    let stop = tokio::spawn(async move { desk.stop_timeout(ExitReason::Normal, limit).await });
    settled().await;
    scene.let_go(Then::Panic);
    let (reason, ..) = scene.end().await;
    assert_eq!(reason.crash().unwrap().message(), "fell over");
    assert_eq!(stop.await.unwrap(), Err(CallError::Exited(reason)));

    let rt = Runtime::new();
    let (told, _hear) = unbounded_channel();
    let desk = Desk::start(&rt, (told, false)).await.unwrap();
    assert_eq!(desk.stop_timeout(ExitReason::Normal, limit).await, Ok(ExitReason::Normal));
    let late = desk.stop_timeout(ExitReason::Normal, limit).await;
    assert_eq!(late, Err(CallError::NoProc));
}
