//! When tries are made, under a clock that tests move.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod common;

use std::time::Duration;

use bowline::{
    Client, CloseCode, State,
    prelude::*,
    transport::{
        CloseFrame, Link,
        memory::{MemoryListener, network},
    },
};
use common::{Place, reaches};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

/// The number of the try that comes next, and the pause before it, as they show when the link is lost.
async fn lost(client: &Client, lose: impl FnOnce()) -> (u32, Duration) {
    let mut states = client.states();
    assert!(states.next().await.is_some_and(|state| state.is_live()));
    lose();
    match states.next().await {
        Some(State::Reconnecting { attempt, next_in }) => (attempt, next_in),
        state => panic!("{state:?}"),
    }
}

/// The first pause after a link that had lived for so many seconds and was cut.
async fn first_pause(lived: u64, announced: bool) -> Duration {
    let place = Place::new();
    let client = place.client().await;
    tokio::time::sleep(Duration::from_secs(lived)).await;
    if announced {
        let server = place.server.clone();
        tokio::spawn(async move { server.drain().await });
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    lost(&client, || place.faults.unplug()).await.1
}

#[tokio::test(start_paused = true)]
async fn the_first_retry_comes_within_a_second_after_an_accident_of_a_link_that_had_lived_a_minute() {
    let mut longest = Duration::ZERO;
    for _ in 0..40 {
        let pause = first_pause(61, false).await;
        assert!(pause <= SECOND / 2, "{pause:?}");
        longest = longest.max(pause);
    }
    // 40 draws miss the upper half with a chance of 1 in 10^12.
    assert!(longest > SECOND / 4, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn no_retry_comes_within_a_second_after_a_younger_link_or_one_whose_end_was_announced() {
    for (lived, announced) in [(0, false), (30, false), (59, false), (61, true), (3600, true)] {
        for _ in 0..8 {
            let pause = first_pause(lived, announced).await;
            assert!(
                pause >= SECOND && pause <= 2 * SECOND,
                "{pause:?} after {lived} s, announced: {announced}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tries_are_counted_anew_once_a_session_was_live_for_ten_seconds() {
    for (lived, next) in [(9, 5), (11, 1)] {
        let place = Place::new();
        let client = place.client().await;
        place.faults.unplug();
        reaches(&client, |state| matches!(state, State::Reconnecting { attempt: 4, .. })).await;
        place.faults.plug();
        reaches(&client, State::is_live).await;
        tokio::time::sleep(Duration::from_secs(lived)).await;
        let (attempt, pause) = lost(&client, || place.faults.unplug()).await;
        assert_eq!(attempt, next, "after {lived} s");
        let bound = if next == 1 { 2 * SECOND } else { 32 * SECOND };
        assert!(pause <= bound, "{pause:?} after {lived} s");
    }
}

/// Refuses the next link, with a reason.
async fn refuse(listener: &mut MemoryListener, code: CloseCode, reason: &str) {
    let mut link = listener.accept().await.unwrap();
    let frame = CloseFrame::new(code, reason);
    std::future::poll_fn(|cx| link.poll_close(cx, &frame)).await;
}

#[tokio::test(start_paused = true)]
async fn codes_that_stop_refuse_and_others_are_tried_again() {
    let stops = [1000, 1002, 1003, 1007, 1008, 1009, 4500, 4501, 4502, 4503, 4504, 4505, 4999];
    let others = [1001, 1011, 1012, 1013, 3000, 4001, 4002, 4003, 4004, 4005, 4006, 4007, 4008, 4499];
    for (codes, is_final) in [(&stops[..], true), (&others[..], false)] {
        for code in codes.iter().copied().map(CloseCode::new) {
            let (mut listener, connector) = network();
            let client = Client::builder("memory").connector(connector).connect_lazy();
            refuse(&mut listener, code, "so it is").await;
            let state = reaches(&client, |state| !matches!(state, State::Idle | State::Connecting)).await;
            let refused = State::Refused { code, reason: "so it is".into() };
            assert_eq!(state == refused, is_final, "{code}: {state}");
            // An hour later there was another try, or none.
            let tried = tokio::time::timeout(Duration::from_secs(3600), listener.accept()).await.is_ok();
            assert_eq!(tried, !is_final, "{code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_wait_that_a_refusal_asks_for_is_kept() {
    let (mut listener, connector) = network();
    let client = Client::builder("memory").connector(connector).connect_lazy();
    let mut due = Duration::ZERO;
    // What comes on top is our own delay, whose span doubles; the first is of the upper half of its span.
    for (wait, least, most) in [(5, 1, 2), (40, 0, 4), (1, 0, 8), (90, 0, 16)] {
        let begin = Instant::now();
        refuse(&mut listener, CloseCode::TRY_AGAIN, &format!("full, retry after {wait} s")).await;
        assert!(begin.elapsed() >= due, "{:?} after a refusal that asked for {due:?}", begin.elapsed());
        due = Duration::from_secs(wait);
        let waits =
            |state: &State| matches!(state, State::Reconnecting { next_in, .. } if !next_in.is_zero());
        let State::Reconnecting { next_in, .. } = reaches(&client, waits).await else { panic!("it waits") };
        let bounds = due + least * SECOND..=due + most * SECOND;
        assert!(bounds.contains(&next_in), "{next_in:?} where {wait} s were asked for");
    }
}
