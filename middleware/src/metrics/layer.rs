use std::sync::Arc;

use tower_layer::Layer;

use super::Metrics;
use super::series::{Book, End, Reader};

/// Counts calls and takes their time, through the [`metrics`](https://docs.rs/metrics) facade.
///
/// | Metric (`client` or `server`) | What |
/// |---|---|
/// | `bowline.client.calls` | calls begun, by method |
/// | `bowline.client.calls.in_flight` | calls that have not ended |
/// | `rpc.client.call.duration` | seconds from the moment a call reaches this layer to its end, by method and `error.type` |
/// | `bowline.client.call.errors` | calls that did not succeed, by method and `error.type` |
///
/// [`names`](crate::names) has them all, with their labels. A stream is followed to its end. A call that is dropped is
/// `cancelled`, or `deadline_exceeded` where its time was up.
///
/// Looks at the clock are shared with the session, which has to know the time as well. A call begins where a client's was
/// first polled, or where the server came to it among those that arrived together. It ends where a client's task takes
/// the answer, or a few steps before, where its session read it and is still at work; or where a server's handler ended.
/// What a layer further out computes in the same poll, before it passes the call on, counts for it; what it waits for
/// does not.
///
/// Add it first to have it outside of the other layers, so that it sees what they refuse. What the session answers by
/// itself, such as unknown methods, reaches no layer. Handles of the recorder are kept from a method's first call on,
/// and for failures from the first of their kind, so install the recorder before: what a layer was called for without one it
/// does not count later either. A call allocates nothing here once its handles are known.
///
/// All services that one layer makes share these handles. Holds nothing in `poll_ready`, and works in a browser.
///
/// # Examples
///
/// ```
/// use bowline_middleware::MetricsLayer;
///
/// let for_a_server = MetricsLayer::server();
/// let for_a_client = MetricsLayer::client();
/// # let _ = (for_a_server, for_a_client);
/// ```
#[derive(Debug, Clone)]
pub struct MetricsLayer {
    book: Arc<Book>,
}

impl MetricsLayer {
    /// For calls that are answered here.
    pub fn server() -> Self {
        Self { book: Arc::new(Book::new(End::Server)) }
    }

    /// For calls that are made here.
    pub fn client() -> Self {
        Self { book: Arc::new(Book::new(End::Client)) }
    }
}

impl<S> Layer<S> for MetricsLayer {
    type Service = Metrics<S>;

    fn layer(&self, inner: S) -> Metrics<S> {
        Metrics::new(inner, Reader::new(self.book.clone()))
    }
}
