//! The terms that scopes send each other: the protocol of the module `pg` of OTP.
//!
//! | term | meaning |
//! |---|---|
//! | `{discover, Scope}`, `{discover, Scope, Version}` | a scope makes itself known, and is answered with a `sync` |
//! | `{'$gen_cast', {sync, Scope, [{Group, [Pid]}]}}` | all local members of a scope |
//! | `{join, Scope, Group, PidOrPids}` | local members of a scope have joined |
//! | `{leave, Scope, PidOrPids, [Group]}` | local members of a scope have left |

use crate::base::{Pid, SharedStr};
use crate::cluster::pg::members::{Membership, TooMany};
use crate::cluster::pg::name;
use crate::cluster::remote::local_node::LocalNode;
use crate::cluster::term::{DecodeError, DecodeLimits, Decoder, Encoder, PidToken, Token};
use crate::message::EncodedTerm;

/// The start of a message: its kind and the scope that has sent it.
#[derive(Debug)]
pub(crate) struct Message<'t> {
    pub(crate) kind: Kind,
    pub(crate) scope: PidToken<'t>,
    rest: Decoder<'t>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Discover,
    Sync,
    Join,
    Leave,
}

/// Why a message has no effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Malformed,
    TooMany,
}

impl From<DecodeError> for Refused {
    fn from(_: DecodeError) -> Self {
        Refused::Malformed
    }
}

impl From<TooMany> for Refused {
    fn from(_: TooMany) -> Self {
        Refused::TooMany
    }
}

type Result<T> = std::result::Result<T, Refused>;

/// Reads the start of a message.
pub(crate) fn read(term: &[u8]) -> Result<Message<'_>> {
    let mut decoder = Decoder::new(term, &DecodeLimits::of_frame(term.len()))?;
    decoder.start()?;
    let mut arity = tuple(&mut decoder)?;
    let mut tag = atom(&mut decoder)?;
    let is_cast = arity == 2 && tag == "$gen_cast";
    if is_cast {
        arity = tuple(&mut decoder)?;
        tag = atom(&mut decoder)?;
    }
    let kind = match (&*tag, arity, is_cast) {
        ("discover", 2 | 3, false) => Kind::Discover,
        ("sync", 3, true) => Kind::Sync,
        ("join", 4, false) => Kind::Join,
        ("leave", 4, false) => Kind::Leave,
        _ => return Err(Refused::Malformed),
    };
    let Token::Pid(scope) = decoder.next()? else { return Err(Refused::Malformed) };
    Ok(Message { kind, scope, rest: decoder })
}

/// Reads the rest of a message. `resolve` returns the pid of a process, or `None` to ignore it.
/// At most twice `most` groups and processes are read.
pub(crate) struct Reader<'t, R> {
    decoder: Decoder<'t>,
    resolve: R,
    most: usize,
    /// The groups and processes that may still be read.
    left: usize,
}

impl<'t> Message<'t> {
    pub(crate) fn reader<R: FnMut(&PidToken<'t>) -> Option<Pid>>(
        self,
        most: usize,
        resolve: R,
    ) -> Reader<'t, R> {
        Reader { decoder: self.rest, resolve, most, left: most.saturating_mul(2) }
    }
}

impl<'t, R: FnMut(&PidToken<'t>) -> Option<Pid>> Reader<'t, R> {
    /// The groups of a `sync`.
    pub(crate) fn sync(mut self) -> Result<Vec<Membership>> {
        let mut groups = Vec::new();
        let count = self.list()?;
        for _ in 0..count.unwrap_or_default() {
            if tuple(&mut self.decoder)? != 2 {
                return Err(Refused::Malformed);
            }
            let (group, pids) = (self.group()?, self.pids()?);
            groups.extend(group.map(|group| (group, pids)));
        }
        self.end_of_list(count)?;
        Ok(groups)
    }

    /// The group and the processes of a `join`.
    pub(crate) fn join(mut self) -> Result<Vec<Membership>> {
        let (group, pids) = (self.group()?, self.pids()?);
        Ok(group.map(|group| (group, pids)).into_iter().collect())
    }

    /// The processes and the groups of a `leave`. There are at most `most` pairs of them.
    pub(crate) fn leave(mut self) -> Result<(Vec<Pid>, Vec<SharedStr>)> {
        let pids = self.pids()?;
        let mut groups = Vec::new();
        let count = self.list()?;
        for _ in 0..count.unwrap_or_default() {
            groups.extend(self.group()?);
        }
        self.end_of_list(count)?;
        if pids.len().saturating_mul(groups.len()) > self.most {
            return Err(Refused::TooMany);
        }
        Ok((pids, groups))
    }

    /// Reads a group; `None` if it has no name here.
    fn group(&mut self) -> Result<Option<SharedStr>> {
        self.take_one()?;
        let first = self.decoder.clone().next()?;
        self.decoder.skip()?;
        Ok(name::read(&first))
    }

    /// Reads one process or a list of them.
    fn pids(&mut self) -> Result<Vec<Pid>> {
        let mut pids = Vec::new();
        if let Token::Pid(pid) = self.decoder.clone().next()? {
            self.take_one()?;
            self.decoder.next()?;
            pids.extend((self.resolve)(&pid));
            return Ok(pids);
        }
        let count = self.list()?;
        for _ in 0..count.unwrap_or_default() {
            self.take_one()?;
            let Token::Pid(pid) = self.decoder.next()? else { return Err(Refused::Malformed) };
            pids.extend((self.resolve)(&pid));
        }
        self.end_of_list(count)?;
        Ok(pids)
    }

    /// Reads the head of a list; `None` for the empty list, which has no tail.
    fn list(&mut self) -> Result<Option<usize>> {
        match self.decoder.next()? {
            Token::List(count) => Ok(Some(count)),
            Token::Nil => Ok(None),
            _ => Err(Refused::Malformed),
        }
    }

    fn end_of_list(&mut self, count: Option<usize>) -> Result<()> {
        match count.is_none() || self.decoder.next()? == Token::Nil {
            true => Ok(()),
            false => Err(Refused::Malformed),
        }
    }

    fn take_one(&mut self) -> Result<()> {
        self.left = self.left.checked_sub(1).ok_or(Refused::TooMany)?;
        Ok(())
    }
}

fn tuple(decoder: &mut Decoder<'_>) -> Result<usize> {
    match decoder.next()? {
        Token::Tuple(arity) => Ok(arity),
        _ => Err(Refused::Malformed),
    }
}

fn atom<'t>(decoder: &mut Decoder<'t>) -> Result<std::borrow::Cow<'t, str>> {
    match decoder.next()? {
        Token::Atom(atom) => Ok(atom),
        _ => Err(Refused::Malformed),
    }
}

/// Writes the messages of one scope.
pub(crate) struct Writer<'n> {
    pub(crate) node: &'n LocalNode,
    pub(crate) scope: Pid,
}

impl Writer<'_> {
    pub(crate) fn discover(&self) -> EncodedTerm {
        encoded(|encoder| self.head(encoder, 2, "discover"))
    }

    pub(crate) fn sync<'g, P: ExactSizeIterator<Item = &'g Pid>>(
        &self,
        groups: impl ExactSizeIterator<Item = (&'g SharedStr, P)>,
    ) -> EncodedTerm {
        encoded(|encoder| {
            let _ = encoder.tuple(2);
            let _ = encoder.atom("$gen_cast");
            self.head(encoder, 3, "sync");
            list(encoder, groups, |encoder, (group, pids)| {
                let _ = encoder.tuple(2);
                name::write(group, encoder);
                list(encoder, pids, |encoder, pid| self.pid(encoder, *pid));
            });
        })
    }

    pub(crate) fn join(&self, group: &SharedStr, pid: Pid) -> EncodedTerm {
        encoded(|encoder| {
            self.head(encoder, 4, "join");
            name::write(group, encoder);
            self.pid(encoder, pid);
        })
    }

    pub(crate) fn leave(&self, group: &SharedStr, pid: Pid) -> EncodedTerm {
        encoded(|encoder| {
            self.head(encoder, 4, "leave");
            self.pid(encoder, pid);
            list(encoder, [group].into_iter(), |encoder, group| name::write(group, encoder));
        })
    }

    /// Writes the head of a tuple, and its first two elements.
    fn head(&self, encoder: &mut Encoder<'_>, arity: usize, tag: &str) {
        let _ = encoder.tuple(arity);
        let _ = encoder.atom(tag);
        self.pid(encoder, self.scope);
    }

    fn pid(&self, encoder: &mut Encoder<'_>, pid: Pid) {
        // The name of a node is short enough for an atom.
        let _ = encoder.pid(&self.node.external(pid));
    }
}

fn list<T>(
    encoder: &mut Encoder<'_>,
    elements: impl ExactSizeIterator<Item = T>,
    write: impl Fn(&mut Encoder<'_>, T),
) {
    if elements.len() > 0 {
        // The number of processes and groups is less than 2³².
        let _ = encoder.list(elements.len());
        elements.for_each(|element| write(encoder, element));
    }
    encoder.nil();
}

fn encoded(write: impl FnOnce(&mut Encoder<'_>)) -> EncodedTerm {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes);
    encoder.start();
    write(&mut encoder);
    EncodedTerm::checked(bytes)
}
