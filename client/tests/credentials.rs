//! Who is asked for credentials, when, and what becomes of the answer.
#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bowline::{
    CallError, Client, ConnectFailed, Delivery, State,
    transport::{
        Link, Received,
        memory::{MemoryLink, network},
    },
};
use bowline_protocol::envelope::{Control, Decoder, Envelope};
use common::{OfficeClient, Place, reaches, until};
use tokio::time::Instant;

/// The credentials in the hello that comes over `link`.
async fn presented(link: &mut MemoryLink) -> Vec<u8> {
    let Received::Binary(message) = std::future::poll_fn(|cx| link.poll_receive(cx)).await.unwrap() else {
        panic!("text");
    };
    let envelope = Decoder::new(message).next().unwrap().unwrap();
    let Envelope::Control(Control::Hello(hello)) = envelope else { panic!("{envelope:?}") };
    hello.credentials.expose().to_vec()
}

#[tokio::test(start_paused = true)]
async fn each_attempt_asks_and_presents_what_it_got() {
    let (mut listener, connector) = network();
    let asked = Arc::new(AtomicUsize::new(0));
    let client = Client::builder("memory")
        .connector(connector)
        .credentials(move || {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            async move { Ok::<_, std::io::Error>(format!("ticket {number}")) }
        })
        .connect_lazy();
    for number in 0..3 {
        let mut link = listener.accept().await.unwrap();
        assert_eq!(presented(&mut link).await, format!("ticket {number}").into_bytes());
    }
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn without_a_provider_the_hello_carries_none() {
    let (mut listener, connector) = network();
    let _client = Client::builder("memory").connector(connector).connect_lazy();
    assert!(presented(&mut listener.accept().await.unwrap()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_credentials_are_a_failed_attempt_that_says_so() {
    let place = Place::new();
    let failed = place.builder().credentials(|| async { Err::<String, _>("logged out") }).connect().await;
    let ConnectFailed::NoCredentials(cause) = failed.unwrap_err() else { panic!("another failure") };
    assert_eq!(cause.to_string(), "logged out");

    let tries = Arc::new(AtomicUsize::new(0));
    let client = place
        .builder()
        .credentials(move || {
            let early = tries.fetch_add(1, Ordering::SeqCst) < 4;
            async move { if early { Err("not yet") } else { Ok("now") } }
        })
        .connect_lazy();
    reaches(&client, |state| matches!(state, State::Reconnecting { attempt: 4, .. })).await;
    assert_eq!(place.server.sessions(), 0, "nothing was sent without them");
    reaches(&client, State::is_live).await;
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_takes_too_long_is_given_up_after_ten_seconds() {
    let place = Place::new();
    let begin = Instant::now();
    let never = || std::future::pending::<Result<String, std::io::Error>>();
    let failed = place.builder().credentials(never).connect().await.unwrap_err();
    assert!(matches!(failed, ConnectFailed::TimedOut), "{failed:?}");
    assert_eq!(begin.elapsed().as_secs(), 10);

    let slow = || async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        Ok::<_, std::io::Error>("slow")
    };
    place.builder().credentials(slow).connect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn credentials_have_a_bound() {
    let place = Place::new();
    let of = |length: usize| move || async move { Ok::<_, std::io::Error>(vec![7; length]) };
    place.builder().credentials(of(8 * 1024)).connect().await.unwrap();
    let failed = place.builder().credentials(of(8 * 1024 + 1)).connect().await.unwrap_err();
    let ConnectFailed::NoCredentials(cause) = failed else { panic!("{failed:?}") };
    assert_eq!(cause.to_string(), "8193 bytes of credentials, where 8192 are allowed");
}

#[tokio::test(start_paused = true)]
async fn closing_does_not_wait_for_a_provider() {
    let place = Place::new();
    let never = || std::future::pending::<Result<String, std::io::Error>>();
    let client = place.builder().credentials(never).connect_lazy();
    tokio::task::yield_now().await;
    let begin = Instant::now();
    client.close().await;
    assert_eq!((client.state(), begin.elapsed()), (State::Closed, Duration::ZERO));
}

/// Nobody would end its calls, not even at their deadlines.
#[tokio::test(start_paused = true)]
async fn a_provider_that_panics_ends_the_client_and_its_calls() {
    let place = Place::new();
    let mut asked = 0;
    let provider = move || {
        asked += 1;
        assert_eq!(asked, 1, "no more");
        async { Ok::<_, std::io::Error>("ticket") }
    };
    let client = place.builder().credentials(provider).connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let under_way = tokio::spawn(office.wait().no_deadline());
    until("the call runs", || place.running() == 1).await;
    place.faults.cut();
    let ended = tokio::time::timeout(Duration::from_secs(600), under_way).await.expect("it ends");
    let ended = ended.unwrap().unwrap_err();
    assert!(matches!(ended, CallError::Disconnected(Delivery::OutcomeUnknown)), "{ended:?}");
    let late = office.echo("late".into()).await.unwrap_err();
    assert!(matches!(late, CallError::Closed), "{late:?}");
    assert_eq!(client.state(), State::Closed);
    client.close().await;
}
