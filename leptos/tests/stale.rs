//! What hooks say about what they show while the connection is away.
#![cfg(all(not(target_arch = "wasm32"), not(feature = "ssr")))]
#![allow(clippy::unwrap_used, reason = "a test")]

#[path = "../../client/tests/common/mod.rs"]
mod common;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bowline::{
    CloseCode, State,
    leptos::use_client,
    prelude::*,
    transport::{BoxLink, CloseFrame, Connect, ConnectError, Link, memory},
};
use common::{OfficeClient, Place, until};
use leptos::prelude::*;

/// A place with a client and an owner, which stands for a component.
async fn page() -> (Place, bowline::Client, OfficeClient, Owner) {
    let _ = any_spawner::Executor::init_tokio();
    let place = Place::new();
    let client = place.client().await;
    let (office, owner) = (client.client(), Owner::new());
    owner.set();
    (place, client, office, owner)
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// From the moment in which the link is lost until the network is back, for each kind of hook: nothing is shown, then
/// something is; the link goes; the link is back.
#[tokio::test(start_paused = true)]
async fn every_kind_of_hook_keeps_what_it_shows_and_says_that_it_is_stale() {
    let (place, _client, office, _owner) = page().await;
    let query = office.echo_query(|| "kept".into());
    let watch = office.level_signal(|| "a".into());
    let stream = office.news_signal(|| "all".into()).keep(10);
    let stale = || [query.stale, watch.stale, stream.stale].map(|stale| stale.get_untracked());
    assert_eq!(stale(), [false; 3], "nothing is shown");
    until("the handlers run", || place.running() == 2).await;
    place.world.news.publish(1);
    settle().await;
    let shown = || (query.data.get_untracked(), watch.value.get_untracked(), stream.items.get_untracked());
    let before = shown();
    assert_eq!(before, (Some("kept".into()), Some(1000), vec![1]));
    assert_eq!(stale(), [false; 3]);

    place.faults.unplug();
    settle().await;
    assert_eq!((stale(), shown()), ([true; 3], before.clone()));
    assert_eq!((stream.error.get_untracked(), stream.loading.get_untracked()), (None, false));
    place.world.news.publish(2);
    place.faults.plug();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(stale(), [false; 3]);
    assert_eq!(stream.items.get_untracked(), [1, 2]);
    assert_eq!(stream.interrupted.get_untracked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_asked_for_again_is_stale_until_it_is_accepted() {
    let (place, _client, office, _owner) = page().await;
    let news = office.news_signal(|| "all".into()).keep(10);
    assert!(news.loading.get_untracked());
    until("it runs", || place.running() == 1).await;
    settle().await;
    assert_eq!(
        (news.loading.get_untracked(), news.stale.get_untracked()),
        (false, false),
        "empty, and current"
    );
    place.faults.unplug();
    // Longer than a server keeps a session for somebody who is away.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert!(news.stale.get_untracked());
    place.faults.plug();
    until("it runs again", || place.running() == 1).await;
    until("it is current", || !news.stale.get_untracked()).await;
    assert_eq!(news.interrupted.get_untracked(), 1);
}

#[tokio::test(start_paused = true)]
async fn other_arguments_leave_nothing_stale_of_a_stream_and_everything_of_the_others() {
    let (place, _client, office, _owner) = page().await;
    let of = RwSignal::new("a".to_owned());
    let query = office.echo_query(move || of.get());
    let watch = office.level_signal(move || of.get());
    let stream = office.news_signal(move || of.get()).keep(10);
    settle().await;
    place.faults.unplug();
    settle().await;
    of.set("ab".into());
    settle().await;
    let stale = || [query.stale, watch.stale, stream.stale].map(|stale| stale.get_untracked());
    assert_eq!(stale(), [true, true, false]);
    assert_eq!(watch.value.get_untracked(), Some(1000));
    assert!(stream.items.get_untracked().is_empty() && stream.loading.get_untracked());
    place.faults.plug();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(stale(), [false; 3]);
    assert_eq!(query.data.get_untracked().as_deref(), Some("ab"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_or_has_ended_is_not_loading() {
    let (_place, _client, office, _owner) = page().await;
    let refused = office.news_signal(String::new).keep(10);
    let ended = office.count_signal(|| 3).keep(10);
    settle().await;
    assert_eq!(refused.error.get_untracked(), Some(CallError::Application(common::NoSuchTopic)));
    assert_eq!((refused.loading.get_untracked(), refused.stale.get_untracked()), (false, false));
    assert_eq!((ended.loading.get_untracked(), ended.stale.get_untracked()), (false, false));
    _place.faults.unplug();
    settle().await;
    assert!(!ended.stale.get_untracked(), "it is complete");
}

#[tokio::test(start_paused = true)]
async fn going_offline_and_back_is_seen_in_the_state_and_at_the_server() {
    let (place, client, office, _owner) = page().await;
    let socket = use_client(client);
    let watch = office.level_signal(|| "a".into());
    settle().await;
    socket.disconnect();
    until("the server has noticed", || place.server.stats().held.detached == 1).await;
    settle().await;
    assert_eq!((socket.state.get_untracked(), watch.stale.get_untracked()), (State::Offline, true));
    socket.reconnect();
    until("it is current", || !watch.stale.get_untracked()).await;
    assert_eq!((place.server.sessions(), place.running()), (1, 1), "the watch went on");
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_a_connection_is_asked_for_again_when_there_is_one() {
    let _ = any_spawner::Executor::init_tokio();
    let place = Place::new();
    let refusing = Arc::new(AtomicBool::new(true));
    let connector = Gate { refusing: refusing.clone(), place: place.connector.clone() };
    let client = bowline::Client::builder("memory").connector(connector).connect_lazy();
    let office: OfficeClient = client.client();
    let owner = Owner::new();
    owner.set();
    let watch = office.level_signal(|| "a".into());
    let news = office.news_signal(|| "all".into()).keep(10);
    let refused = office.news_signal(String::new).keep(10);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(matches!(client.state(), State::Refused { .. }));
    assert!(matches!(news.error.get_untracked(), Some(CallError::PermissionDenied(_))));
    refusing.store(false, Ordering::SeqCst);
    client.reconnect();
    until("both run", || place.running() == 2).await;
    settle().await;
    assert_eq!((watch.value.get_untracked(), watch.error.get_untracked()), (Some(1000), None));
    assert_eq!((news.loading.get_untracked(), news.error.get_untracked()), (false, None));
    let own = Some(CallError::Application(common::NoSuchTopic));
    assert_eq!((refused.loading.get_untracked(), refused.error.get_untracked()), (false, own));
}

/// A network whose far end says that it wants none of this client, for a while.
struct Gate {
    refusing: Arc<AtomicBool>,
    place: memory::MemoryConnector,
}

impl Connect for Gate {
    fn connect(&self, endpoint: &str) -> Connecting {
        if !self.refusing.load(Ordering::SeqCst) {
            return self.place.connect(endpoint);
        }
        let (mut listener, connector) = memory::network();
        tokio::spawn(async move {
            let mut link = listener.accept().await.unwrap();
            let frame = CloseFrame::new(CloseCode::FORBIDDEN, "members only");
            std::future::poll_fn(|cx| link.poll_close(cx, &frame)).await;
        });
        connector.connect(endpoint)
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<BoxLink, ConnectError>> + Send>>;
