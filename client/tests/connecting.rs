//! How a client gets a session, loses it, and gets another one.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::{
    sync::{Arc, Mutex},
    task::{Context as TaskContext, Poll, Wake, Waker},
    time::Duration,
};

use bowline::{
    Arrival, Client, CloseCode, ConnectFailed, State, Timing,
    prelude::*,
    transport::{
        BoxLink, CloseFrame, Connect, ConnectError, Link, Received,
        memory::{MemoryConnector, network},
    },
};
use bowline_runtime::BoxFuture;
use common::{OfficeClient, OfficeServer, Place, World, reaches, until};
use tokio::time::Instant;

#[tokio::test]
async fn a_stub_connects_to_a_server_on_a_socket() {
    let server = bowline::Server::builder().service(OfficeServer::new(World::default())).build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(bowline::serve(listener, server.clone()).into_future());
    let office = OfficeClient::connect(url).await.unwrap();
    assert_eq!(office.echo("hello".into()).await.unwrap(), "hello");
    drop(office);
    until("the last stub closes the connection", || server.sessions() == 0).await;
    serving.abort();
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_an_error_that_says_so() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    drop(listener);
    let failed = OfficeClient::connect(url).await.unwrap_err();
    assert!(matches!(failed, ConnectFailed::NoLink(ConnectError::Refused(_))), "{failed:?}");
}

#[tokio::test]
async fn what_is_no_url_is_refused_and_not_tried_again() {
    let failed = OfficeClient::connect("not a url").await.unwrap_err();
    assert!(matches!(failed, ConnectFailed::NoLink(ConnectError::Endpoint { .. })), "{failed:?}");
    let client = Client::builder("not a url").connect_lazy();
    let state = reaches(&client, State::is_stopped).await;
    assert!(matches!(state, State::Refused { code: CloseCode::POLICY, .. }), "{state:?}");
    let failed = client.client::<OfficeClient>().echo("?".into()).await.unwrap_err();
    assert!(matches!(failed, CallError::Unavailable { .. }), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn connect_gives_up_at_the_first_failure() {
    let place = Place::new();
    place.faults.unplug();
    let failed = place.builder().connect().await.unwrap_err();
    assert!(matches!(failed, ConnectFailed::NoLink(_)), "{failed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_never_comes_is_given_up_after_ten_seconds() {
    #[derive(Debug)]
    struct Never;
    impl Connect for Never {
        fn connect(&self, _: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
            Box::pin(std::future::pending())
        }
    }
    let begin = Instant::now();
    let failed = Client::builder("nowhere").connector(Never).connect().await.unwrap_err();
    assert!(matches!(failed, ConnectFailed::TimedOut), "{failed:?}");
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_welcome_that_never_comes_is_given_up_after_ten_seconds_or_what_the_timing_says() {
    let ten = Timing::default();
    for (timing, seconds) in [(&ten, 10), (&with_hello(3), 3), (&with_hello(25), 25)] {
        let (mut listener, connector) = network();
        let silent = tokio::spawn(async move {
            let _link = listener.accept().await;
            std::future::pending::<()>().await;
        });
        let begin = Instant::now();
        let builder = Client::builder("silent").connector(connector).timing(timing.clone());
        let failed = builder.connect().await.unwrap_err();
        assert!(matches!(failed, ConnectFailed::TimedOut), "{failed:?}");
        assert_eq!(begin.elapsed().as_secs(), seconds);
        silent.abort();
    }
}

fn with_hello(seconds: u64) -> Timing {
    Timing { hello: Duration::from_secs(seconds), ..Timing::default() }
}

#[tokio::test(start_paused = true)]
async fn dropping_the_future_of_connect_gives_the_attempt_up() {
    let (mut listener, connector) = network();
    let mut connecting = Box::pin(Client::builder("silent").connector(connector).connect());
    assert!(futures_util::future::poll_immediate(&mut connecting).await.is_none());
    let mut link = listener.accept().await.unwrap();
    let hello = std::future::poll_fn(|cx| link.poll_receive(cx)).await.unwrap();
    assert!(matches!(hello, Received::Binary(_)));
    drop(connecting);
    let end = loop {
        match std::future::poll_fn(|cx| link.poll_receive(cx)).await.unwrap() {
            Received::Closed(frame) => break frame.code,
            other => assert!(matches!(other, Received::Binary(_)), "{other:?}"),
        }
    };
    assert_eq!(end, CloseCode::NORMAL);
    assert!(listener.accept().await.is_none(), "the driver is gone, and its connector with it");
}

/// Counts the tries and when they were made.
#[derive(Debug, Clone)]
struct Counted(MemoryConnector, Arc<Mutex<Vec<Instant>>>);

impl Connect for Counted {
    fn connect(&self, endpoint: &str) -> BoxFuture<'static, Result<BoxLink, ConnectError>> {
        self.1.lock().expect("the test names a free port").push(Instant::now());
        self.0.connect(endpoint)
    }
}

#[tokio::test(start_paused = true)]
async fn tries_go_on_for_ever_within_growing_bounds_and_show_in_the_state() {
    let place = Place::new();
    let counted = Counted(place.connector.clone(), Arc::default());
    let client = Client::builder("memory").connector(counted.clone()).connect().await.unwrap();
    place.faults.unplug();
    let shown = reaches(&client, |state| matches!(state, State::Reconnecting { attempt: 9, .. })).await;
    let tries = counted.1.lock().unwrap().clone();
    let waits: Vec<Duration> = tries.windows(2).map(|pair| pair[1] - pair[0]).skip(1).collect();
    for (number, wait) in waits.iter().enumerate() {
        // After 0.5 s and 1 s, which only a link that had lived long begins with. A millisecond for the timer's grain.
        let bound = Duration::from_secs(30).min(Duration::from_secs(2 << (number + 1)));
        assert!(*wait <= bound + Duration::from_millis(1), "wait {number}: {wait:?} beyond {bound:?}");
    }
    assert!(waits.iter().sum::<Duration>() > Duration::from_secs(5), "{waits:?}");
    assert!(matches!(shown, State::Reconnecting { next_in, .. } if next_in <= Duration::from_secs(30)));
    place.faults.plug();
    reaches(&client, State::is_live).await;
    assert_eq!(client.client::<OfficeClient>().echo("again".into()).await.unwrap(), "again");
}

#[tokio::test(start_paused = true)]
async fn reconnect_does_not_wait() {
    let place = Place::new();
    let client = place.client().await;
    place.faults.unplug();
    reaches(&client, |state| matches!(state, State::Reconnecting { attempt: 6.., next_in } if *next_in > Duration::from_secs(1)))
        .await;
    place.faults.plug();
    let begin = Instant::now();
    client.reconnect();
    reaches(&client, State::is_live).await;
    assert!(begin.elapsed() < Duration::from_millis(100), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn reconnect_replaces_a_living_link() {
    let place = Place::new();
    let counted = Counted(place.connector.clone(), Arc::default());
    let client = Client::builder("memory").connector(counted.clone()).connect().await.unwrap();
    client.reconnect();
    until("another link is made", || counted.1.lock().unwrap().len() == 2).await;
    reaches(&client, State::is_live).await;
    until("the first one is gone", || place.faults.links() == 1 && place.server.sessions() == 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_code_is_shown_ends_calls_and_holds_until_someone_asks_again() {
    let (mut listener, connector) = network();
    let client = Client::builder("memory").connector(connector).connect_lazy();
    let office = client.client::<OfficeClient>();
    let waiting = tokio::spawn(office.echo("early".into()));

    let mut link = listener.accept().await.unwrap();
    let frame = CloseFrame::new(CloseCode::FORBIDDEN, "members only");
    std::future::poll_fn(|cx| link.poll_close(cx, &frame)).await;
    let state = reaches(&client, State::is_stopped).await;
    assert_eq!(state, State::Refused { code: CloseCode::FORBIDDEN, reason: "members only".into() });
    let denied = |failed: CallError<_>| {
        assert!(
            matches!(&failed, CallError::PermissionDenied(why) if why.contains("members only")),
            "{failed:?}"
        );
    };
    denied(waiting.await.unwrap().unwrap_err());
    let begin = Instant::now();
    denied(office.echo("late".into()).await.unwrap_err());
    assert!(begin.elapsed() < Duration::from_secs(1), "a refused client lets nobody wait");
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(client.state().is_stopped());

    let server = bowline::Server::builder().service(OfficeServer::new(World::default())).build();
    client.reconnect();
    server.accept(listener.accept().await.unwrap());
    reaches(&client, State::is_live).await;
    assert_eq!(office.echo("now".into()).await.unwrap(), "now");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_drains_is_come_back_to() {
    let place = Place::new();
    let client = place.client().await;
    let (server, mut refused) = (place.server.clone(), client.states());
    tokio::spawn(async move { server.shutdown().await });
    while let Some(state) = refused.next().await {
        assert!(!state.is_stopped(), "{state:?}");
        if matches!(state, State::Reconnecting { attempt: 2, .. }) {
            return;
        }
    }
    panic!("the client gave up");
}

#[tokio::test(start_paused = true)]
async fn a_reason_can_ask_for_patience() {
    let (mut listener, connector) = network();
    let client = Client::builder("memory").connector(connector).connect_lazy();
    let mut link = listener.accept().await.unwrap();
    let frame = CloseFrame::new(CloseCode::TRY_AGAIN, "full, retry after 45 s");
    std::future::poll_fn(|cx| link.poll_close(cx, &frame)).await;
    let state = reaches(&client, |state| matches!(state, State::Reconnecting { .. })).await;
    let State::Reconnecting { attempt: 1, next_in } = state else { panic!("{state}") };
    let seconds = next_in.as_secs_f64();
    assert!((46.0..=47.0).contains(&seconds), "the wait, and our own delay after it: {seconds}");
}

/// Polls a client's `connect` inside the call that wakes it, as another thread may: at the first moment at which it can end.
struct Eager {
    connecting: Mutex<Option<BoxFuture<'static, Client>>>,
    client: Mutex<Option<(Client, State)>>,
}

impl Wake for Eager {
    fn wake(self: Arc<Self>) {
        let mut connecting = self.connecting.lock().unwrap();
        let waker = Waker::from(self.clone());
        if let Some(future) = &mut *connecting
            && let Poll::Ready(client) = future.as_mut().poll(&mut TaskContext::from_waker(&waker))
        {
            *connecting = None;
            let state = client.state();
            *self.client.lock().unwrap() = Some((client, state));
        }
    }
}

/// It once could still be `Connecting`.
#[tokio::test(start_paused = true)]
async fn a_client_that_has_connected_is_live() {
    let place = Place::new();
    let builder = place.builder();
    let connecting: BoxFuture<'static, Client> = Box::pin(async { builder.connect().await.unwrap() });
    let eager = Arc::new(Eager { connecting: Mutex::new(Some(connecting)), client: Mutex::default() });
    eager.clone().wake();
    until("it has connected", || eager.client.lock().unwrap().is_some()).await;
    let (_, state) = eager.client.lock().unwrap().take().unwrap();
    assert_eq!(state, State::Live(Arrival::New));
}
