//! In a binary of its own: whether anybody records a span is kept for the whole process.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use bowline_middleware::TraceLayer;
use support::{Worker, layered, server};
use tower::layer::util::Identity;

#[tokio::test(start_paused = true)]
async fn a_span_that_nobody_records_costs_no_metadata() {
    let server = server(&Worker::default(), Identity::new());
    let work = layered(&server, &TraceLayer::client());
    assert_eq!(work.trace().await.unwrap(), None);
}
