//! One span per call, open until the call has really ended, and one trace across both ends.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline_middleware::TraceLayer;
use futures_util::StreamExt;
use support::{Worker, layered, plain, server};
use tower::ServiceBuilder;
use tower::layer::util::Identity;
use tower::timeout::TimeoutLayer;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// What became of the spans named `rpc`, in the order in which they were opened.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

#[derive(Debug, Clone, Default)]
struct Seen {
    id: u64,
    fields: HashMap<&'static str, String>,
    /// Events of handlers inside.
    events: usize,
    closed: bool,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

impl Spans {
    fn watch() -> (Self, DefaultGuard) {
        let spans = Self::default();
        let subscriber = tracing_subscriber::registry().with(spans.clone());
        (spans, tracing::subscriber::set_default(subscriber))
    }

    /// The only span.
    fn one(&self) -> Seen {
        let spans = self.0.lock().unwrap();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans[0].clone()
    }

    fn change(&self, id: u64, change: impl FnOnce(&mut Seen)) {
        // Ids are used again after a span was closed.
        let mut spans = self.0.lock().unwrap();
        if let Some(seen) = spans.iter_mut().rev().find(|seen| seen.id == id && !seen.closed) {
            change(seen);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().name() == "rpc" {
            let mut seen = Seen { id: id.into_u64(), ..Seen::default() };
            attributes.record(&mut seen);
            self.0.lock().unwrap().push(seen);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.change(id.into_u64(), |seen| values.record(seen));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if event.metadata().target().contains("support")
            && let Some(span) = context.event_span(event)
        {
            self.change(span.id().into_u64(), |seen| seen.events += 1);
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.change(id.into_u64(), |seen| seen.closed = true);
    }
}

/// Lets everything that can happen without time passing happen.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_has_a_span_with_the_conventional_fields() {
    let (spans, _guard) = Spans::watch();
    let server = server(&Worker::default(), TraceLayer::server());
    let work = plain(&server);
    work.quick().await.unwrap();
    settle().await;
    let span = spans.one();
    assert_eq!(span.field("rpc.system.name"), Some("bowline"));
    assert_eq!(span.field("rpc.method"), Some("Work/quick"));
    assert_eq!(span.field("otel.kind"), Some("server"));
    assert_eq!(span.field("error.type"), None);
    assert_eq!(span.field("trace_id"), None);
    assert!(span.closed);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_recorded_by_its_kind() {
    let worker = Worker::default();
    let traced = server(&worker, TraceLayer::server());
    let timeout = TimeoutLayer::new(Duration::from_secs(1));
    let timed =
        server(&worker, ServiceBuilder::new().layer(TraceLayer::server()).layer(timeout).into_inner());
    let bare = server(&worker, Identity::new());

    let (spans, guard) = Spans::watch();
    plain(&traced).fails().await.unwrap_err();
    settle().await;
    assert_eq!(spans.one().field("error.type"), Some("application"));
    drop(guard);

    let (spans, guard) = Spans::watch();
    plain(&timed).wait().await.unwrap_err();
    settle().await;
    assert_eq!(spans.one().field("error.type"), Some("_OTHER"));
    drop(guard);

    let (spans, guard) = Spans::watch();
    plain(&traced).panics().await.unwrap_err();
    settle().await;
    assert_eq!(spans.one().field("error.type"), Some("internal"));
    drop(guard);

    let (spans, guard) = Spans::watch();
    let work = layered(&bare, &TraceLayer::client());
    work.wait().deadline(Duration::from_secs(1)).await.unwrap_err();
    settle().await;
    let span = spans.one();
    assert_eq!(span.field("error.type"), Some("deadline_exceeded"));
    assert_eq!(span.field("otel.kind"), Some("client"));
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_dropped_is_recorded_as_cancelled() {
    let (spans, _guard) = Spans::watch();
    let worker = Worker::default();
    let server = server(&worker, TraceLayer::server());
    let work = plain(&server);
    let call = tokio::spawn(work.wait());
    worker.running(1).await;
    assert!(!spans.one().closed);
    call.abort();
    worker.running(0).await;
    settle().await;
    assert_eq!(spans.one().field("error.type"), Some("cancelled"));
    assert!(spans.one().closed);
}

#[tokio::test(start_paused = true)]
async fn the_span_of_a_stream_stays_open_until_the_stream_was_dropped() {
    let (spans, _guard) = Spans::watch();
    let worker = Worker::default();
    let server = server(&worker, TraceLayer::server());
    let work = plain(&server);
    let mut items = work.items().await.unwrap();
    for made in 1..=3 {
        worker.release(1);
        items.next().await.unwrap().unwrap();
        settle().await;
        // Items are made inside of it.
        assert_eq!((spans.one().events, spans.one().closed), (made, false));
    }
    drop(items);
    settle().await;
    assert_eq!(spans.one().field("error.type"), Some("cancelled"));
    assert!(spans.one().closed);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ended_is_no_error_at_either_end() {
    for at_the_caller in [false, true] {
        let (spans, _guard) = Spans::watch();
        let worker = Worker::default();
        let (bare, traced) = (server(&worker, Identity::new()), server(&worker, TraceLayer::server()));
        let work = if at_the_caller { layered(&bare, &TraceLayer::client()) } else { plain(&traced) };
        let items: Vec<_> = work.three().await.unwrap().collect().await;
        assert_eq!(items.len(), 3);
        settle().await;
        assert_eq!(spans.one().field("error.type"), None);
        assert!(spans.one().closed);
    }
}

#[tokio::test(start_paused = true)]
async fn one_trace_goes_through_both_ends() {
    let (spans, _guard) = Spans::watch();
    let server = server(&Worker::default(), TraceLayer::server());
    let work = layered(&server, &TraceLayer::client());
    let travelled = work.trace().await.unwrap().unwrap();
    settle().await;
    let [client, server] = &spans.0.lock().unwrap().clone()[..] else { panic!("two spans") };
    assert_eq!(client.field("otel.kind"), Some("client"));
    let (trace, parent) = (client.field("trace_id").unwrap(), client.field("parent_id").unwrap());
    assert_eq!(travelled, format!("00-{trace}-{parent}-01"));
    assert_eq!((server.field("trace_id"), server.field("parent_id")), (Some(trace), Some(parent)));
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_the_caller_is_kept_and_nonsense_is_ignored() {
    let (spans, _guard) = Spans::watch();
    let server = server(&Worker::default(), TraceLayer::server());
    let work = layered(&server, &TraceLayer::client());
    let mine = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let travelled = work.trace().metadata("traceparent", mine).await.unwrap();
    assert_eq!(travelled.as_deref(), Some(mine));
    for span in spans.0.lock().unwrap().iter() {
        assert_eq!(span.field("trace_id"), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
    }

    let plain = plain(&server);
    plain.quick().metadata("traceparent", "nonsense").await.unwrap();
    settle().await;
    assert_eq!(spans.0.lock().unwrap().last().unwrap().field("trace_id"), None);
}
