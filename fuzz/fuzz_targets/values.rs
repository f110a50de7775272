//! Decodes bytes as values of Rust types. A value that was accepted has to come back from its own
//! bytes.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use regrow::cluster::{Atom, DecodeError, ExternalPid, Term, from_bytes, to_bytes};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A type of most shapes that serde has.
#[derive(Serialize, Deserialize)]
enum Message {
    Unit,
    Text(String),
    Pair(u8, Option<i128>),
    Fields { list: Vec<Message>, map: BTreeMap<String, f64>, unit: () },
    Term(Term),
    Names(Atom, ExternalPid),
    Outcome(Result<char, bool>),
    Any(Untagged),
    Nested((Box<Message>, [u16; 2])),
    Item(Item),
}

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    count: Option<u64>,
    #[serde(default)]
    small: f32,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    List(Vec<Untagged>),
    Map(BTreeMap<String, Untagged>),
}

fn check<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<(), DecodeError> {
    let value: T = from_bytes(bytes)?;
    let Ok(own) = to_bytes(&value) else {
        return Ok(()); // a `Some` of the atom `nil`, or a float beyond `f32`
    };
    let again: T = from_bytes(&own).expect("what was encoded can be decoded");
    assert_eq!(to_bytes(&again), Ok(own));
    Ok(())
}

fuzz_target!(|bytes: &[u8]| {
    let results = [
        check::<Message>(bytes),
        check::<Vec<Item>>(bytes),
        check::<Untagged>(bytes),
        check::<BTreeMap<u32, (String, Term)>>(bytes),
    ];
    for error in results.into_iter().filter_map(Result::err) {
        assert!(error.offset() <= bytes.len());
    }
});
