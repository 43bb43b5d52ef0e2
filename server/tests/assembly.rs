//! Large payloads of all sessions share one bound: what has no room in it fails its own call, and nothing else.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use bowline::prelude::*;
use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{CallRef, Chunk, Opener, Payload, Sequenced};
use bowline_protocol::registry::NodeLimits;
use bowline_protocol::status::Code;
use bowline_server::Server;
use support::pipes::Network;
use support::probe::{ProbeClient, ProbeServer, Service, method};
use support::{Failed, Socket};
use tokio::io::DuplexStream;

type Client = Socket<DuplexStream>;

fn network(assembly: usize) -> Network {
    let server = Server::builder().service(ProbeServer::new(Service::default()));
    Network::start(&server.node_limits(NodeLimits { assembly, ..NodeLimits::default() }).build())
}

async fn client(network: &Network) -> Client {
    let mut socket = Socket::over(network.connect()).await;
    socket.greet(&[ProbeClient::SERVICE]).await;
    socket
}

/// Says that a sum with so many bytes of arguments follows.
async fn announce(client: &mut Client, transfer: u32, len: u64) -> CallRef {
    let open = client.call_open(0, method::ADD, Codec::Json, Payload::Chunked { transfer, len });
    let call = CallRef { id: open.id, opener: Opener::Writer };
    client.send_numbered(Sequenced::Call(open)).await;
    call
}

/// All of them, and what comes of it.
async fn complete(client: &mut Client, call: CallRef, transfer: u32, len: usize) -> Result<String, Code> {
    let mut arguments = br#"{"a":2,"b":3}"#.to_vec();
    arguments.resize(len, b' ');
    for bytes in arguments.chunks(30_000) {
        client.send_numbered(Sequenced::Chunk(Chunk { transfer, bytes: bytes.to_vec().into() })).await;
    }
    let ended = client.ended(call).await;
    ended.map(|sum| String::from_utf8(sum.to_vec()).unwrap()).map_err(|failed| failed.code())
}

/// Whether 100 KB have room now; nothing else of the client's suffers.
async fn has_room(client: &mut Client, transfer: u32) -> bool {
    let call = announce(client, transfer, 100_000).await;
    let result = complete(client, call, transfer, 100_000).await;
    assert_eq!(client.call(method::ADD, r#"{"a":2,"b":3}"#).await.unwrap(), "5");
    match result {
        Ok(sum) => {
            assert_eq!(sum, "5");
            true
        }
        Err(code) => {
            assert_eq!(code, Code::ResourceExhausted);
            false
        }
    }
}

#[tokio::test(start_paused = true)]
async fn large_payloads_beyond_what_the_node_assembles_are_refused() {
    let network = network(250_000);
    let (mut first, mut second) = (client(&network).await, client(&network).await);
    assert!(has_room(&mut second, 0).await);
    let call = announce(&mut first, 0, 200_000).await;
    // The server has it before it hears of the other.
    assert_eq!(first.call(method::ADD, r#"{"a":2,"b":3}"#).await.unwrap(), "5");
    assert!(!has_room(&mut second, 0).await);
    assert!(!has_room(&mut second, 1).await, "what was refused gave nothing back");
    assert_eq!(complete(&mut first, call, 0, 200_000).await.unwrap(), "5", "what has begun can end");
    assert!(has_room(&mut second, 0).await);
}

#[tokio::test(start_paused = true)]
async fn what_a_payload_has_of_the_node_comes_back_with_its_call_and_with_its_session() {
    let network = network(250_000);
    let (mut first, mut second) = (client(&network).await, client(&network).await);
    let call = announce(&mut first, 0, 200_000).await;
    assert_eq!(first.call(method::ADD, r#"{"a":2,"b":3}"#).await.unwrap(), "5");
    assert!(!has_room(&mut second, 0).await);
    first.send_numbered(Sequenced::Cancel { call }).await;
    assert!(matches!(first.ended(call).await, Err(Failed::Status(Code::Cancelled, ..))));
    assert!(has_room(&mut second, 0).await, "after a cancel");
    announce(&mut first, 0, 200_000).await;
    assert_eq!(first.call(method::ADD, r#"{"a":2,"b":3}"#).await.unwrap(), "5");
    assert!(!has_room(&mut second, 0).await);
    first.close().await;
    assert!(has_room(&mut second, 0).await, "after the end of its session");
}

#[tokio::test(start_paused = true)]
async fn how_much_a_node_assembles_is_a_setting() {
    let network = network(100_000);
    let mut client = client(&network).await;
    assert!(has_room(&mut client, 0).await);
    let call = announce(&mut client, 0, 100_001).await;
    assert_eq!(complete(&mut client, call, 0, 100_001).await, Err(Code::ResourceExhausted));
}
