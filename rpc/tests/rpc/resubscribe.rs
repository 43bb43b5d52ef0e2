//! Streams that are lost with their session, or because their reader was too slow: where they go on, and what is told.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::support::service::{Entry, entry};
use crate::support::{Ends, Stub, assert_empty, settle};
use bowline_protocol::envelope::GapReason;
use bowline_protocol::session::Failure;
use bowline_protocol::status::{Code, Delivery, Status};
use bowline_rpc::{Call, CallError, Channel, StreamError, Streaming};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::time::sleep;
use tower::ServiceBuilder;
use tower::util::MapRequestLayer;

const LOST: CallError<String> = CallError::Disconnected(Delivery::OutcomeUnknown);
const UNKNOWN: Option<Result<Entry, StreamError<String>>> = Some(Err(StreamError::Gap { missed: None }));

fn item<E>(number: u64) -> Option<Result<Entry, StreamError<E>>> {
    Some(Ok(entry(number)))
}

/// Reads what is there, without waiting.
fn read<E>(stream: &mut Streaming<Entry, E>) -> Option<Option<Result<Entry, StreamError<E>>>> {
    stream.next().now_or_never()
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_a_cursor_loses_and_doubles_nothing_over_many_cuts() {
    const TOTAL: u64 = 2000;
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).await.unwrap();
    settle().await;
    let handlers = ends.handlers.clone();
    let writing = tokio::spawn(async move {
        for written in 0..TOTAL {
            handlers.write(1);
            sleep(Duration::from_millis(1 + written % 3)).await;
        }
    });
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < TOTAL as usize {
            let item = stream.next().await.unwrap().unwrap();
            seen.push(item);
            // Now and then the reader is behind, so that items of a lost session are still to be read.
            if seen.len() % 50 == 0 {
                sleep(Duration::from_millis(60)).await;
            }
        }
        seen
    });
    for cut in 0..25 {
        sleep(Duration::from_millis(17 + cut * 7)).await;
        ends.cut().await;
        sleep(Duration::from_millis(cut * 3)).await;
        ends.reconnect().await;
        if cut % 5 == 0 {
            // Lost again before the new subscription was answered, or just after.
            ends.cut().await;
            ends.reconnect().await;
        }
    }
    writing.await.unwrap();
    let seen = reading.await.unwrap();
    assert_eq!(seen, (0..TOTAL).map(entry).collect::<Vec<_>>());
    let asked = handlers_log(&ends);
    assert!(asked.len() > 20, "{asked:?}");
    assert!(asked.is_sorted(), "each goes on where the one before had come to: {asked:?}");
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

fn handlers_log(ends: &Ends) -> Vec<Option<u64>> {
    ends.handlers.asked()
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_a_cursor_asks_for_what_comes_behind_the_last_item_that_was_read() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).await.unwrap();
    settle().await;
    ends.handlers.write(5);
    assert_eq!(stream.next().await, item(0));
    settle().await;
    ends.cut().await;
    ends.reconnect().await;
    for number in 1..5 {
        assert_eq!(stream.next().await, item(number), "what had arrived is read first");
    }
    ends.handlers.write(1);
    assert_eq!(stream.next().await, item(5));
    assert_eq!(ends.handlers.asked(), [None, Some(4)]);
}

#[tokio::test(start_paused = true)]
async fn before_its_first_item_a_stream_is_asked_for_with_its_first_arguments() {
    let mut ends = Ends::new().await;
    ends.handlers.write(3);
    let mut stream = ends.stub().journal(Some(2)).await.unwrap();
    assert_eq!(read(&mut stream), None);
    ends.cut().await;
    ends.handlers.write(1);
    ends.reconnect().await;
    assert_eq!(stream.next().await, item(3), "they name a place: nothing is missing");
    assert_eq!(ends.handlers.asked(), [Some(2), Some(2)]);
}

/// "From now on" is another now.
#[tokio::test(start_paused = true)]
async fn a_stream_that_knows_no_place_to_go_on_from_says_that_items_may_be_missing() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).await.unwrap();
    assert_eq!(read(&mut stream), None);
    ends.cut().await;
    ends.handlers.write(1);
    ends.reconnect().await;
    assert_eq!(stream.next().await, UNKNOWN);
    ends.handlers.write(1);
    assert_eq!(stream.next().await, item(1));
    assert_eq!(ends.handlers.asked(), [None, None]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_cursor_shows_one_gap_and_goes_on() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal_from_now().await.unwrap();
    settle().await;
    ends.handlers.write(2);
    settle().await;
    ends.cut().await;
    ends.handlers.write(5);
    assert_eq!(stream.next().await, item(0));
    assert_eq!(stream.next().await, item(1));
    assert_eq!(read(&mut stream), None, "the gap is told when the new stream runs");
    // Lost three times more before it is accepted: still one gap.
    ends.handlers.hesitates.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        ends.reconnect().await;
        settle().await;
        assert_eq!(read(&mut stream), None);
        ends.cut().await;
        assert_eq!(read(&mut stream), None);
    }
    assert_eq!(ends.handlers.asked().len(), 4);
    ends.reconnect().await;
    assert_eq!(stream.next().await, UNKNOWN);
    assert_eq!(read(&mut stream), None);
    ends.handlers.write(1);
    assert_eq!(stream.next().await, item(7));

    ends.cut().await;
    ends.reconnect().await;
    assert_eq!(stream.next().await, UNKNOWN, "another loss, another gap");
}

#[tokio::test(start_paused = true)]
async fn items_may_be_read_in_place_and_still_say_where_to_go_on() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).view().await.unwrap();
    settle().await;
    ends.handlers.write(3);
    for number in 0..3 {
        assert_eq!(stream.next().await.unwrap().unwrap().0, number);
    }
    ends.cut().await;
    ends.handlers.write(1);
    ends.reconnect().await;
    assert_eq!(stream.next().await.unwrap().unwrap().1, "entry 3");
    ends.cut().await;
    ends.reconnect().await;
    assert!(stream.next().now_or_never().is_none());
    settle().await;
    assert_eq!(ends.handlers.asked(), [None, Some(2), Some(3)]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_stream_is_stale_until_the_new_one_is_accepted() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).await.unwrap();
    settle().await;
    ends.handlers.write(1);
    settle().await;
    ends.cut().await;
    assert!(stream.stale_changed().await);
    assert_eq!(stream.next().await, item(0));
    assert!(stream.is_stale());
    assert_eq!(read(&mut stream), None);
    assert!(stream.is_stale());
    ends.reconnect().await;
    assert!(!stream.stale_changed().await, "nobody needs to read for it");
    assert!(!stream.is_stale());
    ends.handlers.write(1);
    assert_eq!(stream.next().await, item(1));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_is_woken_and_sees_that_its_stream_is_stale() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).await.unwrap();
    let reading = tokio::spawn(async move {
        poll_fn(|cx| {
            assert!(stream.poll_next_unpin(cx).is_pending());
            if stream.is_stale() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        stream
    });
    settle().await;
    ends.cut().await;
    assert!(reading.await.unwrap().is_stale());
}

#[tokio::test(start_paused = true)]
async fn the_new_subscription_waits_for_a_session_for_as_long_as_it_takes() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).deadline(Duration::from_secs(1)).await.unwrap();
    settle().await;
    ends.handlers.write(1);
    assert_eq!(stream.next().await, item(0));
    ends.cut().await;
    assert_eq!(read(&mut stream), None);
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(read(&mut stream), None);
    ends.handlers.write(1);
    ends.reconnect().await;
    assert_eq!(stream.next().await, item(1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_new_subscription_ends_the_stream() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).await.unwrap();
    settle().await;
    *ends.handlers.refusal.lock().unwrap() = Some("no longer".to_owned());
    ends.cut().await;
    ends.reconnect().await;
    let refused = StreamError::Failed(CallError::Application("no longer".to_owned()));
    assert_eq!(stream.next().await, Some(Err(refused)), "without a gap before it");
    assert_eq!(stream.next().await, None);
    settle().await;
    assert_eq!(ends.handlers.asked().len(), 2);
    assert_empty(&ends.client);
}

#[tokio::test(start_paused = true)]
async fn a_closed_or_refused_client_subscribes_no_more() {
    let refused = Failure::Status(Status::new(Code::Unauthenticated, "who are you?"));
    let told = CallError::Unauthenticated("who are you?".to_owned());
    for (failure, told) in [(Failure::Closed, CallError::Closed), (refused, told)] {
        // Told while it runs, when it was lost, and when it waits for another session.
        for moment in 0..3 {
            let mut ends = Ends::new().await;
            let mut stream = ends.stub().journal(None).await.unwrap();
            settle().await;
            if moment > 0 {
                ends.cut().await;
            }
            if moment > 1 {
                assert_eq!(read(&mut stream), None);
            }
            ends.client.fail_all(failure.clone());
            assert_eq!(stream.next().await, Some(Err(StreamError::Failed(told.clone()))), "{moment}");
            assert_eq!(stream.next().await, None);
            assert!(!stream.is_stale());
            settle().await;
            assert_eq!(ends.handlers.asked().len(), 1);
            assert_eq!(ends.client.stats().slots, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_is_not_asked_for_again() {
    for lost_first in [false, true] {
        let mut ends = Ends::new().await;
        let mut stream = ends.stub().journal(None).await.unwrap();
        settle().await;
        if lost_first {
            ends.cut().await;
            assert_eq!(read(&mut stream), None);
            assert!(stream.is_stale());
            drop(stream);
        } else {
            drop(stream);
            ends.cut().await;
        }
        ends.reconnect().await;
        settle().await;
        assert_eq!(ends.handlers.asked().len(), 1);
        assert_empty(&ends.client);
        assert_empty(&ends.server);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_reads_is_not_asked_for_again() {
    let mut ends = Ends::new().await;
    let _stream = ends.stub().journal(None).await.unwrap();
    settle().await;
    ends.cut().await;
    ends.reconnect().await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(ends.handlers.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_resubscribe_leaves_it_to_the_application() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).no_resubscribe().await.unwrap();
    settle().await;
    ends.cut().await;
    ends.reconnect().await;
    assert_eq!(stream.next().await, Some(Err(StreamError::Failed(LOST))));
    assert_eq!(stream.next().await, None);
    assert!(!stream.is_stale());
    settle().await;
    assert_eq!(ends.handlers.asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_stream_of_its_own_ends_with_its_session() {
    let mut ends = Ends::new().await;
    let mut doubled = ends.stub().double(stream::iter([1, 2]).chain(stream::pending())).await.unwrap();
    assert_eq!(doubled.next().await, Some(Ok(2)));
    assert_eq!(doubled.next().await, Some(Ok(4)));
    ends.cut().await;
    ends.reconnect().await;
    let lost = CallError::Disconnected(Delivery::OutcomeUnknown);
    assert_eq!(doubled.next().await, Some(Err(StreamError::Failed(lost))));
    assert_eq!(doubled.next().await, None);
}

/// A server's session has no successor.
#[tokio::test(start_paused = true)]
async fn a_server_does_not_ask_its_client_again() {
    let mut ends = Ends::new().await;
    let mut stream = Stub::new(&ends.server.channel()).hang_stream().await.unwrap();
    ends.cut().await;
    let lost = CallError::Disconnected(Delivery::OutcomeUnknown);
    assert_eq!(read_of(&mut stream), Some(Some(Err(StreamError::Failed(lost)))));
}

fn read_of<T>(stream: &mut Streaming<T, Infallible>) -> Option<Option<Result<T, StreamError<Infallible>>>> {
    stream.next().now_or_never()
}

/// More than window and room of a subscriber hold.
const MANY: u64 = 5000;

/// Publishes numbers until a stream that nobody reads has lagged.
async fn overrun(ends: &Ends, first: u64) {
    for number in first..first + MANY {
        ends.handlers.entries.publish(entry(number));
        // Lets the stream fill its window first.
        if number % 100 == 0 {
            settle().await;
        }
    }
    settle().await;
}

/// The topic keeps 1 MiB of them, four times what a subscriber has room for: a reader that lagged finds all of them.
#[tokio::test(start_paused = true)]
async fn a_stream_that_lagged_goes_on_from_its_cursor() {
    let large = |number: u64| (number, "x".repeat(1000));
    let ends = Ends::new().await;
    let mut stream = ends.stub().entries(None).await.unwrap();
    settle().await;
    for number in 0..700 {
        ends.handlers.entries.publish(large(number));
        if number % 10 == 0 {
            settle().await;
        }
    }
    for number in 0..700 {
        assert_eq!(stream.next().await, Some(Ok(large(number))));
    }
    ends.handlers.entries.publish(large(700));
    assert_eq!(stream.next().await, Some(Ok(large(700))));
    let asked = ends.handlers.asked();
    assert!(matches!(asked[..], [None, Some(_)]), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_cursor_that_lagged_shows_a_gap_and_starts_anew() {
    let ends = Ends::new().await;
    let mut stream = ends.stub().entries_from_now().await.unwrap();
    settle().await;
    overrun(&ends, 0).await;
    let mut next = 0;
    loop {
        match stream.next().await.unwrap() {
            Ok(item) => assert_eq!(item, entry(next)),
            Err(gap) => break assert_eq!(gap, StreamError::Gap { missed: None }),
        }
        next += 1;
    }
    assert!(next < MANY);
    settle().await;
    ends.handlers.entries.publish(entry(MANY));
    assert_eq!(stream.next().await, item(MANY));
    assert_eq!(ends.handlers.asked(), [None, None]);
}

/// It would ask for ever, once per round trip.
#[tokio::test(start_paused = true)]
async fn a_stream_that_lags_again_before_its_first_item_ends() {
    let ends = Ends::new().await;
    ends.handlers.hesitates.store(true, Ordering::SeqCst);
    let opening = ends.stub().entries_from_now();
    let reading = tokio::spawn(async move { opening.await.unwrap().collect::<Vec<_>>().await });
    for _ in 0..4 {
        sleep(Duration::from_secs(1)).await;
        // While the handler is not ready to give items.
        for number in 0..1100 {
            ends.handlers.entries.publish(entry(number));
        }
        sleep(Duration::from_secs(5)).await;
    }
    let told = [Err(StreamError::Gap { missed: None }), Err(StreamError::Lagged { missed: 1100 })];
    assert_eq!(reading.await.unwrap(), told);
    assert_eq!(ends.handlers.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_as_one_identity_is_not_asked_as_another() {
    let mut ends = Ends::new().await;
    let mut stream = ends.stub().journal(None).await.unwrap();
    settle().await;
    ends.handlers.write(1);
    settle().await;
    ends.lose_link().await;
    ends.reconnect_after(GapReason::IdentityChanged).await;
    assert_eq!(stream.next().await, item(0));
    assert_eq!(stream.next().await, Some(Err(StreamError::Failed(LOST))));
    assert_eq!(stream.next().await, None);
    settle().await;
    assert_eq!(ends.handlers.asked().len(), 1);

    // Nor is what was asked for again and not answered yet.
    let mut stream = ends.stub().journal(Some(0)).await.unwrap();
    ends.handlers.hesitates.store(true, Ordering::SeqCst);
    ends.lose_link().await;
    ends.reconnect_after(GapReason::Evicted).await;
    assert_eq!(read(&mut stream), None);
    settle().await;
    assert_eq!(ends.handlers.asked().len(), 3);
    ends.lose_link().await;
    ends.reconnect_after(GapReason::IdentityChanged).await;
    assert_eq!(read(&mut stream), Some(Some(Err(StreamError::Failed(LOST)))));
    settle().await;
    assert_eq!(ends.handlers.asked().len(), 3);
    ends.handlers.hesitates.store(false, Ordering::SeqCst);

    // Any other reason is a gap like another, and a stream of the new identity is its own.
    let mut stream = ends.stub().journal(Some(0)).await.unwrap();
    settle().await;
    ends.lose_link().await;
    ends.reconnect_after(GapReason::Expired).await;
    ends.handlers.write(1);
    assert_eq!(stream.next().await, item(1));
}

#[tokio::test(start_paused = true)]
async fn the_new_subscription_passes_the_callers_layers_with_its_metadata() {
    let mut ends = Ends::new().await;
    let passed = Arc::new(AtomicUsize::new(0));
    let counter = passed.clone();
    let layer = MapRequestLayer::new(move |call: Call| {
        assert_eq!(call.metadata().get("tenant"), Some("7"));
        counter.fetch_add(1, Ordering::SeqCst);
        call
    });
    let stack = ServiceBuilder::new().layer(layer).service(ends.client.endpoint());
    let stub = Stub::new(&Channel::with_stack(&ends.client, stack));
    let mut stream = stub.journal(None).metadata("tenant", "7").await.unwrap();
    settle().await;
    ends.handlers.write(1);
    assert_eq!(stream.next().await, item(0));
    ends.cut().await;
    ends.handlers.write(1);
    ends.reconnect().await;
    assert_eq!(stream.next().await, item(1));
    assert_eq!(passed.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_held_while_a_stream_waits_and_goes_with_its_end() {
    let mut ends = Ends::new().await;
    let lease: Arc<dyn std::any::Any + Send + Sync> = Arc::new(());
    let stub = Stub::new(&ends.channel().with_lease(lease.clone()));
    let mut stream = stub.journal(None).await.unwrap();
    drop(stub);
    assert!(Arc::strong_count(&lease) > 1);
    ends.cut().await;
    assert_eq!(read(&mut stream), None);
    assert!(stream.is_stale() && Arc::strong_count(&lease) > 1);
    ends.client.fail_all(Failure::Closed);
    assert_eq!(stream.next().await, Some(Err(StreamError::Failed(CallError::Closed))));
    assert_eq!(Arc::strong_count(&lease), 1);
}
