//! Unary calls and one-way calls, from future to handler and back.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use crate::support::{Ends, Stub, assert_empty, settle};
use bowline_protocol::limits::Timing;
use bowline_protocol::session::{Config, Failure};
use bowline_protocol::status::{Code, Delivery};
use bowline_rpc::{CallError, CallFuture, Channel, NotifyFuture, Peer, Reply, StreamFuture, Streaming};
use futures_util::future::{Either, join_all, select};
use futures_util::{FutureExt, StreamExt, stream};

const MILLISECOND: Duration = Duration::from_millis(1);

fn assert_send_unpin<T: Send + Unpin + 'static>() {}
fn assert_send<T: Send + 'static>() {}

#[test]
fn futures_and_handles_are_send_and_unpin() {
    assert_send_unpin::<CallFuture<Result<u64, String>>>();
    assert_send_unpin::<StreamFuture<u64, String>>();
    assert_send_unpin::<NotifyFuture>();
    assert_send_unpin::<Streaming<u64, String>>();
    assert_send::<Channel>();
    assert_send::<Peer>();
    assert_send::<Reply>();
}

#[tokio::test(start_paused = true)]
async fn a_call_gets_its_answer_and_its_own_error() {
    let ends = Ends::new().await;
    assert_eq!(ends.stub().echo(7).await, Ok(7));
    assert_eq!(ends.stub().fail("no").await, Err(CallError::Application("no".into())));
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_call_can_be_spawned_joined_and_selected() {
    let ends = Ends::new().await;
    let stub = ends.stub();
    assert_eq!(tokio::spawn(stub.slow(5, 1)).await.unwrap(), Ok(1));
    assert_eq!(futures_util::join!(stub.slow(9, 2), stub.echo(3)), (Ok(2), Ok(3)));

    let mut slow = stub.slow(20, 4);
    for _ in 0..3 {
        let other = pin!(tokio::time::sleep(5 * MILLISECOND));
        assert!(matches!(select(&mut slow, other).await, Either::Right(_)));
    }
    assert_eq!(slow.await, Ok(4));
    assert_empty(&ends.client);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_the_first_poll() {
    let ends = Ends::new().await;
    let call = ends.stub().hang();
    settle().await;
    assert_eq!(ends.handlers.started(), 0);
    drop(call);
    settle().await;
    assert_eq!(ends.handlers.started(), 0);
    assert_empty(&ends.client);
}

/// Of these, 512 have a place at the caller and 1,024 at the callee; the others are looked up.
#[tokio::test(start_paused = true)]
async fn calls_in_flight_each_get_their_own_answer_also_beyond_all_places() {
    let limits = bowline_protocol::limits::Limits { calls: 1400, waiting_calls: 1400, ..Default::default() };
    let config = Config { limits, ..Config::default() };
    let ends = Ends::with(config.clone(), config, |router| router).await;
    // A multiplier that shares no factor with 1,400 shuffles the order of the answers.
    let calls = (0..1400_u64).map(|number| ends.stub().slow(number * 387 % 1400, number));
    let answers = join_all(calls.collect::<Vec<_>>()).await;
    for (number, answer) in answers.into_iter().enumerate() {
        assert_eq!(answer, Ok(number as u64));
    }
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_credit_wait_for_it() {
    let ends = Ends::new().await;
    let calls = (0..600_u64).map(|number| ends.stub().slow(10, number));
    let answers = join_all(calls.collect::<Vec<_>>()).await;
    assert!(answers.into_iter().enumerate().all(|(number, answer)| answer == Ok(number as u64)));
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_the_call_at_both_ends() {
    let ends = Ends::new().await;
    let start = bowline_runtime::now();
    let late = ends.stub().hang().deadline(50 * MILLISECOND).await;
    assert_eq!(late, Err(CallError::DeadlineExceeded(Delivery::OutcomeUnknown)));
    assert_eq!(bowline_runtime::now() - start, 50 * MILLISECOND);
    settle().await;
    assert_eq!(ends.handlers.dropped(), 1);
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_first_poll_and_defaults_to_ten_seconds() {
    let ends = Ends::new().await;
    let call = ends.stub().hang();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let start = bowline_runtime::now();
    assert!(call.await.is_err());
    assert_eq!(bowline_runtime::now() - start, Duration::from_secs(10));

    let patient = ends.stub().slow(60_000, 1).no_deadline();
    assert_eq!(patient.await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn each_end_sets_the_deadline_of_calls_that_name_none() {
    let timing = Timing { deadline: Duration::from_secs(3), ..Timing::default() };
    let ends = Ends::with(Config { timing, ..Config::default() }, Config::default(), |router| router).await;
    let start = bowline_runtime::now();
    assert!(ends.stub().hang().await.is_err());
    assert_eq!(bowline_runtime::now() - start, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_call_alone_and_tells_nothing_but_an_id() {
    let ends = Ends::new().await;
    for after in [0, 5] {
        let beside = ends.stub();
        let (panicked, answered) = futures_util::join!(ends.stub().panic(after), beside.slow(10, 1));
        let error = panicked.unwrap_err();
        assert!(matches!(error, CallError::Internal { id } if id != 0), "{error:?}");
        assert!(!error.to_string().contains("swordfish"));
        assert_eq!(answered, Ok(1));
    }
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn arguments_of_another_type_are_an_invalid_argument() {
    let ends = Ends::new().await;
    let error = ends.stub().echo_of("not a number".into()).await.unwrap_err();
    assert_eq!(error.code(), Some(Code::InvalidArgument));
    assert!(error.to_string().contains("Test/echo"), "{error}");
    assert_eq!(ends.stub().echo(1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn metadata_reaches_the_handler() {
    let ends = Ends::new().await;
    let call = ends.stub().who("user").metadata("user", "ann").metadata("other", "x");
    assert_eq!(call.await, Ok(Some("ann".into())));
    assert_eq!(ends.stub().who("user").await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn answers_and_arguments_can_be_read_in_place() {
    let ends = Ends::new().await;
    assert_eq!(ends.stub().length("abc", 40).await, Ok(43));
    let large = "x".repeat(1 << 20);
    assert_eq!(ends.stub().length(&large, 0).await, Ok(1 << 20));

    let name = ends.stub().who("user").metadata("user", "ann").view().await.unwrap();
    assert_eq!(name.as_ref().map(|name| name.as_str()), Some("ann"));
}

#[tokio::test(start_paused = true)]
async fn equal_questions_have_equal_keys() {
    let ends = Ends::new().await;
    let stub = ends.stub();
    assert_eq!(stub.echo(1).key(), stub.echo(1).deadline(MILLISECOND).key());
    assert_ne!(stub.echo(1).key(), stub.echo(2).key());
    assert_ne!(stub.echo(1).key(), stub.count(1).key());
    assert_eq!(stub.count(1).key(), stub.count(1).key());
    assert!(stub.count(1).key().is_some() && stub.echo(1).key().is_some() && stub.note().key().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_polled_says_no_more_what_it_asks_and_where() {
    let ends = Ends::new().await;
    let stub = ends.stub();
    let mut call = stub.echo(1);
    assert!(call.channel().is_some_and(|channel| channel.is_same_session(&ends.client.channel())));
    assert!((&mut call).now_or_never().is_none());
    assert!(call.key().is_none() && call.channel().is_none());
    let mut stream = stub.count(1);
    assert!(stream.channel().is_some());
    assert!((&mut stream).now_or_never().is_none());
    assert!(stream.key().is_none() && stream.channel().is_none());
}

#[tokio::test(start_paused = true)]
async fn one_way_calls_run_and_leave_nothing() {
    let ends = Ends::new().await;
    for _ in 0..10 {
        ends.stub().note().await.unwrap();
    }
    settle().await;
    assert_eq!(ends.handlers.notes.load(Ordering::SeqCst), 10);
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_tells_what_is_known_and_later_calls_wait() {
    let mut ends = Ends::new().await;
    let stub = ends.stub();
    let mut written = stub.hang();
    assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut written).poll(cx))).await.is_pending());
    settle().await;
    ends.cut().await;
    assert_eq!(written.await, Err(CallError::Disconnected(Delivery::OutcomeUnknown)));
    assert_eq!(stub.note().await.unwrap_err().code(), Some(Code::Unavailable));

    let mut waiting = stub.echo(5);
    assert!(poll_fn(|cx| Poll::Ready(Pin::new(&mut waiting).poll(cx))).await.is_pending());
    ends.reconnect().await;
    assert_eq!(waiting.await, Ok(5));
    settle().await;
    assert_empty(&ends.client);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gave_up_fails_every_call_at_once_until_it_connects_again() {
    let mut ends = Ends::new().await;
    ends.cut().await;
    ends.client.fail_all(Failure::Closed);
    let start = bowline_runtime::now();
    assert_eq!(ends.stub().echo(1).await, Err(CallError::Closed));
    assert!(matches!(ends.stub().count(1).await, Err(CallError::Closed)));
    assert_eq!(ends.stub().note().await, Err(CallError::Closed));
    assert_eq!(bowline_runtime::now(), start);
    ends.reconnect().await;
    assert_eq!(ends.stub().echo(1).await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn nested_calls_go_back_and_forth_to_the_limit_of_depth() {
    let ends = Ends::new().await;
    // One outermost call and four inside it.
    assert_eq!(ends.stub().nested(4).await, Ok(4));
    let error = ends.stub().nested(5).await.unwrap_err();
    assert!(matches!(&error, CallError::Application(why) if why.contains("limit")), "{error:?}");
    settle().await;
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}

#[tokio::test(start_paused = true)]
async fn a_lease_lives_as_long_as_channels_calls_and_streams() {
    let ends = Ends::new().await;
    let lease = std::sync::Arc::new(());
    let holders = || std::sync::Arc::strong_count(&lease) - 1;
    let stub = || Stub::new(&ends.channel().with_lease(lease.clone()));
    let mut call = stub().hang();
    let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut call).poll(cx))).await;
    assert!(holders() > 0);
    drop(call);
    assert_eq!(holders(), 0);
    let stream = stub().hang_stream().await.unwrap();
    assert!(holders() > 0);
    drop(stream);
    assert_eq!(holders(), 0);
    let (stub, clone) = (stub(), stub().clone());
    drop(stub);
    assert!(holders() > 0);
    drop(clone);
    assert_eq!(holders(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_session_has_one_value_of_each_type_beside_it() {
    let ends = Ends::new().await;
    let one = ends.channel().extension::<std::sync::Mutex<u64>>();
    *one.lock().unwrap() = 5;
    assert_eq!(*ends.channel().extension::<std::sync::Mutex<u64>>().lock().unwrap(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_of_several_threads_share_a_session() {
    let ends = Ends::new().await;
    let threads = (0..4_u64).map(|thread| {
        let stub = ends.stub();
        tokio::spawn(async move {
            for number in (0..500).map(|number| thread * 1000 + number) {
                assert_eq!(stub.echo(number).await, Ok(number));
                // Withdrawn while its answer is under way.
                let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut stub.echo(number)).poll(cx))).await;
                if number % 50 == 0 {
                    assert_eq!(stub.count(100).await.unwrap().count().await, 100);
                    assert_eq!(stub.sum(0, stream::iter(0..100)).await, Ok(4950));
                }
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.await.unwrap();
    }
    while ends.server.stats().slots > 0 || ends.client.stats().session.held.calls > 0 {
        tokio::task::yield_now().await;
    }
    assert_empty(&ends.client);
    assert_empty(&ends.server);
}
