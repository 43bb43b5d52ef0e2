use std::convert::Infallible;
use std::future::poll_fn;

use bowline_middleware::status_from_error;
use bowline_rpc::{BoxError, Call, Dispatcher, OnceStore, Peer, Reply, Router, SessionInfo};
use bowline_runtime::BoxFuture;
use tower_layer::Layer;
use tower_service::Service;

/// Makes the stack of one session and runs its calls.
///
/// Erased here, once per session: within, layers and router are one concrete type.
pub(crate) trait Sessions: Send + Sync {
    /// Dispatches the calls of `peer` until it is dropped.
    fn dispatch(&self, peer: &Peer, info: SessionInfo) -> BoxFuture<'static, Infallible>;
}

/// The layers of the builder around the router.
#[derive(Debug)]
pub(crate) struct Stacked<L> {
    pub(crate) layers: L,
    pub(crate) router: Router,
    /// Shared by all sessions: a call asked again on another one is found in it.
    pub(crate) once: OnceStore,
}

impl<L> Sessions for Stacked<L>
where
    L: Layer<Router> + Send + Sync,
    L::Service: Service<Call, Response = Reply> + Send + 'static,
    <L::Service as Service<Call>>::Error: Into<BoxError> + 'static,
    <L::Service as Service<Call>>::Future: Send + 'static,
{
    fn dispatch(&self, peer: &Peer, info: SessionInfo) -> BoxFuture<'static, Infallible> {
        let stack = self.layers.layer(self.router.clone());
        let mut dispatcher = Dispatcher::new(peer, stack, info, status_from_error).once(self.once.clone());
        Box::pin(poll_fn(move |cx| dispatcher.poll(cx)))
    }
}
