//! The outbox as a page sees it.
#![cfg(all(not(target_arch = "wasm32"), not(feature = "ssr")))]

#[path = "../../client/tests/common/mod.rs"]
mod common;

use std::{convert::Infallible, time::Duration};

use bowline::leptos::{Submissions, submissions};
use bowline::{Delivery, prelude::*};
use common::{NoSuchTopic, Place, until};
use leptos::prelude::*;

fn owner() -> Owner {
    let _ = any_spawner::Executor::init_tokio();
    let owner = Owner::new();
    owner.set();
    owner
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Each submission in a word.
fn shown<T: Send + Sync + Clone + ToString, E: Send + Sync>(of: Submissions<&'static str, T, E>) -> String {
    let words = of.list.get_untracked().into_iter().map(|it| {
        let outcome = match (it.pending().get_untracked(), it.value().get_untracked()) {
            (true, None) => "waits".to_owned(),
            (false, Some(value)) => value.to_string(),
            (false, None) if it.error().with_untracked(Option::is_some) => "failed".into(),
            state => panic!("{:?}", state.0),
        };
        format!("{}:{outcome}", it.input())
    });
    words.collect::<Vec<_>>().join(" ")
}

#[tokio::test(start_paused = true)]
async fn what_is_dispatched_offline_is_listed_in_order_and_arrives_in_order() {
    let (place, _owner) = (Place::new(), owner());
    let client = place.client().await;
    let office = client.client::<common::OfficeClient>();
    let post = submissions(move |text: &'static str| office.echo(text.into()).queued());
    post.dispatch("one");
    settle().await;
    assert_eq!((shown(post).as_str(), post.waiting.get_untracked()), ("one:one", 0));
    client.disconnect();
    settle().await;
    for text in ["two", "three", "four"] {
        post.dispatch(text);
    }
    assert_eq!(shown(post), "one:one two:waits three:waits four:waits");
    // Longer than any deadline, and shorter than the server keeps a session.
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!((post.waiting.get_untracked(), place.calls()), (3, 1));
    client.reconnect();
    until("all have arrived", || post.waiting.get_untracked() == 0).await;
    assert_eq!(shown(post), "one:one two:two three:three four:four");
    assert_eq!(place.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn one_that_failed_says_why_stays_and_can_be_sent_again() {
    let (place, _owner) = (Place::new(), owner());
    let client = place.client().await;
    let office = client.client::<common::OfficeClient>();
    let post = submissions(move |text: &'static str| office.echo(text.into()));
    client.disconnect();
    settle().await;
    post.dispatch("late");
    post.dispatch("later");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(shown(post), "late:failed later:failed");
    let failed = post.list.get_untracked().remove(0);
    assert_eq!(failed.error().get_untracked(), Some(CallError::DeadlineExceeded(Delivery::NotSent)));
    client.reconnect();
    settle().await;
    assert_eq!(place.calls(), 0, "nothing by itself");
    post.retry(failed.id());
    assert_eq!(shown(post), "late:waits later:failed");
    settle().await;
    assert_eq!(shown(post), "late:late later:failed");
    post.retry(failed.id());
    settle().await;
    assert_eq!(place.calls(), 1, "one that went well is not sent again");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_removed_while_it_waits_is_not_sent() {
    let (place, _owner) = (Place::new(), owner());
    let client = place.client().await;
    let office = client.client::<common::OfficeClient>();
    let post = submissions(move |text: &'static str| office.echo(text.into()).queued());
    client.disconnect();
    settle().await;
    post.dispatch("no");
    post.dispatch("yes");
    settle().await;
    post.remove(post.list.get_untracked()[0].id());
    assert_eq!((shown(post).as_str(), post.waiting.get_untracked()), ("yes:waits", 1));
    client.reconnect();
    until("it has arrived", || post.waiting.get_untracked() == 0).await;
    assert_eq!((shown(post).as_str(), place.calls()), ("yes:yes", 1));
}

#[tokio::test(start_paused = true)]
async fn a_hundred_that_have_ended_stay_and_those_that_went_well_go_first() {
    let _owner = owner();
    let post = submissions(|number: u32| async move {
        if number.is_multiple_of(2) { Err(CallError::Application(NoSuchTopic)) } else { Ok(number) }
    });
    for number in 0..120 {
        post.dispatch(number);
        settle().await;
    }
    let numbers = || post.list.get_untracked().iter().map(|it| *it.input()).collect::<Vec<_>>();
    let failed = (0..120).filter(|number| number % 2 == 0);
    let kept: Vec<u32> = (0..120).filter(|number| number % 2 == 0 || *number > 40).collect();
    assert_eq!((numbers().len(), numbers()), (100, kept));
    for number in 200..260 {
        post.dispatch(number * 2);
        settle().await;
    }
    assert!(numbers().into_iter().eq(failed.skip(20).chain((200..260).map(|number| number * 2))));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_may_be_under_way_and_one_more_is_refused() {
    let owner = owner();
    let post = submissions(|_: u32| std::future::pending::<Result<(), CallError<Infallible>>>());
    for number in 0..1001 {
        post.dispatch(number);
    }
    settle().await;
    let list = post.list.get_untracked();
    assert_eq!((list.len(), post.waiting.get_untracked()), (1001, 1000));
    let error = list[1000].error().get_untracked();
    assert!(matches!(error, Some(CallError::ResourceExhausted { .. })), "{error:?}");
    post.remove(list[0].id());
    post.retry(list[1000].id());
    settle().await;
    assert_eq!(post.waiting.get_untracked(), 1000);
    assert!(list[1000].pending().get_untracked());
    owner.cleanup();
    post.dispatch(1);
    assert!(post.list.try_get_untracked().is_none());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_owner_cancels_what_is_under_way() {
    let (place, owner) = (Place::new(), owner());
    let client = place.client().await;
    let office = client.client::<common::OfficeClient>();
    let component = owner.child();
    let post = component.with(|| submissions(move |()| office.wait()));
    post.dispatch(());
    post.dispatch(());
    until("both run", || place.running() == 2).await;
    let kept = post.list.get_untracked();
    component.cleanup();
    until("both are stopped", || place.running() == 0).await;
    post.retry(kept[0].id());
    post.remove(kept[0].id());
    assert!(kept[0].pending().get_untracked(), "nothing is written any more");
}
