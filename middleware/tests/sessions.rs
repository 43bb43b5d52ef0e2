//! What sessions and links do is counted, at either end, and nothing is left of it when they are gone.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use bowline::{Arrival, Client, State};
use bowline_middleware::{Connected, SessionMetrics, link_refused};
use bowline_protocol::envelope::{GapReason, Outcome};
use bowline_protocol::session::{Config, Welcoming};
use bowline_protocol::status::CloseCode;
use bowline_rpc::{Peer, ServiceClient};
use bowline_runtime::spawn;
use bowline_transport::drive;
use bowline_transport::memory::{Faults, network, pair};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use support::counted::Counted;
use support::{WorkClient, Worker, server};
use tower::layer::util::Identity;

fn sums(expected: &[(&str, f64)]) -> BTreeMap<String, f64> {
    expected.iter().map(|(series, sum)| ((*series).to_owned(), *sum)).collect()
}

fn gap(reason: GapReason) -> Outcome {
    Outcome::Gap { reason, lost_from: 1, lost_to: None }
}

#[test]
fn links_are_counted_from_their_begin_to_their_end() {
    let mut counted = Counted::default();
    let mut metrics = SessionMetrics::server();
    metrics.link_closed(Some(CloseCode::SLOW));
    metrics.link_opened();
    assert_eq!(
        counted.sums(),
        sums(&[("bowline.server.links.opened{}", 1.0), ("bowline.server.links{}", 1.0)])
    );
    metrics.link_closed(Some(CloseCode::SLOW));
    metrics.link_closed(None);
    metrics.link_opened();
    // Another one instead, and then none any more.
    metrics.link_opened();
    metrics.link_closed(Some(CloseCode::new(3999)));
    metrics.link_opened();
    drop(metrics);
    link_refused(CloseCode::BAD_CREDENTIALS);
    let expected = [
        ("bowline.server.links.opened{}", 4.0),
        ("bowline.server.links.closed{close.code=slow}", 1.0),
        ("bowline.server.links.closed{close.code=lost}", 2.0),
        ("bowline.server.links.closed{close.code=_OTHER}", 1.0),
        ("bowline.server.links.refused{close.code=bad credentials}", 1.0),
    ];
    assert_eq!(counted.sums(), sums(&expected));
}

#[test]
fn tries_to_connect_are_counted_once_by_how_they_ended() {
    let mut counted = Counted::default();
    let mut metrics = SessionMetrics::client();
    let outcomes = [
        (Connected::Live, "live"),
        (Connected::NoCredentials, "no_credentials"),
        (Connected::NoLink, "no_link"),
        (Connected::Refused, "refused"),
        (Connected::Lost, "lost"),
        (Connected::TimedOut, "timed_out"),
    ];
    for (how, name) in outcomes {
        metrics.connecting();
        metrics.connected(how);
        // A link that is lost after it was live is no try.
        metrics.connected(Connected::Lost);
        let series = format!("bowline.client.reconnects{{outcome={name}}}");
        assert_eq!(counted.sum(&series), 1.0);
    }
    assert_eq!(counted.sums().values().sum::<f64>(), 6.0);
}

#[test]
fn resumes_and_gaps_are_counted_and_a_session_once() {
    let mut counted = Counted::default();
    let mut metrics = SessionMetrics::client();
    metrics.live(Outcome::New);
    assert_eq!(counted.sums(), sums(&[("bowline.client.sessions{}", 1.0)]));
    metrics.live(Outcome::Resumed);
    metrics.live(Outcome::Resumed);
    let reasons = [
        (GapReason::Unknown, "unknown"),
        (GapReason::Expired, "expired"),
        (GapReason::Evicted, "evicted"),
        (GapReason::StateLost, "state_lost"),
        (GapReason::IdentityChanged, "identity_changed"),
        (GapReason::SchemaChanged, "schema_changed"),
        (GapReason::NoProgress, "no_progress"),
    ];
    for (reason, name) in reasons {
        metrics.live(gap(reason));
        assert_eq!(counted.sum(&format!("bowline.client.gaps{{reason={name}}}")), 1.0);
    }
    assert_eq!(counted.sum("bowline.client.sessions{}"), 1.0);
    assert_eq!(counted.sum("bowline.client.resumes{outcome=resumed}"), 2.0);
    assert_eq!(counted.sum("bowline.client.resumes{outcome=gap}"), 7.0);
    drop(metrics);
    assert_eq!(counted.sum("bowline.client.sessions{}"), 0.0);
}

#[test]
fn a_server_counts_its_sessions_and_their_gaps_under_its_own_names() {
    let mut counted = Counted::default();
    let mut metrics = SessionMetrics::server();
    metrics.live(Outcome::New);
    assert_eq!(counted.sums(), sums(&[("bowline.server.sessions{}", 1.0)]));
    metrics.live(gap(GapReason::Expired));
    let expected = [
        ("bowline.server.sessions{}", 1.0),
        ("bowline.server.resumes{outcome=gap}", 1.0),
        ("bowline.server.gaps{reason=expired}", 1.0),
    ];
    assert_eq!(counted.sums(), sums(&expected));
    drop(metrics);
    assert_eq!(counted.sum("bowline.server.sessions{}"), 0.0);
}

/// Two ends over a link in memory for so long; both told by recorders of their own.
async fn run(
    client: &Peer,
    server: &Peer,
    time: Duration,
    mut each: impl FnMut(&mut std::task::Context<'_>),
) {
    let (near, far) = pair(&Faults::default());
    let welcome = async {
        poll_fn(|cx| server.poll_hello(cx)).await;
        server.welcome(Welcoming::new(1, [1; 32], 2));
        std::future::pending().await
    };
    let ends =
        futures_util::future::join(drive(near, client, std::future::pending()), drive(far, server, welcome));
    let watched = poll_fn(|cx| {
        each(cx);
        Poll::<()>::Pending
    });
    let time = tokio::time::sleep(time);
    let all = futures_util::future::join(ends, watched);
    assert!(matches!(select(Box::pin(all), Box::pin(time)).await, Either::Right(_)));
}

#[tokio::test(start_paused = true)]
async fn messages_bytes_and_round_trips_are_those_of_the_session() {
    let mut counted = Counted::default();
    let (client, server) = (Peer::client(Config::default()), Peer::server(Config::default()));
    let (mut near, mut far) = (SessionMetrics::client(), SessionMetrics::server());
    run(&client, &server, Duration::from_secs(100), |cx| {
        near.poll(cx, &client);
        far.poll(cx, &server);
    })
    .await;
    near.look(&client);
    far.look(&server);
    let (here, there) = (client.stats().session.counted, server.stats().session.counted);
    assert!(here.messages_out > 1 && here.bytes_out > here.messages_out, "{here:?}");
    assert_eq!((here.messages_out, here.bytes_out), (there.messages_in, there.bytes_in));
    for (end, stats) in [("client", here), ("server", there)] {
        assert_eq!(
            counted.sum(&format!("bowline.{end}.messages{{direction=out}}")),
            stats.messages_out as f64
        );
        assert_eq!(counted.sum(&format!("bowline.{end}.messages{{direction=in}}")), stats.messages_in as f64);
        assert_eq!(counted.sum(&format!("bowline.{end}.bytes{{direction=out}}")), stats.bytes_out as f64);
        assert_eq!(counted.sum(&format!("bowline.{end}.bytes{{direction=in}}")), stats.bytes_in as f64);
    }
    // The server pings every 25 s, and the client with it.
    for end in ["client", "server"] {
        let pongs = counted.values(&format!("bowline.{end}.round_trip{{}}")).len();
        assert!((1..=5).contains(&pongs), "{end}: {pongs}");
    }
}

/// Each end makes a call that the other can't answer, and is told so: an answer is kept until it is acknowledged.
#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_acknowledged_are_those_of_the_session() {
    let mut counted = Counted::default();
    let (client, server) = (Peer::client(Config::default()), Peer::server(Config::default()));
    let (mut near, mut far) = (SessionMetrics::client(), SessionMetrics::server());
    for peer in [&client, &server] {
        let work = WorkClient::from_channel(peer.channel());
        tokio::spawn(async move { work.quick().await });
    }
    let mut most = [0, 0];
    run(&client, &server, Duration::from_secs(3), |_| {
        near.look(&client);
        far.look(&server);
        for (index, (end, peer)) in [("client", &client), ("server", &server)].into_iter().enumerate() {
            let kept = peer.stats().session.held.unacknowledged_bytes;
            assert_eq!(counted.sum(&format!("bowline.{end}.replay{{}}")), kept as f64, "{end}");
            most[index] = kept.max(most[index]);
        }
    })
    .await;
    assert!(most[0] > 0 && most[1] > 0, "{most:?}");
    drop((near, far));
    for end in ["client", "server"] {
        assert_eq!(counted.sum(&format!("bowline.{end}.replay{{}}")), 0.0, "{end}");
    }
}

/// A page that does nothing costs no timer.
#[tokio::test(start_paused = true)]
async fn an_idle_session_is_looked_at_no_more_than_once_after_its_last_step() {
    let _counted = Counted::default();
    let peer = Peer::client(Config::default());
    let mut metrics = SessionMetrics::client();
    let mut polls = 0;
    let watched = poll_fn(|cx| {
        polls += 1;
        metrics.poll(cx, &peer);
        if polls == 1 {
            // A second step within the second.
            metrics.poll(cx, &peer);
        }
        Poll::<()>::Pending
    });
    let ended = tokio::time::timeout(Duration::from_secs(1_000), watched).await;
    assert!(ended.is_err());
    // The first step, the timer that it set, and the end of this test.
    assert!(polls <= 3, "{polls}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_taken_back_with_the_session() {
    let mut counted = Counted::default();
    let (work, _other_end, peer) = support::unanswered_peer(&Identity::new());
    let mut metrics = SessionMetrics::client();
    // The same, seen as a server's.
    let mut other = SessionMetrics::server();
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(work.wait())).collect();
    tokio::time::sleep(Duration::from_millis(1)).await;
    metrics.look(&peer);
    assert_eq!(counted.sum("bowline.client.outbox{}"), 3.0);
    other.look(&peer);
    assert_eq!(counted.sum("bowline.server.outbox{}"), 3.0);
    drop(other);
    assert_eq!(counted.sum("bowline.server.outbox{}"), 0.0);
    for call in &calls {
        call.abort();
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
    metrics.look(&peer);
    assert_eq!(counted.sum("bowline.client.outbox{}"), 0.0);
    let _waits = tokio::spawn(work.wait());
    tokio::time::sleep(Duration::from_millis(1)).await;
    metrics.look(&peer);
    assert_eq!(counted.sum("bowline.client.outbox{}"), 1.0);
    drop(metrics);
    assert_eq!(counted.sum("bowline.client.outbox{}"), 0.0);
}

/// A client whose links are cut again and again: as many of each as the test saw.
#[tokio::test(start_paused = true)]
async fn a_client_counts_its_links_tries_and_resumes() {
    let mut counted = Counted::default();
    let worker = Worker::default();
    let server = server(&worker, Identity::new());
    let (mut listener, connector) = network();
    let faults = connector.faults().clone();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let accepting = spawn(async move {
        while let Some(link) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            server.accept(link);
        }
    });
    let client = Client::builder("memory").connector(connector).connect().await.unwrap();
    let mut states = client.states();
    let (mut resumed, mut gaps) = (0, 0);
    let work: WorkClient = client.client();
    // A session may go on ten times a minute.
    for _ in 0..8 {
        assert_eq!(work.quick().await.unwrap(), 2);
        faults.cut();
        // Past the state that is shown while it is lost.
        while states.next().await.unwrap().is_live() {}
        loop {
            match states.next().await.unwrap() {
                State::Live(Arrival::Resumed) => break resumed += 1,
                State::Live(Arrival::Gap(_)) => break gaps += 1,
                State::Live(other) => panic!("{other:?}"),
                _ => {}
            }
        }
    }
    assert_eq!(work.quick().await.unwrap(), 2);
    let links = accepted.load(Ordering::SeqCst) as f64;
    assert_eq!(counted.sum("bowline.client.links.opened{}"), links);
    assert_eq!(counted.sum("bowline.client.links.closed{close.code=lost}"), links - 1.0);
    assert_eq!(counted.sum("bowline.client.links{}"), 1.0);
    assert_eq!(counted.sum("bowline.client.reconnects{outcome=live}"), 9.0);
    assert_eq!(counted.sum("bowline.client.resumes{outcome=resumed}"), f64::from(resumed));
    assert_eq!(counted.sum("bowline.client.resumes{outcome=gap}"), f64::from(gaps));
    assert_eq!(counted.sum("bowline.client.sessions{}"), 1.0);
    // The other end says the same of each.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(counted.sum("bowline.server.links.opened{}"), links);
    assert_eq!(counted.sum("bowline.server.links.closed{close.code=lost}"), links - 1.0);
    assert_eq!(counted.sum("bowline.server.links{}"), 1.0);
    assert_eq!(counted.sum("bowline.server.resumes{outcome=resumed}"), f64::from(resumed));
    assert_eq!(counted.sum("bowline.server.resumes{outcome=gap}"), f64::from(gaps));
    assert_eq!((resumed, gaps), (8, 0));
    assert!(counted.sum("bowline.server.messages{direction=in}") >= 9.0);
    assert!(counted.sum("bowline.server.bytes{direction=out}") >= 9.0);

    faults.unplug();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(counted.sum("bowline.client.reconnects{outcome=no_link}") >= 1.0);
    faults.plug();
    client.close().await;
    drop((client, work, accepting));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for end in ["client", "server"] {
        for series in ["links", "sessions", "outbox", "replay"] {
            assert_eq!(counted.sum(&format!("bowline.{end}.{series}{{}}")), 0.0, "{end} {series}");
        }
    }
}
