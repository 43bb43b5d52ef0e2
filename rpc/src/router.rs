use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::status::{Code, Status};
use bowline_runtime::{BoxFuture, MaybeSend, MaybeSync};

use crate::once::OnceFuture;
use crate::{Call, Reply};

/// The future of a handler.
pub type ReplyFuture = BoxFuture<'static, Reply>;

/// One service with its handlers: what `#[rpc]` generates as `ChatServer<S>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    label = "wrap what implements the trait: `ChatServer::new(..)` for a trait `Chat`"
)]
pub trait Service: MaybeSend + MaybeSync + 'static {
    /// The service's name and methods.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    /// Starts the handler of `call`, which is for this service.
    fn dispatch(&self, call: Call) -> ReplyFuture;
}

/// Several services; the innermost `tower` service of a callee's stack. Cheap to clone.
#[derive(Clone, Default)]
pub struct Router {
    services: Arc<Vec<Arc<dyn Service>>>,
}

impl Router {
    /// Makes a router without services.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a service. One of the same name that was there is replaced.
    #[must_use]
    #[cfg_attr(
        target_arch = "wasm32",
        expect(clippy::arc_with_non_send_sync, reason = "a page has one thread")
    )]
    #[expect(clippy::should_implement_trait, reason = "a builder's step; nobody writes `router + service`")]
    pub fn add(self, service: impl Service) -> Self {
        let name = service.descriptor().name;
        let mut services = Vec::clone(&self.services);
        services.retain(|known| known.descriptor().name != name);
        services.push(Arc::new(service));
        Self { services: Arc::new(services) }
    }

    /// The services' descriptors, for the session's configuration.
    pub fn descriptors(&self) -> Vec<&'static ServiceDescriptor> {
        self.services.iter().map(|service| service.descriptor()).collect()
    }

    fn find(&self, wanted: &'static ServiceDescriptor) -> Option<&Arc<dyn Service>> {
        self.services.iter().find(|service| service.descriptor().name == wanted.name)
    }
}

impl tower_service::Service<Call> for Router {
    type Response = Reply;
    type Error = Infallible;
    type Future = RouterFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> RouterFuture {
        let Some(service) = self.find(call.service()) else {
            let reply = Reply::from(Status::new(
                Code::Unimplemented,
                format!("there is no service `{}` here", call.service_name()),
            ));
            return RouterFuture(Handling::Handler(Box::pin(std::future::ready(reply))));
        };
        let (descriptor, method) = (call.service(), call.method_index());
        RouterFuture(match call.take_claim() {
            None => Handling::Handler(service.dispatch(call)),
            Some(claim) => {
                Handling::Once(OnceFuture::new(*claim, service.dispatch(call), descriptor, method))
            }
        })
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.services.iter().map(|service| service.descriptor().name);
        f.debug_list().entries(names).finish()
    }
}

/// The future of a [`Router`]: the handler's, which has no error of tower's kind.
#[must_use = "futures do nothing unless polled"]
pub struct RouterFuture(Handling);

enum Handling {
    Handler(ReplyFuture),
    /// The handler goes on when this is dropped.
    Once(OnceFuture),
}

impl Future for RouterFuture {
    type Output = Result<Reply, Infallible>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Handling::Handler(handler) => handler.as_mut().poll(cx).map(Ok),
            Handling::Once(once) => once.poll(cx).map(Ok),
        }
    }
}

impl fmt::Debug for RouterFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterFuture").finish_non_exhaustive()
    }
}
