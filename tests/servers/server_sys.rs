//! Suspending and inspecting a live server.

use crate::support;

use std::time::Duration;

use regrow::{
    CallError, ExitReason, GenServer, Leftovers, Name, Overflow, Received, Reply, Result, Runtime,
    ServerContext, ServerRef, Supervisor,
};
use support::settled;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, advance};

/// A server that reports everything that it does.
struct Clerk {
    told: UnboundedSender<String>,
    kept: Option<Reply<u32>>,
}

enum Call {
    Ask(Reply<u32>),
    Keep(Reply<u32>),
    Give(Reply<Reply<u32>>),
    SuspendItself(Reply<[CallError; 3]>),
}

enum Cast {
    Write(u32),
    IdleAfter(Duration),
    ContinueWith(u32),
    WriteAfter(Duration, u32),
}

impl Clerk {
    fn tell(&self, what: impl Into<String>) {
        // The receiver is gone if the test is over.
        let _ = self.told.send(what.into());
    }
}

impl GenServer for Clerk {
    type Args = (UnboundedSender<String>, bool);
    type Call = Call;
    type Cast = Cast;

    async fn init((told, trap): Self::Args, ctx: &mut ServerContext<Self>) -> Result<Self> {
        ctx.trap_exit(trap);
        Ok(Clerk { told, kept: None })
    }

    async fn handle_call(&mut self, call: Call, ctx: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Ask(reply) => {
                self.tell("ask");
                reply.send(42);
            }
            Call::Keep(reply) => self.kept = Some(reply),
            Call::Give(reply) => reply.send(self.kept.take().unwrap()),
            Call::SuspendItself(reply) => {
                let this = ctx.this();
                let suspended = this.suspend().await.unwrap_err();
                let resumed = this.resume().await.unwrap_err();
                reply.send([suspended, resumed, this.get_status().await.unwrap_err()]);
            }
        }
        Ok(())
    }

    async fn handle_cast(&mut self, cast: Cast, ctx: &mut ServerContext<Self>) -> Result {
        match cast {
            Cast::Write(13) => panic!("unlucky"),
            Cast::Write(number) => self.tell(number.to_string()),
            Cast::IdleAfter(limit) => ctx.idle_timeout(limit),
            Cast::ContinueWith(number) => ctx.continue_with(Cast::Write(number)),
            Cast::WriteAfter(delay, number) => drop(ctx.cast_after(delay, Cast::Write(number))),
        }
        Ok(())
    }

    async fn handle_info(&mut self, info: Received, _: &mut ServerContext<Self>) -> Result {
        self.tell(format!("info {:?}", info.message()));
        Ok(())
    }

    async fn handle_timeout(&mut self, _: &mut ServerContext<Self>) -> Result {
        self.tell("idle");
        Ok(())
    }

    async fn terminate(&mut self, reason: &ExitReason) {
        self.tell(format!("terminate {reason}"));
    }

    fn format_status(&self) -> Option<String> {
        assert!(self.kept.is_none(), "nothing to be said while something is kept");
        Some("at the desk".to_owned())
    }
}

const CLERK: Name<Clerk> = Name::new("clerk");

async fn clerk(rt: &Runtime) -> (ServerRef<Clerk>, UnboundedReceiver<String>) {
    let (told, receiver) = unbounded_channel();
    (Clerk::start_named(rt, CLERK, (told, false)).await.unwrap(), receiver)
}

fn received(receiver: &mut UnboundedReceiver<String>) -> Vec<String> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

const SECOND: Duration = Duration::from_secs(1);

/// SYS-005.
#[tokio::test(start_paused = true)]
async fn a_suspended_server_handles_its_queue_in_order_after_resume() {
    let rt = Runtime::new();
    let (clerk, mut receiver) = clerk(&rt).await;
    clerk.cast(Cast::Write(1));
    assert_eq!(clerk.suspend().await, Ok(()));
    assert_eq!(received(&mut receiver), ["1"], "what was queued before it is handled");

    let start = Instant::now();
    assert_eq!(clerk.call_timeout(Call::Ask, SECOND).await, Err(CallError::Timeout));
    assert_eq!(start.elapsed(), SECOND);
    clerk.cast(Cast::Write(2));
    rt.send(clerk.pid().unwrap(), b"three".to_vec());
    clerk.cast(Cast::Write(4));
    assert_eq!(clerk.suspend().await, Ok(()), "twice is fine");
    assert_eq!(received(&mut receiver), [""; 0]);

    assert_eq!(clerk.resume().await, Ok(()), "once is enough");
    assert_eq!(clerk.call(Call::Ask).await, Ok(42));
    let info = format!("info {:?}", Some(b"three"));
    assert_eq!(received(&mut receiver), ["ask", "2", &info, "4", "ask"]);
    assert_eq!(clerk.resume().await, Ok(()), "a running one just goes on");
    assert_eq!(clerk.call(Call::Ask).await, Ok(42));
}

/// The suspended server has skipped the `Down` messages in its mailbox before they are removed.
#[tokio::test(start_paused = true)]
async fn demonitor_flush_removes_downs_that_a_suspended_server_has_skipped() {
    let rt = Runtime::with_mailbox_depth();
    let (clerk, mut receiver) = clerk(&rt).await;
    let pid = clerk.pid().unwrap();
    clerk.suspend().await.unwrap();
    let targets: Vec<_> = (0..3).map(|_| support::idler(&rt)).collect();
    let monitors = [0, 1, 2].map(|at| rt.monitor(pid, targets[at].pid()));
    for (number, target) in (1..).zip(&targets) {
        clerk.cast(Cast::Write(number));
        target.kill();
        target.join().await;
    }
    settled().await;
    for monitor in [monitors[0], monitors[2]] {
        assert!(!rt.demonitor_flush(monitor));
    }
    assert_eq!(rt.info(pid).unwrap().mailbox_depth, 4);
    clerk.cast(Cast::Write(4));
    assert_eq!(clerk.resume().await, Ok(()));
    assert_eq!(clerk.call(Call::Ask).await, Ok(42));
    assert_eq!(received(&mut receiver), ["1", "2", "info None", "3", "4", "ask"]);
}

/// SYS-006: the status is the line that `format_status` returns, not the state itself.
#[tokio::test(start_paused = true)]
async fn get_status_returns_the_line_of_format_status() {
    let rt = Runtime::new();
    let (clerk, _hear) = clerk(&rt).await;
    let status = clerk.get_status().await.unwrap();
    assert_eq!((status.suspended, status.line.as_deref()), (false, Some("at the desk")));
    clerk.suspend().await.unwrap();
    let status = clerk.get_status().await.unwrap();
    assert_eq!((status.suspended, status.to_string().as_str()), (true, "suspended: at the desk"));

    clerk.stop(ExitReason::Normal).await.unwrap();
    let named = rt.server(CLERK);
    let unknown = CallError::NoHolder(CLERK.as_str().into());
    for (clerk, error) in [(&clerk, CallError::NoProc), (&named, unknown)] {
        assert_eq!(clerk.get_status().await, Err(error.clone()));
        assert_eq!(clerk.suspend().await, Err(error.clone()));
        assert_eq!(clerk.resume().await, Err(error));
    }
    let silent = support::ledger::ledger(&rt).await;
    assert_eq!(silent.get_status().await.unwrap().to_string(), "running");
}

/// Inspecting a server never ends it.
#[tokio::test(start_paused = true)]
async fn a_panicking_format_status_fails_get_status_and_not_the_server() {
    let rt = Runtime::new();
    let (clerk, _hear) = clerk(&rt).await;
    let mine = clerk.clone();
    let kept = tokio::spawn(async move { mine.call(Call::Keep).await });
    settled().await;
    assert_eq!(clerk.get_status().await, Err(CallError::NoReply));
    clerk.suspend().await.unwrap();
    assert_eq!(clerk.get_status().await, Err(CallError::NoReply));
    clerk.resume().await.unwrap();
    clerk.call(Call::Give).await.unwrap().send(7);
    assert_eq!(kept.await.unwrap(), Ok(7));
}

/// A server can't answer a request that it sends from its own handler.
#[tokio::test(start_paused = true)]
async fn a_server_that_suspends_itself_gets_calling_self() {
    let rt = Runtime::new();
    let (clerk, _hear) = clerk(&rt).await;
    let refused = clerk.call(Call::SuspendItself).await.unwrap();
    assert_eq!(refused, [CallError::CallingSelf, CallError::CallingSelf, CallError::CallingSelf]);
    assert_eq!(clerk.call(Call::Ask).await, Ok(42));
}

/// SYS-005, GS-035, GS-041, GS-044, GS-045: a suspended server ends as usual, and does not handle
/// the queued messages.
#[tokio::test(start_paused = true)]
async fn every_way_to_end_a_server_ends_a_suspended_one() {
    for way in ["stop", "kill", "exit", "parent"] {
        let rt = Runtime::new();
        let (told, mut receiver) = unbounded_channel();
        let (born, child) = tokio::sync::oneshot::channel();
        let args = (told, way == "parent");
        let parent = rt.spawn_fallible(|ctx| async move {
            let _ = born.send(Clerk::spec(args).start_link(&ctx).await?);
            std::future::pending().await
        });
        let clerk = child.await.unwrap();
        clerk.suspend().await.unwrap();
        clerk.cast(Cast::Write(1));
        let queued = clerk.clone();
        let queued = tokio::spawn(async move { queued.call_unlimited(Call::Ask).await });
        settled().await;
        let (pid, ended) = (clerk.pid().unwrap(), clerk.ended());
        let reason = match way {
            "stop" => clerk.stop(ExitReason::Shutdown).await.unwrap(),
            "kill" => {
                rt.kill(pid);
                ended.await
            }
            "exit" => {
                rt.exit(pid, ExitReason::Shutdown);
                ended.await
            }
            _ => {
                rt.kill(parent.pid());
                ended.await
            }
        };
        let killed = matches!(way, "kill" | "parent");
        assert_eq!(reason, if killed { ExitReason::Killed } else { ExitReason::Shutdown });
        assert_eq!(queued.await.unwrap(), Err(CallError::Exited(reason.clone())));
        let last = format!("terminate {reason}");
        let terminates = matches!(way, "stop" | "parent");
        let expected = if terminates { vec![last] } else { vec![] };
        assert_eq!(received(&mut receiver), expected, "{way}");
        rt.shutdown();
    }
}

/// An exit signal of a process other than the parent is queued like a message.
#[tokio::test(start_paused = true)]
async fn a_trapped_exit_of_another_process_waits_until_resume() {
    let rt = Runtime::new();
    let (told, mut receiver) = unbounded_channel();
    let clerk = Clerk::start(&rt, (told, true)).await.unwrap();
    clerk.suspend().await.unwrap();
    rt.exit(clerk.pid().unwrap(), ExitReason::crashed("somebody"));
    settled().await;
    assert_eq!(received(&mut receiver), [""; 0]);
    clerk.resume().await.unwrap();
    settled().await;
    assert_eq!(received(&mut receiver), ["info None"]);
}

/// A server answers system messages with a full mailbox, whether it is suspended or not.
#[tokio::test(start_paused = true)]
async fn a_full_mailbox_accepts_every_system_message() {
    for overflow in [Overflow::Reject, Overflow::Wait, Overflow::DropNewest, Overflow::DropOldest] {
        let rt = Runtime::new();
        let (told, mut receiver) = unbounded_channel();
        let spec = Clerk::spec((told, false)).mailbox_capacity(2, overflow);
        let clerk = spec.start(&rt).await.unwrap();
        clerk.suspend().await.unwrap();
        for number in 1..=4 {
            clerk.cast(Cast::Write(number));
            settled().await; // the server checks the mailbox, and finds no system message
        }
        let info = rt.info(clerk.pid().unwrap()).unwrap();
        assert_eq!((info.mailbox_depth, info.dropped_messages), (2, 2), "{overflow:?}");
        assert_eq!(clerk.suspend().await, Ok(()));
        // A cast follows the request immediately, and may evict a message that was queued before
        // the request.
        let (status, _) = tokio::join!(clerk.get_status(), async { clerk.cast(Cast::Write(5)) });
        assert!(status.unwrap().suspended);
        assert_eq!(clerk.resume().await, Ok(()));
        settled().await;
        let kept = if overflow == Overflow::DropOldest { ["4", "5"] } else { ["1", "2"] };
        assert_eq!(received(&mut receiver), kept, "{overflow:?}");
        assert_eq!(rt.info(clerk.pid().unwrap()).unwrap().mailbox_depth, 0);
        clerk.cast(Cast::Write(6));
        assert_eq!(clerk.stop(ExitReason::Normal).await, Ok(ExitReason::Normal));
        assert_eq!(receiver.recv().await.as_deref(), Some("6"));
    }
}

/// A sender that waits for room while the server is suspended is admitted after the resume.
#[tokio::test(start_paused = true)]
async fn a_queued_sender_of_a_suspended_server_is_admitted_after_resume() {
    let rt = Runtime::new();
    let (told, mut receiver) = unbounded_channel();
    let spec = Clerk::spec((told, false)).mailbox_capacity(1, Overflow::Wait);
    let clerk = spec.start(&rt).await.unwrap();
    clerk.suspend().await.unwrap();
    clerk.cast(Cast::Write(1));
    let waits = clerk.clone();
    let waits = tokio::spawn(async move { waits.call(Call::Ask).await });
    settled().await;
    clerk.resume().await.unwrap();
    assert_eq!(waits.await.unwrap(), Ok(42));
    assert_eq!(received(&mut receiver), ["1", "ask"]);
}

/// The idle time-out does not run during a suspension, and a status request does not reset it.
#[tokio::test(start_paused = true)]
async fn the_idle_timeout_is_paused_while_a_server_is_suspended() {
    let rt = Runtime::new();
    let (clerk, mut receiver) = clerk(&rt).await;
    clerk.cast(Cast::IdleAfter(SECOND * 10));
    settled().await;
    advance(SECOND * 4).await;
    clerk.get_status().await.unwrap();
    advance(SECOND * 2).await;
    clerk.suspend().await.unwrap();
    advance(SECOND * 100).await;
    assert_eq!(received(&mut receiver), [""; 0]);
    clerk.resume().await.unwrap();
    let start = Instant::now();
    assert_eq!(receiver.recv().await.as_deref(), Some("idle"));
    let waited = start.elapsed();
    assert!(waited > SECOND * 3 && waited <= SECOND * 4, "{waited:?}");
}

/// Continue values are handled before the suspension. Timers wait like all other messages.
#[tokio::test(start_paused = true)]
async fn continues_run_before_a_suspension_and_timers_after_it() {
    let rt = Runtime::new();
    let (clerk, mut receiver) = clerk(&rt).await;
    clerk.cast(Cast::WriteAfter(SECOND, 3));
    clerk.cast(Cast::ContinueWith(1));
    clerk.suspend().await.unwrap();
    assert_eq!(received(&mut receiver), ["1"]);
    advance(SECOND * 2).await;
    settled().await;
    clerk.cast(Cast::Write(4));
    settled().await;
    assert_eq!(received(&mut receiver), [""; 0]);
    clerk.resume().await.unwrap();
    assert_eq!(clerk.call(Call::Ask).await, Ok(42));
    assert_eq!(received(&mut receiver), ["3", "4", "ask"]);
}

/// Another process drops a reply of the suspended server: its call fails at once.
#[tokio::test(start_paused = true)]
async fn a_dropped_reply_fails_its_call_while_the_server_is_suspended() {
    let rt = Runtime::new();
    let (clerk, _hear) = clerk(&rt).await;
    let mine = clerk.clone();
    let kept = tokio::spawn(async move { mine.call_unlimited(Call::Keep).await });
    settled().await;
    let reply = clerk.call(Call::Give).await.unwrap();
    clerk.suspend().await.unwrap();
    drop(reply);
    assert_eq!(kept.await.unwrap(), Err(CallError::NoReply));
}

/// A request is carried out even if its caller is gone. It fails with the exit reason if the server
/// ends.
#[tokio::test(start_paused = true)]
async fn a_dropped_suspend_request_still_takes_effect() {
    let rt = Runtime::new();
    let (clerk, mut receiver) = clerk(&rt).await;
    let asked = tokio::time::timeout(Duration::ZERO, clerk.suspend()).await;
    assert!(asked.is_err(), "it was answered before the server ran");
    settled().await;
    assert!(clerk.get_status().await.unwrap().suspended);
    clerk.resume().await.unwrap();

    clerk.cast(Cast::Write(13));
    let Err(CallError::Exited(reason)) = clerk.suspend().await else { panic!("it ended before") };
    assert_eq!(reason.crash().unwrap().message(), "unlucky");
    assert_eq!(receiver.recv().await.unwrap(), format!("terminate {reason}"));
    assert_eq!(rt.leftovers(), Leftovers::default());
}

/// The successor of a suspended server is not suspended. Until it has started, requests by name
/// return `Restarting`.
#[tokio::test(start_paused = true)]
async fn a_restarted_server_is_not_suspended() {
    let rt = Runtime::new();
    let (told, _hear) = unbounded_channel();
    let child = Clerk::child((told, false)).named(CLERK.as_str());
    let child = child.backoff(regrow::Backoff::new());
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let clerk = rt.server(CLERK);
    clerk.suspend().await.unwrap();
    let ended = clerk.ended();
    rt.kill(clerk.pid().unwrap());
    ended.await;
    settled().await;
    for refused in [clerk.suspend().await, clerk.resume().await] {
        assert!(matches!(refused, Err(CallError::Restarting { .. })), "{refused:?}");
    }
    assert_eq!(clerk.call_waiting(Call::Ask, SECOND * 5).await, Ok(42));
    assert!(!clerk.get_status().await.unwrap().suspended);
}
