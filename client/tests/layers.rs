//! Tower layers around the calls of a client.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context as Task, Poll},
    time::Duration,
};

use bowline::{Call, Code, State, Status, prelude::*};
use common::{OfficeClient, Place, reaches};
use tower::{Layer, Service, limit::ConcurrencyLimitLayer};

/// Writes its name down for each call that passes.
#[derive(Clone)]
struct Noted {
    name: &'static str,
    notes: Arc<Mutex<Vec<String>>>,
    built: Arc<AtomicUsize>,
}

struct NotedService<S> {
    inner: S,
    layer: Noted,
}

impl<S> Layer<S> for Noted {
    type Service = NotedService<S>;

    fn layer(&self, inner: S) -> NotedService<S> {
        self.built.fetch_add(1, Ordering::SeqCst);
        NotedService { inner, layer: self.clone() }
    }
}

impl<S: Service<Call>> Service<Call> for NotedService<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, call: Call) -> S::Future {
        self.layer.notes.lock().unwrap().push(format!("{} {}", self.layer.name, call.method_name()));
        self.inner.call(call)
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_layer_sees_a_call_first_and_the_stack_outlives_links() {
    let place = Place::new();
    let (notes, built) = (Arc::default(), Arc::<AtomicUsize>::default());
    let noted = |name| Noted { name, notes: Arc::clone(&notes), built: built.clone() };
    let client = place.builder().layer(noted("first")).layer(noted("second")).connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    office.echo("a".into()).await.unwrap();
    place.faults.cut();
    reaches(&client, |state| !state.is_live()).await;
    reaches(&client, State::is_live).await;
    let mut level = office.level("a".into()).await.unwrap();
    level.next().await.unwrap().unwrap();
    assert_eq!(*notes.lock().unwrap(), ["first echo", "second echo", "first level", "second level"]);
    assert_eq!(built.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_layers_refusal_reaches_the_caller_as_a_status() {
    let place = Place::new();
    let refuse = tower::util::MapRequestLayer::new(|call: Call| call);
    let fail = tower::filter::FilterLayer::new(|call: Call| {
        if call.method_name() == "wait" {
            return Err(Status::new(Code::PermissionDenied, "not on Sundays"));
        }
        Ok(call)
    });
    let client = place.builder().layer(refuse).layer(fail).connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let failed = office.wait().await.unwrap_err();
    assert_eq!(failed, CallError::PermissionDenied("not on Sundays".into()));
    assert_eq!(place.calls(), 0);
    office.echo("fine".into()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn towers_own_layers_fit_and_calls_wait_their_turn() {
    let place = Place::new();
    let client = place.builder().layer(ConcurrencyLimitLayer::new(2)).connect().await.unwrap();
    let office = client.client::<OfficeClient>();
    let calls: Vec<_> = (0..5).map(|_| tokio::spawn(office.wait())).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(place.calls(), 2);
    for _ in 0..5 {
        place.world.release.notify_one();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), 7);
    }
}
