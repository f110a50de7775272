//! [`Tls`]: the certificates of a node, and its handshakes of TLS.

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::net::TcpStream;
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::cluster::carrier::stream::{HostCheck, Prefix, Stream, no_delay};
use crate::cluster::handshake::HandshakeError;
use crate::cluster::node_name::NodeName;

/// The certificates of a node, for [`Node::tls`](crate::cluster::Node::tls). Requires the feature
/// `cluster-tls`.
///
/// Both nodes of a connection show a certificate, and each checks that of the other:
///
/// * its chain ends at one of the authorities,
/// * it is for the host in the name of the other node, as a name of its `subjectAltName`: a DNS name,
///   or an address of IP for a node such as `shop@10.0.0.7`. [`any_host`](Self::any_host) switches
///   this check off. A common name is not looked at.
/// * if it has an extended key usage, that allows both servers and clients.
///
/// The protocol is TLS 1.3, or 1.2 with nodes of Erlang that know no other for the distribution. A clone shares the certificates. They are read once: a new certificate
/// takes a new `Tls`, and so a new node.
///
/// OTP: `-proto_dist inet_tls` with `verify_peer` and `fail_if_no_peer_cert` on both sides. A node of
/// Erlang checks the host of a node that it dials, and not that of a node that it accepts. It
/// compares the host with DNS names only, so nodes that it dials should have such a host.
///
/// # Examples
///
/// ```no_run
/// use regrow::cluster::{Cookie, Node, Tls};
///
/// let tls = Tls::from_pem_files("node.pem", "node-key.pem", "authorities.pem")?;
/// let node = Node::new("shop@shop.example")
///     .cookie(Cookie::from_env("CLUSTER_COOKIE")?)
///     .listen(([0, 0, 0, 0], 9100))
///     .tls(tls);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tls {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
    pub(super) checks_host: bool,
    /// The same certificates for a client that doesn't check the host; `None` for configurations
    /// that are the user's.
    pub(super) any_host: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// Uses these configurations of rustls, for connections that this node opens and accepts. Their
    /// verifiers decide which certificates are accepted, so that of the server has to demand one of
    /// its clients. Beyond that, the certificate of a node that is accepted has to be for its host,
    /// unless [`any_host`](Self::any_host) is set.
    ///
    /// The types are those of rustls 0.23: a change to another version is a breaking change of this
    /// crate.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use regrow::cluster::Tls;
    /// use tokio_rustls::rustls::{ClientConfig, ServerConfig};
    ///
    /// fn of_configs(client: ClientConfig, server: ServerConfig) -> Tls {
    ///     Tls::from_configs(Arc::new(client), Arc::new(server))
    /// }
    /// ```
    pub fn from_configs(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Self {
        Tls { client, server, checks_host: true, any_host: None }
    }

    /// Accepts a certificate of any host. Every holder of a certificate of the authorities can then
    /// take the place of every other node. A client of
    /// [`from_configs`](Self::from_configs) keeps the check of its own verifier.
    pub fn any_host(self) -> Self {
        let client = self.any_host.clone().unwrap_or(self.client);
        Tls { client, checks_host: false, ..self }
    }

    /// Runs the handshake of TLS as a client.
    pub(crate) async fn connect(
        &self,
        socket: TcpStream,
        peer: &NodeName,
    ) -> Result<Stream, HandshakeError> {
        no_delay(&socket);
        let host = ServerName::try_from(peer.host().to_owned());
        let host = host.map_err(|_| HandshakeError::OtherHost(peer.host().to_owned()))?;
        let connecting = TlsConnector::from(self.client.clone()).connect(host, socket);
        // The verifier has checked the host.
        Ok(stream(connecting.await.map_err(|error| refused(&error))?))
    }

    /// Runs the handshake of TLS as a server.
    pub(crate) async fn accept(&self, socket: TcpStream) -> Result<Stream, HandshakeError> {
        no_delay(&socket);
        let accepting = TlsAcceptor::from(self.server.clone()).accept(socket);
        let tls = accepting.await.map_err(|error| refused(&error))?;
        let shown = tls.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.cloned().map(CertificateDer::into_owned);
        let check: HostCheck =
            Box::new(move |host| certificate.as_ref().is_some_and(|shown| is_for(shown, host)));
        let stream = stream(tls);
        Ok(if self.checks_host { stream.checked_by(check) } else { stream })
    }
}

fn refused(error: &io::Error) -> HandshakeError {
    HandshakeError::Tls(error.to_string())
}

fn stream(tls: impl AsyncRead + AsyncWrite + Send + 'static) -> Stream {
    let (reader, writer) = split(tls);
    Stream::new(Box::new(reader), Box::new(writer), Prefix::Long)
}

/// Whether a certificate is for a host.
fn is_for(certificate: &CertificateDer<'_>, host: &str) -> bool {
    let Ok(name) = ServerName::try_from(host) else { return false };
    let parsed = ParsedCertificate::try_from(certificate);
    parsed.is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}

/// Shows neither certificates nor keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("checks_host", &self.checks_host).finish_non_exhaustive()
    }
}
