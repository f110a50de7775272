//! A listener over TLS, and a client that connects to it.
//!
//! You learn where a handshake belongs: into the process of the connection, with a time limit. So a
//! client that never finishes its handshake delays no other client, and one that speaks no TLS ends
//! its own connection only. The server answers each line in upper case, and lets its connections
//! finish when it is stopped.
//!
//! ```text
//! cargo run -p tls -- [127.0.0.1:7443]       then: openssl s_client -quiet -connect 127.0.0.1:7443
//! cargo run -p tls -- --selftest
//! ```
//!
//! The certificate is made at the start and signed by itself, so only the client of the self-test
//! trusts it. The example is a package of its own, since compiling `ring` takes a C compiler.

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use regrow::{
    Backoff, ChildSpec, ListenerSpec, LogLevel, Program, Result, Run, Runtime, Supervisor,
    TaskContext,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Makes a certificate for `localhost`, and the settings of a server that has it.
fn certificate() -> Outcome<(CertificateDer<'static>, TlsAcceptor)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.into())?;
    Ok((certificate, TlsAcceptor::from(Arc::new(config))))
}

/// Returns the settings of a client that trusts this certificate only.
fn connector(certificate: CertificateDer<'static>) -> Outcome<TlsConnector> {
    let mut roots = RootCertStore::empty();
    roots.add(certificate)?;
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The server: one process for each connection, whose handshake is its first work.
fn listener(address: String, tls: TlsAcceptor) -> ListenerSpec<TcpStream> {
    let serve = move |mut ctx: TaskContext, stream, _: SocketAddr| async move {
        let handshake = tokio::select! {
            done = timeout(HANDSHAKE, tls.accept(stream)) => done,
            () = ctx.shutdown() => return Ok(()),
        };
        match handshake {
            Ok(Ok(stream)) => answer(ctx, stream).await,
            _ => Ok(()), // the client spoke no TLS, or not in time: no fault of this program
        }
    };
    ChildSpec::tcp_listener("listener", address, serve)
        .max_connections(10_000)
        .drain(Duration::from_secs(10))
}

/// Answers each line in upper case, until the client leaves or the listener is stopped.
async fn answer<S>(mut ctx: TaskContext, stream: S) -> Result
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    loop {
        line.clear();
        tokio::select! {
            read = stream.read_line(&mut line) => match read {
                Ok(1..) => stream.write_all(line.to_uppercase().as_bytes()).await?,
                Ok(0) | Err(_) => return Ok(()),
            },
            () = ctx.shutdown() => {
                stream.write_all(b"bye\n").await?;
                return Ok(stream.shutdown().await?);
            }
        }
        stream.flush().await?;
    }
}

/// Connects, says hello, and sends each line that it reads to `sender`.
async fn greet(
    tls: TlsConnector,
    stream: TcpStream,
    sender: mpsc::UnboundedSender<String>,
) -> Result {
    let name = ServerName::try_from("localhost")?;
    let mut stream = BufReader::new(tls.connect(name, stream).await?);
    stream.write_all(b"hello\n").await?;
    stream.flush().await?;
    let mut lines = stream.lines();
    while let Some(line) = lines.next_line().await? {
        sender.send(line)?;
    }
    Ok(())
}

async fn check() -> Outcome {
    let rt = Runtime::new();
    let (certificate, tls) = certificate()?;
    let listener = listener("127.0.0.1:0".into(), tls);
    let address = listener.address();
    let server = Supervisor::one_for_one().child(listener).start(&rt).await?;
    let address = address.get().ok_or("the port is not bound")?;

    // A client that says nothing, and one that speaks no TLS.
    let _silent = TcpStream::connect(address).await?;
    let mut plain = TcpStream::connect(address).await?;
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
    let _ = plain.read_to_end(&mut Vec::new()).await;
    println!("a client without TLS was closed");

    let (sender, mut lines) = mpsc::unbounded_channel();
    let tls = connector(certificate)?;
    let client = ChildSpec::connect("client", address, |_, stream| greet(tls, stream, sender))
        .backoff(Backoff::new().first(Duration::from_millis(10)));
    let clients = Supervisor::one_for_one().child(client).start(&rt).await?;
    expects(&mut lines, "HELLO").await?;
    let pid = clients.which_child("client").await?.pid().ok_or("the client does not run")?;
    rt.kill(pid);
    expects(&mut lines, "HELLO").await?; // it has connected again

    server.stop().await?;
    expects(&mut lines, "bye").await?;
    clients.stop().await?;
    if rt.process_count() == 0 { Ok(()) } else { Err("processes are left".into()) }
}

async fn expects(lines: &mut mpsc::UnboundedReceiver<String>, expected: &str) -> Outcome {
    let line = lines.recv().await.ok_or("the client has ended")?;
    println!("the client hears {line}");
    if line == expected { Ok(()) } else { Err(format!("expected {expected}").into()) }
}

#[tokio::main]
async fn selftest() -> ExitCode {
    match timeout(Duration::from_secs(60), check()).await {
        Ok(Ok(())) => {
            println!("All assertions held.");
            ExitCode::SUCCESS
        }
        Ok(Err(error)) => {
            eprintln!("An assertion failed: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("The self-test hangs.");
            ExitCode::FAILURE
        }
    }
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7443".into());
    if address == "--selftest" {
        return selftest();
    }
    regrow::log::init(LogLevel::Info);
    Program::new().run(async move || {
        let (_, tls) = certificate()?;
        println!("listening at {address}");
        Ok(Run::new(Supervisor::one_for_one().named("tls").child(listener(address, tls))))
    })
}
