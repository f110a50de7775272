// **Uses** `base`, `exit`, `message`, `observe`, `time`, `process`, `kernel`, `call`, `runtime`,
// `child`, `server`, `supervisor`, `events`, `net`.
// **Knows nothing of** programs, observers and metrics.

//! Nodes of an Erlang cluster: processes of this program and processes on the BEAM reach each other
//! over the Erlang distribution protocol. Requires the feature `cluster`.
//!
//! A [`Node`] is a child of the program's tree. [`Runtime::node`](crate::Runtime::node) returns a
//! handle to another node.
//!
//! # Terms
//!
//! A message between nodes is a term of Erlang in its external format. [`to_bytes`] and
//! [`from_bytes`] convert between the bytes and values of Rust types, as `term_to_binary` and
//! `binary_to_term` do in Erlang; [`Term`] is any term, without a type for it.
//!
//! # Values of Rust types
//!
//! Types implement the traits of [serde](https://docs.rs/serde), as a rule by its derive.
//!
//! | in Rust | in Erlang | in Elixir | also read |
//! |---|---|---|---|
//! | `bool` | `true` | `true` | |
//! | integers up to 128 bits | `1` | `1` | |
//! | `f32`, `f64` | `1.5` | `1.5` | an integer |
//! | `String`, `&str`, `char` | `<<"milk">>` | `"milk"` | a list of characters |
//! | `Vec<T>`, and other sequences | `[1,2]` | `[1, 2]` | |
//! | tuples, tuple structs, arrays | `{1,2}` | `{1, 2}` | |
//! | `()`, unit structs | `ok` | `:ok` | |
//! | `None` | `nil` | `nil` | `undefined` |
//! | `Some(value)`, a newtype | the value | the value | |
//! | `Ok(value)` | `{ok,Value}` | `{:ok, value}` | `ok` for `Ok(())` |
//! | `Err(error)` | `{error,Error}` | `{:error, error}` | |
//! | a struct | `#{name => <<"milk">>}` | `%{name: "milk"}` | keys that are binaries |
//! | a map | `#{Key => Value}` | `%{key => value}` | atoms as keys that are texts |
//! | `Variant` | `variant` | `:variant` | the exact name |
//! | `Variant(a, b)`, `Variant { a, b }` | `{variant,A,B}` | `{:variant, a, b}` | |
//! | bytes of the crate `serde_bytes` | `<<1,2>>` | `<<1, 2>>` | a list of bytes |
//! | a [`Pid`](crate::Pid), in calls, casts, answers and functions | the pid | the pid | |
//! | [`Term`], [`Atom`], [`ExternalPid`], [`ExternalPort`], [`ExternalReference`] | itself | itself | |
//!
//! * The names of variants are written in snake_case: `HttpError` is `http_error`. A name that is no
//!   plain identifier, as `#[serde(rename = "Elixir.Shop")]` gives one, is written as it is.
//! * The fields of a struct variant are positional, so their order is a part of the protocol.
//! * A float that is not finite can't be encoded, and neither can a `Some` whose value would be
//!   read as `None`, such as `Some(None)`.
//! * Fields that are not known are ignored, such as `__struct__` of a struct of Elixir.
//! * A struct with `#[serde(flatten)]` is written with binaries as keys.
//! * The variants of an enum with `#[serde(untagged)]` or a `tag` are read by their exact names.
//!
//! # Servers and functions across nodes
//!
//! | from | to | by |
//! |---|---|---|
//! | Erlang, Elixir | a [`GenServer`](crate::GenServer) of this node | [`Node::expose`] |
//! | another program with this crate | the same | [`Node::expose`] there, [`NodeRef::server`] here |
//! | this node | a `gen_server` or `GenServer` | [`NodeRef::server`], or [`NodeRef::process`] without types |
//! | Erlang, Elixir | a function of this node, by `rpc` and `erpc` | [`Node::function`] |
//! | all nodes | the subscribers of a topic, at all nodes | [`PubSub::across_nodes`](crate::PubSub::across_nodes) |
//!
//! # Limits
//!
//! The bytes may come from a program that is not friendly: [`DecodeLimits`] bounds what they may
//! cost. The errors quote nothing of the bytes.

mod term;
mod node_name;
mod cookie;
mod epmd;
mod handshake;
mod error;
mod resolver;
mod carrier;
mod wire;
mod encoded_term;
mod remote;
mod reply;
mod exposed;
mod rpc;
mod calls;
mod pg;
mod topics;
mod connection;
mod node_tree;
mod node;
mod node_ref;

pub use crate::message::EncodedTerm;
pub use calls::RemoteServer;
pub use carrier::network::Network;
#[cfg(feature = "cluster-tls")]
#[cfg_attr(docsrs, doc(cfg(feature = "cluster-tls")))]
pub use carrier::tls::{Tls, TlsError};
pub use cookie::{Cookie, CookieError};
pub use error::NodeError;
pub use handshake::HandshakeError;
pub use node::Node;
pub use node_ref::NodeRef;
pub use remote::{RemoteName, RemoteReason};
pub use resolver::Resolver;
pub use term::{
    Atom, BigInteger, Bitstring, DecodeError, DecodeErrorKind, DecodeLimits, EncodeError, Export,
    ExternalPid, ExternalPort, ExternalReference, Fun, ImproperList, IntegerOverflow, Term,
    TermMap, Terms, from_bytes, from_bytes_within, from_term, to_bytes, to_term,
};
pub use topics::{RelayCounts, TopicRelay, TopicsError};
