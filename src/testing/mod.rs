// **Uses** `base`, `exit`, `message`, `time`, `observe`, `process`, `kernel`, `mailbox`, `call`,
// `driver`, `runtime`, `server`, `machine`, `supervisor`, `snapshot`.
// **Knows nothing of** the inside of supervisors: a test starts the tree that ships.

//! Tools for tests of programs built on regrow. A test can call a handler without a server, stand
//! in for a server, or crash and restart the processes of a whole tree with the same result in each
//! run.
//!
//! The module adds no dependency. It needs no feature, except for `chaos`.
//!
//! # A handler, called by hand
//!
//! [`TestContext`] is the context argument of a handler, without a running server. A test creates
//! the state, calls a handler, and inspects the state, the answer, and what the handler requested
//! from its context.
//!
//! ```
//! use regrow::testing::TestContext;
//! # use regrow::doc_counter::{Call, Cast, Counter};
//! # use regrow::{GenServer, Runtime};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
//! let mut ctx = TestContext::new(&Runtime::new());
//! let mut counter = Counter::init(40, &mut ctx).await?;
//! counter.handle_cast(Cast::Add(2), &mut ctx).await?;
//! assert_eq!(counter.0, 42);
//!
//! let (call, answer) = ctx.question(Call::Get);
//! counter.handle_call(call, &mut ctx).await?;
//! assert_eq!(answer.await, Ok(42));
//! # Ok::<(), regrow::ExitReason>(())
//! # })).unwrap();
//! ```
//!
//! # Code that talks to a server
//!
//! A [`Mock`] has a [`ServerRef`](crate::ServerRef) whose calls and casts the test receives. A
//! [`Probe`] is a process whose mailbox the test reads. A [`Collector`] is a
//! [`Sender`](crate::Sender) whose messages the test takes.
//!
//! # A tree, and its crashes
//!
//! [`tree`](tree()) runs a test with a tree of its own: it starts the tree, stops it when the test has
//! returned or panicked, and checks that nothing is left. [`capture`](capture()) has the log lines and
//! the events of one runtime, whichever other tests run at the same time.
//!
//! Do not sleep until a restart is probably over: such a test is slow, and fails on a busy machine.
//! Wait for the event instead: call [`await_exit`](await_exit()) or [`await_restart`] before the
//! crash, and await the future after it.
//!
//! Call timeouts, restart windows, backoff, shutdown times and timers use tokio's clock. With
//! `#[tokio::test(start_paused = true)]` the clock stands still while any task can run, and jumps
//! to the next timer when none can: an hour passes at once, and every duration is exact to the
//! millisecond. The clock does not wait for threads and operating system processes: blocking
//! children and commands take real time. Two habits make such a test exact:
//!
//! * Call [`await_idle`] to let every process of the tree finish its work.
//! * Give a [`Backoff`](crate::Backoff) no jitter, or check its bounds.
//!
//! The functions of this module that wait for an item, an end or a restart panic after a day. So
//! under a paused clock a test whose event never comes fails at once instead of hanging. The message
//! begins with the line of the test, and says what was awaited and what came instead.
//!
//! ```
//! use regrow::testing::{await_exit, await_restart, tree};
//! use regrow::{Name, Supervisor};
//! # use regrow::doc_counter::{Call, Cast, Counter};
//! # use regrow::GenServer;
//!
//! const COUNTER: Name<Counter> = Name::new("counter");
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true)
//! # .build().unwrap().block_on(futures_util::FutureExt::boxed_local(async {
//! // #[tokio::test(start_paused = true)]
//! let spec = Supervisor::one_for_one().child(Counter::child(40).named(COUNTER));
//! tree(spec).run(async |tree| {
//!     let (rt, counter) = (tree.runtime(), tree.runtime().server(COUNTER));
//!     let exit = await_exit(rt, counter.pid().unwrap());
//!     let restart = await_restart(rt, COUNTER.as_str());
//!     counter.cast(Cast::Add(2));
//!     counter.cast(Cast::Crash);
//!     assert_eq!(exit.await.crash().unwrap().message(), "as asked");
//!     restart.await;
//!     assert_eq!(counter.call(Call::Get).await, Ok(40));
//! }).await; // the tree is stopped: no process, timer, name … is left
//! # }));
//! ```
//!
//! OTP has no counterpart: tests in OTP start the real process and call it.
//!
//! # A tree under chaos
//!
//! With the feature `chaos`, which a test enables under `[dev-dependencies]`, `chaos` runs a tree
//! on a paused clock with faults that are drawn from a seed, looks at invariants after every step,
//! and shrinks the plan of a seed that fails.

mod time_limit;
mod bare_process;
mod answer;
mod context;
mod mock;
mod probe;
mod await_exit;
mod idle;
mod tree;
mod collector;
mod capture;
mod transitions;
#[cfg(feature = "chaos")]
mod chaos;

pub use answer::Answer;
pub use await_exit::{await_exit, await_restart};
use bare_process::BareProcess;
pub use capture::{Capture, LogLine, capture};
#[cfg(feature = "chaos")]
#[cfg_attr(docsrs, doc(cfg(feature = "chaos")))]
pub use chaos::{ChaosPlan, ChaosReport, ChaosTree, Fault, Seeds, Verdict, chaos};
pub use collector::{Collector, collector};
pub use context::{SetTimer, TestContext};
pub use idle::await_idle;
pub use mock::{Asked, Mock};
pub use probe::Probe;
use time_limit::{CallSite, wait_for};
pub use transitions::TransitionCheck;
pub use tree::{RunningTree, TestTree, tree};
