//! How long calls wait for a session, and what they can choose about it.

mod common;

use std::time::Duration;

use bowline::{Delivery, State, prelude::*};
use common::{OfficeClient, Place, reaches};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_fast_does_not_wait_for_a_session() {
    let place = Place::new();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    assert_eq!(office.echo("live".into()).fail_fast().await.unwrap(), "live");
    let mut level = office.level("a".into()).fail_fast().await.unwrap();
    level.next().await.unwrap().unwrap();

    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let begin = Instant::now();
    let not_sent = CallError::Disconnected(Delivery::NotSent);
    let failed = office.echo("away".into()).fail_fast().await.unwrap_err();
    assert_eq!(failed, not_sent);
    assert!(failed.is_retryable());
    assert_eq!(office.echo("away".into()).view().fail_fast().await.unwrap_err(), not_sent);
    let refused = office.level("a".into()).fail_fast().await.unwrap_err();
    assert_eq!(refused, CallError::Disconnected(Delivery::NotSent));
    assert_eq!(begin.elapsed(), Duration::ZERO);

    let patient = tokio::spawn(office.echo("patient".into()).deadline(Duration::from_secs(600)));
    place.faults.plug();
    reaches(&client, State::is_live).await;
    assert_eq!(patient.await.unwrap().unwrap(), "patient", "the others wait");
    client.close().await;
    assert_eq!(office.echo("late".into()).fail_fast().await.unwrap_err(), CallError::Closed);
}

#[tokio::test(start_paused = true)]
async fn failing_fast_works_behind_layers_too() {
    let place = Place::new();
    let client = place.builder().layer(tower::layer::util::Identity::new()).connect().await.unwrap();
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let begin = Instant::now();
    let failed = client.client::<OfficeClient>().echo("away".into()).fail_fast().await.unwrap_err();
    assert_eq!((failed, begin.elapsed()), (CallError::Disconnected(Delivery::NotSent), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_queued_call_waits_for_longer_than_it_may_take() {
    let place = Place::new();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let day = Duration::from_secs(24 * 60 * 60);
    let queued = tokio::spawn(office.echo("queued".into()).queued());
    let viewed = tokio::spawn(office.echo("viewed".into()).view().queued());
    let slow = tokio::spawn(office.wait().deadline(Duration::from_secs(5)).queued_for(day));
    let forever = tokio::spawn(office.echo("forever".into()).queued_for(Duration::MAX));
    tokio::time::sleep(day / 2).await;
    assert!(!queued.is_finished() && place.calls() == 0);
    place.faults.plug();
    reaches(&client, State::is_live).await;
    let begin = Instant::now();
    assert_eq!(queued.await.unwrap().unwrap(), "queued");
    assert_eq!(viewed.await.unwrap().unwrap().to_owned().unwrap(), "viewed");
    assert_eq!(forever.await.unwrap().unwrap(), "forever");
    let failed = slow.await.unwrap().unwrap_err();
    assert_eq!(failed, CallError::DeadlineExceeded(Delivery::OutcomeUnknown));
    assert_eq!(begin.elapsed().as_secs(), 5, "its deadline began when it was written");
}

#[tokio::test(start_paused = true)]
async fn a_queued_call_that_expires_was_not_sent() {
    let place = Place::new();
    let client = place.client().await;
    let office = client.client::<OfficeClient>();
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let begin = Instant::now();
    let failed = office.echo("late".into()).queued_for(Duration::from_secs(90)).await.unwrap_err();
    assert_eq!(failed, CallError::DeadlineExceeded(Delivery::NotSent));
    assert_eq!(begin.elapsed().as_secs(), 90);
    place.faults.plug();
    reaches(&client, State::is_live).await;
    assert_eq!(place.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_layer_can_shorten_the_time_that_a_call_is_queued() {
    let place = Place::new();
    let hurried = tower::util::MapRequestLayer::new(|mut call: bowline::Call| {
        let soon = bowline_runtime::now() + Duration::from_secs(20);
        call.set_deadline(Some(soon));
        call
    });
    let client = place.builder().layer(hurried).connect().await.unwrap();
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let begin = Instant::now();
    let call = client.client::<OfficeClient>().echo("late".into()).queued_for(Duration::from_secs(600));
    assert_eq!(call.await.unwrap_err(), CallError::DeadlineExceeded(Delivery::NotSent));
    assert_eq!(begin.elapsed().as_secs(), 20);
}

thread_local! {
    /// What the wall clock of a test says.
    static WALL: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::from_secs(1_800_000_000)) };
}

fn advance_wall(hours: u64) {
    WALL.set(WALL.get() + Duration::from_secs(hours * 60 * 60));
}

/// The clock of timers stood still meanwhile: nothing else says how long it was.
#[tokio::test(start_paused = true)]
async fn a_device_that_slept_for_a_day_sends_nothing_of_yesterday() {
    let place = Place::new();
    let client = place.builder().wall_clock(|| WALL.get()).connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let yesterday = tokio::spawn(office.echo("yesterday".into()).queued());
    let week =
        tokio::spawn(office.echo("this week".into()).queued_for(Duration::from_secs(7 * 24 * 60 * 60)));
    tokio::time::sleep(Duration::from_millis(1)).await;
    advance_wall(23);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!yesterday.is_finished());
    advance_wall(2);
    // Before the next look at the clocks, which is up to 5 s away.
    place.faults.plug();
    client.reconnect();
    reaches(&client, State::is_live).await;
    assert_eq!(week.await.unwrap().unwrap(), "this week");
    assert_eq!(yesterday.await.unwrap().unwrap_err(), CallError::DeadlineExceeded(Delivery::NotSent));
    assert_eq!(place.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_slept_tells_within_seconds_what_has_expired() {
    let place = Place::new();
    let client = place.builder().wall_clock(|| WALL.get()).connect().await.unwrap();
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let call = tokio::spawn(client.client::<OfficeClient>().echo("late".into()).queued());
    tokio::time::sleep(Duration::from_millis(1)).await;
    advance_wall(24);
    let begin = Instant::now();
    assert_eq!(call.await.unwrap().unwrap_err(), CallError::DeadlineExceeded(Delivery::NotSent));
    assert!(begin.elapsed() <= Duration::from_secs(5), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_day_is_how_long_a_call_is_queued_that_does_not_say() {
    let place = Place::new();
    let client = place.client().await;
    place.faults.unplug();
    reaches(&client, |state| !state.is_live()).await;
    let begin = Instant::now();
    let failed = client.client::<OfficeClient>().echo("late".into()).queued().await.unwrap_err();
    assert_eq!(failed, CallError::DeadlineExceeded(Delivery::NotSent));
    assert_eq!(begin.elapsed().as_secs(), 24 * 60 * 60);
}
