//! What a driver is woken for, and when it waits for others.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bowline_protocol::session::{Config, Welcoming};
use bowline_rpc::{Dispatcher, Peer, Router, SessionInfo, Transmit, status_of};

use crate::support::service::Served;
use crate::support::{Handlers, Stub};

#[derive(Default)]
struct Woken(AtomicUsize);

impl Woken {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Two ends of a live session with nothing between them, and the server's router.
fn ends() -> (Peer, Peer, Router) {
    let router = Router::new().add(Served(Handlers::new()));
    let client = Peer::client(Config::default());
    let server = Peer::server(Config { services: router.descriptors(), ..Config::default() });
    client.handle_connected();
    server.handle_connected();
    carry(&client, &server);
    assert!(server.poll_hello(&mut noop()).is_ready());
    server.welcome(Welcoming::new(1, [0; 32], 1));
    carry(&server, &client);
    assert!(client.poll_live(&mut noop()).is_ready());
    (client, server, router)
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn carry(from: &Peer, to: &Peer) -> usize {
    let mut carried = 0;
    while let Poll::Ready(message) = from.poll_transmit(&mut noop()) {
        to.handle_message(message);
        carried += 1;
    }
    carried
}

/// A driver lets others add to a message only where there may be others.
#[tokio::test(start_paused = true)]
async fn one_call_is_never_held_back_for_others() {
    let peer = Peer::client(Config::default());
    let stub = Stub::new(&peer.channel());
    let asked = |number| {
        let mut call = stub.echo(number);
        assert!(Pin::new(&mut call).poll(&mut noop()).is_pending());
        call
    };
    let gathers = |heard| peer.transmit(&mut noop(), Some(heard)) == Transmit::Later;
    assert!(!gathers(true), "nobody is there");
    let _first = asked(1);
    assert!(!gathers(true), "one call");
    let _second = asked(2);
    assert!(gathers(false), "two calls, one of them new");
    assert!(matches!(peer.transmit(&mut noop(), None), Transmit::Nothing(_)), "they have gone first");
    assert!(!gathers(false), "nothing is new");
    assert!(gathers(true), "an answer to one of them may be a question of the other");
}

/// It asked again after each message, and most sessions have one at a time.
#[tokio::test(start_paused = true)]
async fn who_has_the_last_message_need_not_ask_for_more_and_is_woken() {
    let (client, server, _) = ends();
    let (stub, woken) = (Stub::new(&client.channel()), Arc::new(Woken::default()));
    let waker = Waker::from(woken.clone());
    let mut driver = Context::from_waker(&waker);
    for number in 0..3 {
        client.attend();
        let mut call = stub.echo(number);
        assert!(Pin::new(&mut call).poll(&mut noop()).is_pending());
        let transmitted = client.transmit(&mut driver, Some(false));
        let Transmit::Last(message, Ok(Some(due))) = transmitted else {
            panic!("{transmitted:?}, call {number}")
        };
        assert_eq!(Some(due), client.poll_timeout());
        server.handle_message(message);
        assert_eq!(woken.take(), 0);
        drop(call);
        assert_eq!(woken.take(), 1, "it sleeps");
        carry(&client, &server);
        carry(&server, &client);
        while !matches!(client.transmit(&mut driver, Some(false)), Transmit::Nothing(_)) {}
        woken.take();
    }
    // More calls than one message carries.
    let large = |_| {
        let mut call = stub.echo_of("x".repeat(60_000));
        assert!(Pin::new(&mut call).poll(&mut noop()).is_pending());
        call
    };
    client.attend();
    let _calls: Vec<_> = (0..4).map(large).collect();
    assert!(matches!(client.transmit(&mut driver, None), Transmit::Message(_)));
}

#[tokio::test(start_paused = true)]
async fn a_driver_at_work_is_not_woken_for_what_it_will_see() {
    let peer = Peer::client(Config::default());
    let (stub, woken) = (Stub::new(&peer.channel()), Arc::new(Woken::default()));
    let waker = Waker::from(woken.clone());
    let mut driver = Context::from_waker(&waker);
    let ask = || assert!(Pin::new(&mut stub.echo(1)).poll(&mut noop()).is_pending());
    assert!(peer.poll_transmit(&mut driver).is_pending());
    ask();
    assert_eq!(woken.take(), 1, "it sleeps");
    peer.attend();
    ask();
    assert_eq!(woken.take(), 0, "it is at work");
    assert!(peer.poll_transmit(&mut driver).is_pending());
    ask();
    assert_eq!(woken.take(), 1, "it sleeps again");
    peer.attend();
    peer.register(&mut driver);
    ask();
    assert_eq!(woken.take(), 1, "its socket is blocked");
    peer.attend();
    peer.handle_disconnect(None);
    peer.register(&mut driver);
    ask();
    assert_eq!(woken.take(), 1, "another drives");
}

#[tokio::test(start_paused = true)]
async fn a_driver_at_work_runs_the_dispatcher_itself_and_wakes_it_for_what_it_missed() {
    let (client, server, router) = ends();
    let stub = Stub::new(&client.channel());
    let mut dispatcher = Dispatcher::new(&server, router, SessionInfo::default(), status_of);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    let _ = dispatcher.poll(&mut cx);
    let mut first = stub.echo(1);
    assert!(Pin::new(&mut first).poll(&mut noop()).is_pending());
    // The declaration and its answer, then the call.
    carry(&client, &server);
    carry(&server, &client);
    woken.take();
    server.attend();
    carry(&client, &server);
    assert_eq!(woken.take(), 0, "the driver runs it");
    let _ = dispatcher.poll(&mut cx);
    carry(&server, &client);
    assert_eq!(woken.take(), 0, "and did");
    assert_eq!(Pin::new(&mut first).poll(&mut noop()), Poll::Ready(Ok(1)));
    // Behind the dispatcher's turn.
    let mut second = stub.echo(2);
    assert!(Pin::new(&mut second).poll(&mut noop()).is_pending());
    server.attend();
    carry(&client, &server);
    assert_eq!(woken.take(), 0);
    carry(&server, &client);
    assert_eq!(woken.take(), 1, "before the driver sleeps");
    let _ = dispatcher.poll(&mut cx);
    carry(&server, &client);
    assert_eq!(Pin::new(&mut second).poll(&mut noop()), Poll::Ready(Ok(2)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_taken_leaves_nothing_to_be_said() {
    let (client, server, router) = ends();
    let stub = Stub::new(&client.channel());
    let mut dispatcher = Dispatcher::new(&server, router, SessionInfo::default(), status_of);
    let mut call = stub.echo(1);
    assert!(Pin::new(&mut call).poll(&mut noop()).is_pending());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    for _ in 0..3 {
        carry(&client, &server);
        let _ = dispatcher.poll(&mut noop());
        carry(&server, &client);
    }
    while client.poll_transmit(&mut Context::from_waker(&waker)).is_ready() {}
    assert_eq!(Pin::new(&mut call).poll(&mut noop()), Poll::Ready(Ok(1)));
    assert_eq!(client.stats().slots, 0);
    drop(call);
    assert_eq!(woken.take(), 0);
}
