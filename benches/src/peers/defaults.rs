//! No scenario wins by leaving out what the product does: between the measured client and the measured server stands a
//! relay that reads what they agree on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bowline::{Limits, Timing};
use bowline_protocol::envelope::{
    Control, Credit, Decoder, Envelope, Hello, Outcome, SUBPROTOCOL, Sequenced, Welcome, WireLimits,
};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{accept_hdr_async, client_async};

use super::{Caller, Peer, bowline::Bowline};
use crate::Result;

/// What crossed, in the order in which it came by: from the client, or else from the server.
type Crossed = Arc<Mutex<Vec<(By, Envelope)>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Client,
    Server,
}

/// Hands on what two ends say, and notes it.
#[expect(clippy::result_large_err, reason = "the signature is tungstenite's")]
async fn relay(server: SocketAddr) -> (SocketAddr, Crossed) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let crossed = Crossed::default();
    let notes = Arc::clone(&crossed);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let protocol = HeaderValue::from_static(SUBPROTOCOL);
        let mut client = accept_hdr_async(stream, |request: &Request, mut response: Response| {
            assert_eq!(request.headers()["sec-websocket-protocol"], protocol);
            response.headers_mut().insert("sec-websocket-protocol", protocol.clone());
            Ok(response)
        })
        .await?;
        let mut request = format!("ws://{server}/").into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
        let (mut server, _) = client_async(request, TcpStream::connect(server).await?).await?;
        loop {
            let (from, message) = tokio::select! {
                Some(message) = client.next() => (By::Client, message?),
                Some(message) = server.next() => (By::Server, message?),
                else => return Result::<()>::Ok(()),
            };
            if let Message::Binary(bytes) = &message {
                for envelope in Decoder::new(bytes.clone()) {
                    notes.lock().unwrap().push((from, envelope?));
                }
            }
            match from {
                By::Client => server.send(message).await?,
                By::Server => client.send(message).await?,
            }
        }
    });
    (address, crossed)
}

/// What an end with these limits tells the other.
fn stated(limits: &Limits) -> WireLimits {
    WireLimits {
        calls: limits.calls,
        streams: limits.streams,
        stream_window: limits.stream_window as u64,
        message: limits.message_in as u64,
        payload: limits.payload_in as u64,
        assembly: limits.assembly as u64,
        replay: limits.replay_bytes as u64,
    }
}

/// The measured client and the measured server, some of each kind of work, and what crossed.
async fn observed() -> Vec<(By, Envelope)> {
    let server = Bowline.serve().await.unwrap();
    let (address, crossed) = relay(server).await;
    let client: Arc<dyn Caller> = Bowline.connect(address).await.unwrap();
    client.calls("text".into(), 64, 3000).await.unwrap();
    client.items(5000).await.unwrap();
    client.uploads(vec![1.0; 1024 * 1024 / 4].into(), 1).await.unwrap();
    let crossed = crossed.lock().unwrap();
    crossed.clone()
}

#[tokio::test]
async fn both_ends_state_the_default_limits_and_timing() {
    let crossed = observed().await;
    let (By::Client, Envelope::Control(Control::Hello(hello))) = &crossed[0] else {
        panic!("{:?}", crossed[0])
    };
    let Hello { limits, credentials, .. } = &**hello;
    assert_eq!(*limits, stated(&Limits::default()), "the client's");
    assert!(credentials.expose().is_empty());
    let welcome = crossed.iter().find_map(|(from, envelope)| match envelope {
        Envelope::Control(Control::Welcome(welcome)) if *from == By::Server => Some(&**welcome),
        _ => None,
    });
    let Welcome { limits, heartbeat_ms, once, token, outcome, .. } = welcome.unwrap();
    assert_eq!(*limits, stated(&Limits::default()), "the server's");
    assert_eq!(u128::from(*heartbeat_ms), Timing::default().ping.as_millis(), "it pings");
    assert!(once.is_some(), "it remembers `once` calls");
    assert!(*outcome == Outcome::New && !token.expose().is_empty(), "the session can be continued");
}

#[tokio::test]
async fn every_call_has_a_deadline_and_is_kept_until_it_is_acknowledged() {
    let crossed = observed().await;
    let deadline = Timing::default().deadline.as_millis();
    let (mut calls, mut acks, mut credits) = (0, [0; 2], [0; 2]);
    let mut numbers = [0; 2];
    for (from, envelope) in crossed {
        let side = usize::from(from == By::Server);
        match envelope {
            Envelope::Sequenced(number, sequenced) => {
                numbers[side] += 1;
                assert_eq!(
                    number, numbers[side],
                    "numbered without holes, so that a lost link loses nothing"
                );
                if let Sequenced::Call(open) = sequenced {
                    let left = u128::from(open.time_left_ms.unwrap());
                    assert!(left <= deadline && left > 0, "{left} ms");
                    calls += 1;
                }
            }
            Envelope::Control(Control::Ack(_)) => acks[side] += 1,
            Envelope::Control(Control::Credit(Credit::Calls { .. })) => credits[0] += 1,
            Envelope::Control(Control::Credit(Credit::Items { .. })) => credits[1] += 1,
            Envelope::Control(_) | Envelope::Watch(_) | Envelope::Notify(_) | Envelope::WatchChunk(_) => {}
        }
    }
    assert_eq!(calls, 3002);
    assert!(acks[0] > 0 && acks[1] > 0, "{acks:?} from the client and from the server");
    assert!(credits[0] > 0 && credits[1] > 0, "{credits:?} for calls and for items");
}
