//! Links of a few bytes per second, as a real server sees them: slow ones get through, stalls and floods don't.
//! Everything is in memory, so that the clock stands still while bytes move.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bowline::prelude::*;
use bowline::transport::native::{Role, SocketLink};
use bowline::transport::{BoxLink, Connect, ConnectError};
use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{Ack, Control, Encoder, Envelope, Payload, Sequenced};
use bowline_protocol::limits::{Limits, Timing};
use bowline_runtime::BoxFuture;
use bowline_server::Server;
use support::Socket;
use support::pipes::Network;
use support::probe::{Named, ProbeClient, ProbeServer, Service, method};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};
use tokio_tungstenite::client_async;

const STALLED: u16 = 4007;

fn network(limits: Limits, timing: Timing) -> Network {
    let server = Server::builder().service(ProbeServer::new(Service::default()));
    Network::start(&server.limits(limits).timing(timing).build())
}

/// A client that said hello and acknowledged the answer to its declaration.
async fn greeted(network: &Network) -> Socket<DuplexStream> {
    let mut socket = Socket::over(network.connect()).await;
    socket.greet(&[ProbeClient::SERVICE]).await;
    socket.send(&[Envelope::Control(Control::Ack(Ack { seq: 1, unsequenced: 0 }))]).await;
    socket
}

/// The same, which now writes frames by hand.
async fn stranger(network: &Network) -> DuplexStream {
    greeted(network).await.into_inner()
}

/// A frame as a client sends it, with a mask that changes nothing.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Reads until the server closes; returns the code. Frames of a server are not masked.
async fn closed(mut stream: impl AsyncRead + Unpin) -> u16 {
    loop {
        let first = stream.read_u8().await.expect("a close before the end");
        let len = match stream.read_u8().await.unwrap() {
            126 => stream.read_u16().await.unwrap().into(),
            127 => stream.read_u64().await.unwrap(),
            short => short.into(),
        };
        let mut payload = vec![0; len as usize];
        stream.read_exact(&mut payload).await.unwrap();
        if first == 0x88 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

/// Writes so many bytes of `bytes` each second, until all are written or nobody reads; how many seconds it took, and
/// what the server closed with.
async fn drip(stream: DuplexStream, bytes: &[u8], pace: usize) -> (u64, u16) {
    let start = Instant::now();
    let (read, mut write) = tokio::io::split(stream);
    let closed = tokio::spawn(closed(read));
    for piece in bytes.chunks(pace) {
        if closed.is_finished() || write.write_all(piece).await.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let code = closed.await.unwrap();
    (start.elapsed().as_secs(), code)
}

#[tokio::test(start_paused = true)]
async fn a_message_that_does_not_go_on_closes_with_4007() {
    for stall in [10, 4] {
        let timing = Timing { message_stall: Duration::from_secs(stall), ..Timing::default() };
        let network = network(Limits::default(), timing);
        let mut stream = stranger(&network).await;
        let start = Instant::now();
        stream.write_all(&frame(0x82, &[0; 1000])[..500]).await.unwrap();
        // A ping in between would be no part of it; here it could not even be one.
        assert_eq!(closed(&mut stream).await, STALLED);
        assert_eq!(start.elapsed().as_secs(), stall);
        network.others_connect().await;
    }
}

#[tokio::test(start_paused = true)]
async fn fragments_with_pings_between_them_and_no_progress_close_with_4007() {
    let network = network(Limits::default(), Timing::default());
    let stream = stranger(&network).await;
    let start = Instant::now();
    let (read, mut write) = tokio::io::split(stream);
    let closed = tokio::spawn(closed(read));
    write.write_all(&frame(0x02, b"part")).await.unwrap();
    while !closed.is_finished() && write.write_all(&frame(0x89, b"ping")).await.is_ok() {
        sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(closed.await.unwrap(), STALLED);
    assert!(start.elapsed().as_secs() <= 11);
}

#[tokio::test(start_paused = true)]
async fn a_message_below_512_bytes_per_second_closes_with_4007_after_a_minute() {
    let network = network(Limits::default(), Timing::default());
    let (seconds, code) = drip(stranger(&network).await, &frame(0x82, &vec![0; 200_000]), 500).await;
    assert_eq!(code, STALLED);
    assert!((60..=62).contains(&seconds), "{seconds}");
}

/// A whole minute without a whole message, over two pings that nobody answers: the call is heard and answered.
#[tokio::test(start_paused = true)]
async fn a_call_of_60_kib_on_a_link_of_one_kb_per_second_gets_through() {
    let network = network(Limits::default(), Timing::default());
    let mut socket = greeted(&network).await;
    let arguments = format!(r#"{{"named":{{"name":"{}","flag":true}}}}"#, "x".repeat(60_000));
    let open = socket.call_open(0, method::NAME, Codec::Json, Payload::Whole(arguments.into()));
    let mut message = Vec::new();
    Encoder::new(&mut message).push(&socket.number(Sequenced::Call(open)));
    let (mut stream, start) = (socket.into_inner(), Instant::now());
    for piece in frame(0x82, &message).chunks(1000) {
        stream.write_all(piece).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    assert!(start.elapsed().as_secs() >= 60);
    let mut answer = vec![0; 50_000];
    stream.read_exact(&mut answer).await.unwrap();
    assert!(answer.iter().filter(|byte| **byte == b'x').count() > 49_000);
}

#[tokio::test(start_paused = true)]
async fn fragments_without_end_close_with_4007() {
    // Of one byte, of none, and pings without any message.
    for (first, rest) in [
        (frame(0x02, b"x"), frame(0x00, b"x")),
        (frame(0x02, b""), frame(0x00, b"")),
        (Vec::new(), frame(0x89, b"")),
    ] {
        for message_in in [100_000, 300_000] {
            let network = network(Limits { message_in, ..Limits::default() }, Timing::default());
            let (read, mut write) = tokio::io::split(stranger(&network).await);
            let closed = tokio::spawn(closed(read));
            write.write_all(&first).await.unwrap();
            let mut written = first.len();
            let many = rest.repeat(100);
            while !closed.is_finished() && write.write_all(&many).await.is_ok() {
                written += many.len();
                tokio::task::yield_now().await;
            }
            assert_eq!(closed.await.unwrap(), STALLED);
            // What the pipe holds has been written as well.
            assert!((2 * message_in..2 * message_in + 200_000).contains(&written), "{written}");
            network.others_connect().await;
        }
    }
}

/// Carries bytes one way: so many in a second, each a second later. What waits is what a router's queue holds.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, rate: u64) {
    let (queue, mut arriving) = tokio::sync::mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let reads = async move {
        let mut piece = [0; 100];
        while let Ok(len @ 1..) = from.read(&mut piece).await {
            sleep(Duration::from_secs_f64(len as f64 / rate as f64)).await;
            queue.send((Instant::now() + Duration::from_secs(1), piece[..len].to_vec())).unwrap();
        }
    };
    let writes = async move {
        while let Some((at, piece)) = arriving.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(reads, writes);
}

/// Connects over links of 2 KB/s each way and a round trip of 2 s, and counts them.
#[derive(Clone)]
struct Slow(Arc<Network>, Arc<AtomicUsize>);

impl Connect for Slow {
    fn connect(&self, _: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        let Self(network, links) = self.clone();
        Box::pin(async move {
            links.fetch_add(1, Ordering::SeqCst);
            let (near, relay) = tokio::io::duplex(64 * 1024);
            let far = network.connect();
            let ((relay_read, relay_write), (far_read, far_write)) =
                (tokio::io::split(relay), tokio::io::split(far));
            tokio::spawn(carry(relay_read, far_write, 2000));
            tokio::spawn(carry(far_read, relay_write, 2000));
            let (socket, _) = client_async(support::request("localhost"), near).await.unwrap();
            let link = SocketLink::from_upgraded(socket.into_inner(), Role::Client, &Limits::default());
            Ok(Box::new(link) as BoxLink)
        })
    }
}

/// 100 KB go up and come down, which takes two minutes, and meanwhile small calls are answered in their usual time.
#[tokio::test(start_paused = true)]
async fn a_client_behind_2_kb_per_second_and_2_s_stays_connected() {
    let links = Arc::new(AtomicUsize::new(0));
    let network = Arc::new(network(Limits::default(), Timing::default()));
    let client = bowline::Client::builder("slow").connector(Slow(network, links.clone())).connect_lazy();
    let probe = client.client::<ProbeClient>();
    let start = Instant::now();
    assert_eq!(probe.add(1, 1).await.unwrap(), 2);
    let large = Named { name: "x".repeat(100_000), flag: true };
    let large = tokio::spawn(probe.name(large).deadline(Duration::from_secs(600)).into_future());
    let mut small = 0;
    while !large.is_finished() {
        assert_eq!(probe.add(small, 1).await.unwrap(), small + 1, "after {:?}", start.elapsed());
        small += 1;
        sleep(Duration::from_secs(3)).await;
    }
    assert_eq!(large.await.unwrap().unwrap().len(), 100_000);
    assert!(start.elapsed() > Duration::from_secs(100) && small > 10, "{:?} {small}", start.elapsed());
    // Nothing but pings.
    sleep(Duration::from_secs(300)).await;
    assert_eq!(probe.add(1, 1).await.unwrap(), 2);
    assert_eq!(links.load(Ordering::SeqCst), 1, "one link, all the time");
}
