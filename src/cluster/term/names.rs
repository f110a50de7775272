//! The names of enum variants as atoms.

/// Returns the characters of the atom that a variant of an enum is written as: the name in
/// snake_case. A name that is no plain identifier, such as `Elixir.Shop`, is written as it is. Of the
/// type `Result`, `Err` is written as `error`.
pub(crate) fn variant_atom<'a>(
    enum_name: &str,
    variant: &'a str,
) -> impl Iterator<Item = char> + use<'a> {
    let is_error = enum_name == "Result" && variant == "Err";
    let name = if is_error { "error" } else { variant };
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    name.char_indices().flat_map(move |(index, c)| {
        let starts_word = is_plain && starts_word(name.as_bytes(), index);
        let c = if is_plain { c.to_ascii_lowercase() } else { c };
        starts_word.then_some('_').into_iter().chain([c])
    })
}

/// Returns whether a word starts here, after another one: at a capital after a letter in lower case or
/// a digit, and at the last one of several capitals before a letter in lower case.
fn starts_word(name: &[u8], index: usize) -> bool {
    let Some(before) = index.checked_sub(1).map(|before| name[before]) else { return false };
    let next = name.get(index + 1).copied().unwrap_or(b'_');
    let ends_capitals = before.is_ascii_uppercase() && next.is_ascii_lowercase();
    let follows = before.is_ascii_lowercase() || before.is_ascii_digit();
    name[index].is_ascii_uppercase() && (follows || ends_capitals)
}

/// Returns the variant that an atom names: the one with exactly this name, else the one that is
/// written as this atom.
pub(crate) fn variant_of(
    atom: &str,
    enum_name: &str,
    variants: &'static [&'static str],
) -> Option<&'static str> {
    let exact = variants.iter().find(|variant| **variant == atom);
    let written =
        || variants.iter().find(|variant| variant_atom(enum_name, variant).eq(atom.chars()));
    exact.or_else(written).copied()
}
