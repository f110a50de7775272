//! Functions of this node that other nodes call, by `rpc` and `erpc` of OTP: an allow-list.
//!
//! **Uses** `child`, `net`, `runtime`, `server`, `handshake`, `reply`, `term`, `wire`.
//! **Knows nothing of** connections: it gets the encoded request, and the queue to its node.
//!
//! | request | from | answer |
//! |---|---|---|
//! | `SPAWN_REQUEST` of `erpc:execute_call/4` | `erpc:call`, `rpc:call`, `erpc:multicall`, … | the exit reason of the process, by the monitor of the request |
//! | `SPAWN_REQUEST` of `erpc:execute_cast/3` | `erpc:cast`, `rpc:cast` | none |
//! | `SPAWN_REQUEST` of anything else | `spawn/4` | refused: `notsup` |
//! | a call of `rex` | `rpc:call` of nodes before OTP 23 | the answer of the call |
//!
//! Each request runs as a process of its own, a temporary child of the node. What is decoded and
//! encoded for it, that process decodes and encodes. So a function that panics or hangs, or a value
//! that takes long, concerns its own caller only.
//!
//! **If a process ends** before, between or after its steps: the request is a value that answers when
//! it is dropped unanswered, wherever it is then.
//!
//! | dropped | its caller gets |
//! |---|---|
//! | because its node stops, or the caller's node runs too many functions here | `system_limit` |
//! | by the end of its process | `killed`, or the panic |

mod arguments;
mod running;
mod functions;
mod caller;
mod request;
mod server;
mod received;

pub(crate) use functions::Functions;
pub(crate) use received::{Received, SpawnRequest};
pub(crate) use server::{FUNCTIONS, FunctionServer};
