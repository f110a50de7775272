//! Source files for the rules of the repository: their functions, and their code without comments
//! and literals.

use std::fs;
use std::path::Path;

/// One file of this repository.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path from the root of the repository: `src/kernel/mod.rs`.
    pub path: String,
    pub text: String,
}

/// A function with a body.
#[derive(Debug)]
pub struct Function {
    pub name: String,
    pub attributes: String,
    pub body: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Code,
    Comment,
    Literal,
}

/// Returns the text of one file; `None` if it can't be read.
pub fn read(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// Returns all Rust files below a folder, in alphabetical order; none if the folder doesn't exist.
pub fn sources(folder: &str) -> Vec<Source> {
    files(folder, ".rs")
}

/// Returns all files below a folder whose names end with `ending`.
pub fn files(folder: &str, ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for name in entries(folder) {
        let path = format!("{folder}/{name}");
        match name.strip_suffix(ending) {
            Some(_) => found.extend(read(&path).map(|text| Source { path, text })),
            None => found.extend(files(&path, ending)),
        }
    }
    found
}

/// Returns the names of the entries of a folder, in alphabetical order.
pub fn entries(folder: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

impl Source {
    /// Returns the text with comments and literals replaced by spaces. Line breaks stay.
    pub fn code(&self) -> String {
        only(&self.text, &[Piece::Code])
    }

    /// Returns the code that is shipped: without a module of tests at the end.
    pub fn shipped(&self) -> String {
        let code = self.code();
        code.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
    }

    /// Returns two numbers of lines: those that are not documentation, which may be long, and those
    /// with more than comments.
    pub fn size(&self) -> (usize, usize) {
        let code = only(&self.text, &[Piece::Code, Piece::Literal]);
        let filled = code.lines().filter(|line| !line.trim().is_empty()).count();
        let is_doc = |line: &&str| {
            let line = line.trim_start();
            line.starts_with("///") || line.starts_with("//!")
        };
        (self.text.lines().filter(|line| !is_doc(line)).count(), filled)
    }

    /// Returns the functions of this file. A nested function is listed too, and its text is also a
    /// part of the outer function.
    pub fn functions(&self) -> Vec<Function> {
        let code = self.code();
        words(&code, "fn").filter_map(|at| function(&code, at)).collect()
    }
}

/// Returns the positions at which this word is a whole word.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let alone = move |at: &usize| {
        let before = code[..*at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    };
    code.match_indices(word).map(|(at, _)| at).filter(alone)
}

pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Returns the function at this `fn`; `None` if it has no body.
fn function(code: &str, at: usize) -> Option<Function> {
    let head = code[at + 2..].trim_start();
    let name = head.chars().take_while(|&c| is_word(c)).collect();
    let mut depth = 0;
    let opens = code[at..].char_indices().find(|&(_, c)| {
        depth += i32::from(matches!(c, '(' | '[')) - i32::from(matches!(c, ')' | ']'));
        depth == 0 && matches!(c, '{' | ';')
    });
    let (opens, _) = opens.filter(|&(_, c)| c == '{')?;
    let body = &code[at + opens..];
    let mut depth = 0;
    let closes = body.char_indices().find(|&(_, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0
    });
    let body = body[..closes?.0].to_owned();
    let before: Vec<_> = code[..at].lines().rev().skip(1).map(str::trim).collect();
    let above = before.iter().take_while(|line| line.is_empty() || line.starts_with("#["));
    let attributes = above.copied().collect::<Vec<_>>().join("\n");
    Some(Function { name, attributes, body })
}

/// Returns the text with all other pieces replaced by spaces.
fn only(text: &str, kept: &[Piece]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = ' ';
    while !rest.is_empty() {
        let (piece, length) = next_piece(before, rest);
        let (this, later) = rest.split_at(length);
        let blank = |c: char| if c == '\n' { '\n' } else { ' ' };
        match kept.contains(&piece) {
            true => out.push_str(this),
            false => out.extend(this.chars().map(blank)),
        }
        before = this.chars().next_back().unwrap_or(' ');
        rest = later;
    }
    out
}

/// Returns the kind and the length in bytes of the piece that the text starts with.
fn next_piece(before: char, rest: &str) -> (Piece, usize) {
    if let Some(length) = comment(rest) {
        return (Piece::Comment, length);
    }
    if let Some(length) = literal(rest).filter(|_| !is_word(before)) {
        return (Piece::Literal, length);
    }
    (Piece::Code, code(rest))
}

/// Returns the length of a whole word, or of one other character and the spaces behind it. No comment
/// and no literal starts inside.
fn code(rest: &str) -> usize {
    let mut left = rest.chars();
    let ends = match left.next() {
        Some(first) if is_word(first) => rest.find(|c| !is_word(c)),
        Some(first) => {
            let behind = left.as_str().find(|c: char| !c.is_whitespace());
            behind.map(|spaces| first.len_utf8() + spaces)
        }
        None => None,
    };
    ends.unwrap_or(rest.len())
}

fn comment(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if !rest.starts_with("/*") {
        return None;
    }
    let mut depth = 0;
    let ends = rest.as_bytes().windows(2).position(|two| {
        depth += i32::from(two == b"/*") - i32::from(two == b"*/");
        depth == 0
    });
    Some(ends.map_or(rest.len(), |at| at + 2))
}

fn literal(rest: &str) -> Option<usize> {
    let start = rest.strip_prefix(['b', 'c']).unwrap_or(rest);
    let prefix = rest.len() - start.len();
    let length = raw_text(start).or_else(|| text(start)).or_else(|| character(start))?;
    Some(prefix + length)
}

fn raw_text(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('r')?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let inner = inner[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    Some(1 + hashes + 1 + inner.find(&close)? + close.len())
}

fn text(rest: &str) -> Option<usize> {
    let mut escaped = false;
    let inner = rest.strip_prefix('"')?;
    let close = inner.char_indices().find(|&(_, c)| {
        let closes = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        closes
    });
    Some(close?.0 + 2)
}

/// Returns the length of a character literal at the start of the text; `None` for a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    let from = if first == '\\' { 2 } else { first.len_utf8() };
    let close = inner.get(from..)?.find('\'')?;
    (first == '\\' || close == 0).then_some(1 + from + close + 1)
}
