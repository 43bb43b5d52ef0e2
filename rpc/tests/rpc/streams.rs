//! Streams in both directions: order, credit, refusal, failure, watches.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::support::{Ends, assert_empty, settle};
use bowline_protocol::status::Code;
use bowline_rpc::{CallError, StreamError, Streaming};
use futures_util::{Stream, StreamExt, stream};

async fn collect<T, E>(stream: impl Stream<Item = Result<T, E>>) -> Vec<Result<T, E>> {
    stream.collect().await
}

#[tokio::test(start_paused = true)]
async fn a_server_stream_gives_every_item_in_order() {
    let ends = Ends::new().await;
    let items: Vec<_> = ends.stub().count(10_000).await.unwrap().map(Result::unwrap).collect().await;
    assert_eq!(items, (0..10_000).collect::<Vec<_>>());
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_accepted_or_refused_by_its_handler() {
    let ends = Ends::new().await;
    let accepted = ends.stub().open(None).await.unwrap();
    assert_eq!(collect(accepted).await, [Ok(1), Ok(2)]);
    let refused = ends.stub().open(Some("not today")).await.unwrap_err();
    assert_eq!(refused, CallError::Application("not today".into()));
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn an_error_is_the_last_item() {
    let ends = Ends::new().await;
    let items = collect(ends.stub().failing().await.unwrap()).await;
    let failed = StreamError::Failed(CallError::Application("enough".to_owned()));
    assert_eq!(items, [Ok(1), Err(failed)]);
    settle().await;
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_stream_ends_it_after_its_items() {
    let ends = Ends::new().await;
    let items = collect(ends.stub().panic_late().await.unwrap()).await;
    assert_eq!(items[..2], [Ok(0), Ok(1)]);
    assert!(matches!(&items[2..], [Err(StreamError::Failed(CallError::Internal { .. }))]), "{items:?}");
    assert_eq!(ends.stub().echo(1).await, Ok(1));
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_client_stream_is_summed_up() {
    let ends = Ends::new().await;
    let sum = ends.stub().sum(1, stream::iter(0..1000)).await;
    assert_eq!(sum, Ok(1 + 999 * 1000 / 2));
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn items_go_both_ways_at_once() {
    let ends = Ends::new().await;
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    let numbers = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let mut doubled = ends.stub().double(numbers).await.unwrap();
    for number in 0..100 {
        sender.send(number).unwrap();
        assert_eq!(doubled.next().await, Some(Ok(number * 2)));
    }
    drop(sender);
    assert_eq!(doubled.next().await, None);
    drop(doubled);
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_not_polled_beyond_its_readers_credit() {
    let ends = Ends::new().await;
    let mut stream = ends.stub().endless(1000).await.unwrap();
    settle().await;
    let produced = ends.handlers.produced.load(Ordering::SeqCst);
    // 64 KiB of window, an item costing its archive and 64 more.
    assert!((50..=66).contains(&produced), "{produced}");
    settle().await;
    assert_eq!(ends.handlers.produced.load(Ordering::SeqCst), produced);
    for _ in 0..produced {
        stream.next().await.unwrap().unwrap();
    }
    settle().await;
    assert!(ends.handlers.produced.load(Ordering::SeqCst) > produced);
    drop(stream);
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

/// One item wakes one task then, and leaves with that task's next write.
#[tokio::test(start_paused = true)]
async fn a_few_streams_run_in_their_sessions_task_and_an_end_leaves_room_for_the_next() {
    let ends = Ends::new().await;
    let mut streams = Vec::new();
    for _ in 0..6 {
        streams.push(ends.stub().whereabouts().await.unwrap());
    }
    // Which of them the session's task runs, as of each one's next item. The first poll of each handler is its anyway.
    let here = async |streams: &mut [Streaming<String>]| {
        let mut tasks = Vec::new();
        for stream in streams {
            tasks.push(stream.next().await.unwrap().unwrap());
        }
        ends.handlers.newest.send_modify(|value| *value += 1);
        tasks.iter().map(|task| *task == ends.task()).collect::<Vec<_>>()
    };
    assert_eq!(here(&mut streams).await, [true; 6]);
    for _ in 0..3 {
        assert_eq!(here(&mut streams).await, [true, true, true, true, false, false]);
    }
    drop(streams.remove(1));
    settle().await;
    streams.push(ends.stub().whereabouts().await.unwrap());
    streams.push(ends.stub().whereabouts().await.unwrap());
    here(&mut streams).await;
    assert_eq!(here(&mut streams).await, [true, true, true, false, false, true, false]);
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_not_polled_beyond_its_readers_credit() {
    let ends = Ends::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let numbers = stream::repeat_with(move || counter.fetch_add(1, Ordering::SeqCst) as u64);
    let stream = ends.stub().hang_both(numbers).await.unwrap();
    settle().await;
    let first = asked.load(Ordering::SeqCst);
    // 64 KiB of window, an item costing 8 and 64 more.
    assert!((800..=911).contains(&first), "{first}");
    settle().await;
    assert_eq!(asked.load(Ordering::SeqCst), first);
    drop(stream);
}

#[tokio::test(start_paused = true)]
async fn an_upload_ends_with_its_call() {
    struct Counted(Arc<()>);
    let ends = Ends::new().await;
    let held = Arc::new(());
    let counted = Counted(held.clone());
    let numbers = stream::pending::<u64>().map(move |number| {
        let _held = &counted.0;
        number
    });
    let mut call = ends.stub().hang_upload(numbers);
    assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut call).poll(cx))).await.is_pending());
    settle().await;
    assert_eq!(Arc::strong_count(&held), 2);
    drop(call);
    settle().await;
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn an_upload_item_of_another_type_ends_its_call() {
    let ends = Ends::new().await;
    // Of a length that leaves its archive where no number can stand.
    let error = ends.stub().sum_of(stream::iter(["x".repeat(44)])).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::InvalidArgument), "{error:?}");
    assert!(error.to_string().contains("Test/sum"), "{error}");
    settle().await;
    // What the handler started elsewhere is told, though nothing else is left of it.
    let cancellation = ends.handlers.cancellation.lock().unwrap().clone().unwrap();
    assert!(cancellation.is_cancelled());
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn items_can_be_read_in_place() {
    let ends = Ends::new().await;
    let mut items = ends.stub().endless(5).view().await.unwrap();
    let item = items.next().await.unwrap().unwrap();
    assert_eq!(item.len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_watch_shows_the_newest_value_and_skips_what_a_slow_reader_missed() {
    let ends = Ends::new().await;
    let mut newest = ends.stub().newest().await.unwrap();
    assert_eq!(newest.next().await, Some(Ok(0)));
    ends.handlers.newest.send_replace(1);
    assert_eq!(newest.next().await, Some(Ok(1)));
    for value in 2..100 {
        ends.handlers.newest.send_replace(value);
        settle().await;
    }
    assert_eq!(newest.next().await, Some(Ok(99)));
    drop(newest);
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_watch_survives_a_lost_link_and_says_when_it_is_stale() {
    let mut ends = Ends::new().await;
    let mut newest = ends.stub().newest().await.unwrap();
    assert_eq!(newest.next().await, Some(Ok(0)));
    assert!(!newest.is_stale());

    // The reader waits for items while the link goes: it is woken to look.
    let reading = tokio::spawn(async move {
        poll_fn(|cx| {
            assert!(Pin::new(&mut newest).poll_next(cx).is_pending());
            if newest.is_stale() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        newest
    });
    settle().await;
    ends.cut().await;
    let mut newest = tokio::time::timeout(Duration::from_secs(1), reading).await.unwrap().unwrap();
    assert!(newest.stale_changed().await);

    ends.handlers.newest.send_replace(5);
    ends.reconnect().await;
    assert_eq!(newest.next().await, Some(Ok(5)));
    assert!(!newest.stale_changed().await);
}
