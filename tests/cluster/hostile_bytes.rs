//! Bytes that no node would send: each is an error, never a panic, and costs nothing.

use std::collections::HashMap;

use regrow::cluster::{DecodeErrorKind, Term, from_bytes, to_bytes};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::random_terms;
use crate::rng::Rng;

/// A type of most shapes that serde has.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "the values are only decoded")]
pub(crate) enum Message<'a> {
    Unit,
    Text(&'a str),
    Owned(String),
    Pair(u8, Option<i128>),
    Fields { list: Vec<Message<'a>>, map: HashMap<String, f64>, unit: () },
    Term(Term),
    Result(Result<char, bool>),
    Any(Untagged),
    Tuple((Box<Message<'a>>, [u16; 2])),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "the values are only decoded")]
pub(crate) enum Untagged {
    Number(i64),
    Text(String),
    List(Vec<Untagged>),
    Map(HashMap<String, Untagged>),
}

/// Decodes bytes in all ways. What is accepted has to come back.
pub(crate) fn decode_in_all_ways(bytes: &[u8]) {
    let _ = from_bytes::<Message<'_>>(bytes);
    let _ = from_bytes::<Vec<Option<String>>>(bytes);
    let _ = from_bytes::<Untagged>(bytes);
    let skipped = from_bytes::<IgnoredAny>(bytes);
    match Term::from_bytes(bytes) {
        Ok(term) => {
            assert!(skipped.is_ok());
            let again = term.to_bytes().unwrap();
            assert_eq!(Term::from_bytes(&again).unwrap(), term);
            assert_eq!(from_bytes::<Term>(bytes).unwrap(), term);
            assert_eq!(to_bytes(&term).unwrap(), again);
            assert_eq!(term.clone(), term);
            assert!(!term.to_string().contains('\n'));
        }
        Err(error) => {
            assert!(error.offset() <= bytes.len());
            assert!(!error.to_string().is_empty());
        }
    }
}

fn kind(bytes: &[u8]) -> DecodeErrorKind {
    Term::from_bytes(&[&[131], bytes].concat()).unwrap_err().kind().clone()
}

#[test]
fn numbers_of_elements_beyond_the_bytes_are_refused() {
    for tag in [105, 108, 109, 116, 77, 112] {
        assert_eq!(kind(&[tag, 255, 255, 255, 255, 1, 1]), DecodeErrorKind::Truncated, "{tag}");
    }
    assert_eq!(kind(&[111, 255, 255, 255, 255, 1, 1]), DecodeErrorKind::IntegerTooLarge);
    assert_eq!(kind(&[107, 255, 255, 1]), DecodeErrorKind::Truncated);
    assert_eq!(kind(&[104, 3, 106, 106]), DecodeErrorKind::Truncated);
    // Each tuple alone would fit the bytes that are left. All of them together do not.
    let mut bytes = vec![131];
    for left in (0..10_000_u32).rev() {
        bytes.extend([105]);
        bytes.extend((left * 5).to_be_bytes());
    }
    let error = Term::from_bytes(&bytes).unwrap_err();
    assert_eq!(*error.kind(), DecodeErrorKind::Truncated);
    assert!(error.offset() < 20, "{error}");
}

#[test]
fn a_depth_that_would_overflow_the_stack_is_refused() {
    let deep = |tag: &[u8], end: &[u8], levels: usize| {
        let mut bytes = vec![131];
        (0..levels).for_each(|_| bytes.extend(tag));
        (0..=levels).for_each(|_| bytes.extend(end));
        bytes
    };
    let tuples = deep(&[104, 1], &[], 1_000_000);
    let tuples = [&tuples[..], &[106]].concat();
    assert_eq!(*Term::from_bytes(&tuples).unwrap_err().kind(), DecodeErrorKind::TooDeep);
    assert!(from_bytes::<IgnoredAny>(&tuples).is_ok());
    assert_eq!(*from_bytes::<Untagged>(&tuples).unwrap_err().kind(), DecodeErrorKind::TooDeep);

    let lists = deep(&[108, 0, 0, 0, 1], &[106], 99_999);
    let term = Term::from_bytes(&lists).unwrap();
    assert_eq!(term.to_bytes().unwrap(), lists);
    let maps = deep(&[116, 0, 0, 0, 1], &[106], 99_999);
    assert!(Term::from_bytes(&maps).is_ok());

    // A closure that has captured a closure, and so on.
    let closure = [
        &[112, 255, 255, 255, 255, 0][..],
        &[0; 20],
        &[0, 0, 0, 1, 119, 0, 97, 0, 97, 0],
        &[88, 119, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    let closures = deep(&closure.concat(), &[], 100_000);
    assert!(Term::from_bytes(&[&closures[..], &[106]].concat()).is_err());
}

#[test]
fn keys_and_contents_are_checked() {
    assert_eq!(kind(&[116, 0, 0, 0, 2, 97, 1, 97, 2, 97, 1, 97, 3]), DecodeErrorKind::DuplicateKey);
    assert_eq!(kind(&[70, 127, 240, 0, 0, 0, 0, 0, 0]), DecodeErrorKind::Malformed("a float"));
    let infinite = [&[99][..], b"inf", &[0; 28]].concat();
    assert_eq!(kind(&infinite), DecodeErrorKind::Malformed("a float"));
    assert_eq!(kind(&[119, 1, 0xFF]), DecodeErrorKind::Malformed("an atom"));
    let long = [&[118, 1, 0][..], &[b'a'; 256]].concat();
    assert_eq!(kind(&long), DecodeErrorKind::AtomTooLong);
    let long = [&[100, 255, 255][..], &[0xE9; 65_535]].concat();
    assert_eq!(kind(&long), DecodeErrorKind::AtomTooLong);
    for bits in [0, 9, 255] {
        assert_eq!(kind(&[77, 0, 0, 0, 1, bits, 1]), DecodeErrorKind::Malformed("a bitstring"));
    }
    assert_eq!(kind(&[77, 0, 0, 0, 0, 1]), DecodeErrorKind::Malformed("a bitstring"));
    assert_eq!(kind(&[82, 0]), DecodeErrorKind::AtomCacheRef);
    assert_eq!(kind(&[88, 82, 0]), DecodeErrorKind::AtomCacheRef);
    assert_eq!(kind(&[68, 0]), DecodeErrorKind::UnknownTag(68));
    assert_eq!(kind(&[80, 0]), DecodeErrorKind::Compressed);
    assert_eq!(kind(&[104, 1, 80]), DecodeErrorKind::UnknownTag(80));
    let no_words = [90, 0, 0, 119, 0, 0, 0, 0, 1];
    assert_eq!(kind(&no_words), DecodeErrorKind::Malformed("a reference"));
    let six = [&[90, 0, 6, 119, 0, 0, 0, 0, 1][..], &[0; 24]].concat();
    assert_eq!(kind(&six), DecodeErrorKind::Malformed("a reference"));
    assert_eq!(kind(&[88, 97, 1]), DecodeErrorKind::Malformed("an atom"));
    assert_eq!(
        kind(&[113, 119, 0, 119, 0, 98, 0]),
        DecodeErrorKind::Malformed("an exported function"),
    );
}

#[test]
fn every_part_of_a_term_is_truncated() {
    let mut rng = Rng::new(3);
    for _ in 0..300 {
        let bytes = random_terms::term(&mut rng, 3).to_bytes().unwrap();
        for end in 0..bytes.len().min(300) {
            assert!(Term::from_bytes(&bytes[..end]).is_err());
            assert!(from_bytes::<IgnoredAny>(&bytes[..end]).is_err());
        }
    }
}

#[test]
fn changed_bytes_cause_no_panic() {
    let mut rng = Rng::new(11);
    for _ in 0..20_000 {
        let mut bytes = random_terms::term(&mut rng, 3).to_bytes().unwrap();
        for _ in 0..=rng.below(4) {
            let place = rng.below(bytes.len());
            bytes[place] = match rng.below(3) {
                0 => rng.below(256) as u8,
                1 => rng.pick(&[97, 98, 99, 100, 104, 105, 106, 107, 108, 109, 110, 111, 112, 116]),
                _ => bytes[place] ^ (1 << rng.below(8)),
            };
        }
        decode_in_all_ways(&bytes);
    }
}

#[test]
fn random_bytes_cause_no_panic() {
    let mut rng = Rng::new(13);
    for _ in 0..50_000 {
        let mut bytes = vec![131];
        bytes.extend((0..rng.below(40)).map(|_| match rng.below(3) {
            0 => rng.below(256) as u8,
            1 => rng.below(4) as u8,
            _ => 70 + rng.below(52) as u8,
        }));
        decode_in_all_ways(&bytes);
    }
}
