//! A topic and its subscribers over sessions: order, lag, gaps, and one encoding for all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::service::{Counted, ENCODED, Method};
use crate::support::{Ends, assert_empty, settle};
use bowline_rpc::{Position, StreamError, Topic};
use futures_util::{FutureExt, StreamExt};

#[tokio::test(start_paused = true)]
async fn every_subscriber_gets_every_item_in_order() {
    let ends = Ends::new().await;
    let mut readers = Vec::new();
    for _ in 0..5 {
        readers.push(ends.stub().news(Method::news).await.unwrap());
    }
    settle().await;
    assert_eq!(ends.handlers.topic.subscribers(), 5);
    for number in 0..100 {
        ends.handlers.topic.publish(number.to_string());
    }
    for reader in &mut readers {
        for number in 0..100 {
            assert_eq!(reader.next().await, Some(Ok(number.to_string())));
        }
    }
    drop(readers);
    settle().await;
    assert_eq!(ends.handlers.topic.subscribers(), 0);
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

/// Publishes far more than window and room hold, and returns what the reader then sees.
async fn overrun(method: Method) -> Vec<Result<String, StreamError<std::convert::Infallible>>> {
    let ends = Ends::new().await;
    let mut reader = ends.stub().news(method).no_resubscribe().await.unwrap();
    settle().await;
    for number in 0..TOTAL {
        ends.handlers.topic.publish(format!("{number:05}"));
        // Lets the stream fill its window first.
        if number % 100 == 0 {
            settle().await;
        }
    }
    let mut seen = Vec::new();
    while let Ok(Some(item)) = tokio::time::timeout(Duration::from_millis(10), reader.next()).await {
        seen.push(item);
    }
    drop(reader);
    settle().await;
    assert_empty(&ends.server);
    seen
}

const TOTAL: u64 = 5000;

#[tokio::test(start_paused = true)]
async fn drop_oldest_shows_one_gap_that_counts_exactly_what_is_missing() {
    let seen = overrun(Method::oldest).await;
    let gaps: Vec<_> = seen.iter().filter_map(|item| item.as_ref().err()).collect();
    let [StreamError::Gap { missed: Some(missed) }] = gaps[..] else { panic!("{gaps:?}") };
    let items = seen.iter().filter(|item| item.is_ok()).count() as u64;
    assert_eq!(items + missed, TOTAL);
    assert_eq!(seen.last(), Some(&Ok(format!("{:05}", TOTAL - 1))));
    // The gap stands exactly where items are missing.
    let mut expected = 0;
    for item in &seen {
        match item {
            Ok(item) => {
                assert_eq!(*item, format!("{expected:05}"));
                expected += 1;
            }
            Err(_) => expected += missed,
        }
    }
}

/// Each goes by itself, in place of being copied behind another.
#[tokio::test(start_paused = true)]
async fn large_items_take_credit_too() {
    let ends = Ends::new().await;
    let mut reader = ends.stub().news(Method::oldest).no_resubscribe().await.unwrap();
    settle().await;
    let item = "x".repeat(2000);
    for number in 0..1200 {
        ends.handlers.topic.publish(item.clone());
        if number == 100 {
            settle().await;
        }
    }
    let mut before = 0;
    while reader.next().await.unwrap().is_ok() {
        before += 1;
    }
    // 64 KiB of window, an item costing its archive and 64 more, and what a subscriber has taken out ahead.
    assert!((31..=40).contains(&before), "{before}");
}

#[tokio::test(start_paused = true)]
async fn latest_goes_on_with_the_newest() {
    let seen = overrun(Method::latest).await;
    let missed: u64 = seen
        .iter()
        .filter_map(|item| match item {
            Err(StreamError::Gap { missed: Some(missed) }) => Some(missed),
            _ => None,
        })
        .sum();
    assert!(missed > 1024);
    assert_eq!(seen.iter().filter(|item| item.is_ok()).count() as u64 + missed, TOTAL);
    assert_eq!(seen.last(), Some(&Ok(format!("{:05}", TOTAL - 1))));
}

#[tokio::test(start_paused = true)]
async fn close_ends_the_stream_and_says_how_much_was_missed() {
    let seen = overrun(Method::news).await;
    let (last, items) = seen.split_last().unwrap();
    let Err(StreamError::Lagged { missed }) = last else { panic!("{last:?}") };
    assert!(items.iter().all(Result::is_ok));
    // What came after the stream was closed is nobody's loss any more.
    assert!(*missed > 1024 && items.len() as u64 + missed <= TOTAL, "{missed}");
}

#[tokio::test(start_paused = true)]
async fn a_reader_continues_from_a_position() {
    let ends = Ends::new().await;
    let topic = ends.handlers.topic.clone();
    topic.publish("zero".into());
    let one = topic.publish("one".into());
    topic.publish("two".into());
    let mut reader = ends.stub().continued(one).await.unwrap();
    assert_eq!(reader.next().await, Some(Ok("one".into())));
    assert_eq!(reader.next().await, Some(Ok("two".into())));
    topic.publish("three".into());
    assert_eq!(reader.next().await, Some(Ok("three".into())));

    tokio::time::sleep(Duration::from_secs(61)).await;
    topic.publish("four".into());
    let mut late = ends.stub().continued(one).await.unwrap();
    assert_eq!(late.next().await, Some(Err(StreamError::Gap { missed: Some(3) })));
    assert_eq!(late.next().await, Some(Ok("four".into())));
}

/// Nothing is published meanwhile that would not fit into its room.
#[tokio::test(start_paused = true)]
async fn what_a_slow_reader_has_not_read_stays_however_old_it_is() {
    let ends = Ends::new().await;
    let topic = ends.handlers.topic.clone();
    let mut reader = ends.stub().news(Method::news).await.unwrap();
    settle().await;
    let item = |number: u32| format!("{number:01000}");
    // Three times what its window lets through.
    for number in 0..200 {
        topic.publish(item(number));
    }
    settle().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    topic.publish(item(200));
    for number in 0..=200 {
        assert_eq!(reader.next().await, Some(Ok(item(number))));
    }
}

/// What was too old when it came is left out, and nothing that becomes too old later.
#[tokio::test(start_paused = true)]
async fn what_a_reader_that_continued_has_not_read_stays_however_old_it_becomes() {
    let ends = Ends::new().await;
    let topic = ends.handlers.topic.clone();
    let item = |number: u32| format!("{number:01000}");
    let first = topic.publish(item(0));
    (1..200).for_each(|number| _ = topic.publish(item(number)));
    let mut reader = ends.stub().continued(first).await.unwrap();
    settle().await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    topic.publish(item(200));
    for number in 0..=200 {
        assert_eq!(reader.next().await, Some(Ok(item(number))));
    }
}

/// A caller may send any number.
#[tokio::test(start_paused = true)]
async fn a_position_that_is_yet_to_come_is_taken_for_the_next() {
    let ends = Ends::new().await;
    let topic = ends.handlers.topic.clone();
    for ahead in [1, 2, u64::MAX] {
        let next = topic.position();
        let offset = next.offset.saturating_add(ahead);
        let mut reader = ends.stub().continued(Position { offset, ..next }).await.unwrap();
        settle().await;
        for text in ["one", "two"] {
            topic.publish(text.into());
            assert_eq!(reader.next().await, Some(Ok(text.into())));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_over_a_topic_shows_the_newest_without_gaps() {
    let ends = Ends::new().await;
    let topic = ends.handlers.topic.clone();
    let mut values = ends.stub().news(Method::watched).await.unwrap();
    settle().await;
    for number in 0..3000 {
        topic.publish(number.to_string());
    }
    assert_eq!(values.next().await, Some(Ok("2999".into())));
    settle().await;
    assert!(values.next().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_last_clone_of_its_topic() {
    let ends = Ends::new().await;
    let topic = Topic::new();
    *ends.handlers.replaced.lock().unwrap() = Some(topic.clone());
    let mut reader = ends.stub().news(Method::replaced).await.unwrap();
    settle().await;
    topic.publish("last".to_owned());
    drop((topic, ends.handlers.replaced.lock().unwrap().take()));
    assert_eq!(reader.next().await, Some(Ok("last".into())));
    assert_eq!(reader.next().await, None);
}

/// There is no item that it could be told with.
#[tokio::test(start_paused = true)]
async fn what_was_too_old_is_told_when_the_topic_ends_without_another_item() {
    let ends = Ends::new().await;
    let topic = Topic::new();
    let first = topic.publish("old".to_owned());
    topic.publish("old too".to_owned());
    *ends.handlers.replaced.lock().unwrap() = Some(topic.clone());
    tokio::time::sleep(Duration::from_secs(61)).await;
    let mut reader = ends.stub().continued(first).no_resubscribe().await.unwrap();
    settle().await;
    drop((topic, ends.handlers.replaced.lock().unwrap().take()));
    assert_eq!(reader.next().await, Some(Err(StreamError::Gap { missed: Some(2) })));
    assert_eq!(reader.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn an_item_is_encoded_once_for_all_its_readers() {
    let ends = Ends::new().await;
    let mut readers = Vec::new();
    for _ in 0..5 {
        readers.push(ends.stub().counted().await.unwrap());
    }
    settle().await;
    let before = ENCODED.load(Ordering::SeqCst);
    for text in ["a", "b", "c"] {
        ends.handlers.counted.publish(Counted(text.into()));
    }
    for reader in &mut readers {
        for text in ["a", "b", "c"] {
            assert_eq!(reader.next().await.unwrap().unwrap().0, text);
        }
    }
    assert_eq!(ENCODED.load(Ordering::SeqCst) - before, 3);
}
