//! Decodes bytes as a term. A term that was accepted has to come back from its own bytes, and every
//! operation on it has to end.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use regrow::cluster::{DecodeLimits, Term, from_bytes};
use serde::de::IgnoredAny;

fuzz_target!(|bytes: &[u8]| {
    let limits = DecodeLimits::new().memory(16 << 20);
    let term = match Term::from_bytes_within(bytes, &limits) {
        Ok(term) => term,
        Err(error) => {
            assert!(error.offset() <= bytes.len());
            return;
        }
    };
    assert!(from_bytes::<IgnoredAny>(bytes).is_ok());
    let again = term.to_bytes().expect("a decoded term can be encoded");
    let same = Term::from_bytes(&again).expect("what was encoded can be decoded");
    assert_eq!(same, term);
    assert_eq!(same.to_bytes().as_ref(), Ok(&again));
    let copy = term.clone();
    let mut terms = HashSet::from([term]);
    assert!(!terms.insert(copy));
    assert!(!terms.iter().next().is_none_or(|term| term.to_string().contains('\n')));
});
