//! The clients of the self-test: a few bytes of HTTP, and a channel of tonic.

use std::net::SocketAddr;
use std::time::Duration;

use http::uri::PathAndQuery;
use regrow::Runtime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::grpc::{ADD, AddReply, AddRequest};
use crate::{bind, tree};

pub(crate) async fn run() {
    let rt = Runtime::new();
    let (web, rpc) = (bind("127.0.0.1:0").await, bind("127.0.0.1:0").await);
    let address = |port: &tokio::net::TcpListener| port.local_addr().expect("it is bound");
    let (http, grpc) = (address(&web), address(&rpc));
    let tree = tree(&rt, web, rpc).expect("the listeners are those of the system");
    let tree = tree.start(&rt).await.expect("the tree starts");

    let client = Endpoint::from_shared(format!("http://{grpc}")).expect("an address is a URI");
    let client = client.connect().await.expect("tonic listens");
    assert!(post(http, "/add/40").await.ends_with("\r\n40"));
    assert_eq!(add(&client, 2).await.expect("the server runs"), 42);

    assert!(post(http, "/crash").await.starts_with("HTTP/1.1 200"));
    let unavailable = loop {
        match add(&client, 1).await {
            Err(status) if status.code() == Code::Unavailable => break status,
            _ => sleep(Duration::from_millis(1)).await,
        }
    };
    println!("gRPC while the server is restarted: {unavailable}");
    let answer = post(http, "/add/1").await;
    println!("HTTP while the server is restarted: {}", answer.lines().next().unwrap_or_default());
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"));

    while add(&client, 0).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(add(&client, 7).await.expect("the server runs again"), 7);
    assert!(post(http, "/add/1").await.ends_with("\r\n8"));
    println!("{}", tree.tree().await.expect("the tree runs"));
    drop(client);
    tree.stop().await.expect("the tree stops");
    assert_eq!(rt.process_count(), 0);
    println!("one server answered over HTTP and gRPC, before and after its restart");
}

/// Sends a request by HTTP/1.1, and returns the whole answer.
async fn post(server: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(server).await.expect("axum listens");
    let request = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("axum reads");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.expect("axum answers");
    answer
}

/// Calls the method `Add`.
async fn add(client: &Channel, n: u64) -> Result<u64, Status> {
    let mut grpc = tonic::client::Grpc::new(client.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let codec = ProstCodec::<AddRequest, AddReply>::default();
    let path = PathAndQuery::from_static(ADD);
    Ok(grpc.unary(Request::new(AddRequest { n }), path, codec).await?.into_inner().sum)
}
