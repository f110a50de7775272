//! Random terms, with the values at which the format changes from one form to the next.

use regrow::cluster::{
    Atom, Bitstring, Export, ExternalPid, ExternalPort, ExternalReference, Term,
};

use crate::rng::Rng;

/// Integers at which the format or the type changes, and the powers of two in between.
fn integer(rng: &mut Rng) -> Term {
    let edge = [0, 1, 8, 31, 32, 63, 64, 70, 126].map(|bits| 1_i128 << bits);
    let near = rng.pick(&edge) + rng.pick(&[-2, -1, 0, 1]);
    match rng.below(4) {
        0 => Term::from(rng.below(256) as i64),
        1 => Term::from(near),
        2 => Term::from(-near),
        _ => Term::from(u128::MAX - rng.below(3) as u128),
    }
}

/// Without 0.0, since OTP 25 takes it for the same key of a map as -0.0.
fn float(rng: &mut Rng) -> Term {
    let some = rng.below(1 << 40) as f64 / 7.0;
    Term::from(rng.pick(&[-0.0, 1.0, -1.5, 1e22, 1e300, 5e-324, f64::MAX, f64::MIN, some]))
}

fn text(rng: &mut Rng, longest: usize) -> String {
    let letters = ['a', 'b', 'Z', '_', '@', '0', ' ', '\'', '"', '\\', '\n', 'é', 'ж', '語', '😀'];
    (0..rng.below(longest + 1)).map(|_| rng.pick(&letters)).collect()
}

pub(crate) fn atom(rng: &mut Rng) -> Atom {
    let plain =
        ["ok", "error", "true", "false", "undefined", "nil", "and", "maybe", "Elixir.Shop", ""];
    let name = match rng.below(20) {
        0 => "語".repeat(255),
        1 => "é".repeat(200),
        2..8 => text(rng, 12),
        _ => rng.pick(&plain).to_owned(),
    };
    Atom::new(&name).unwrap()
}

fn bytes(rng: &mut Rng) -> Vec<u8> {
    (0..rng.below(20)).map(|_| rng.below(256) as u8).collect()
}

/// Returns a list of bytes, or one that just isn't.
fn byte_list(rng: &mut Rng) -> Term {
    let mut elements: Vec<Term> = bytes(rng).into_iter().map(Term::from).collect();
    if rng.percent(30) {
        let odd = rng.pick(&[-1_i64, 256]);
        let odd = if rng.percent(50) { Term::from(odd) } else { Term::from(1.0) };
        elements.insert(rng.below(elements.len() + 1), odd);
    }
    Term::list(elements)
}

fn leaf(rng: &mut Rng, node: &Atom) -> Term {
    match rng.below(11) {
        0 | 1 => integer(rng),
        2 => float(rng),
        3 => atom(rng).into(),
        4 => Term::binary(bytes(rng)),
        5 => Term::binary(text(rng, 10)),
        6 => byte_list(rng),
        7 => match Bitstring::new(bytes(rng), 1 + rng.below(7) as u8) {
            Some(bits) => bits.into(),
            None => Term::binary(""),
        },
        8 => Export::new(atom(rng), atom(rng), rng.below(256) as u8).into(),
        9 => {
            let words: Vec<u32> = (0..3).map(|_| rng.below(1 << 18) as u32).collect();
            let creation = 1 + rng.below(1 << 31) as u32;
            ExternalReference::new(node.clone(), creation, &words).unwrap().into()
        }
        _ => {
            let (id, creation) = (rng.below(1 << 28) as u32, 1 + rng.below(1 << 31) as u32);
            match rng.below(3) {
                0 => ExternalPid::new(node.clone(), id >> 13, rng.below(1 << 13) as u32, creation)
                    .into(),
                1 => ExternalPort::new(node.clone(), id.into(), creation).into(),
                _ => ExternalPort::new(node.clone(), u64::from(id) << 20, creation).into(),
            }
        }
    }
}

/// Returns a random term, nested up to this depth.
pub(crate) fn term(rng: &mut Rng, depth: usize) -> Term {
    let node = Atom::new(rng.pick(&["shop@host", "rust@127.0.0.1"])).unwrap();
    if depth == 0 {
        return leaf(rng, &node);
    }
    let wide = if rng.percent(1) { 300 } else { 6 };
    let count = rng.below(wide);
    let mut parts = |depth: usize| -> Vec<Term> {
        (0..count).map(|_| term(rng, if count > 20 { 0 } else { depth - 1 })).collect()
    };
    let elements = parts(depth);
    match rng.below(6) {
        0 | 1 => Term::tuple(elements),
        2 => Term::list(elements),
        3 => Term::improper_list(elements, leaf(rng, &node)),
        4 => Term::map(elements.into_iter().map(|key| (key, leaf(rng, &node)))),
        _ => leaf(rng, &node),
    }
}
