use tower_layer::Layer;

use super::Trace;

/// Puts a span named `rpc` and of level `DEBUG` around each call, from the moment it reaches this layer to its end.
///
/// | Field | Value |
/// |---|---|
/// | `rpc.system.name` | `bowline` |
/// | `rpc.method` | service and method, `Chat/post` |
/// | `otel.kind` | `server` or `client` |
/// | `error.type` | how it failed: a code such as `deadline_exceeded`, `application` for the method's own error, `cancelled` for a call that was dropped, `_OTHER` for an error of a layer further in; absent when it succeeded |
/// | `trace_id`, `parent_id` | the trace that the call belongs to |
///
/// Arguments and results are never fields. For a stream the span stays open, and is entered whenever its items are
/// made, until the stream ends or is dropped. Names follow the OpenTelemetry conventions for RPC.
///
/// The trace travels in the call's metadata as `traceparent`. A client's layer begins a new trace where the caller
/// has set none, and says so to the other end; a server's layer records the one that came. Source: W3C Recommendation
/// "Trace Context". Nothing is done for a call whose span nobody records: a subscriber that takes `INFO` and above, as most do
/// by default, leaves them out, and with them what they cost; one that is to have them takes `DEBUG` of the target
/// `bowline_middleware`.
///
/// Holds nothing in `poll_ready`, and works in a browser.
///
/// # Examples
///
/// ```
/// use bowline_middleware::TraceLayer;
///
/// let for_a_server = TraceLayer::server();
/// let for_a_client = TraceLayer::client();
/// # let _ = (for_a_server, for_a_client);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TraceLayer {
    end: End,
}

/// Which end of the call the layer is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Client,
    Server,
}

impl TraceLayer {
    /// For calls that are answered here.
    pub fn server() -> Self {
        Self { end: End::Server }
    }

    /// For calls that are made here.
    pub fn client() -> Self {
        Self { end: End::Client }
    }
}

impl<S> Layer<S> for TraceLayer {
    type Service = Trace<S>;

    fn layer(&self, inner: S) -> Trace<S> {
        Trace::new(inner, self.end)
    }
}
