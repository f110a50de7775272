//! Values of Rust types and the terms that they stand for, both ways.

use std::collections::BTreeMap;
use std::fmt::Debug;

use regrow::cluster::{
    Atom, DecodeErrorKind, EncodeError, ExternalPid, Term, from_bytes, from_term, to_bytes, to_term,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize, Serializer};

/// The value becomes this term, and the term becomes this value.
#[expect(clippy::needless_pass_by_value, reason = "its calls are shorter")]
fn both<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T, text: &str) {
    let term = to_term(&value).unwrap();
    assert_eq!(term.to_string(), text);
    assert_eq!(to_bytes(&value).unwrap().len(), term.to_bytes().unwrap().len());
    assert_eq!(from_term::<T>(&term).unwrap(), value);
}

/// The term becomes this value.
#[expect(clippy::needless_pass_by_value, reason = "its calls are shorter")]
fn read<T: DeserializeOwned + PartialEq + Debug>(term: Term, value: T) {
    assert_eq!(from_term::<T>(&term).unwrap(), value, "{term}");
}

fn refused<T: DeserializeOwned + Debug>(term: &Term) -> DecodeErrorKind {
    from_term::<T>(term).unwrap_err().kind().clone()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Call {
    Size,
    Get {
        key: String,
    },
    Put(String, u32),
    Wrapped(Item),
    HTTPCode2(u16),
    #[serde(rename = "Elixir.Shop")]
    Shop,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
    price: Option<u32>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Wrapper(u8);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Point(i64, i64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Nothing;

/// Bytes in serde's sense, as the crate `serde_bytes` has them.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[test]
fn plain_values_have_the_terms_that_elixir_expects() {
    both(true, "true");
    both(255_u8, "255");
    both(i64::MIN, "-9223372036854775808");
    both(u64::MAX, "18446744073709551615");
    both(i128::MIN, "-170141183460469231731687303715884105728");
    both(u128::MAX, "340282366920938463463374607431768211455");
    both(1.5, "1.5");
    both('é', r#"<<"é"/utf8>>"#);
    both("milk".to_owned(), r#"<<"milk">>"#);
    both((), "ok");
    both(Nothing, "ok");
    both(Some(3), "3");
    both(None::<u8>, "nil");
    both(vec![1_u8, 2], "[1,2]");
    both(vec![0_u8; 70_000], &format!("[{}0]", "0,".repeat(69_999)));
    both(vec![-1, 300], "[-1,300]");
    both(Vec::<String>::new(), "[]");
    both((1, "a".to_owned()), r#"{1,<<"a">>}"#);
    both([1_u8, 2, 3], "{1,2,3}");
    both(Point(1, -1), "{1,-1}");
    both(Wrapper(7), "7");
    both(Bytes(vec![0, 1]), "<<0,1>>");
    both(BTreeMap::from([("b".to_owned(), 1)]), r#"#{<<"b">> => 1}"#);
    both(BTreeMap::from([(2, ()), (1, ())]), "#{1 => ok,2 => ok}");
    both(Item { name: "milk".into(), price: Some(3) }, r#"#{name => <<"milk">>,price => 3}"#);
    both(Ok::<u8, String>(1), "{ok,1}");
    both(Err::<(), _>("gone".to_owned()), r#"{error,<<"gone">>}"#);
}

#[test]
fn variants_are_atoms_or_tagged_tuples_in_snake_case() {
    both(Call::Size, "size");
    both(Call::Get { key: "milk".into() }, r#"{get,<<"milk">>}"#);
    both(Call::Put("milk".into(), 3), r#"{put,<<"milk">>,3}"#);
    both(Call::Wrapped(Item::default()), "{wrapped,#{name => <<>>,price => nil}}");
    both(Call::HTTPCode2(200), "{http_code2,200}");
    both(Call::Shop, "'Elixir.Shop'");
}

#[test]
fn the_exact_name_of_a_variant_is_read_first() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[expect(non_camel_case_types, reason = "the names differ only in their case")]
    enum Names {
        Ab,
        ab,
        #[serde(other)]
        Other,
    }
    read(Term::atom("Ab"), Names::Ab);
    read(Term::atom("ab"), Names::ab);
    read(Term::atom("x"), Names::Other);
    read(Term::atom("Size"), Call::Size);
}

#[test]
fn other_terms_for_the_same_value_are_read() {
    let characters = |text: &str| Term::list(text.chars().map(|c| Term::from(u32::from(c))));
    read(characters("milk"), "milk".to_owned());
    read(characters("é"), "é".to_owned());
    read(characters("жук"), "жук".to_owned());
    read(Term::list([]), String::new());
    read(characters("x"), 'x');
    read(Term::atom("undefined"), None::<u8>);
    read(Term::from(2), 2.0);
    read(characters("ab"), Bytes(b"ab".to_vec()));
    read(Term::list([1.into(), 0.into()]), Bytes(vec![1, 0]));
    read(Term::atom("ok"), Ok::<(), String>(()));
    read(
        Term::map([(Term::atom("a"), 1.into()), (Term::binary("b"), 2.into())]),
        BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]),
    );
    let item = Term::map([
        (Term::binary("name"), Term::binary("milk")),
        (Term::atom("__struct__"), Term::atom("Elixir.Item")),
    ]);
    read(item, Item { name: "milk".into(), price: None });
}

/// C nodes write long lists as one list within the other.
#[test]
fn a_list_in_pieces_is_read() {
    let bytes = [131, 108, 0, 0, 0, 1, 97, 1, 108, 0, 0, 0, 0, 108, 0, 0, 0, 1, 97, 2, 106];
    assert_eq!(from_bytes::<Vec<u8>>(&bytes).unwrap(), [1, 2]);
    let improper = Term::improper_list([1.into()], 2.into());
    assert_eq!(refused::<Vec<u8>>(&improper), DecodeErrorKind::ImproperList);
}

#[test]
fn texts_and_binaries_are_borrowed() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Borrowed<'a> {
        text: &'a str,
        #[serde(borrow)]
        pair: (&'a str, &'a [u8]),
    }
    let term = Term::map([
        (Term::atom("text"), "a".into()),
        (Term::atom("pair"), Term::tuple(["b".into(), "c".into()])),
    ]);
    let bytes = term.to_bytes().unwrap();
    let value = Borrowed { text: "a", pair: ("b", b"c") };
    assert_eq!(from_bytes::<Borrowed<'_>>(&bytes).unwrap(), value);
}

#[test]
fn terms_atoms_and_pids_are_parts_of_values() {
    let pid = ExternalPid::new(Atom::new("shop@host").unwrap(), 1, 2, 3);
    both((pid, Atom::new("ok").unwrap(), Term::from(1.5)), "{<shop@host.1.2>,ok,1.5}");
    both(vec![Term::list([]), Term::tuple([1.into()])], "[[],{1}]");
    both(Some(Term::binary("x")), r#"<<"x">>"#);
    assert_eq!(to_bytes(&Some(Term::atom("nil"))), Err(EncodeError::NestedNil));
    let wrong = from_term::<(u8, ExternalPid)>(&Term::tuple([1.into(), 2.into()])).unwrap_err();
    assert_eq!(wrong.to_string(), "found another value, expected a pid, at byte 5");
}

#[test]
fn untagged_and_flattened_values_are_read() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Any {
        Flag(bool),
        Number(i64),
        Float(f64),
        Text(String),
        List(Vec<Any>),
        Nothing(Option<u8>),
    }
    let any = vec![Any::Flag(true), Any::Number(-1), Any::Float(0.5), Any::Text("a".into())];
    both(Any::List(any), r#"[true,-1,0.5,<<"a">>]"#);
    read(Term::tuple([1.into()]), Any::List(vec![Any::Number(1)]));
    read(Term::atom("nil"), Any::Nothing(None));

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        count: u8,
        #[serde(flatten)]
        item: Item,
    }
    let flat = Flat { count: 1, item: Item { name: "a".into(), price: None } };
    let term = to_term(&flat).unwrap();
    assert_eq!(from_term::<Flat>(&term).unwrap(), flat);
    let atoms =
        term.as_map().unwrap().iter().map(|(key, value)| {
            (Term::atom(key.as_text().or(key.as_atom()).unwrap()), value.clone())
        });
    read(Term::map(atoms), flat);
}

#[test]
fn what_has_no_term_is_refused() {
    assert_eq!(to_bytes(&f32::INFINITY), Err(EncodeError::NotFinite));
    assert_eq!(to_bytes(&[0.0, f64::NAN]), Err(EncodeError::NotFinite));
    assert_eq!(to_bytes(&Some(None::<()>)), Err(EncodeError::NestedNil));
    assert_eq!(to_bytes(&Some(Some(1))).unwrap(), to_bytes(&1).unwrap());

    #[derive(Serialize)]
    enum Skips {
        Fields {
            #[serde(skip_serializing_if = "Option::is_none")]
            first: Option<u8>,
            second: u8,
        },
    }
    assert!(to_bytes(&Skips::Fields { first: Some(1), second: 2 }).is_ok());
    let skipped = to_bytes(&Skips::Fields { first: None, second: 2 });
    assert_eq!(skipped, Err(EncodeError::SkippedField("first")));

    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("the secret"))
        }
    }
    let error = to_bytes(&Refuses).unwrap_err();
    assert_eq!(error, EncodeError::Refused);
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[test]
fn terms_of_the_wrong_shape_are_refused() {
    use DecodeErrorKind as Kind;
    let tuple = |count: i64| Term::tuple((0..count).map(Term::from));
    assert!(matches!(refused::<(u8, u8)>(&tuple(3)), Kind::WrongLength { .. }));
    assert!(matches!(refused::<(u8, u8)>(&tuple(1)), Kind::WrongLength { .. }));
    assert!(matches!(refused::<u8>(&300.into()), Kind::WrongValue { .. }));
    assert!(matches!(
        refused::<u8>(&(1_i128 << 100).into()),
        Kind::WrongType { .. } | Kind::WrongValue { .. }
    ));
    assert!(matches!(refused::<String>(&Term::atom("milk")), Kind::WrongType { .. }));
    assert!(matches!(refused::<String>(&Term::binary([255])), Kind::WrongValue { .. }));
    assert!(matches!(refused::<Vec<u8>>(&tuple(2)), Kind::WrongType { .. }));
    assert!(matches!(
        refused::<(u8, u8)>(&Term::list([1.into(), 2.into()])),
        Kind::WrongType { .. }
    ));
    assert!(matches!(refused::<()>(&Term::atom("no")), Kind::WrongValue { .. }));
    assert_eq!(refused::<Item>(&Term::map([])), Kind::MissingField("name"));
    let call = |parts: &[Term]| refused::<Call>(&Term::tuple(parts.to_vec()));
    assert!(matches!(refused::<Call>(&Term::atom("stop")), Kind::UnknownVariant { .. }));
    assert!(matches!(call(&[Term::atom("size")]), Kind::WrongLength { .. }));
    assert!(matches!(call(&[Term::atom("get")]), Kind::WrongLength { .. }));
    assert!(matches!(refused::<Call>(&Term::atom("get")), Kind::WrongLength { .. }));
    assert!(matches!(refused::<Call>(&Term::atom("wrapped")), Kind::WrongLength { .. }));
    assert!(matches!(call(&[Term::atom("get"), "a".into(), 1.into()]), Kind::WrongLength { .. }));
    assert!(matches!(
        call(&[Term::atom("http_code2"), 1.into(), 1.into()]),
        Kind::WrongLength { .. }
    ));
    assert!(matches!(call(&[1.into()]), Kind::WrongValue { .. }));
    assert!(matches!(call(&[]), Kind::WrongType { .. }));
}

/// The place of an error is the start of the innermost element that was not accepted.
#[test]
fn errors_say_where_and_quote_nothing() {
    let secret = Term::tuple([Term::atom("put"), "the secret".into(), "the secret".into()]);
    let error = from_term::<Call>(&secret).unwrap_err();
    assert_eq!(error.offset(), 23);
    let texts = [
        error,
        from_term::<Call>(&Term::atom("secret")).unwrap_err(),
        from_term::<Call>(&"secret".into()).unwrap_err(),
        from_term::<u8>(&"secret".into()).unwrap_err(),
        from_term::<char>(&"secret".into()).unwrap_err(),
        from_term::<Item>(&Term::map([("secret".into(), "secret".into())])).unwrap_err(),
        from_term::<std::net::IpAddr>(&"secret".into()).unwrap_err(),
    ];
    for text in texts {
        assert!(!format!("{text} {text:?}").contains("secret"), "{text:?}");
    }
}

#[test]
fn values_are_nested_up_to_a_depth() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Node(Vec<Node>);
    let nested = |levels: usize| (1..levels).fold(Node(Vec::new()), |node, _| Node(vec![node]));
    let bytes = to_bytes(&nested(64)).unwrap();
    assert!(from_bytes::<Node>(&bytes).is_ok());
    let bytes = to_bytes(&nested(65)).unwrap();
    assert_eq!(*from_bytes::<Node>(&bytes).unwrap_err().kind(), DecodeErrorKind::TooDeep);
    assert!(from_bytes::<Term>(&bytes).is_ok());
    assert!(from_bytes::<IgnoredAny>(&bytes).is_ok());
}
