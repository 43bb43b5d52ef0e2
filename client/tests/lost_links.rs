//! What becomes of calls, watches and streams when the session is lost with its link, and how a client ends.

mod common;

use std::time::Duration;

use bowline::{Delivery, State, prelude::*};
use common::{Ada, OfficeClient, Place, VisitorServer, reaches, until};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_call_under_way_ends_and_says_that_it_may_have_run() {
    let place = Place::forgetful();
    let client = place.client().await;
    let waiting = tokio::spawn(client.client::<OfficeClient>().wait());
    until("the handler runs", || place.running() == 1).await;
    place.faults.cut();
    let failed = waiting.await.unwrap().unwrap_err();
    assert_eq!(failed, CallError::Disconnected(Delivery::OutcomeUnknown));
    until("the handler is stopped", || place.running() == 0).await;
    assert_eq!(place.calls(), 1, "nothing is sent again by itself");
}

#[tokio::test(start_paused = true)]
async fn calls_made_without_a_link_go_out_in_order_once_there_is_one() {
    let place = Place::forgetful();
    let client = place.client().await;
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let office = client.client::<OfficeClient>();
    let calls = (0..20).map(|number| office.echo(number.to_string()).deadline(Duration::from_secs(600)));
    let calls = tokio::spawn(futures_util::future::try_join_all(calls.collect::<Vec<_>>()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(place.calls(), 0);
    place.faults.plug();
    let answers = calls.await.unwrap().unwrap();
    assert_eq!(answers, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(place.calls(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_link_keeps_its_deadline() {
    let place = Place::forgetful();
    let client = place.client().await;
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let begin = Instant::now();
    let office = client.client::<OfficeClient>();
    let long = tokio::spawn(office.echo("long".into()).deadline(Duration::from_secs(40)));
    // The driver sleeps towards the longer one by now.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let short = office.echo("short".into()).deadline(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(short, CallError::DeadlineExceeded(Delivery::NotSent));
    assert_eq!(begin.elapsed().as_millis() / 10, 30, "after {:?}", begin.elapsed());
    assert_eq!(long.await.unwrap().unwrap_err(), CallError::DeadlineExceeded(Delivery::NotSent));
    assert_eq!(begin.elapsed().as_secs(), 40);
    place.faults.plug();
    reaches(&client, State::is_live).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(place.calls(), 0, "what has expired is not sent");
}

#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_over_the_next_link_with_the_newest_value() {
    let place = Place::forgetful();
    let client = place.client().await;
    let mut level = client.client::<OfficeClient>().level("a".into()).await.unwrap();
    assert_eq!(level.next().await.unwrap().unwrap(), 1000);
    place.world.level.send_replace(1);
    assert_eq!(level.next().await.unwrap().unwrap(), 1001);
    assert!(!level.is_stale());

    place.faults.unplug();
    assert!(level.stale_changed().await);
    assert!(level.is_stale());
    for newer in 2..=9 {
        place.world.level.send_replace(newer);
    }
    place.faults.plug();
    assert_eq!(level.next().await.unwrap().unwrap(), 1009, "only the newest");
    assert!(!level.is_stale());
    assert_eq!(place.running(), 1, "the watch of the lost link was stopped");
    drop(level);
    until("dropping it stops the handler", || place.running() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_lost_for_good_starts_anew_and_says_so() {
    let place = Place::forgetful();
    let client = place.client().await;
    let mut news = client.client::<OfficeClient>().news("all".into()).await.unwrap();
    place.world.news.publish(1);
    assert_eq!(news.next().await.unwrap().unwrap(), 1);
    place.faults.cut();
    assert!(news.stale_changed().await);
    assert_eq!(news.next().await.unwrap().unwrap_err(), StreamError::Gap { missed: None });
    assert!(!news.is_stale());
    place.world.news.publish(2);
    assert_eq!(news.next().await.unwrap().unwrap(), 2);
    assert_eq!(place.running(), 1);

    let mut once = client.client::<OfficeClient>().news("all".into()).no_resubscribe().await.unwrap();
    place.faults.cut();
    let last = once.next().await.unwrap().unwrap_err();
    assert_eq!(last, StreamError::Failed(CallError::Disconnected(Delivery::OutcomeUnknown)));
    assert!(once.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_silent_network_loses_nothing_that_it_delivers_later() {
    let place = Place::forgetful();
    let office = place.client().await.client::<OfficeClient>();
    place.faults.stall();
    let calls = tokio::spawn(futures_util::future::try_join_all(
        (0..50).map(|number| office.echo(number.to_string())).collect::<Vec<_>>(),
    ));
    tokio::time::sleep(Duration::from_secs(3)).await;
    place.faults.resume();
    assert_eq!(calls.await.unwrap().unwrap().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn close_ends_everything_and_every_handle() {
    let place = Place::forgetful();
    let client = place.client().await;
    let other = client.clone();
    let office = client.client::<OfficeClient>();
    let waiting = tokio::spawn(office.wait());
    let mut level = office.level("a".into()).await.unwrap();
    level.next().await.unwrap().unwrap();
    until("the handlers run", || place.running() == 2).await;

    let begin = Instant::now();
    client.close().await;
    assert!(begin.elapsed() < Duration::from_secs(1), "a server that answers is not waited for");
    assert_eq!(other.state(), State::Closed);
    let unknown = CallError::Disconnected(Delivery::OutcomeUnknown);
    assert_eq!(waiting.await.unwrap().unwrap_err(), unknown, "it may have run");
    assert_eq!(level.next().await.unwrap().unwrap_err(), StreamError::Failed(CallError::Closed));
    assert!(level.next().await.is_none());
    assert_eq!(office.echo("late".into()).await.unwrap_err(), CallError::Closed);
    other.reconnect();
    let states: Vec<State> = other.states().collect().await;
    assert_eq!(states, [State::Closed], "the stream of states ends");
    until("nothing is left", || place.server.sessions() == 0 && place.running() == 0).await;
    assert_eq!(place.faults.links(), 0);
    client.close().await;
}

#[tokio::test(start_paused = true)]
async fn close_does_not_wait_for_a_server_that_does_not_answer() {
    let place = Place::forgetful();
    let client = place.client().await;
    place.faults.half_open();
    let begin = Instant::now();
    client.close().await;
    assert!(begin.elapsed() <= Duration::from_secs(1) + Duration::from_millis(1), "{:?}", begin.elapsed());
}

/// What ran on a session that could still go on is no less unknown than on one that is lost.
#[tokio::test(start_paused = true)]
async fn close_between_links_says_what_may_have_run() {
    let place = Place::new();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    let ran = tokio::spawn(office.wait());
    until("the handler runs", || place.running() == 1).await;
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let waits = tokio::spawn(office.echo("early".into()));
    tokio::task::yield_now().await;
    client.close().await;
    assert_eq!(ran.await.unwrap().unwrap_err(), CallError::Disconnected(Delivery::OutcomeUnknown));
    assert_eq!(waits.await.unwrap().unwrap_err(), CallError::Closed);
}

#[tokio::test(start_paused = true)]
async fn close_between_links_ends_at_once() {
    let place = Place::forgetful();
    let client = place.client().await;
    place.faults.unplug();
    reaches(&client, |state| matches!(state, State::Reconnecting { attempt: 4, .. })).await;
    let waiting = tokio::spawn(client.client::<OfficeClient>().echo("early".into()));
    tokio::task::yield_now().await;
    client.close().await;
    assert_eq!(waiting.await.unwrap().unwrap_err(), CallError::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_last_handle_closes_the_connection_and_each_kind_of_handle_keeps_it() {
    let place = Place::forgetful();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    drop(client);
    let mut news = office.news("all".into()).await.unwrap();
    let waiting = tokio::spawn(office.wait().no_deadline());
    until("the handlers run", || place.running() == 2).await;
    drop(office);
    tokio::time::sleep(Duration::from_secs(60)).await;

    place.world.news.publish(5);
    assert_eq!(news.next().await.unwrap().unwrap(), 5, "a stream is a handle");
    drop(news);
    place.world.release.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap(), 7, "a call is a handle");
    until("nothing is left", || place.server.sessions() == 0 && place.faults.links() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_calls_and_streams_stops_their_handlers() {
    let place = Place::forgetful();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    let waiting = tokio::spawn(office.wait());
    let news = office.news("all".into()).await.unwrap();
    until("the handlers run", || place.running() == 2).await;
    waiting.abort();
    drop(news);
    until("the handlers are stopped", || place.running() == 0).await;
    assert!(client.state().is_live());
}

#[tokio::test(start_paused = true)]
async fn the_server_calls_what_the_client_serves_also_after_a_lost_link() {
    let place = Place::forgetful();
    let client = place.builder().serve(VisitorServer::new(Ada)).connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let first = office.ask_back("Why?".into()).await.unwrap();
    assert!(first.ends_with(": Why? 42."), "{first}");
    place.faults.cut();
    reaches(&client, |state| !state.is_live()).await;
    let second = office.ask_back("And now?".into()).await.unwrap();
    assert!(second.ends_with(": And now? 42."), "{second}");
    let session = |answer: &str| answer.split(':').next().unwrap().to_owned();
    assert_ne!(session(&first), session(&second), "a new link is a new session");
    assert_ne!(session(&first), "0");
    drop((client, office));
    until("serving keeps no connection", || place.server.sessions() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_serves_nothing_answers_that() {
    let place = Place::forgetful();
    let answer = place.client().await.client::<OfficeClient>().ask_back("Why?".into()).await.unwrap();
    assert!(answer.contains("not implemented"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_notify_is_not_kept_for_later() {
    let place = Place::forgetful();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    office.note("one".into()).await.unwrap();
    until("it arrives", || place.world.notes.lock().unwrap().len() == 1).await;
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let failed = office.note("two".into()).await.unwrap_err();
    assert!(matches!(failed, CallError::Unavailable { .. }), "{failed:?}");
    place.faults.plug();
    reaches(&client, State::is_live).await;
    office.note("three".into()).await.unwrap();
    until("it arrives", || place.world.notes.lock().unwrap().len() == 2).await;
    assert_eq!(*place.world.notes.lock().unwrap(), ["one", "three"]);
}

#[tokio::test(start_paused = true)]
async fn every_call_in_a_network_that_breaks_again_and_again_runs_once_and_is_answered() {
    let place = Place::new();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    for number in 0..200 {
        if number % 7 == 0 {
            place.faults.drop_after(5);
        }
        let answer = office.echo(number.to_string()).deadline(Duration::from_secs(600)).await.unwrap();
        assert_eq!(answer, number.to_string());
    }
    assert_eq!(place.calls(), 200);
    assert!(place.server.stats().counted.resumed > 10);
    assert_eq!(place.server.stats().counted.begun, 1);
}
