//! Nodes over TLS: two nodes of this crate, and nodes of Erlang with `-proto_dist inet_tls`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use regrow::cluster::{Cookie, HandshakeError, Node, NodeError, Resolver, Tls, TlsError};
use regrow::{NodeChange, Received, Runtime, Supervisor};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::beam::{Beam, COOKIE, Epmd};
use crate::fake::Fake;
use crate::pairs::{Running, node, start, subscribe};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/certificates").join(name)
}

/// The certificate with this name, and the one authority.
fn tls(name: &str) -> Tls {
    let (certificate, key) = (file(&format!("{name}.pem")), file(&format!("{name}.key.pem")));
    Tls::from_pem_files(certificate, key, file("authority.pem")).unwrap()
}

/// The configurations of a program: a certificate, and the authority whose certificates the server
/// demands, or none. The client trusts the one authority.
fn configs(certificate: &str, demanded: Option<&str>) -> Tls {
    configs_of(Some(certificate), demanded)
}

/// The same, with a client that may have no certificate.
fn configs_of(client_certificate: Option<&str>, demanded: Option<&str>) -> Tls {
    let certificate = |name: &str| {
        let chain = vec![CertificateDer::from_pem_file(file(&format!("{name}.pem"))).unwrap()];
        (chain, PrivateKeyDer::from_pem_file(file(&format!("{name}.key.pem"))).unwrap())
    };
    let roots = |name: &str| {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file(name)).unwrap()).unwrap();
        Arc::new(roots)
    };
    let ring = || Arc::new(default_provider());
    let client = ClientConfig::builder_with_provider(ring());
    let client = client.with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots("authority.pem"));
    let client = match client_certificate.map(certificate) {
        Some((chain, key)) => client.with_client_auth_cert(chain, key).unwrap(),
        None => client.with_no_client_auth(),
    };
    let server = ServerConfig::builder_with_provider(ring());
    let server = server.with_safe_default_protocol_versions().unwrap();
    let server = match demanded {
        Some(authority) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority), ring());
            server.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => server.with_no_client_auth(),
    };
    let (chain, key) = certificate(client_certificate.unwrap_or("node"));
    Tls::from_configs(Arc::new(client), Arc::new(server.with_single_cert(chain, key).unwrap()))
}

/// A node at 127.0.0.1 that knows the address of another.
fn knows(name: &str, other: &Running) -> Node {
    node(name).resolver(Resolver::without_epmd().node("b@127.0.0.1", other.address))
}

async fn dialed(a: &Running) -> Result<(), NodeError> {
    a.rt.node("b@127.0.0.1").connect().await
}

fn is_refused(result: &Result<(), NodeError>) -> bool {
    let is_tls =
        |error: &HandshakeError| matches!(error, HandshakeError::Tls(_) | HandshakeError::Closed);
    matches!(result, Err(NodeError::Handshake(error)) if is_tls(error))
}

#[tokio::test]
async fn a10_two_nodes_connect_over_tls_again_and_again() {
    let mut b = start(node("b@127.0.0.1").tls(tls("node"))).await;
    let mut a = start(knows("a@127.0.0.1", &b).tls(tls("node"))).await;
    for _ in 0..3 {
        dialed(&a).await.unwrap();
        a.expect("b@127.0.0.1", &[NodeChange::Up]).await;
        b.expect("a@127.0.0.1", &[NodeChange::Up]).await;
        assert!(a.rt.node("b@127.0.0.1").disconnect().await);
        a.expect("b@127.0.0.1", &[NodeChange::Down]).await;
        b.expect("a@127.0.0.1", &[NodeChange::Down]).await;
    }
}

#[tokio::test]
async fn an_address_of_another_machine_is_allowed_with_tls() {
    start(node("a@127.0.0.1").listen(([0, 0, 0, 0], 0)).tls(tls("node"))).await;
}

/// The cookie is checked after the certificate.
#[tokio::test]
async fn a10_a_certificate_replaces_no_cookie() {
    let b = start(node("b@127.0.0.1").tls(tls("node"))).await;
    let a = knows("a@127.0.0.1", &b).tls(tls("node")).cookie(Cookie::new("another"));
    let result = dialed(&start(a).await).await;
    let is_cookie = matches!(result, Err(NodeError::Handshake(HandshakeError::Closed)));
    assert!(is_cookie, "{result:?}");
}

#[tokio::test]
async fn a10_a_certificate_of_another_authority_is_refused_by_both_sides() {
    for (own, other) in [("strange", "node"), ("node", "strange")] {
        let mut b = start(node("b@127.0.0.1").tls(tls(other))).await;
        let a = start(knows("a@127.0.0.1", &b).tls(tls(own))).await;
        let result = dialed(&a).await;
        assert!(is_refused(&result), "{result:?}");
        assert!(b.rt.connected_nodes().await.is_empty());
        assert!(b.is_unchanged());
    }
}

#[tokio::test]
async fn a10_a_client_without_a_certificate_is_refused() {
    let b = start(node("b@127.0.0.1").tls(tls("node"))).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(file("authority.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(b.address).await.unwrap();
    let host = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(host, socket).await;
    // The client has finished before the server has looked for its certificate.
    let error = stream.unwrap().read_u8().await.unwrap_err().to_string();
    assert!(error.contains("CertificateRequired"), "{error}");
}

#[tokio::test]
async fn a10_a_node_without_tls_is_refused_and_refuses() {
    let (with, without) = (node("b@127.0.0.1").tls(tls("node")), node("b@127.0.0.1"));
    let b = start(with).await;
    let result = dialed(&start(knows("a@127.0.0.1", &b)).await).await;
    // The answer is an alert of TLS, which is too long for a message of the handshake.
    assert!(matches!(result, Err(NodeError::Handshake(_))), "{result:?}");
    let mut plain = Fake::connect(b.address).await;
    plain.write(b"\x00\x15N\x00\x00\x00\x04\x03\x07\x0f\x94\x00\x00\x00\x09\x00\x06a@host").await;
    plain.closed().await;

    let b = start(without).await;
    let result = dialed(&start(knows("a@127.0.0.1", &b).tls(tls("node"))).await).await;
    assert!(matches!(result, Err(NodeError::Handshake(_))), "{result:?}");
}

#[tokio::test]
async fn a10_a_certificate_of_another_host_is_refused_unless_any_host_is_allowed() {
    // The node that dials checks the other one.
    let b = start(node("b@127.0.0.1").tls(tls("elsewhere"))).await;
    let a = start(knows("a@127.0.0.1", &b).tls(tls("node"))).await;
    let result = dialed(&a).await;
    let name = "NotValidForName";
    let is_name = |error: &HandshakeError| matches!(error, HandshakeError::Tls(text) if text.contains(name) || text.contains("not valid for name"));
    assert!(matches!(&result, Err(NodeError::Handshake(error)) if is_name(error)), "{result:?}");

    // The node that accepts checks the name that the other one gives.
    let b = start(node("b@127.0.0.1").tls(tls("node"))).await;
    let a = start(knows("a@127.0.0.1", &b).tls(tls("elsewhere"))).await;
    let result = dialed(&a).await;
    let is_refused = matches!(result, Err(NodeError::Handshake(HandshakeError::NotAllowed)));
    assert!(is_refused, "{result:?}");

    let b = start(node("b@127.0.0.1").tls(tls("elsewhere").any_host())).await;
    let a = start(knows("a@127.0.0.1", &b).tls(tls("node").any_host())).await;
    dialed(&a).await.unwrap();
    // The authority is checked all the same.
    let b = start(node("b@127.0.0.1").tls(tls("strange"))).await;
    let a = start(knows("a@127.0.0.1", &b).tls(tls("node").any_host())).await;
    assert!(dialed(&a).await.is_err());
}

/// The verifiers of the configurations decide: the server accepts the certificates of one authority,
/// and the client trusts another one.
#[tokio::test]
async fn a10_a_node_uses_the_configurations_of_rustls_that_it_is_given() {
    let own = configs("node", Some("authority.pem"));
    let mut b = start(node("b@127.0.0.1").tls(own.clone())).await;
    let mut a = start(knows("a@127.0.0.1", &b).tls(own.clone())).await;
    dialed(&a).await.unwrap();
    a.expect("b@127.0.0.1", &[NodeChange::Up]).await;
    b.expect("a@127.0.0.1", &[NodeChange::Up]).await;
    assert!(a.rt.node("b@127.0.0.1").disconnect().await);
    b.expect("a@127.0.0.1", &[NodeChange::Down]).await;

    // With the certificates of files as the other side.
    dialed(&start(knows("files@127.0.0.1", &b).tls(tls("node"))).await).await.unwrap();
    b.expect("files@127.0.0.1", &[NodeChange::Up]).await;

    // The verifier of the server refuses one, and that of the client another one.
    let result = dialed(&start(knows("c@127.0.0.1", &b).tls(configs("strange", None))).await).await;
    assert!(is_refused(&result), "{result:?}");
    let strange = start(node("b@127.0.0.1").tls(tls("strange").any_host())).await;
    let result = dialed(&start(knows("d@127.0.0.1", &strange).tls(own)).await).await;
    assert!(is_refused(&result), "{result:?}");
}

/// A server whose verifier demands no certificate can't check the host of the other node.
#[tokio::test]
async fn a10_a_node_with_configurations_of_its_own_checks_the_host_unless_any_is_allowed() {
    let b = start(node("b@127.0.0.1").tls(configs("node", Some("authority.pem")))).await;
    let elsewhere = configs("elsewhere", Some("authority.pem"));
    let result = dialed(&start(knows("a@127.0.0.1", &b).tls(elsewhere.clone())).await).await;
    let is_refused = |result: &Result<(), NodeError>| {
        matches!(result, Err(NodeError::Handshake(HandshakeError::NotAllowed)))
    };
    assert!(is_refused(&result), "{result:?}");

    let open = start(node("b@127.0.0.1").tls(configs("node", None))).await;
    let anonymous = configs_of(None, None);
    let result = dialed(&start(knows("a@127.0.0.1", &open).tls(anonymous.clone())).await).await;
    assert!(is_refused(&result), "{result:?}");

    // The verifier of the client still checks the host of the node that it dials.
    let any = configs("node", Some("authority.pem")).any_host();
    let b = start(node("b@127.0.0.1").tls(any.clone())).await;
    dialed(&start(knows("a@127.0.0.1", &b).tls(elsewhere.clone())).await).await.unwrap();
    let there = start(node("b@127.0.0.1").tls(elsewhere)).await;
    let result = dialed(&start(knows("a@127.0.0.1", &there).tls(any)).await).await;
    assert!(matches!(result, Err(NodeError::Handshake(HandshakeError::Tls(_)))), "{result:?}");
    let open = start(node("b@127.0.0.1").tls(configs("node", None).any_host())).await;
    dialed(&start(knows("a@127.0.0.1", &open).tls(anonymous)).await).await.unwrap();
}

#[tokio::test]
async fn a_client_of_tls_that_says_nothing_is_ended_by_the_time_limit() {
    let limit = std::time::Duration::from_millis(300);
    let b = start(node("b@127.0.0.1").tls(tls("node")).handshake_timeout(limit)).await;
    Fake::connect(b.address).await.closed().await;
}

#[test]
fn an_error_of_certificates_names_the_file_and_shows_no_key() {
    let (good, key, ca) = (file("node.pem"), file("node.key.pem"), file("authority.pem"));
    let of = |certificate: &Path, key: &Path, ca: &Path| {
        Tls::from_pem_files(certificate, key, ca).unwrap_err()
    };
    let error = of(&good, Path::new("/nowhere.pem"), &ca);
    assert!(matches!(error, TlsError::Unreadable { .. }), "{error:?}");
    assert_eq!(error.to_string(), "the key \"/nowhere.pem\" can't be read");
    let error = of(&good, &good, &ca).to_string();
    assert!(error.starts_with("the key \"") && error.contains("node.pem"), "{error}");
    let error = of(&key, &key, &ca).to_string();
    assert!(error.starts_with("the certificate \"") && error.contains("PEM"), "{error}");
    // The key of another certificate.
    let error = of(&good, &file("strange.key.pem"), &ca);
    assert!(matches!(error, TlsError::Refused(..)), "{error:?}");
    assert!(!format!("{:?}", tls("node")).contains("PRIVATE"));
}

/// Starts a node of Erlang over TLS with the certificate of this name. Its host is a name, since OTP 25
/// takes an address for a name, and refuses the certificate.
async fn beam(epmd: &Epmd, name: &str, certificate: &str) -> Beam {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let options = format!(
        "{{certfile, {:?}}}, {{keyfile, {:?}}}, {{cacertfile, {:?}}}, {{verify, verify_peer}}",
        file(&format!("{certificate}.pem")),
        file(&format!("{certificate}.key.pem")),
        file("authority.pem"),
    );
    let text = format!(
        "[{{server, [{options}, {{fail_if_no_peer_cert, true}}]}}, {{client, [{options}]}}]."
    );
    let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tls-{process}-{number}"));
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let args = ["-proto_dist", "inet_tls", "-ssl_dist_optfile", path];
    let beam = Beam::start_args(epmd, name, COOKIE, 60, &args).await;
    std::fs::remove_file(path).unwrap();
    beam
}

#[tokio::test]
async fn a10_a_node_and_a_beam_connect_over_tls_in_both_directions() {
    let Some(epmd) = Epmd::start_with_tls().await else { return };
    let rt = Runtime::new();
    let own = Node::new("rust@localhost").cookie(Cookie::new(COOKIE)).resolver(epmd.resolver());
    let _tree = Supervisor::one_for_one().child(own.tls(tls("node"))).start(&rt).await.unwrap();
    let (_, mut changes) = subscribe(&rt);
    let change = |change| Some(("beam@localhost".to_owned(), change));
    let mut beam = beam(&epmd, "beam@localhost", "node").await;

    assert_eq!(beam.eval("net_adm:ping('rust@localhost')").await, "pong");
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let probe = rt.spawn(|mut ctx| async move {
        while let Received::Term(term) = ctx.recv().await {
            let _ = sender.send(term.term().unwrap().to_string().len());
        }
    });
    assert!(rt.register("probe", probe.pid()));
    // Many records of TLS, and many messages in one.
    let sent = "{probe, 'rust@localhost'} ! binary:copy(<<\"x\">>, 3000000), \
                [{probe, 'rust@localhost'} ! N || N <- lists:seq(1, 1000)], ok";
    assert_eq!(beam.eval(sent).await, "ok");
    assert_eq!(received.recv().await, Some(3_000_000 + "<<\"\">>".len()));
    for n in 1..=1_000_usize {
        assert_eq!(received.recv().await, Some(n.to_string().len()));
    }
    assert_eq!(beam.eval("erlang:disconnect_node('rust@localhost')").await, "true");
    assert_eq!(changes.recv().await, change(NodeChange::Down));

    rt.node("beam@localhost").connect().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Up));
    beam.until("nodes(hidden)", "[rust@localhost]").await;
    beam.process.kill().await.unwrap();
    assert_eq!(changes.recv().await, change(NodeChange::Down));
}

#[tokio::test]
async fn a10_a_node_and_a_beam_refuse_a_certificate_of_another_authority_and_plain_text() {
    let Some(epmd) = Epmd::start_with_tls().await else { return };
    let started = async |name: &str, certificate: Option<&str>| {
        let rt = Runtime::new();
        let own = Node::new(name).cookie(Cookie::new(COOKIE)).resolver(epmd.resolver());
        let own = certificate.map_or(own.clone(), |certificate| own.tls(tls(certificate)));
        let tree = Supervisor::one_for_one().child(own).start(&rt).await.unwrap();
        (rt, tree)
    };
    let (rust, _tree) = started("rust@localhost", Some("node")).await;
    let (strange, _tree) = started("strange@localhost", Some("strange")).await;
    let (plain, _tree) = started("plain@localhost", None).await;
    let mut good = beam(&epmd, "good@localhost", "node").await;
    let mut bad = beam(&epmd, "bad@localhost", "strange").await;
    let mut open = Beam::start(&epmd, "open@localhost", COOKIE).await;
    // A node of Erlang that waits for an answer of another protocol gives up after its setup time.
    assert_eq!(good.eval("net_adm:ping('strange@localhost')").await, "pang");
    assert_eq!(bad.eval("net_adm:ping('rust@localhost')").await, "pang");
    assert_eq!(open.eval("net_adm:ping('rust@localhost')").await, "pang");
    for (from, to) in [
        (&rust, "bad@localhost"),
        (&rust, "open@localhost"),
        (&strange, "good@localhost"),
        (&plain, "good@localhost"),
    ] {
        let result = from.node(to).connect().await;
        assert!(result.is_err(), "{to}: {result:?}");
    }
    rust.node("good@localhost").connect().await.unwrap();
    assert_eq!(rust.connected_nodes().await, ["good@localhost"]);
    good.until("nodes(hidden)", "[rust@localhost]").await;
}
