// **Uses** `base`, `exit`, `message`, `process`, `kernel`, `mailbox`, `call`, `runtime`, `server`.
// **Knows nothing of** supervisors: a test starts the tree that ships.

//! Tests of what is built on regrow: without a tree, with a stand-in for a server, or of a
//! whole tree whose crashes and restarts come out the same each time.
//!
//! It needs no feature and adds no dependency.
//!
//! # A handler, called by hand
//!
//! [`TestContext`] is what a handler is given, without a server that runs: make the state,
//! call what is to be tested, and look at the state, the answer, and what the handler
//! asked of its context.
//!
//! ```
//! use regrow::testing::TestContext;
//! # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
//! # use counter::{Call, Cast, Counter};
//! # use regrow::{GenServer, Runtime};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let mut ctx = TestContext::new(&Runtime::new());
//! let mut counter = Counter::init(40, &mut ctx).await?;
//! counter.handle_cast(Cast::Add(2), &mut ctx).await?;
//! assert_eq!(counter.0, 42);
//!
//! let (call, answer) = ctx.question(Call::Get);
//! counter.handle_call(call, &mut ctx).await?;
//! assert_eq!(answer.await, Ok(42));
//! # Ok::<(), regrow::ExitReason>(())
//! # }).unwrap();
//! ```
//!
//! # What talks to a server
//!
//! [`Mock`] gives a [`ServerRef`](crate::ServerRef) behind which the test itself sits; a
//! [`Probe`] is a raw process in the hands of the test.
//!
//! # A tree, and its crashes
//!
//! It is tempting to sleep until a restart is probably over. Such a test is slow, and on a busy
//! machine it fails. Wait for what happens instead: [`await_exit`] and [`await_restart`]
//! are made before the crash, and awaited after it.
//!
//! Call time-outs, restart windows, backoff, shutdown times and timers go by tokio's clock. So
//! with `#[tokio::test(start_paused = true)]` the clock stands still while any task can run, and
//! jumps to what is due next when none can: an hour passes at once, and every time is exact to
//! the millisecond. It does not wait for threads and programs: blocking children and commands
//! take real time. Two habits make such a test exact:
//!
//! * The moment when everybody has done what they had to do is a sleep of 1 ms, since the
//!   clock only moves when all are idle.
//! * Give a [`Backoff`](crate::Backoff) no jitter, or measure between its bounds.
//!
//! What never comes fails at once there, and doesn't hang: everything in here that waits
//! gives up after a day.
//!
//! ```
//! use regrow::testing::{await_exit, await_restart};
//! use regrow::{Name, Supervisor};
//! # mod counter { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/doc_counter.rs")); }
//! # use counter::{Call, Cast, Counter};
//! # use regrow::{GenServer, Runtime};
//!
//! const COUNTER: Name<Counter> = Name::new("counter");
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
//! # .build().unwrap().block_on(async {
//! // #[tokio::test(start_paused = true)]
//! let rt = Runtime::new();
//! let tree = Supervisor::one_for_one().child(Counter::child(40).named(COUNTER));
//! let tree = tree.start(&rt).await?;
//! let counter = rt.server(COUNTER);
//!
//! let exit = await_exit(&rt, counter.pid().unwrap());
//! let restart = await_restart(&rt, COUNTER.as_str());
//! counter.cast(Cast::Add(2));
//! counter.cast(Cast::Crash);
//! assert_eq!(exit.await.crash().unwrap().message(), "as asked");
//! restart.await;
//! assert_eq!(counter.call(Call::Get).await?, 40);
//!
//! tree.stop().await?;
//! assert_eq!(rt.leftovers(), regrow::Leftovers::default()); // no process, timer, name …
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```
//!
//! OTP has no counterpart; there one starts the real thing and calls it.

mod time_limit;
mod bare_process;
mod context;
mod mock;
mod probe;
mod await_exit;

pub use await_exit::{await_exit, await_restart};
pub use context::{Answer, SetTimer, TestContext};
pub use mock::{Asked, Mock};
pub use probe::Probe;
