//! Calls and casts to a name, whose terms are made of any values.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::ser::Serialize;

use crate::base::consume_budget;
use crate::cluster::calls::remote_call::{Callee, encode};
use crate::cluster::remote::RemoteName;
use crate::cluster::remote::nodes::Nodes;
use crate::cluster::remote::pid_terms::as_node;
use crate::cluster::term::{Atom, EncodeError, to_bytes};
use crate::message::EncodedTerm;
use crate::runtime::CallError;
use crate::server::CALL_TIMEOUT;

impl RemoteName {
    /// Calls the `gen_server` that holds the name, and waits up to five seconds for the answer. A
    /// typed handle is [`NodeRef::server`](crate::cluster::NodeRef::server). OTP:
    /// `gen_server:call({Name, Node}, Request)`.
    ///
    /// The first use connects. The request may have been handled although the call fails with
    /// `Timeout`, `Exited` or `NoConnection`, or with `NoHolder`, if a process takes the name just
    /// after the call's monitor has arrived.
    ///
    /// # Errors
    ///
    /// [`NoConnection`](CallError::NoConnection) if there is no connection, or it is lost;
    /// [`NoHolder`](CallError::NoHolder) if no process has the name;
    /// [`Exited`](CallError::Exited) if the server ends before it answers;
    /// [`Timeout`](CallError::Timeout); [`InvalidRequest`](CallError::InvalidRequest) and
    /// [`InvalidAnswer`](CallError::InvalidAnswer) if a value and its term don't fit;
    /// [`WrongType`](CallError::WrongType) for a name of this node itself, whose servers are called by
    /// typed handles.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped stops waiting; the server may still handle it.
    ///
    /// ```no_run
    /// use regrow::Runtime;
    /// use regrow::cluster::Atom;
    ///
    /// # async fn example(rt: Runtime) -> Result<(), Box<dyn std::error::Error>> {
    /// let prices = rt.node("shop@127.0.0.1").process("prices");
    /// let price: u32 = prices.call((Atom::new("price")?, "milk")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn call<T: DeserializeOwned>(&self, request: impl Serialize) -> Result<T, CallError> {
        self.call_timeout(request, CALL_TIMEOUT).await
    }

    /// [`call`](Self::call) with another time limit.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call).
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_timeout<T: DeserializeOwned>(
        &self,
        request: impl Serialize,
        limit: Duration,
    ) -> Result<T, CallError> {
        let request = encode(&self.runtime, &request);
        consume_budget().await;
        let node = self.parsed().ok_or(CallError::NoConnection)?;
        if Nodes::of(&self.runtime.kernel).is_own(node) {
            return Err(CallError::WrongType);
        }
        let callee = Callee { runtime: &self.runtime, node, name: &self.name };
        callee.call(request?, Some(limit)).await
    }

    /// Sends a cast to the `gen_server` that holds the name, and doesn't wait. Returns the result of
    /// [`send`](Self::send). OTP: `gen_server:cast({Name, Node}, Message)`.
    ///
    /// # Errors
    ///
    /// If the message has no term.
    ///
    /// ```no_run
    /// use regrow::Runtime;
    ///
    /// # fn example(rt: Runtime) -> Result<(), Box<dyn std::error::Error>> {
    /// rt.node("shop@127.0.0.1").process("prices").cast("milk is out")?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cast(&self, message: impl Serialize) -> Result<bool, EncodeError> {
        let own = Nodes::of(&self.runtime.kernel).local();
        let cast = as_node(own.as_ref(), || to_bytes(&(Atom::of("$gen_cast"), message)))?;
        Ok(self.send(EncodedTerm::checked(cast)))
    }
}
