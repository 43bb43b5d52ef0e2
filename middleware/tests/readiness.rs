//! `poll_ready` is honoured: asked with a call in hand, before each call, and waited for without holding anybody else up.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline::{Call, Code};
use bowline_runtime::timeout;
use futures_util::StreamExt;
use support::{Worker, layered, plain, server};
use tower::layer::util::Identity;
use tower::{Layer, Service};

const SHORT: Duration = Duration::from_millis(500);

/// A layer whose services are ready so many times as the test says.
#[derive(Clone, Default)]
struct Gate(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// How often `poll_ready` was asked.
    asked: AtomicUsize,
    /// How many services the layer made.
    made: AtomicUsize,
    /// The methods of the calls that came through, in order.
    called: Mutex<Vec<&'static str>>,
}

#[derive(Default)]
struct State {
    permits: usize,
    waker: Option<Waker>,
}

impl Gate {
    fn open(&self, permits: usize) {
        let mut state = self.0.state.lock().unwrap();
        state.permits += permits;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn called(&self) -> Vec<&'static str> {
        self.0.called.lock().unwrap().clone()
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        self.0.made.fetch_add(1, Ordering::SeqCst);
        Gated { inner, gate: self.clone(), ready: false }
    }
}

struct Gated<S> {
    inner: S,
    gate: Gate,
    ready: bool,
}

impl<S: Service<Call>> Service<Call> for Gated<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let shared = &self.gate.0;
        shared.asked.fetch_add(1, Ordering::SeqCst);
        if !self.ready {
            let mut state = shared.state.lock().unwrap();
            if state.permits == 0 {
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.permits -= 1;
            self.ready = true;
        }
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> S::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been ready");
        self.gate.0.called.lock().unwrap().push(call.method_name());
        self.inner.call(call)
    }
}

macro_rules! on_both_ends {
    (|$worker:ident, $gate:ident, $session:ident| $test:block) => {{
        {
            let ($worker, $gate) = (Worker::default(), Gate::default());
            let server = server(&$worker, $gate.clone());
            let $session = || plain(&server);
            $test
        }
        {
            let ($worker, $gate) = (Worker::default(), Gate::default());
            let server = server(&$worker, Identity::new());
            let $session = || layered(&server, &$gate);
            $test
        }
    }};
}

/// Lets everything that can happen without time passing happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_without_a_call_is_not_asked_and_its_stack_is_made_once() {
    on_both_ends!(|_worker, gate, session| {
        let work = session();
        settle().await;
        assert_eq!(gate.asked(), 0);
        gate.open(3);
        for _ in 0..3 {
            work.quick().await.unwrap();
        }
        settle().await;
        assert_eq!((gate.asked(), gate.0.made.load(Ordering::SeqCst)), (3, 1));
    });
}

#[tokio::test(start_paused = true)]
async fn calls_wait_in_their_order_until_the_stack_is_ready() {
    on_both_ends!(|worker, gate, session| {
        let work = session();
        let first = tokio::spawn(work.quick());
        settle().await;
        let second = tokio::spawn(work.fails());
        settle().await;
        let third = tokio::spawn(work.wait());
        settle().await;
        assert!(gate.called().is_empty());
        gate.open(1);
        assert_eq!(first.await.unwrap().unwrap(), 2);
        gate.open(1);
        assert!(second.await.unwrap().is_err());
        assert!(!third.is_finished());
        gate.open(1);
        worker.release(1);
        third.await.unwrap().unwrap();
        assert_eq!(gate.called(), ["quick", "fails", "wait"]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_call_that_vanishes_gives_its_turn_to_the_next() {
    on_both_ends!(|_worker, gate, session| {
        let work = session();
        let first = tokio::spawn(work.fails());
        settle().await;
        let second = tokio::spawn(work.quick());
        settle().await;
        first.abort();
        settle().await;
        gate.open(1);
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert_eq!(gate.called(), ["quick"]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_the_stack_has_its_deadline() {
    on_both_ends!(|_worker, gate, session| {
        let work = session();
        let error = work.quick().deadline(SHORT).await.unwrap_err();
        assert_eq!(error.code(), Some(Code::DeadlineExceeded));
        gate.open(1);
        assert_eq!(work.quick().await.unwrap(), 2);
        assert_eq!(gate.called(), ["quick"]);
    });
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_is_not_ready_delays_no_open_stream() {
    on_both_ends!(|worker, gate, session| {
        let work = session();
        gate.open(1);
        let mut items = work.items().await.unwrap();
        let waiting = tokio::spawn(work.quick());
        settle().await;
        for expected in 0..100 {
            worker.release(1);
            assert_eq!(timeout(SHORT, items.next()).await.unwrap().unwrap().unwrap(), expected);
        }
        drop(items);
        assert!(!waiting.is_finished());
        gate.open(1);
        assert_eq!(waiting.await.unwrap().unwrap(), 2);
    });
}
