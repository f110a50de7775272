//! Each attempt to get in, and what a peer that breaks the protocol costs. The numbers are those of
//! the acceptance tests of nodes.
//!
//! | attempt | tests |
//! |---|---|
//! | 2: without a flag that is required, without the cookie, with a wrong one, with one that was overheard, with frames before the handshake is over | `refused::a02_*` |
//! | to learn the cookie from what a program shows | `refused::the_cookie_is_shown_by_nothing` |
//! | 8: truncated frames, announced lengths, nesting, unknown operations, random bytes | `hostile::a08_*`; what they cost is measured by `tests/node_memory.rs` |
//! | 10: over TLS without a certificate, with one of another authority or for another host, without TLS | `tls::a10_*` |
//! | to reach what is not exposed: servers, functions, pids, kills | `reach::*` |
//! | to keep nodes out with sockets, with names of known and of unknown nodes, and to fill the log | `flood::*` |

mod refused;
mod reach;
mod hostile;
mod random_bytes;
mod flood;
#[cfg(feature = "cluster-tls")]
mod tls;
