//! A peer made of a raw socket. It speaks the handshake as the protocol's documentation describes it,
//! with bytes of its own.

use std::net::SocketAddr;
use std::time::Duration;

use md5::{Digest, Md5};
use regrow::cluster::{DecodeErrorKind, Term};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::beam::COOKIE;

/// The flags that OTP 26 and later require.
pub(crate) const FLAGS: u64 = 0x4_0307_0f94;

pub(crate) struct Fake {
    pub(crate) stream: TcpStream,
}

impl Fake {
    pub(crate) async fn connect(address: SocketAddr) -> Fake {
        Fake { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// Connects, and runs the whole handshake under this name. Returns the status as well.
    pub(crate) async fn join(address: SocketAddr, name: &str) -> (Fake, String) {
        let mut fake = Fake::connect(address).await;
        let status = fake.introduce(name).await;
        if status == "alive" {
            fake.message(b"strue").await;
        }
        let challenge = fake.challenge().await;
        fake.answer(challenge, COOKIE).await;
        let ack = fake.read_message().await.expect("authenticated");
        assert_eq!(ack, [&b"a"[..], &digest(COOKIE, 77)].concat());
        (fake, status)
    }

    /// Sends the name, and returns the status.
    pub(crate) async fn introduce(&mut self, name: &str) -> String {
        self.introduce_with(name, FLAGS).await
    }

    /// Sends the name with these flags, and returns the status.
    pub(crate) async fn introduce_with(&mut self, name: &str, flags: u64) -> String {
        let length = u16::try_from(name.len()).unwrap().to_be_bytes();
        let hello = [b"N", &flags.to_be_bytes()[..], &[0, 0, 0, 9], &length, name.as_bytes()];
        self.message(&hello.concat()).await;
        let status = self.read_message().await.expect("a status");
        assert_eq!(status[0], b's');
        String::from_utf8(status[1..].to_vec()).unwrap()
    }

    pub(crate) async fn challenge(&mut self) -> u32 {
        let message = self.read_message().await.expect("a challenge");
        assert_eq!(message[0], b'N');
        u32::from_be_bytes(message[9..13].try_into().unwrap())
    }

    /// Answers a challenge with this cookie, and sends a challenge of its own.
    pub(crate) async fn answer(&mut self, challenge: u32, cookie: &str) {
        let reply = [b"r", &77_u32.to_be_bytes()[..], &digest(cookie, challenge)].concat();
        self.message(&reply).await;
    }

    /// Reads the name of a node that has connected to this peer, and lets it continue: with the name
    /// of this peer, these flags, and the challenge 5.
    pub(crate) async fn accept(&mut self, name: &str, flags: u64) {
        let hello = self.read_message().await.expect("a name");
        assert_eq!(hello[0], b'N');
        self.message(b"sok").await;
        let length = u16::try_from(name.len()).unwrap().to_be_bytes();
        let numbers = [0, 0, 0, 5, 0, 0, 0, 9];
        let own = [b"N", &flags.to_be_bytes()[..], &numbers, &length, name.as_bytes()];
        self.message(&own.concat()).await;
    }

    pub(crate) async fn message(&mut self, message: &[u8]) {
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        self.write(&[&length, message].concat()).await;
    }

    /// Writes bytes. The other side may have closed the connection.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    pub(crate) async fn frame(&mut self, body: &[u8]) {
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        self.write(&[&length, body].concat()).await;
    }

    /// Asks `net_kernel` whether it lives. The tag is the atom `a`.
    pub(crate) async fn ask(&mut self) {
        self.frame(&is_auth()).await;
    }

    /// Reads frames until the answer of `net_kernel` comes; false at the end of the connection.
    pub(crate) async fn is_answered(&mut self) -> bool {
        while let Some(frame) = self.read_frame().await {
            // `{a, yes}`
            if frame.ends_with(b"\x83\x68\x02\x77\x01a\x77\x03yes") {
                return true;
            }
        }
        false
    }

    pub(crate) async fn read_message(&mut self) -> Option<Vec<u8>> {
        let length = self.stream.read_u16().await.ok()?;
        self.read(length.into()).await
    }

    /// Sends a control message with its payload.
    pub(crate) async fn send_terms(&mut self, control: &Term, payload: &Term) {
        let terms = [control.to_bytes().unwrap(), payload.to_bytes().unwrap()].concat();
        self.frame(&[&b"\x70"[..], &terms].concat()).await;
    }

    /// Reads a frame that is no tick: the control message, and the payload if there is one.
    pub(crate) async fn read_terms(&mut self) -> Option<(Term, Option<Term>)> {
        loop {
            let frame = self.read_frame().await?;
            let Some((b'\x70', terms)) = frame.split_first() else { continue };
            return Some(match Term::from_bytes(terms) {
                Ok(control) => (control, None),
                Err(error) => {
                    assert_eq!(*error.kind(), DecodeErrorKind::TrailingBytes);
                    let (control, payload) = terms.split_at(error.offset());
                    (Term::from_bytes(control).unwrap(), Some(Term::from_bytes(payload).unwrap()))
                }
            });
        }
    }

    /// Reads the next frame that is no tick.
    pub(crate) async fn next_frame(&mut self) -> Vec<u8> {
        loop {
            let frame = self.read_frame().await.expect("a frame");
            if !frame.is_empty() {
                return frame;
            }
        }
    }

    /// Waits for the next tick.
    #[allow(dead_code)] // not each program that includes this file waits for one
    pub(crate) async fn next_tick(&mut self) {
        while !self.read_frame().await.expect("a tick").is_empty() {}
    }

    async fn read_frame(&mut self) -> Option<Vec<u8>> {
        let length = self.stream.read_u32().await.ok()?;
        self.read(usize::try_from(length).unwrap()).await
    }

    async fn read(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).await.ok()?;
        Some(bytes)
    }

    /// Waits until the other side has closed the connection.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let closed = timeout(Duration::from_secs(60), self.stream.read_to_end(&mut rest)).await;
        let _ = closed.expect("the connection is closed within a minute");
    }
}

pub(crate) fn digest(cookie: &str, challenge: u32) -> [u8; 16] {
    Md5::digest(format!("{cookie}{challenge}")).into()
}

/// `{6, Pid, '', net_kernel}` with `{'$gen_call', {Pid, a}, {is_auth, b}}`.
pub(crate) fn is_auth() -> Vec<u8> {
    let pid = [&b"\x58\x77\x0bfake@reader"[..], &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9]].concat();
    let control = [&b"\x83\x68\x04\x61\x06"[..], &pid, b"\x77\x00\x77\x0anet_kernel"].concat();
    let from = [&b"\x68\x02"[..], &pid, b"\x77\x01a"].concat();
    let request =
        [b"\x83\x68\x03\x77\x09$gen_call", &from[..], b"\x68\x02\x77\x07is_auth\x77\x01b"];
    [&b"\x70"[..], &control, &request.concat()].concat()
}
