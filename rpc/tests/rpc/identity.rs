//! What was asked as one caller is never asked as another, wherever it waited meanwhile.

use std::sync::Arc;
use std::time::Duration;

use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::status::{Code, Delivery, Status};
use bowline_rpc::{Call, CallError, CallFuture, Channel, Line, Reply, ReplyFuture, Service, StreamError};
use futures_util::{FutureExt, StreamExt};
use tokio::time::sleep;
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;

use crate::support::service::entry;
use crate::support::{Ends, Stub, assert_empty, settle};

const ADA: u128 = 1;
const BOB: u128 = 2;

async fn ada() -> Ends {
    let mut ends = Ends::new().await;
    ends.cut().await;
    ends.reconnect_as(ADA).await;
    ends
}

/// A server that was restarted knows no session; its welcome says who the client is to it.
#[tokio::test(start_paused = true)]
async fn a_stream_of_one_caller_is_not_asked_for_again_as_another() {
    for (after, asked) in [(ADA, 2), (BOB, 1)] {
        let mut ends = ada().await;
        let mut stream = ends.stub().journal(Some(0)).await.unwrap();
        settle().await;
        ends.lose_link().await;
        ends.handlers.write(2);
        ends.reconnect_as(after).await;
        let read = stream.next().await;
        if after == ADA {
            assert_eq!(read, Some(Ok(entry(1))));
        } else {
            let lost = CallError::Disconnected(Delivery::OutcomeUnknown);
            assert_eq!(read, Some(Err(StreamError::Failed(lost))));
            assert_eq!(stream.next().await, None);
        }
        settle().await;
        assert_eq!(ends.handlers.asked().len(), asked);
    }
}

/// Also where its reader hears of the end only when the client is somebody else.
#[tokio::test(start_paused = true)]
async fn a_stream_is_not_asked_for_again_by_who_came_after_its_end() {
    let mut ends = ada().await;
    let mut stream = ends.stub().journal(Some(0)).await.unwrap();
    settle().await;
    ends.cut().await;
    ends.reconnect_as(BOB).await;
    assert!(matches!(stream.next().await, Some(Err(StreamError::Failed(CallError::Disconnected(_))))));
    // Nor when he has left again.
    let mut stream = ends.stub().journal(Some(0)).await.unwrap();
    ends.cut().await;
    ends.reconnect_as(ADA).await;
    ends.cut().await;
    ends.reconnect_as(BOB).await;
    assert!(matches!(stream.next().await, Some(Err(StreamError::Failed(CallError::Disconnected(_))))));
    settle().await;
    assert_eq!(ends.handlers.asked().len(), 2);
}

/// A session that follows another may have been opened with other credentials.
#[tokio::test(start_paused = true)]
async fn a_stream_moves_to_the_session_that_follows_as_the_same_caller_only() {
    for (after, asked) in [(ADA, 1), (BOB, 0)] {
        let (mut first, mut second) = (ada().await, Ends::new().await);
        second.cut().await;
        second.reconnect_as(after).await;
        let line = Line::new(first.client.clone());
        let mut stream = Stub::new(&line.channel()).journal(Some(0)).await.unwrap();
        settle().await;
        second.handlers.write(2);
        line.switch(second.client.clone());
        first.cut().await;
        let read = stream.next().await;
        assert_eq!(read == Some(Ok(entry(1))), after == ADA, "{read:?}");
        settle().await;
        assert_eq!(second.handlers.asked().len(), asked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_in_a_layer_is_not_sent_as_another_caller() {
    for (after, passes) in [(ADA, true), (BOB, false)] {
        let mut ends = ada().await;
        let permits = Arc::new(tokio::sync::Semaphore::new(1));
        let stack = ServiceBuilder::new()
            .layer(GlobalConcurrencyLimitLayer::with_semaphore(permits.clone()))
            .service(ends.client.endpoint());
        let stub = Stub::new(&Channel::with_stack(&ends.client, stack));
        let taken = permits.clone().acquire_owned().await.unwrap();
        let mut waits = Box::pin(stub.echo(1));
        let mut told = Box::pin(stub.note());
        assert!((&mut waits).now_or_never().is_none() && (&mut told).now_or_never().is_none());
        ends.lose_link().await;
        ends.reconnect_as(after).await;
        drop(taken);
        let (called, told) = (waits.await, told.await);
        if passes {
            assert_eq!((called, told), (Ok(1), Ok(())));
        } else {
            let refused = CallError::Disconnected(Delivery::NotSent);
            assert_eq!((called, told), (Err(refused.clone()), Err(refused)));
            assert_eq!(stub.echo(2).await, Ok(2), "what is asked from now on is asked as the new one");
        }
        settle().await;
        assert_empty(&ends.client);
    }
}

static BUSY: ServiceDescriptor = ServiceDescriptor {
    name: "Busy",
    methods: &[MethodDescriptor {
        name: "look",
        kind: MethodKind::Unary,
        retry: Retry::Idempotent,
        hash: 1,
        deadline: None,
        lag: Lag::Close,
    }],
};

/// Asks every caller to come back in three seconds.
struct Busy;

impl Service for Busy {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        &BUSY
    }

    fn dispatch(&self, _: Call) -> ReplyFuture {
        let status = Status::new(Code::Unavailable, "not now").with_detail(3000);
        Box::pin(std::future::ready(Reply::from(status)))
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_pauses_before_its_retry_is_not_made_again_as_another_caller() {
    for after in [ADA, BOB] {
        let mut ends = Ends::serving(Busy).await;
        ends.cut().await;
        // Its first server has no such service, which shows that it was asked.
        ends.reconnect_serving_as(Busy, ADA).await;
        let call: CallFuture<u64> = CallFuture::new(&ends.channel(), &BUSY, 0, &7_u64);
        let call = tokio::spawn(call);
        sleep(Duration::from_secs(1)).await;
        ends.lose_link().await;
        ends.reconnect_as(after).await;
        let ended = call.await.unwrap().unwrap_err();
        if after == ADA {
            assert!(matches!(ended, CallError::Unimplemented(_)), "{ended:?}");
        } else {
            assert_eq!(ended, CallError::Disconnected(Delivery::NotSent));
        }
    }
}
