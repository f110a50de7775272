//! serde for [`Reply`].

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error, Unexpected, Visitor};
use serde::ser::{self, Serialize, Serializer};

use crate::call::Reply;
use crate::cluster::reply::claim::claim;
use crate::cluster::term::{ABSENT, deserialize_absent};

/// A reply is decoded as a part of a call from another node, and has no term: it reads nothing. It
/// may stand first, in the middle or last in its call, or be the whole call. An answer is encoded as
/// [values of Rust types](crate::cluster#values-of-rust-types) are.
///
/// The decode fails outside of a call from another node, for a second reply of a call, and for a
/// reply in a list or in an option. Requires the feature `cluster`.
impl<'de, T: Serialize + Send + 'static> Deserialize<'de> for Reply<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_absent(deserializer, ReplyVisitor(PhantomData))
    }
}

struct ReplyVisitor<T>(PhantomData<T>);

impl<'de, T: Serialize + Send + 'static> Visitor<'de> for ReplyVisitor<T> {
    type Value = Reply<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the reply of a call, which has no term")
    }

    fn visit_none<E: Error>(self) -> Result<Reply<T>, E> {
        let unexpected = Unexpected::Other("a reply");
        claim().map_err(|unclaimed| E::invalid_value(unexpected, &unclaimed.expected()))
    }
}

/// A reply is left out of the term of its call. It can only be encoded by
/// [`RemoteServer::call`](crate::cluster::RemoteServer::call), whose closure makes the call from it: the
/// answer is decoded as a `T`. Requires the feature `cluster`.
impl<T: DeserializeOwned + Send + 'static> Serialize for Reply<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_connected() {
            return Err(ser::Error::custom("this is the reply of a call to a server of this node"));
        }
        serializer.serialize_newtype_struct(ABSENT, &Unencodable)
    }
}

/// What other serializers than that of terms see of a reply.
struct Unencodable;

impl Serialize for Unencodable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(ser::Error::custom("a reply is only encoded in a call to another node"))
    }
}
