//! What it costs to decode a term: nothing but the value itself, and never more than the limit.
//!
//! This file is a program of its own, because its allocator counts the allocations of the whole
//! program.
#![cfg(feature = "cluster")]

use std::alloc::System;
use std::sync::{Mutex, PoisonError};

use regrow::cluster::{DecodeErrorKind, DecodeLimits, Term, from_bytes};
use serde::Deserialize;
use serde::de::IgnoredAny;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The tests of a program run side by side, and each counts the allocations of all.
static ALONE: Mutex<()> = Mutex::new(());

/// Returns the result, the number of allocations, and the number of allocated bytes.
fn counted<T>(run: impl FnOnce() -> T) -> (T, usize, usize) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let region = Region::new(ALLOCATOR);
    let result = run();
    let stats = region.change();
    let grown = usize::try_from(stats.bytes_reallocated).unwrap_or(0);
    (result, stats.allocations + stats.reallocations, stats.bytes_allocated + grown)
}

/// A call as `gen_server:call` sends it.
fn call() -> Vec<u8> {
    let reference = [&[90, 0, 3, 119, 9][..], b"shop@host", &[0, 0, 0, 7], &[1; 12]].concat();
    let pid = [&[88, 119, 9][..], b"shop@host", &[0, 0, 0, 85, 0, 0, 0, 0, 0, 0, 0, 7]].concat();
    let alias = [&[108, 0, 0, 0, 1, 119, 5][..], b"alias", &reference].concat();
    let from = [&[104, 2][..], &pid, &alias].concat();
    let request = [&[104, 2, 119, 3][..], b"get", &[109, 0, 0, 0, 4], b"milk"].concat();
    [&[131, 104, 3, 119, 9][..], b"$gen_call", &from, &request].concat()
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request<'a> {
    Get(&'a str),
}

#[derive(Debug, PartialEq, Deserialize)]
enum Frame<'a> {
    #[serde(rename = "$gen_call")]
    Call(IgnoredAny, #[serde(borrow)] Request<'a>),
}

#[test]
fn a_call_is_decoded_without_an_allocation() {
    let bytes = call();
    assert!(Term::from_bytes(&bytes).is_ok());
    let (frame, allocations, _) = counted(|| from_bytes::<Frame<'_>>(&bytes));
    assert_eq!(frame.unwrap(), Frame::Call(IgnoredAny, Request::Get("milk")));
    assert_eq!(allocations, 0);
}

#[test]
fn a_short_term_that_announces_much_allocates_nothing() {
    for tag in [105, 108, 109, 116, 111, 77] {
        let bytes = [131, tag, 255, 255, 255, 255, 1];
        let (error, allocations, _) = counted(|| Term::from_bytes(&bytes).unwrap_err());
        assert_eq!(*error.kind(), DecodeErrorKind::Truncated);
        assert_eq!(allocations, 0);
        let (error, allocations, _) = counted(|| from_bytes::<Vec<u64>>(&bytes).unwrap_err());
        assert!(allocations <= 2, "{error}: {allocations}"); // the text of the error
    }
}

/// Tuples within tuples, each of which announces as many elements as bytes are left.
#[test]
fn all_open_tuples_together_allocate_no_more_than_there_are_bytes() {
    let mut bytes = vec![131];
    let levels = 100_000_u32;
    for level in 0..levels {
        bytes.push(105);
        bytes.extend((5 * (levels - level - 1)).to_be_bytes());
    }
    let (error, _, allocated) = counted(|| Term::from_bytes(&bytes).unwrap_err());
    assert_eq!(*error.kind(), DecodeErrorKind::Truncated);
    assert!(allocated < bytes.len() * 2 * size_of::<Term>(), "{allocated}");
}

#[test]
fn the_limit_of_memory_holds_for_terms_and_types() {
    // A list of empty lists: a byte each, and 24 bytes each as terms.
    let count = 4_000_000_u32;
    let mut bytes = vec![131, 108];
    bytes.extend(count.to_be_bytes());
    bytes.resize(bytes.len() + count as usize + 1, 106);
    let limits = DecodeLimits::new().memory(1 << 20);
    let (error, _, allocated) = counted(|| Term::from_bytes_within(&bytes, &limits).unwrap_err());
    assert_eq!(*error.kind(), DecodeErrorKind::TooMuchMemory);
    assert!(allocated < 4 << 20, "{allocated}");
    let (error, _, allocated) = counted(|| {
        regrow::cluster::from_bytes_within::<Vec<Vec<u8>>>(&bytes, &limits).unwrap_err()
    });
    assert_eq!(*error.kind(), DecodeErrorKind::TooMuchMemory);
    assert!(allocated < 4 << 20, "{allocated}");
    let (error, _, allocated) =
        counted(|| regrow::cluster::from_bytes_within::<Vec<Term>>(&bytes, &limits).unwrap_err());
    assert_eq!(*error.kind(), DecodeErrorKind::TooMuchMemory);
    assert!(allocated < 4 << 20, "{allocated}");
}
