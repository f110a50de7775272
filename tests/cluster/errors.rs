//! The texts of errors: one line, which does not repeat the cause.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use regrow::cluster::{
    Cookie, HandshakeError, IntegerOverflow, NodeError, Term, from_bytes, from_term, to_term,
};

fn refused() -> Arc<io::Error> {
    Arc::new(io::Error::new(io::ErrorKind::ConnectionRefused, "refused by the host"))
}

fn handshake_errors() -> Vec<HandshakeError> {
    let flags = "BIG_CREATION".to_owned();
    vec![
        HandshakeError::WrongCookie,
        HandshakeError::NotAllowed,
        HandshakeError::Simultaneous,
        HandshakeError::Closed,
        HandshakeError::OtherName("b@host\n".to_owned()),
        HandshakeError::OwnName,
        HandshakeError::InvalidName,
        HandshakeError::MissingFlags(flags),
        HandshakeError::OldVersion,
        HandshakeError::Malformed,
        HandshakeError::Unexpected,
        HandshakeError::TooLong,
        HandshakeError::Late,
        HandshakeError::TooMany,
        HandshakeError::Superseded,
        HandshakeError::Tls("CertificateRequired".to_owned()),
        HandshakeError::OtherHost("b\n".to_owned()),
    ]
}

fn node_errors() -> Vec<NodeError> {
    let address = "127.0.0.1:9".parse().unwrap();
    let mut errors = vec![
        NodeError::NotRunning,
        NodeError::InvalidName("a@b@\n".to_owned()),
        NodeError::NoCookie,
        NodeError::NameTaken("b@host".to_owned()),
        NodeError::InvalidScope(String::new()),
        NodeError::Unknown("b@host".to_owned()),
        NodeError::Unresolved { node: "b@host".to_owned(), source: refused() },
        NodeError::Plaintext(address),
        NodeError::Unreachable { address, source: refused() },
        NodeError::TimedOut(Duration::from_secs(7)),
        NodeError::Stopped,
    ];
    errors.extend(handshake_errors().into_iter().map(NodeError::Handshake));
    errors
}

fn assert_text(error: &dyn Error) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains(['\n', '\r']), "{text:?}");
    if let Some(cause) = error.source() {
        assert!(!text.contains(&cause.to_string()), "{text} repeats {cause}");
        assert_text(cause);
    }
}

#[test]
fn the_text_of_an_error_is_one_line_and_does_not_repeat_its_cause() {
    for error in node_errors() {
        assert_text(&error);
    }
    for error in handshake_errors() {
        assert_text(&error);
    }
    for bytes in [&b""[..], &[131], &[131, 80, 0, 0, 0, 1], &[131, 0], &[131, 104, 1], &[130, 106]]
    {
        assert_text(&from_bytes::<Term>(bytes).unwrap_err());
    }
    assert_text(&from_term::<u8>(&Term::from(256)).unwrap_err());
    assert_text(&to_term(&f64::NAN).unwrap_err());
    assert_text(&to_term(&Some(None::<u8>)).unwrap_err());
    assert_text(&IntegerOverflow);
    let variable = "REGROW_NO_SUCH_COOKIE";
    assert_text(&Cookie::from_env(variable).unwrap_err());
}
