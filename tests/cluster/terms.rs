//! Terms as values: their text, equality, order of map entries, and what they are taken apart into.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use regrow::cluster::{Atom, Bitstring, Term};

use crate::random_terms;
use crate::rng::Rng;

#[test]
fn terms_are_shown_as_in_erlang() {
    let shown = [
        (Term::tuple([Term::atom("ok"), Term::binary("x")]), r#"{ok,<<"x">>}"#),
        (Term::improper_list([1.into(), 2.into()], 3.into()), "[1,2|3]"),
        (Term::map([(Term::atom("a"), 1.into())]), "#{a => 1}"),
        (Term::map([]), "#{}"),
        (Term::tuple([]), "{}"),
        (Term::list([]), "[]"),
        (Term::list([104.into(), 105.into(), 10.into()]), r#""hi\n""#),
        (Term::list([104.into(), 0.into()]), "[104,0]"),
        (Term::binary([0, 255]), "<<0,255>>"),
        (Term::binary(""), "<<>>"),
        (Term::binary("é\"\\"), r#"<<"é\"\\"/utf8>>"#),
        (Term::atom("Elixir.Shop"), "'Elixir.Shop'"),
        (Term::atom("it's"), r"'it\'s'"),
        (Term::atom("and"), "'and'"),
        (Term::atom(""), "''"),
        (Term::atom("a\u{7}b"), r"'a\x{7}b'"),
        (1.0.into(), "1.0"),
        ((-0.0).into(), "-0.0"),
        (1e22.into(), "1.0e22"),
        (1.5e-9.into(), "1.5e-9"),
        ((-(1_i128 << 70)).into(), "-1180591620717411303424"),
        (u128::MAX.into(), "340282366920938463463374607431768211455"),
        (Bitstring::new(vec![0b1010_0000], 3).unwrap().into(), "<<5:3>>"),
    ];
    for (term, text) in shown {
        assert_eq!(term.to_string(), text);
        assert_eq!(format!("{term:?}"), text);
    }
}

/// As `=:=` in OTP 27 and later.
#[test]
fn terms_are_equal_if_they_are_the_same_value() {
    assert_ne!(Term::from(1), Term::from(1.0));
    assert_ne!(Term::from(0.0), Term::from(-0.0));
    assert_eq!(Term::from(f64::NAN), Term::from(f64::NAN));
    assert_ne!(Term::list([]), Term::tuple([]));
    assert_ne!(Term::list([1.into()]), Term::improper_list([1.into()], 2.into()));
    assert_eq!(
        Term::improper_list([1.into()], Term::list([2.into()])),
        Term::list([1.into(), 2.into()]),
    );
    assert_eq!(
        Term::improper_list([1.into()], Term::improper_list([2.into()], 3.into())),
        Term::improper_list([1.into(), 2.into()], 3.into()),
    );
    assert_eq!(Term::improper_list([], 3.into()), Term::from(3));
    assert_eq!(Bitstring::new(vec![0b1011_1111], 3), Bitstring::new(vec![0b1010_0000], 3));
    assert_ne!(Term::binary("a"), Term::from("b"));
    assert_ne!(Term::from(i64::MAX), Term::from(i128::from(i64::MAX) + 1));
}

#[test]
fn the_order_of_the_entries_of_a_map_does_not_matter() {
    let mut rng = Rng::new(1);
    let unlike = Term::atom("unlike all others");
    for _ in 0..500 {
        let mut entries: Vec<(Term, Term)> = Vec::new();
        let mut keys = HashSet::new();
        for _ in 0..rng.below(20) {
            let key = random_terms::term(&mut rng, 2);
            if keys.insert(key.clone()) {
                entries.push((key, random_terms::term(&mut rng, 1)));
            }
        }
        let map = Term::map(entries.clone());
        for place in (1..entries.len()).rev() {
            entries.swap(place, rng.below(place + 1));
        }
        let other = Term::map(entries.clone());
        assert_eq!(map, other);
        let hashes = RandomState::new();
        assert_eq!(hashes.hash_one(&map), hashes.hash_one(&other));
        let map = map.as_map().unwrap();
        assert_eq!(map.len(), entries.len());
        for (key, value) in &entries {
            assert_eq!(map.get(key), Some(value));
        }
        if let Some((key, _)) = entries.first() {
            let changed = Term::map(entries.iter().cloned().chain([(key.clone(), unlike.clone())]));
            assert_ne!(other, changed);
            assert_eq!(changed.as_map().unwrap().get(key), Some(&unlike));
        }
    }
}

#[test]
fn the_last_value_of_a_key_counts() {
    let map = Term::map([(Term::atom("a"), 1.into()), (Term::atom("a"), 2.into())]);
    assert_eq!(map.to_string(), "#{a => 2}");
}

/// A depth at which recursion would overflow the stack of a thread of a test, many times.
const DEEP: usize = 1_000_000;

#[test]
fn nothing_recurses_on_a_deep_term() {
    let mut term = Term::map([(Term::list([]), 1.into())]);
    for level in 0..DEEP {
        term = match level % 4 {
            0 => Term::tuple([term]),
            1 => Term::list([term, 1.into()]),
            2 => Term::improper_list([term], 1.into()),
            _ => Term::map([(term, 1.into())]),
        };
    }
    let copy = term.clone();
    assert_eq!(term, copy);
    assert_ne!(term, Term::tuple([copy.clone()]));
    let hashes = RandomState::new();
    assert_eq!(hashes.hash_one(&term), hashes.hash_one(&copy));
    assert!(term.to_string().len() > DEEP);
    assert!(format!("{term:?}").len() > DEEP);
    assert!(term.to_bytes().unwrap().len() > DEEP);
    drop(copy);
}

#[test]
fn a_term_takes_three_words() {
    assert_eq!(size_of::<Term>(), 24);
}

#[test]
fn atoms_have_at_most_255_characters() {
    assert!(Atom::new(&"語".repeat(255)).is_ok());
    assert!(Atom::new(&"語".repeat(256)).is_err());
    assert!(Atom::new(&"a".repeat(256)).is_err());
}

#[test]
fn terms_are_taken_apart() {
    assert_eq!(Term::from(7).as_integer(), Some(7));
    assert_eq!(Term::from(u64::MAX).as_integer(), None);
    assert_eq!(Term::from(7).as_float(), None);
    assert_eq!(Term::from(7.5).as_float(), Some(7.5));
    assert_eq!(Term::from(true).as_bool(), Some(true));
    assert_eq!(Term::from(false).as_atom(), Some("false"));
    assert_eq!(Term::atom("ok").as_bool(), None);
    assert_eq!(Term::tuple([1.into()]).as_tuple(), Some(&[1.into()][..]));
    assert_eq!(Term::tuple([]).as_list(), None);
    assert_eq!(Term::list([1.into()]).as_list(), Some(&[1.into()][..]));
    assert_eq!(Term::binary("é").as_text(), Some("é"));
    assert_eq!(Term::binary([255]).as_text(), None);
    assert_eq!(Term::binary([255]).as_binary(), Some(&[255][..]));
    assert_eq!(Term::from(7).as_map(), None);
    let Term::Tuple(elements) = Term::tuple([1.into(), 2.into()]) else { panic!() };
    assert_eq!(elements.into_vec(), [1.into(), 2.into()]);
}
