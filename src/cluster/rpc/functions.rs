//! The functions that other nodes may call.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::base::user_panics::catch_panic;
use crate::cluster::node_name::NodeName;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::remote::pid_terms::as_node;
use crate::cluster::reply::decode_message;
use crate::cluster::rpc::arguments::as_tuple;
use crate::cluster::rpc::running::{AllRunning, Running};
use crate::cluster::term::{DecodeLimits, write_value};
use crate::cluster::wire::terms::encoded;

/// Why a function has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such function, or it may not be called.
    Undefined,
    BadArguments(String),
    BadAnswer(String),
    Panicked(String),
    /// The process of the function was ended.
    Killed,
    /// The function was not started.
    NotStarted,
}

/// A call of a function: returns its encoded value, without a version byte.
pub(super) type Call = Pin<Box<dyn Future<Output = Result<Vec<u8>, Failure>> + Send>>;

/// Begins a call with these arguments, an encoded list.
pub(super) type Function = dyn Fn(Arc<[u8]>, DecodeLimits, Arc<LocalNode>) -> Call + Send + Sync;

/// The functions by module and name.
#[derive(Clone, Default)]
pub(crate) struct Functions {
    entries: Vec<Entry>,
    /// Those that run, or are about to.
    running: Arc<AllRunning>,
}

#[derive(Clone)]
struct Entry {
    module: Box<str>,
    name: Box<str>,
    function: Arc<Function>,
}

impl Functions {
    /// Adds a function. The last one of a module and a name counts.
    pub(crate) fn add<A, F, Fut>(&mut self, module: String, name: String, function: F)
    where
        A: DeserializeOwned,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output: Serialize> + Send + 'static,
    {
        let function = Arc::new(function);
        let call = move |arguments: Arc<[u8]>, limits: DecodeLimits, own: Arc<LocalNode>| -> Call {
            let function = function.clone();
            Box::pin(async move {
                let decoded = || decode(&arguments, &limits);
                let running = function(as_node(Some(&own), decoded)?);
                let value = running.await;
                as_node(Some(&own), || encode(&value))
            })
        };
        self.entries.retain(|entry| !entry.is(&module, &name));
        let (module, name) = (module.into(), name.into());
        self.entries.push(Entry { module, name, function: Arc::new(call) });
    }

    pub(super) fn find(&self, module: &str, name: &str) -> Option<Arc<Function>> {
        self.entries.iter().find(|entry| entry.is(module, name)).map(|entry| entry.function.clone())
    }

    /// Returns what runs for a node.
    pub(crate) fn running_of(&self, node: &NodeName) -> Arc<Running> {
        self.running.of(node)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    fn is(&self, module: &str, name: &str) -> bool {
        (&*self.module, &*self.name) == (module, name)
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.entries.iter().map(|entry| format!("{}:{}", entry.module, entry.name));
        f.debug_list().entries(names).finish()
    }
}

fn decode<A: DeserializeOwned>(arguments: &[u8], limits: &DecodeLimits) -> Result<A, Failure> {
    let bad = |error: &dyn fmt::Display| Failure::BadArguments(error.to_string());
    let tuple = as_tuple(arguments, limits).map_err(|error| bad(&error))?;
    let tuple = tuple.ok_or_else(|| bad(&"the arguments are no list"))?;
    if tuple == encoded(|encoder| drop(encoder.tuple(0)))
        && let Ok(unit) = decode_message(&encoded(|encoder| drop(encoder.atom("ok"))), limits)
    {
        // No arguments are `()`, whose own term is an atom.
        return Ok(unit);
    }
    decode_message(&tuple, limits).map_err(|error| bad(&error))
}

fn encode<R: Serialize>(value: &R) -> Result<Vec<u8>, Failure> {
    let mut term = Vec::new();
    match catch_panic(|| write_value(value, &mut term)) {
        Ok(Ok(())) => Ok(term),
        Ok(Err(error)) => Err(Failure::BadAnswer(error.to_string())),
        Err(_) => {
            Err(Failure::BadAnswer("the type of the value panicked while it was encoded".into()))
        }
    }
}
