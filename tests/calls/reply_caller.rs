//! `Reply::caller`: the process whose code made the call.

use std::time::Duration;

use regrow::{
    ChildSpec, DynamicSupervisor, ExitReason, GenServer, KeyedServers, Name, Overflow, Pid, Reply,
    Result, Runtime, ServerContext, ServerRef, Supervisor, Task, scope,
};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

/// Answers a call with the pid of the caller; calls another server when it is asked to.
struct Who;

enum Call {
    Caller(Reply<Option<Pid>>),
    Ask(ServerRef<Who>, Reply<Option<Pid>>),
}

impl GenServer for Who {
    type Args = ();
    type Call = Call;
    type Cast = ();

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Who)
    }

    async fn handle_call(&mut self, call: Call, _: &mut ServerContext<Self>) -> Result {
        match call {
            Call::Caller(reply) => {
                let caller = reply.caller();
                reply.send(caller);
            }
            Call::Ask(other, reply) => reply.send(other.call(Call::Caller).await?),
        }
        Ok(())
    }

    async fn handle_cast(&mut self, (): (), _: &mut ServerContext<Self>) -> Result {
        Ok(())
    }
}

const LIMIT: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn the_caller_is_the_process_whose_code_made_the_call() {
    let rt = Runtime::new();
    let who = Who::start_named(&rt, Name::new("who"), ()).await.unwrap();
    let asked = who.clone();
    let process = rt.spawn_fallible(async move |ctx| {
        let own = Some(ctx.pid());
        assert_eq!(asked.call(Call::Caller).await?, own);
        assert_eq!(asked.call_unlimited(Call::Caller).await?, own);
        assert_eq!(asked.call_timeout(Call::Caller, LIMIT).await?, own);
        let named = ctx.runtime().server::<Who>("who");
        assert_eq!(named.call(Call::Caller).await?, own);
        assert_eq!(named.call_waiting(Call::Caller, LIMIT).await?, own);
        let both = ServerRef::call_many(&[asked.clone(), named], Call::Caller, LIMIT).await;
        assert_eq!(both, [Ok(own), Ok(own)]);
        let inner = asked.clone();
        let task = Task::spawn(&ctx, async move |ctx| (ctx.pid(), inner.call(Call::Caller).await));
        let (pid, caller) = task.join().await?;
        assert_eq!(caller?, Some(pid));
        Ok(())
    });
    assert!(process.join().await.is_clean());
    let second = Who::start(&rt, ()).await.unwrap();
    let asked = second.call(|reply| Call::Ask(who.clone(), reply)).await.unwrap();
    assert_eq!(asked, second.pid());
}

/// The same with deadlock detection, a full mailbox, and a handle by message type.
#[tokio::test(start_paused = true)]
async fn every_path_of_a_call_has_the_caller() {
    let rt = Runtime::new();
    rt.detect_deadlocks(true);
    let who = Who::spec(()).mailbox_capacity(1, Overflow::Wait).start(&rt).await.unwrap();
    let any = who.caller(|(), reply| Call::Caller(reply));
    let processes: Vec<_> = (0..8)
        .map(|_| {
            let (who, any) = (who.clone(), any.clone());
            rt.spawn_fallible(async move |ctx| {
                assert_eq!(who.call(Call::Caller).await?, Some(ctx.pid()));
                assert_eq!(any.call(()).await?, Some(ctx.pid()));
                Ok(())
            })
        })
        .collect();
    for process in processes {
        assert!(process.join().await.is_clean());
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_by_plain_code_or_from_another_runtime_has_no_caller() {
    let (rt, other) = (Runtime::new(), Runtime::new());
    let who = Who::start(&rt, ()).await.unwrap();
    assert_eq!(who.call(Call::Caller).await, Ok(None));
    let asked = who.clone();
    assert_eq!(
        tokio::spawn(async move { asked.call(Call::Caller).await }).await.unwrap(),
        Ok(None)
    );
    let asked = who.clone();
    let foreign = other.spawn_fallible(async move |_| {
        assert_eq!(asked.call(Call::Caller).await?, None);
        Ok(())
    });
    assert!(foreign.join().await.is_clean());
    let asked = who.clone();
    let thread = move || asked.call_blocking(Call::Caller, LIMIT);
    assert_eq!(tokio::task::spawn_blocking(thread).await.unwrap(), Ok(None));
}

#[tokio::test]
async fn the_caller_of_a_call_by_a_blocking_child_is_the_child() {
    let rt = Runtime::new();
    let who = Who::start(&rt, ()).await.unwrap();
    let (sender, receiver) = oneshot::channel();
    let sender = std::sync::Arc::new(std::sync::Mutex::new(Some(sender)));
    let child = ChildSpec::blocking("child", move |ctx| {
        let caller = ctx.block_on(who.call(Call::Caller)).transpose()?.flatten();
        let blocking = who.call_blocking(Call::Caller, LIMIT)?;
        if let Some(sender) = sender.lock().unwrap().take() {
            sender.send((ctx.pid(), caller, blocking)).unwrap();
        }
        ctx.block_on(std::future::pending::<()>());
        Ok(())
    });
    let tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let (pid, caller, blocking) = receiver.await.unwrap();
    assert_eq!((caller, blocking), (Some(pid), Some(pid)));
    tree.stop().await.unwrap();
}

/// A call to the server of a key, with and without the start of that server.
#[tokio::test(start_paused = true)]
async fn a_call_that_starts_its_server_has_the_caller() {
    let rt = Runtime::new();
    let supervisor = DynamicSupervisor::new().start(&rt).await.unwrap();
    let servers: KeyedServers<u8, Who> = KeyedServers::new(&supervisor);
    let ask = async |servers: &KeyedServers<u8, Who>, key| {
        servers.call_or_start(&key, || Who::spec(()), Call::Caller, LIMIT).await
    };
    let own = servers.clone();
    let process = rt.spawn_fallible(async move |ctx| {
        for key in [1, 1, 2] {
            assert_eq!(ask(&own, key).await?, Some(ctx.pid()));
        }
        Ok(())
    });
    assert!(process.join().await.is_clean());
    assert_eq!(ask(&servers, 1).await, Ok(None));
    assert_eq!(ask(&servers, 3).await, Ok(None));

    // The call is made again, to the next server: it still has the caller.
    servers.server(&1).unwrap().suspend().await.unwrap();
    let own = servers.clone();
    let process = rt.spawn_fallible(async move |ctx| {
        assert_eq!(ask(&own, 1).await?, Some(ctx.pid()));
        Ok(())
    });
    tokio::time::sleep(LIMIT / 2).await; // the call is queued, and not handled
    rt.kill(servers.whereis(&1).unwrap());
    assert!(process.join().await.is_clean());
}

/// A call by a name during a restart: the successor gets the caller.
#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_restart_has_the_caller() {
    let rt = Runtime::new();
    let child = Who::child(()).named("who");
    let _tree = Supervisor::one_for_one().child(child).start(&rt).await.unwrap();
    let process = rt.spawn_fallible(async move |ctx| {
        let rt = ctx.runtime();
        rt.kill(rt.whereis("who").ok_or("it runs")?);
        let who = rt.server::<Who>("who");
        assert_eq!(who.call_waiting(Call::Caller, LIMIT).await?, Some(ctx.pid()));
        Ok(())
    });
    assert!(process.join().await.is_clean());
}

/// Tasks that are processes call as themselves. Plain tasks and threads that a process starts are
/// no process.
#[tokio::test(start_paused = true)]
async fn a_task_that_a_process_starts_is_not_the_caller_unless_it_is_a_process() {
    let rt = Runtime::new();
    let who = Who::start(&rt, ()).await.unwrap();
    let process = rt.spawn_fallible(async move |ctx| {
        let asked = who.clone();
        let plain = tokio::spawn(async move { asked.call(Call::Caller).await });
        assert_eq!(plain.await?, Ok(None));
        let asked = who.clone();
        let thread = spawn_blocking(move || asked.call_blocking(Call::Caller, LIMIT));
        assert_eq!(thread.await?, Ok(None));

        let ((sender, caller), asked) = (oneshot::channel(), who.clone());
        let helper = ctx.runtime().spawn_link(ctx.pid(), async move |_| {
            let _ = sender.send(asked.call(Call::Caller).await);
        });
        assert_eq!(caller.await?, Ok(Some(helper.pid())));
        let asked = who.clone();
        scope(&ctx, async |scope| {
            let task =
                scope.spawn(async move |ctx| Ok((ctx.pid(), asked.call(Call::Caller).await)));
            let (pid, caller) = task.await?;
            assert_eq!(caller, Ok(Some(pid)));
            Ok(())
        })
        .await?;
        Ok(())
    });
    let end = process.join().await;
    assert!(end.is_clean(), "{end}");
}

/// The process whose code polls a call first is the caller, wherever the call was written.
#[tokio::test(start_paused = true)]
async fn the_first_poll_of_a_call_decides_who_its_caller_is() {
    let rt = Runtime::new();
    let who = Who::start(&rt, ()).await.unwrap();
    let asked = who.clone();
    let outside = async move { asked.call(Call::Caller).await };
    let process = rt.spawn_fallible(async move |ctx| {
        assert_eq!(outside.await?, Some(ctx.pid()));
        let inside = async move { who.call(Call::Caller).await };
        assert_eq!(tokio::spawn(inside).await?, Ok(None));
        Ok(())
    });
    let end = process.join().await;
    assert!(end.is_clean(), "{end}");
}

/// Keeps a reply, and reports its caller later.
struct Keeper(Option<Reply<()>>);

impl GenServer for Keeper {
    type Args = ();
    type Call = Reply<()>;
    type Cast = oneshot::Sender<Option<Pid>>;

    async fn init((): (), _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Keeper(None))
    }

    async fn handle_call(&mut self, reply: Reply<()>, _: &mut ServerContext<Self>) -> Result {
        self.0 = Some(reply);
        Ok(())
    }

    async fn handle_cast(&mut self, to: Self::Cast, _: &mut ServerContext<Self>) -> Result {
        let _ = to.send(self.0.as_ref().and_then(Reply::caller));
        Ok(())
    }
}

/// A monitor of a caller that has ended reports that at once.
#[tokio::test(start_paused = true)]
async fn a_reply_that_is_kept_knows_its_caller_also_after_the_caller_has_ended() {
    let rt = Runtime::new();
    let keeper = Keeper::start(&rt, ()).await.unwrap();
    let asked = keeper.clone();
    let client = rt.spawn_fallible(async move |_| Ok(asked.call_unlimited(|reply| reply).await?));
    for ended in [false, true] {
        let (sender, caller) = oneshot::channel();
        tokio::time::sleep(LIMIT).await;
        assert!(keeper.cast(sender));
        assert_eq!(caller.await.unwrap(), Some(client.pid()), "{ended}");
        client.kill();
        client.join().await;
    }
    assert_eq!(rt.ended(client.pid()).await, ExitReason::NoProc);
}
