use super::{NotPublished, Parts, encode};
use crate::cluster::term::{DecodeLimits, Term};

fn read(term: &[u8]) -> Result<(String, u32), NotPublished> {
    let limits = DecodeLimits::of_frame(term.len());
    let parts = Parts::read(term, "news", &limits)?;
    Ok((parts.key(&limits)?, parts.event(&limits)?))
}

#[test]
fn a_message_is_a_tuple_that_a_process_of_erlang_can_match() {
    let term = encode("news", &"sport", &21u32).unwrap();
    assert_eq!(term.term().unwrap().to_string(), r#"{regrow_topic,<<"news">>,<<"sport">>,21}"#);
    assert_eq!(read(term.as_bytes()), Ok(("sport".to_owned(), 21)));
}

#[test]
fn each_part_that_does_not_fit_is_named() {
    let key = encode("news", &1, &21).unwrap();
    assert!(matches!(read(key.as_bytes()), Err(NotPublished::Key(_))));
    let event = encode("news", &"sport", &"late").unwrap();
    assert!(matches!(read(event.as_bytes()), Err(NotPublished::Event(_))));
    let other = encode("prices", &"sport", &21).unwrap();
    assert_eq!(read(other.as_bytes()), Err(NotPublished::OtherTopics));
}

#[test]
fn other_terms_and_truncated_ones_are_no_messages() {
    let tuple = |tag: &str, rest: usize| {
        let rest = (0..rest).map(|_| Term::binary("news"));
        Term::tuple([Term::atom(tag)].into_iter().chain(rest)).to_bytes().unwrap()
    };
    for other in [tuple("regrow_topic", 2), tuple("regrow_topic", 4), tuple("other", 3)] {
        assert_eq!(read(&other), Err(NotPublished::OtherMessage));
    }
    let whole = encode("news", &"sport", &21).unwrap();
    for end in 0..whole.as_bytes().len() {
        assert!(read(&whole.as_bytes()[..end]).is_err(), "{end}");
    }
    let longer = [whole.as_bytes(), &[106]].concat();
    assert!(matches!(read(&longer), Err(NotPublished::Event(_))));
}
