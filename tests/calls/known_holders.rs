//! A handle by name remembers the first holder that it has found. A change of the name is seen by the
//! next request.

use crate::support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regrow::{CallError, GenServer, Name, Reply, Result, Runtime, ServerContext, ServerRef};
use support::race::{ROUNDS, on_workers};

/// A server that answers with its number.
struct Numbered(u32);

const NUMBERED: Name<Numbered> = Name::new("numbered");

impl GenServer for Numbered {
    type Args = u32;
    type Call = Reply<u32>;
    type Cast = ();

    async fn init(number: u32, _: &mut ServerContext<Self>) -> Result<Self> {
        Ok(Numbered(number))
    }

    async fn handle_call(&mut self, reply: Reply<u32>, _: &mut ServerContext<Self>) -> Result {
        reply.send(self.0);
        Ok(())
    }
}

async fn ask(server: &ServerRef<Numbered>) -> Result<u32, CallError> {
    server.call(|reply| reply).await
}

fn no_holder() -> Result<u32, CallError> {
    Err(CallError::NoHolder("numbered".into()))
}

/// Starts a server that holds no name.
async fn start(rt: &Runtime, number: u32) -> ServerRef<Numbered> {
    Numbered::start(rt, number).await.unwrap()
}

fn register(rt: &Runtime, server: &ServerRef<Numbered>) {
    assert!(rt.register(NUMBERED, server.pid().unwrap()));
}

/// Starts a server under the name, and returns a handle by name that has reached it.
async fn start_and_reach(rt: &Runtime, number: u32) -> (ServerRef<Numbered>, ServerRef<Numbered>) {
    let (server, by_name) = (start(rt, number).await, rt.server(NUMBERED));
    register(rt, &server);
    for _ in 0..2 {
        assert_eq!(ask(&by_name).await, Ok(number));
    }
    (server, by_name)
}

#[tokio::test]
async fn a_handle_that_was_used_before_reaches_the_new_holder_of_its_name() {
    let rt = Runtime::new();
    let (first, by_name) = start_and_reach(&rt, 1).await;
    let second = start(&rt, 2).await;
    assert!(rt.unregister(NUMBERED.as_str()));
    assert_eq!(ask(&by_name).await, no_holder());
    register(&rt, &second);
    for _ in 0..2 {
        assert_eq!(ask(&by_name).await, Ok(2));
        assert_eq!(ask(&by_name.clone()).await, Ok(2));
    }
    assert_eq!(ask(&first).await, Ok(1));
}

#[tokio::test]
async fn a_holder_that_registers_its_name_again_and_loses_it_again_is_not_reached() {
    let rt = Runtime::new();
    let (first, by_name) = start_and_reach(&rt, 1).await;
    let second = start(&rt, 2).await;
    for _ in 0..3 {
        assert!(rt.unregister(NUMBERED.as_str()));
        register(&rt, &first);
        assert_eq!(ask(&by_name).await, Ok(1));
        assert!(rt.unregister(NUMBERED.as_str()));
        register(&rt, &second);
        assert_eq!(ask(&by_name).await, Ok(2));
    }
}

#[tokio::test]
async fn a_handle_that_was_used_before_does_not_reach_a_holder_that_has_ended() {
    let rt = Runtime::new();
    let (first, by_name) = start_and_reach(&rt, 1).await;
    assert!(rt.kill(first.pid().unwrap()));
    assert_eq!(ask(&by_name).await, no_holder(), "the kill is accepted");
    first.ended().await;
    assert_eq!(ask(&by_name).await, no_holder());
    let second = start(&rt, 2).await;
    register(&rt, &second);
    for _ in 0..2 {
        assert_eq!(ask(&by_name).await, Ok(2));
    }
}

/// A name moves while a task calls by it.
#[test]
fn a_request_after_a_change_of_its_name_goes_to_the_new_holder() {
    on_workers(async |rt| {
        for _ in 0..ROUNDS / 20 {
            let (first, by_name) = start_and_reach(&rt, 1).await;
            let second = start(&rt, 2).await;
            let moved = Arc::new(AtomicBool::new(false));
            let mover = std::thread::spawn({
                let (rt, second, moved) = (rt.clone(), second.clone(), moved.clone());
                move || {
                    assert!(rt.unregister(NUMBERED.as_str()));
                    register(&rt, &second);
                    moved.store(true, Ordering::Release);
                }
            });
            loop {
                let has_moved = moved.load(Ordering::Acquire);
                let answer = ask(&by_name).await;
                if has_moved {
                    assert_eq!(answer, Ok(2));
                    break;
                }
            }
            mover.join().unwrap();
            for server in [first, second] {
                rt.kill(server.pid().unwrap());
                server.ended().await;
            }
        }
        rt.shutdown();
    });
}
