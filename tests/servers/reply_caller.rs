//! `Reply::caller`: the process whose code made the call.

use std::time::Duration;

use regrow::{
    ChildSpec, GenServer, Name, Overflow, Pid, Reply, Result, Runtime, ServerContext, ServerRef,
    Supervisor, Task,
};
use tokio::sync::oneshot;

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
