//! tower's own layers wrap calls unchanged, at the callee and at the caller, once for each session.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::time::Duration;

use bowline::{CallError, Code, Delivery};
use bowline_runtime::timeout;
use futures_util::StreamExt;
use support::{Worker, layered, plain, server};
use tokio::time::Instant;
use tower::ServiceBuilder;
use tower::buffer::BufferLayer;
use tower::layer::util::Identity;
use tower::limit::{ConcurrencyLimitLayer, GlobalConcurrencyLimitLayer, RateLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;

/// Long enough that nothing else can be meant, short of the 10 s that calls have.
const SHORT: Duration = Duration::from_millis(500);

/// Runs the test with the layer at the callee and then with it at the caller. The test gets a worker and a maker of
/// sessions.
macro_rules! on_both_ends {
    ($layer:expr, |$worker:ident, $session:ident| $test:block) => {{
        {
            let $worker = Worker::default();
            let server = server(&$worker, $layer);
            let $session = || plain(&server);
            $test
        }
        {
            let $worker = Worker::default();
            let server = server(&$worker, Identity::new());
            let layer = $layer;
            let $session = || layered(&server, &layer);
            $test
        }
    }};
}

#[tokio::test(start_paused = true)]
async fn timeout_becomes_deadline_exceeded() {
    on_both_ends!(TimeoutLayer::new(SHORT), |worker, session| {
        let work = session();
        let start = Instant::now();
        let error = work.wait().await.unwrap_err();
        assert_eq!(error, CallError::DeadlineExceeded(Delivery::OutcomeUnknown));
        assert_eq!(start.elapsed(), SHORT);
        // The handler was stopped, and the session goes on.
        worker.running(0).await;
        assert_eq!(work.quick().await.unwrap(), 2);
    });
}

#[tokio::test(start_paused = true)]
async fn timeout_bounds_the_acceptance_of_a_stream_and_not_its_items() {
    on_both_ends!(TimeoutLayer::new(SHORT), |worker, session| {
        let mut items = session().items().await.unwrap();
        assert!(timeout(4 * SHORT, items.next()).await.is_err());
        worker.release(1);
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
    });
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_holds_for_each_session_alone() {
    on_both_ends!(ConcurrencyLimitLayer::new(1), |worker, session| {
        let (one, other) = (session(), session());
        let first = tokio::spawn(one.wait());
        worker.running(1).await;
        let second = tokio::spawn(one.wait());
        // The other session has a place of its own.
        let third = tokio::spawn(other.wait());
        worker.running(2).await;
        assert!(timeout(SHORT, worker.running(3)).await.is_err());
        worker.release(3);
        for call in [first, second, third] {
            assert_eq!(call.await.unwrap().unwrap(), 1);
        }
    });
}

#[tokio::test(start_paused = true)]
async fn concurrency_limit_counts_the_opening_of_a_stream() {
    on_both_ends!(ConcurrencyLimitLayer::new(1), |worker, session| {
        let work = session();
        let mut items = work.items().await.unwrap();
        assert_eq!(work.quick().await.unwrap(), 2);
        worker.release(1);
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
    });
}

#[tokio::test(start_paused = true)]
async fn load_shed_refuses_what_would_wait() {
    let layers = || {
        ServiceBuilder::new().layer(LoadShedLayer::new()).layer(ConcurrencyLimitLayer::new(1)).into_inner()
    };
    on_both_ends!(layers(), |worker, session| {
        let work = session();
        let first = tokio::spawn(work.wait());
        worker.running(1).await;
        let refused = work.wait().await.unwrap_err();
        assert_eq!(refused.code(), Some(Code::ResourceExhausted));
        worker.release(1);
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(work.quick().await.unwrap(), 2);
    });
}

#[tokio::test(start_paused = true)]
async fn rate_limit_delays_and_is_no_clone() {
    on_both_ends!(RateLimitLayer::new(2, SHORT), |_worker, session| {
        let (work, other) = (session(), session());
        let start = Instant::now();
        for _ in 0..2 {
            work.quick().await.unwrap();
            other.quick().await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        work.quick().await.unwrap();
        assert_eq!(start.elapsed(), SHORT);
    });
}

#[tokio::test(start_paused = true)]
async fn global_concurrency_limit_holds_for_all_sessions_together() {
    on_both_ends!(GlobalConcurrencyLimitLayer::new(1), |worker, session| {
        let (one, other) = (session(), session());
        let first = tokio::spawn(one.wait());
        worker.running(1).await;
        let second = tokio::spawn(other.wait());
        assert!(timeout(SHORT, worker.running(2)).await.is_err());
        worker.release(2);
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(second.await.unwrap().unwrap(), 1);
    });
}

/// Being ready may hold a permit, so a session that asks early keeps it from those that have calls.
#[tokio::test(start_paused = true)]
async fn two_hundred_idle_sessions_hold_no_permit() {
    on_both_ends!(GlobalConcurrencyLimitLayer::new(1), |_worker, session| {
        let sessions: Vec<_> = (0..200).map(|_| session()).collect();
        // Time for every one of them to take a permit, if it did; and not in the order in which they would have.
        tokio::time::sleep(SHORT).await;
        for work in sessions.iter().rev() {
            assert_eq!(timeout(SHORT, work.quick()).await.unwrap().unwrap(), 2);
        }
        // Nor after they had a call.
        assert_eq!(timeout(SHORT, sessions[100].quick()).await.unwrap().unwrap(), 2);
    });
}

#[tokio::test(start_paused = true)]
async fn buffer_wraps_calls_too() {
    on_both_ends!(BufferLayer::new(4), |worker, session| {
        let work = session();
        worker.release(1);
        assert_eq!(work.wait().await.unwrap(), 1);
        assert_eq!(work.fails().await.unwrap_err(), CallError::Application("no".to_owned()));
    });
}

/// A method's own error is a reply, and nothing that a layer would take for a failure of the service.
#[tokio::test(start_paused = true)]
async fn the_methods_own_error_passes_every_layer() {
    let layers = || {
        let builder = ServiceBuilder::new().layer(LoadShedLayer::new()).layer(TimeoutLayer::new(SHORT));
        builder.layer(RateLimitLayer::new(10, SHORT)).layer(ConcurrencyLimitLayer::new(10)).into_inner()
    };
    on_both_ends!(layers(), |_worker, session| {
        assert_eq!(session().fails().await.unwrap_err(), CallError::Application("no".to_owned()));
    });
}
