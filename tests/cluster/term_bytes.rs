//! Terms to bytes and back: the bytes that OTP writes, all tags that it sends, and random terms.

use regrow::cluster::{Atom, DecodeErrorKind, DecodeLimits, ExternalPort, ExternalReference, Term};

use crate::random_terms;
use crate::rng::Rng;

fn decoded(bytes: &[u8]) -> Term {
    let term = Term::from_bytes(bytes).unwrap();
    assert_eq!(Term::from_bytes(&term.to_bytes().unwrap()).unwrap(), term);
    term
}

/// The bytes are those of `term_to_binary(T, [{minor_version, 2}])`.
#[test]
fn terms_have_the_bytes_that_otp_writes() {
    let list = |elements: &[i64]| Term::list(elements.iter().map(|&element| element.into()));
    let bytes_of: [(Term, &[u8]); 23] = [
        (0.into(), &[97, 0]),
        (255.into(), &[97, 255]),
        (256.into(), &[98, 0, 0, 1, 0]),
        ((-1).into(), &[98, 255, 255, 255, 255]),
        (i32::MIN.into(), &[98, 128, 0, 0, 0]),
        ((1_i64 << 31).into(), &[110, 4, 0, 0, 0, 0, 128]),
        ((-(1_i64 << 31) - 1).into(), &[110, 4, 1, 1, 0, 0, 128]),
        (i64::MIN.into(), &[110, 8, 1, 0, 0, 0, 0, 0, 0, 0, 128]),
        ((1_i128 << 70).into(), &[110, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64]),
        ((-0.0).into(), &[70, 128, 0, 0, 0, 0, 0, 0, 0]),
        (Term::atom("ok"), &[119, 2, b'o', b'k']),
        (Term::atom("é"), &[119, 2, 0xC3, 0xA9]),
        (Term::tuple([]), &[104, 0]),
        (list(&[]), &[106]),
        (list(&[3, 255]), &[107, 0, 2, 3, 255]),
        (list(&[-1]), &[108, 0, 0, 0, 1, 98, 255, 255, 255, 255, 106]),
        (list(&[256]), &[108, 0, 0, 0, 1, 98, 0, 0, 1, 0, 106]),
        (Term::improper_list([1.into()], 2.into()), &[108, 0, 0, 0, 1, 97, 1, 97, 2]),
        (Term::binary("a"), &[109, 0, 0, 0, 1, b'a']),
        (Term::map([(1.into(), 2.into())]), &[116, 0, 0, 0, 1, 97, 1, 97, 2]),
        (true.into(), &[119, 4, b't', b'r', b'u', b'e']),
        (
            ExternalPort::new(Atom::new("a").unwrap(), 1 << 28, 2).into(),
            &[120, 119, 1, b'a', 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 2],
        ),
        (
            ExternalReference::new(Atom::new("a").unwrap(), 2, &[3, 4]).unwrap().into(),
            &[90, 0, 2, 119, 1, b'a', 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4],
        ),
    ];
    for (term, bytes) in bytes_of {
        let bytes = [&[131], bytes].concat();
        assert_eq!(term.to_bytes().unwrap(), bytes, "{term}");
        assert_eq!(decoded(&bytes), term);
    }
}

#[test]
fn a_list_of_bytes_is_written_as_bytes_up_to_65535() {
    for (count, tag, size) in
        [(65_535, 107, 65_539), (65_536, 108, 131_079), (70_000, 108, 140_007)]
    {
        let list = Term::list((0..count).map(|index| Term::from(index % 256)));
        let bytes = list.to_bytes().unwrap();
        assert_eq!((bytes[1], bytes.len()), (tag, size));
        assert_eq!(decoded(&bytes), list);
    }
    let tuple = Term::tuple((0..256).map(Term::from));
    assert_eq!(tuple.to_bytes().unwrap()[1..6], [105, 0, 0, 1, 0]);
    assert_eq!(decoded(&tuple.to_bytes().unwrap()), tuple);
    let large = "x".repeat(70_000);
    assert_eq!(decoded(&Term::binary(&large).to_bytes().unwrap()), Term::binary(large));
}

#[test]
fn integers_of_more_than_255_bytes_are_passed_on() {
    for (tag, count) in
        [(vec![110, 255], 255), (vec![111, 0, 0, 1, 0], 256), (vec![111, 0, 0, 16, 0], 4_096)]
    {
        let digits = vec![1; count];
        let bytes = [&[131], &tag[..], &[1], &digits[..]].concat();
        let term = Term::from_bytes(&bytes).unwrap();
        assert_eq!(term.to_bytes().unwrap(), bytes);
        let Term::BigInteger(big) = &term else { panic!() };
        assert!(big.is_negative());
        assert_eq!(big.magnitude(), digits);
        // The last digits of the sum of all powers of 256 up to this one.
        let last = (0..count).fold((0, 1), |(sum, power), _| {
            ((sum + power) % 1_000_000_u64, power * 256 % 1_000_000)
        });
        assert!(big.to_string().ends_with(&format!("{:06}", last.0)));
    }
}

#[test]
fn other_forms_of_the_same_term_are_read() {
    let float_text = [&b"1.50000000000000000000e+00"[..], &[0; 5]].concat();
    let forms: [(&[u8], Term); 12] = [
        (&[110, 1, 0, 5], 5.into()),
        (&[110, 3, 1, 5, 0, 0], (-5).into()),
        (&[110, 0, 1], 0.into()),
        (&[111, 0, 0, 0, 1, 0, 5], 5.into()),
        (&[&[99], &float_text[..]].concat(), 1.5.into()),
        (&[100, 0, 2, b'o', b'k'], Term::atom("ok")),
        (&[115, 1, 0xE9], Term::atom("é")),
        (&[118, 0, 2, 0xC3, 0xA9], Term::atom("é")),
        (&[107, 0, 0], Term::list([])),
        (&[108, 0, 0, 0, 0, 97, 1], 1.into()),
        (&[108, 0, 0, 0, 1, 97, 1, 107, 0, 1, 2], Term::list([1.into(), 2.into()])),
        (&[77, 0, 0, 0, 1, 8, 7], Term::binary([7])),
    ];
    for (bytes, term) in forms {
        assert_eq!(decoded(&[&[131], bytes].concat()), term, "{bytes:?}");
    }
}

/// C nodes write long lists as one list within the other.
#[test]
fn a_list_in_pieces_is_read_in_linear_time_and_at_any_length() {
    let mut bytes = vec![131];
    for _ in 0..1_000_000 {
        bytes.extend([108, 0, 0, 0, 1, 97, 7]);
    }
    bytes.push(106);
    let list = Term::from_bytes(&bytes).unwrap();
    assert_eq!(list.as_list().unwrap().len(), 1_000_000);
}

#[test]
fn the_bytes_of_a_closure_come_back_as_they_were() {
    let closure = |size: u32, captured: u32, terms: &[u8]| {
        let mut bytes = vec![112];
        bytes.extend(size.to_be_bytes());
        bytes.push(1);
        bytes.extend([9; 16]);
        bytes.extend(4_u32.to_be_bytes());
        bytes.extend(captured.to_be_bytes());
        bytes.extend([119, 1, b'm', 97, 0, 98, 1, 2, 3, 4]);
        bytes.extend([88, 119, 1, b'n', 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]);
        bytes.extend(terms);
        bytes
    };
    // The size counts all but the tag.
    let inner = closure(56, 1, &[106]);
    assert_eq!(inner.len(), 57);
    let outer = closure(114, 2, &[&inner[..], &[97, 1]].concat());
    assert_eq!(outer.len(), 115);
    let bytes = [&[131], &outer[..]].concat();
    let term = decoded(&bytes);
    assert_eq!(term.to_bytes().unwrap(), bytes);
    assert_eq!(term.to_string(), "#Fun<m.4>");

    // Sizes that don't fit the content.
    for size in [0, 55, 57, u32::MAX] {
        let wrong = [&[131], &closure(size, 1, &[106])[..]].concat();
        assert!(Term::from_bytes(&wrong).is_err(), "{size}");
    }
}

#[test]
fn random_terms_come_back() {
    let mut rng = Rng::new(7);
    for _ in 0..10_000 {
        let term = random_terms::term(&mut rng, 5);
        let bytes = term.to_bytes().unwrap();
        assert_eq!(Term::from_bytes(&bytes).unwrap(), term);
    }
}

#[test]
fn bytes_after_the_term_are_refused() {
    let error = Term::from_bytes(&[131, 106, 106]).unwrap_err();
    assert_eq!((error.kind(), error.offset()), (&DecodeErrorKind::TrailingBytes, 2));
    assert_eq!(*Term::from_bytes(&[]).unwrap_err().kind(), DecodeErrorKind::Truncated);
    assert_eq!(*Term::from_bytes(&[130, 106]).unwrap_err().kind(), DecodeErrorKind::UnknownVersion);
    let compressed = [131, 80, 0, 0, 0, 10, 1, 2, 3];
    assert_eq!(*Term::from_bytes(&compressed).unwrap_err().kind(), DecodeErrorKind::Compressed);
}

#[test]
fn limits_are_kept() {
    let refused = |term: Term, limits: DecodeLimits| {
        let bytes = term.to_bytes().unwrap();
        assert!(Term::from_bytes(&bytes).is_ok());
        Term::from_bytes_within(&bytes, &limits).unwrap_err().kind().clone()
    };
    let ten = Term::list((0..10).map(|_| Term::tuple([])));
    let limits = DecodeLimits::new();
    assert_eq!(refused(ten.clone(), limits.clone().size(20)), DecodeErrorKind::TooLarge);
    assert_eq!(refused(ten.clone(), limits.clone().memory(200)), DecodeErrorKind::TooMuchMemory);
    let deep = Term::list([Term::tuple([ten])]);
    assert_eq!(refused(deep.clone(), limits.clone().term_depth(2)), DecodeErrorKind::TooDeep);
    let bytes = deep.to_bytes().unwrap();
    assert!(Term::from_bytes_within(&bytes, &limits.clone().term_depth(3)).is_ok());
    let wide = Term::from(u128::MAX);
    assert_eq!(refused(wide, limits.integer(15)), DecodeErrorKind::IntegerTooLarge);
}
