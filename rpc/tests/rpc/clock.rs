//! Streams that compute for long in the task of their session.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline_protocol::limits::Timing;
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{Config, Welcoming};
use bowline_rpc::{
    Call, Dispatcher, Peer, ReplyFuture, Router, Service, SessionInfo, StreamFuture, Streaming, macros,
    status_of,
};
use futures_util::stream;

const fn method(name: &'static str, hash: u128) -> MethodDescriptor {
    MethodDescriptor {
        name,
        kind: MethodKind::ServerStream,
        retry: Retry::Never,
        hash,
        deadline: None,
        lag: Lag::Close,
    }
}

static SERVICE: ServiceDescriptor =
    ServiceDescriptor { name: "Clock", methods: &[method("quick", 1), method("slow", 2)] };

#[derive(Default)]
struct Says {
    quick: AtomicUsize,
    slow: AtomicBool,
}

struct Served(Arc<Says>);

impl Service for Served {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &SERVICE
    }

    fn dispatch(&self, call: Call) -> ReplyFuture {
        let says = self.0.clone();
        let is_quick = call.method_index() == 0;
        macros::streaming(call, move |_, (): (), out| async move {
            out.drive(stream::poll_fn(move |cx| {
                if is_quick {
                    if says.quick.load(Ordering::SeqCst) > 0 {
                        says.quick.fetch_sub(1, Ordering::SeqCst);
                        return Poll::Ready(Some(1_u64));
                    }
                } else if says.slow.swap(false, Ordering::SeqCst) {
                    // It computes for 5 s, and has nothing.
                    let _ = pin!(tokio::time::advance(Duration::from_secs(5))).poll(cx);
                }
                Poll::Pending
            }))
            .await;
        })
    }
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn carry(from: &Peer, to: &Peer) {
    while let Poll::Ready(message) = from.poll_transmit(&mut noop()) {
        to.handle_message(message);
    }
}

/// Both ends, with a stream of each method.
struct Opened {
    client: Peer,
    server: Peer,
    dispatcher: Dispatcher<Router>,
    _streams: Vec<Streaming<u64>>,
}

fn open(says: &Arc<Says>) -> Opened {
    let router = Router::new().add(Served(says.clone()));
    let client = Peer::client(Config::default());
    let timing = Timing { ping: Duration::ZERO, ..Timing::default() };
    let server = Peer::server(Config { services: router.descriptors(), timing, ..Config::default() });
    let mut dispatcher = Dispatcher::new(&server, router, SessionInfo::default(), status_of);
    client.handle_connected();
    server.handle_connected();
    carry(&client, &server);
    assert!(server.poll_hello(&mut noop()).is_ready());
    server.welcome(Welcoming::new(1, [0; 32], 1));
    let mut opening: Vec<Pin<Box<StreamFuture<u64>>>> =
        (0..2).map(|method| Box::pin(StreamFuture::new(&client.channel(), &SERVICE, method, &()))).collect();
    let mut streams = Vec::new();
    for _ in 0..6 {
        opening.retain_mut(|it| match it.as_mut().poll(&mut noop()) {
            Poll::Ready(stream) => {
                streams.push(stream.unwrap());
                false
            }
            Poll::Pending => true,
        });
        carry(&client, &server);
        let _ = dispatcher.poll(&mut noop());
        carry(&server, &client);
    }
    assert_eq!(streams.len(), 2);
    Opened { client, server, dispatcher, _streams: streams }
}

/// Not each turn is measured: none of them may be taken for one of no length.
#[tokio::test(start_paused = true)]
async fn a_stream_that_computes_for_long_makes_no_message_look_old() {
    let says = Arc::new(Says::default());
    let Opened { client, server, mut dispatcher, _streams } = open(&says);
    for turn in 0..9 {
        tokio::time::advance(Duration::from_secs(11)).await;
        client.handle_timeout();
        carry(&client, &server);
        server.handle_timeout();
        assert_eq!(server.poll_timeout(), None, "{turn}: all is acknowledged");
        // A driver's turn.
        says.quick.store(1, Ordering::SeqCst);
        says.slow.store(turn == 8, Ordering::SeqCst);
        server.attend();
        server.handle_progress();
        let _ = dispatcher.poll(&mut noop());
        let message = server.poll_transmit(&mut noop());
        let Poll::Ready(message) = message else { panic!("{turn}: an item") };
        let due = server.poll_timeout().expect("it is to be acknowledged");
        let waits = due - bowline_runtime::now();
        assert_eq!(waits, Duration::from_secs(30), "{turn}: it was written just now");
        client.handle_message(message);
    }
}

/// The credit that it was found to have is that of a link.
#[tokio::test(start_paused = true)]
async fn a_stream_is_asked_for_nothing_while_there_is_no_link() {
    let says = Arc::new(Says::default());
    let Opened { client: _client, server, mut dispatcher, _streams } = open(&says);
    let mut left = |given| {
        says.quick.store(given, Ordering::SeqCst);
        let _ = dispatcher.poll(&mut noop());
        says.quick.load(Ordering::SeqCst)
    };
    assert_eq!(left(2), 0, "both are taken");
    server.handle_disconnect(None);
    assert_eq!(left(2), 2);
}
