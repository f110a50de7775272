//! The arguments of a function: a list in Erlang, and a tuple in Rust.

use crate::cluster::term::{DecodeError, DecodeLimits, Decoder, Encoder, Token};

/// Returns the tuple of the elements of a list, or `None` if the term is no proper list. Both are
/// encoded, without a version byte.
pub(super) fn as_tuple(list: &[u8], limits: &DecodeLimits) -> Result<Option<Vec<u8>>, DecodeError> {
    let mut decoder = Decoder::new(list, limits)?;
    decoder.start_inside();
    let mut tuple = Vec::with_capacity(list.len());
    let mut encoder = Encoder::new(&mut tuple);
    match decoder.next()? {
        Token::Nil => drop(encoder.tuple(0)),
        Token::ByteList(bytes) => {
            let _ = encoder.tuple(bytes.len());
            bytes.iter().for_each(|&byte| encoder.integer(byte.into()));
        }
        Token::List(count) => {
            let _ = encoder.tuple(count);
            for _ in 0..count {
                encoder.raw(decoder.skip()?);
            }
            if decoder.next()? != Token::Nil {
                return Ok(None);
            }
        }
        _ => return Ok(None),
    }
    decoder.end()?;
    Ok(Some(tuple))
}

#[cfg(test)]
mod tests {
    use super::as_tuple;
    use crate::cluster::term::{DecodeLimits, Term};

    fn converted(list: &Term) -> Option<String> {
        let bytes = list.to_bytes().unwrap();
        let tuple = as_tuple(&bytes[1..], &DecodeLimits::new()).unwrap()?;
        Some(Term::from_bytes(&[&[131], &tuple[..]].concat()).unwrap().to_string())
    }

    #[test]
    fn a_list_of_arguments_is_a_tuple() {
        let shown = |elements: Vec<Term>| converted(&Term::list(elements)).unwrap();
        assert_eq!(shown(vec![]), "{}");
        assert_eq!(shown(vec![Term::from(3), Term::from(4)]), "{3,4}");
        assert_eq!(shown(vec![Term::list([Term::from(-3)]), Term::atom("a")]), "{[-3],a}");
        assert_eq!(shown(vec![Term::from(7); 300]).split(',').count(), 300);
        assert_eq!(converted(&Term::improper_list([Term::from(1)], Term::from(2))), None);
        assert_eq!(converted(&Term::tuple([])), None);
        assert!(as_tuple(b"\x6b\x00\x01\x07\x07", &DecodeLimits::new()).is_err());
    }
}
