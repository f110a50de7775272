//! Terms through a real BEAM: it compares them with `=:=`, and encodes them itself.
//!
//! Without Erlang (`erl`, `erlc`), these tests say that they are skipped.

use std::io::{BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use regrow::cluster::Term;

use crate::beam::skipped;
use crate::random_terms;
use crate::rng::Rng;

/// A program in Erlang that answers one request after the other.
struct Beam {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Beam {
    /// Returns `None` where Erlang isn't installed.
    fn start(test: &str) -> Option<Beam> {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/beam_terms.erl");
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(test);
        std::fs::create_dir_all(&folder).expect("a folder for tests can be made");
        let compiled = Command::new("erlc").arg("-o").arg(&folder).arg(&source).output();
        let Ok(compiled) = compiled else {
            skipped("this test needs Erlang, and there is no `erlc`");
            return None;
        };
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
        let mut child = Command::new("erl")
            .args(["-noinput", "-s", "beam_terms", "main", "-pa"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("where erlc is, erl is");
        let requests = child.stdin.take().expect("it is piped");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Some(Beam { child, requests, answers })
    }

    fn send(&mut self, request: &[&[u8]]) {
        let request = request.concat();
        let size = u32::try_from(request.len()).expect("requests are small").to_be_bytes();
        self.requests.write_all(&[&size[..], &request].concat()).expect("Erlang reads");
    }

    fn answer(&mut self) -> Vec<u8> {
        let mut size = [0; 4];
        self.answers.read_exact(&mut size).expect("Erlang answers");
        let mut bytes = vec![0; u32::from_be_bytes(size) as usize];
        self.answers.read_exact(&mut bytes).expect("Erlang answers");
        bytes
    }

    fn ask(&mut self, request: &[&[u8]]) -> Vec<u8> {
        self.send(request);
        self.answer()
    }

    /// Asks a question whose answer is a boolean, about a term and more bytes.
    fn agrees(&mut self, question: &[u8], term: &[u8], more: &[u8]) -> bool {
        let size = u32::try_from(term.len()).expect("terms are small").to_be_bytes();
        let answer = self.ask(&[question, &size, term, more]);
        Term::from_bytes(&answer).unwrap().as_bool().unwrap()
    }
}

impl Drop for Beam {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether Erlang may have other bytes for the same term: it orders the entries of maps in its
/// own way, and OTP 26 and later write each port in the long form.
fn has_other_bytes(term: &Term) -> bool {
    let text = term.to_string();
    text.contains("#{") || text.contains("#Port<")
}

#[test]
fn ten_thousand_random_terms_are_the_same_to_erlang() {
    let Some(mut beam) = Beam::start("ten_thousand_random_terms") else { return };
    let mut rng = Rng::new(17);
    for _ in 0..10_000 {
        let term = random_terms::term(&mut rng, 3);
        let bytes = term.to_bytes().unwrap();
        let echoed = beam.ask(&[b"echo", &bytes]);
        // Erlang's own bytes become the same term, and these are the bytes of this crate too.
        let again = Term::from_bytes(&echoed).unwrap();
        assert_eq!(again, term);
        let own = again.to_bytes().unwrap();
        if has_other_bytes(&term) {
            assert!(beam.agrees(b"same", &own, &echoed), "{term}");
        } else {
            assert_eq!(own, echoed, "{term}");
        }
    }
}

#[test]
fn the_text_of_a_term_is_read_by_erlang_as_that_term() {
    let Some(mut beam) = Beam::start("the_text_of_a_term") else { return };
    let mut rng = Rng::new(19);
    let mut asked = 0;
    while asked < 1_000 {
        let term = random_terms::term(&mut rng, 3);
        let text = term.to_string();
        // Pids, ports, references and functions have no text that can be read.
        if !text.contains("#Ref<") && !text.contains("#Port<") && !text.contains("@") {
            assert!(beam.agrees(b"text", &term.to_bytes().unwrap(), text.as_bytes()), "{text}");
            asked += 1;
        }
    }
}

#[test]
fn the_terms_of_erlang_come_back_in_the_same_bytes() {
    let Some(mut beam) = Beam::start("the_terms_of_erlang") else { return };
    let made = Term::from_bytes(&beam.ask(&[b"make"])).unwrap();
    let made = made.as_list().unwrap();
    assert!(made.len() > 40);
    for bytes in made {
        let bytes = bytes.as_binary().unwrap();
        let term = Term::from_bytes(bytes).unwrap();
        let own = term.to_bytes().unwrap();
        assert!(beam.agrees(b"same", &own, bytes));
        if !has_other_bytes(&term) {
            assert_eq!(own, bytes);
        }
    }
}
