//! Values of Rust types from bytes, and bytes from such values.

use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;

use crate::cluster::term::access::Value;
use crate::cluster::term::compound::ValueSerializer;
use crate::cluster::term::decoder::Decoder;
use crate::cluster::term::encoder::Encoder;
use crate::cluster::term::error::{DecodeError, DecodeErrorKind, EncodeError};
use crate::cluster::term::limits::DecodeLimits;
use crate::cluster::term::reader::Reader;
use crate::cluster::term::value::Term;

/// Encodes a value, as `term_to_binary` of Erlang encodes the term that the value stands for. The
/// [module](crate::cluster#values-of-rust-types) says which term that is.
///
/// # Errors
///
/// If the value, or a part of it, has no term: see [`EncodeError`].
///
/// ```
/// use regrow::cluster::{Term, to_bytes};
/// use serde::Serialize;
///
/// #[derive(Serialize)]
/// enum Call {
///     Size,
///     Get { key: String },
/// }
///
/// let bytes = to_bytes(&Call::Get { key: "milk".into() })?;
/// assert_eq!(Term::from_bytes(&bytes)?.to_string(), r#"{get,<<"milk">>}"#);
/// let bytes = to_bytes(&Call::Size)?;
/// assert_eq!(Term::from_bytes(&bytes)?.to_string(), "size");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes).start();
    write_value(value, &mut bytes)?;
    Ok(bytes)
}

/// Decodes a value from the bytes of a term, within the default [limits](DecodeLimits). The value may
/// borrow texts and binaries from the bytes.
///
/// # Errors
///
/// If the bytes are not one whole term, or the term doesn't fit the type, or a limit is exceeded.
///
/// ```
/// use regrow::cluster::{Term, from_bytes};
/// use serde::Deserialize;
///
/// #[derive(Deserialize, Debug, PartialEq)]
/// struct Item<'a> {
///     name: &'a str,
///     price: Option<u32>,
/// }
///
/// let term = Term::map([
///     (Term::atom("name"), Term::binary("milk")),
///     (Term::atom("price"), Term::atom("undefined")),
/// ]);
/// let bytes = term.to_bytes()?;
/// assert_eq!(from_bytes::<Item>(&bytes)?, Item { name: "milk", price: None });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_bytes<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, DecodeError> {
    from_bytes_within(bytes, &DecodeLimits::new())
}

/// [`from_bytes`] within these limits.
///
/// # Errors
///
/// If the bytes are not one whole term, or the term doesn't fit the type, or a limit is exceeded.
///
/// ```
/// use regrow::cluster::{DecodeErrorKind, DecodeLimits, from_bytes_within, to_bytes};
///
/// let bytes = to_bytes(&[[1, 2], [3, 4]])?;
/// let limits = DecodeLimits::new().depth(1);
/// let refused = from_bytes_within::<[[u8; 2]; 2]>(&bytes, &limits).unwrap_err();
/// assert_eq!(*refused.kind(), DecodeErrorKind::TooDeep);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_bytes_within<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    limits: &DecodeLimits,
) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes, limits)?;
    decoder.start()?;
    let value = read_value(&mut decoder, limits)?;
    decoder.end()?;
    Ok(value)
}

/// [`from_bytes_within`], of a term without its version byte.
pub(crate) fn from_bytes_inside<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    limits: &DecodeLimits,
) -> Result<T, DecodeError> {
    let mut decoder = Decoder::new(bytes, limits)?;
    decoder.start_inside();
    let value = read_value(&mut decoder, limits)?;
    decoder.end()?;
    Ok(value)
}

/// Returns the term that a value stands for.
///
/// # Errors
///
/// If the value, or a part of it, has no term: see [`EncodeError`].
///
/// ```
/// use regrow::cluster::to_term;
///
/// let term = to_term(&Ok::<_, ()>((1, "milk", None::<u8>)))?;
/// assert_eq!(term.to_string(), r#"{ok,{1,<<"milk">>,nil}}"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn to_term<T: Serialize + ?Sized>(value: &T) -> Result<Term, EncodeError> {
    let limits = DecodeLimits::new().size(usize::MAX).memory(usize::MAX).integer(usize::MAX);
    // What the encoder has written is a term. It may have a key twice, or a depth beyond the limit.
    Term::from_bytes_within(&to_bytes(value)?, &limits).map_err(|_| EncodeError::Refused)
}

/// Returns the value that a term stands for.
///
/// # Errors
///
/// If the term doesn't fit the type.
///
/// ```
/// use regrow::cluster::{Term, from_term};
///
/// let term = Term::tuple([Term::atom("error"), Term::binary("gone")]);
/// let value: Result<u32, String> = from_term(&term)?;
/// assert_eq!(value, Err("gone".to_owned()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_term<T: DeserializeOwned>(term: &Term) -> Result<T, DecodeError> {
    let limits = DecodeLimits::new().size(usize::MAX).memory(usize::MAX).integer(usize::MAX);
    let refused = |_| DecodeError::new(DecodeErrorKind::Refused, 0);
    let bytes = term.to_bytes().map_err(refused)?;
    from_bytes_within(&bytes, &limits)
}

/// Appends the term of a value, without the version byte.
pub(crate) fn write_value<T: Serialize + ?Sized>(
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = out.len();
    value.serialize(ValueSerializer::new(out))?;
    if out.len() == start {
        // The whole value has no term. Its decode accepts any atom.
        Encoder::new(out).atom(WHOLE)?;
    }
    Ok(())
}

/// The atom of a call that is a reply alone.
const WHOLE: &str = "call";

/// Decodes a value from the term that the decoder reads next.
pub(crate) fn read_value<'de, T: Deserialize<'de>>(
    decoder: &mut Decoder<'de>,
    limits: &DecodeLimits,
) -> Result<T, DecodeError> {
    let start = decoder.offset();
    let mut reader = Reader::new(decoder.clone(), limits);
    let value = T::deserialize(Value::whole(&mut reader)).map_err(|error| error.at(start))?;
    *decoder = reader.into_decoder();
    Ok(value)
}
