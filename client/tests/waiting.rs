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
