//! Hooks on the host, where effects run as they do in a page.
#![cfg(all(not(target_arch = "wasm32"), not(feature = "ssr")))]

#[path = "../../client/tests/common/mod.rs"]
mod common;

use std::{convert::Infallible, time::Duration};

use bowline::leptos::{action, query, stream, use_breaker, use_client, watch};
use bowline::middleware::{BreakerConfig, BreakerLayer};
use bowline::{Delivery, State, prelude::*};
use common::{NoSuchTopic, OfficeClient, Place, Two, until};
use leptos::prelude::*;

/// A place with a client and an owner, which stands for a component.
struct Page {
    place: Place,
    client: bowline::Client,
    office: OfficeClient,
    owner: Owner,
}

impl Page {
    async fn open() -> Self {
        Self::at(Place::new()).await
    }

    async fn at(place: Place) -> Self {
        // Fails when another test of this program was first.
        let _ = any_spawner::Executor::init_tokio();
        let client = place.client().await;
        let office = client.client();
        let owner = Owner::new();
        owner.set();
        Self { place, client, office, owner }
    }
}

/// Lets effects and calls get on.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test(start_paused = true)]
async fn a_query_shows_its_answer_and_asks_anew_when_an_argument_changes() {
    let page = Page::open().await;
    let text = RwSignal::new("one".to_owned());
    let answer = page.office.echo_query(move || text.get());
    assert!(answer.loading.get_untracked());
    assert_eq!(answer.data.get_untracked(), None);
    settle().await;
    assert_eq!(answer.data.get_untracked().as_deref(), Some("one"));
    assert!(!answer.loading.get_untracked());
    text.set("two".into());
    settle().await;
    assert_eq!(answer.data.get_untracked().as_deref(), Some("two"));
    assert_eq!(page.place.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_query_whose_arguments_are_the_same_asks_only_when_told() {
    let page = Page::open().await;
    let number = RwSignal::new(1);
    let answer = page.office.echo_query(move || (number.get() / 10).to_string());
    settle().await;
    number.set(2);
    settle().await;
    assert_eq!(page.place.calls(), 1, "the encoded arguments are what counts");
    answer.refetch();
    settle().await;
    assert_eq!(page.place.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_newer_call_cancels_the_one_under_way() {
    let page = Page::open().await;
    let (office, which) = (page.office.clone(), RwSignal::new(0));
    let answer = query(move || {
        which.track();
        office.wait()
    });
    until("the handler runs", || page.place.running() == 1).await;
    which.set(1);
    settle().await;
    assert_eq!(page.place.calls(), 1, "the same call goes on");
    answer.refetch();
    settle().await;
    assert_eq!((page.place.calls(), page.place.running()), (2, 1), "the first one was stopped");
    page.place.world.release.notify_one();
    settle().await;
    assert_eq!(answer.data.get_untracked(), Some(7));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_owner_cancels_everything_and_nothing_is_written_after_it() {
    let page = Page::open().await;
    let component = page.owner.child();
    let (answer, told, level, news) = component.with(|| {
        let told = page.office.wait_action();
        told.dispatch(());
        let answer = page.office.wait_query();
        let level = page.office.level_signal(|| "a".into());
        let news = page.office.news_signal(|| "all".into()).keep(3);
        (answer, told, level, news)
    });
    until("all four run", || page.place.running() == 4).await;
    component.cleanup();
    until("all four are stopped", || page.place.running() == 0).await;
    page.place.world.level.send_replace(5);
    page.place.world.news.publish(1);
    page.place.world.release.notify_waiters();
    // What outlives the component is told that there is nothing any more, and nothing panics.
    answer.refetch();
    told.dispatch(());
    settle().await;
    assert!(answer.data.try_get_untracked().is_none());
    assert!(level.value.try_get_untracked().is_none());
    assert!(news.items.try_get_untracked().is_none());
    assert_eq!(page.place.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_was_not_sent_is_asked_when_the_connection_is_back() {
    let page = Page::open().await;
    page.place.faults.unplug();
    let answer = page.office.echo_query(|| "late".into());
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(
        answer.error.get_untracked(),
        Some(CallError::DeadlineExceeded(Delivery::NotSent)),
        "what hinders it is shown"
    );
    assert!(answer.loading.get_untracked(), "and it goes on");
    tokio::time::sleep(Duration::from_secs(60)).await;
    page.place.faults.plug();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(answer.data.get_untracked().as_deref(), Some("late"));
    assert_eq!(answer.error.get_untracked(), None);
    assert_eq!(page.place.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_query_that_may_have_run_is_left_to_the_user() {
    let page = Page::at(Place::forgetful()).await;
    let answer = page.office.wait_query();
    until("the handler runs", || page.place.running() == 1).await;
    page.place.faults.cut();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(answer.error.get_untracked(), Some(CallError::Disconnected(Delivery::OutcomeUnknown)));
    assert!(!answer.loading.get_untracked());
    assert_eq!(page.place.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_action_runs_when_told_beside_others_and_keeps_its_last_value() {
    let page = Page::open().await;
    let echo = page.office.echo_action();
    settle().await;
    assert_eq!(page.place.calls(), 0, "nothing by itself");
    echo.dispatch("a".into());
    assert!(echo.pending.get_untracked());
    settle().await;
    assert!(!echo.pending.get_untracked());
    assert_eq!(echo.value.get_untracked().as_deref(), Some("a"));
    assert_eq!(echo.version.get_untracked(), 1);
    for text in ["b", "c", "d"] {
        echo.dispatch(text.into());
    }
    settle().await;
    assert_eq!(page.place.calls(), 4, "none was cancelled by the next");
    assert_eq!(echo.value.get_untracked().as_deref(), Some("d"));
    assert_eq!(echo.version.get_untracked(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_older_action_does_not_cover_a_newer_ones_value() {
    let _page = Page::open().await;
    let sleeping = action(|(millis, text): (u64, &'static str)| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        if text.is_empty() { Err(CallError::Application(NoSuchTopic)) } else { Ok(text) }
    });
    sleeping.dispatch((100, "old"));
    sleeping.dispatch((10, "new"));
    sleeping.dispatch((50, ""));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(sleeping.value.get_untracked(), Some("new"));
    assert!(sleeping.pending.get_untracked());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(sleeping.value.get_untracked(), Some("new"));
    assert_eq!(
        sleeping.error.get_untracked(),
        Some(CallError::Application(NoSuchTopic)),
        "a failure is not hidden"
    );
    assert!(!sleeping.pending.get_untracked());
    sleeping.dispatch((10, "newest"));
    assert_eq!(sleeping.error.get_untracked(), None);
}

#[tokio::test(start_paused = true)]
async fn a_notify_is_an_action_too() {
    let page = Page::open().await;
    let note = page.office.note_action();
    note.dispatch("hello".into());
    until("it arrives", || *page.place.world.notes.lock().unwrap() == ["hello"]).await;
    assert!(note.error.get_untracked().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_watch_keeps_its_value_while_stale_and_recovers_by_itself() {
    let page = Page::open().await;
    let of = RwSignal::new("a".to_owned());
    let level = page.office.level_signal(move || of.get());
    assert_eq!(level.value.get_untracked(), None);
    settle().await;
    assert_eq!((level.value.get_untracked(), level.stale.get_untracked()), (Some(1000), false));
    page.place.world.level.send_replace(3);
    settle().await;
    assert_eq!(level.value.get_untracked(), Some(1003));

    page.place.faults.unplug();
    settle().await;
    assert_eq!((level.value.get_untracked(), level.stale.get_untracked()), (Some(1003), true));
    page.place.world.level.send_replace(4);
    tokio::time::sleep(Duration::from_secs(600)).await;
    page.place.faults.plug();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!((level.value.get_untracked(), level.stale.get_untracked()), (Some(1004), false));

    of.set("ab".into());
    settle().await;
    assert_eq!(level.value.get_untracked(), Some(2004));
    assert_eq!(page.place.running(), 1, "the watch on the old argument was stopped");
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_starts_without_a_connection_waits_for_it_without_a_deadline() {
    let page = Page::open().await;
    page.place.faults.unplug();
    let level = page.office.level_signal(|| "a".into());
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!((level.value.get_untracked(), level.error.get_untracked()), (None, None));
    page.place.faults.plug();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(level.value.get_untracked(), Some(1000));
}

#[tokio::test(start_paused = true)]
async fn a_stream_reaches_fold_with_every_item_in_order() {
    let page = Page::open().await;
    let office = page.office.clone();
    let numbers = stream(move || office.count(10_000)).fold(Vec::new(), |numbers: &mut Vec<u64>, number| {
        numbers.push(number);
    });
    until("the stream ends", || numbers.ended.get_untracked()).await;
    assert!(numbers.value.get_untracked().into_iter().eq(0..10_000));
    assert_eq!((numbers.missed.get_untracked(), numbers.interrupted.get_untracked()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn keep_and_latest_show_the_end_of_a_stream() {
    let page = Page::open().await;
    let last = page.office.count_signal(|| 10).keep(3);
    let none = page.office.count_signal(|| 10).keep(0);
    let latest = page.office.count_signal(|| 10).latest();
    until("they end", || {
        last.ended.get_untracked() && latest.ended.get_untracked() && none.ended.get_untracked()
    })
    .await;
    assert_eq!(last.items.get_untracked(), [7, 8, 9]);
    assert!(none.items.get_untracked().is_empty());
    assert_eq!(latest.value.get_untracked(), Some(9));
}

#[tokio::test(start_paused = true)]
async fn other_arguments_start_a_collection_anew() {
    let page = Page::open().await;
    let to = RwSignal::new(3);
    let numbers = page.office.count_signal(move || to.get()).keep(10);
    settle().await;
    assert_eq!(numbers.items.get_untracked(), [0, 1, 2]);
    to.set(2);
    settle().await;
    assert_eq!(numbers.items.get_untracked(), [0, 1]);
    assert_eq!(numbers.interrupted.get_untracked(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_lost_starts_again_keeps_its_items_and_says_that_some_may_be_missing() {
    let page = Page::open().await;
    let news = page.office.news_signal(|| "all".into()).keep(10);
    until("it runs", || page.place.running() == 1).await;
    page.place.world.news.publish(1);
    settle().await;
    page.place.faults.unplug();
    // Longer than a server keeps a session for somebody who is away.
    tokio::time::sleep(Duration::from_secs(300)).await;
    assert_eq!(news.interrupted.get_untracked(), 0, "told when it runs again");
    page.place.world.news.publish(2);
    page.place.faults.plug();
    tokio::time::sleep(Duration::from_secs(62)).await;
    assert_eq!(page.place.running(), 1);
    page.place.world.news.publish(3);
    settle().await;
    assert_eq!(news.items.get_untracked(), [1, 3]);
    assert_eq!((news.interrupted.get_untracked(), news.error.get_untracked()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_shows_the_methods_own_error_and_is_left_alone() {
    let page = Page::open().await;
    let news = page.office.news_signal(String::new).keep(10);
    // Beyond the time for which the server keeps a session.
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(news.error.get_untracked(), Some(CallError::Application(NoSuchTopic)));
    assert_eq!(page.place.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_state_of_the_connection_is_a_signal() {
    let page = Page::open().await;
    let socket = use_client(page.client.clone());
    assert!(socket.state.get_untracked().is_live());
    page.place.faults.unplug();
    settle().await;
    assert!(matches!(socket.state.get_untracked(), State::Reconnecting { .. }));
    page.place.faults.plug();
    socket.reconnect();
    settle().await;
    assert!(socket.state.get_untracked().is_live());
    assert_eq!(socket.client::<OfficeClient>().echo("hi".into()).await.unwrap(), "hi");

    tokio::time::sleep(Duration::from_secs(6)).await;
    let (known, shown) = (page.client.round_trip(), socket.latency.get_untracked());
    assert!(known.is_some() && shown == known, "{shown:?}, not {known:?}");
    page.place.faults.unplug();
    tokio::time::sleep(Duration::from_secs(130)).await;
    assert!(matches!(socket.state.get_untracked(), State::Suspended { .. }));
    assert_eq!(socket.latency.get_untracked(), None);
    socket.close();
    settle().await;
    assert_eq!(socket.state.get_untracked(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_breaker_shows_where_calls_go_now() {
    let _ = any_spawner::Executor::init_tokio();
    let two = Two::new();
    let layer = BreakerLayer::new(BreakerConfig { min_calls: 1, ..BreakerConfig::default() }).unwrap();
    let handle = layer.handle();
    let client = two.builder().breaker(layer).connect().await.unwrap();
    let (owner, office) = (Owner::new(), client.client::<OfficeClient>());
    owner.set();
    let state = use_breaker(&handle, "Office");
    let shown = Memo::new(move |_| state.get().as_str());
    assert_eq!(shown.get_untracked(), "closed");
    two.a.world.ill.store(true, std::sync::atomic::Ordering::SeqCst);
    office.echo("hi".into()).await.unwrap_err();
    settle().await;
    assert_eq!(shown.get_untracked(), "open");
    client.reconnect();
    settle().await;
    assert_eq!((two.map.tried().as_str(), shown.get_untracked()), ("ab", "closed"));
    owner.cleanup();
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_any_closure_that_makes_one() {
    let page = Page::open().await;
    let office = page.office.clone();
    let level: bowline::leptos::Watch<u64, Infallible> = watch(move || office.level("abc".into()));
    settle().await;
    assert_eq!(level.value.get_untracked(), Some(3000));
}

#[tokio::test]
async fn components_that_name_the_same_url_share_one_connection() {
    use bowline::leptos::{expect_websocket, provide_websocket, use_websocket};
    let _ = any_spawner::Executor::init_tokio();
    let place = Place::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let serving = tokio::spawn(bowline::serve(listener, place.server.clone()).into_future());

    let page = Owner::new();
    page.set();
    let first = provide_websocket(&url);
    let below = page.child();
    let (second, third) = below.with(|| (expect_websocket(), use_websocket(&url)));
    until("it is live", || third.state.get_untracked().is_live()).await;
    assert!(first.channel().is_same_session(&second.channel()));
    assert!(first.channel().is_same_session(&third.channel()));
    assert_eq!(place.server.sessions(), 1);
    below.cleanup();
    assert_eq!(first.client::<OfficeClient>().echo("still".into()).await.unwrap(), "still");

    tokio::time::pause();
    page.cleanup();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(place.server.sessions(), 1, "the next view may want it");
    until("nobody wanted it", || place.server.sessions() == 0).await;
    serving.abort();
}
