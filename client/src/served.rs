//! What a client serves.

use std::{convert::Infallible, future::poll_fn};

use bowline_middleware::status_from_error;
use bowline_protocol::schema::ServiceDescriptor;
use bowline_rpc::{Dispatcher, Peer, Router, Service, SessionInfo};
use bowline_runtime::BoxFuture;

/// The services of a client, and what runs their handlers.
///
/// Only where something is served does anything name that code, so a page that serves nothing does not load it.
pub(crate) struct Served {
    router: Router,
    run: fn(&Peer, Router, SessionInfo) -> BoxFuture<'static, Infallible>,
}

impl Served {
    /// Adds `service` to those there are.
    pub(crate) fn add(served: Option<Self>, service: impl Service) -> Self {
        let router = served.map(|served| served.router).unwrap_or_default();
        Self { router: router.add(service), run }
    }

    pub(crate) fn descriptors(&self) -> Vec<&'static ServiceDescriptor> {
        self.router.descriptors()
    }

    /// Runs the calls that come in on the session of `peer`; they end with the future.
    pub(crate) fn run(&self, peer: &Peer, session: SessionInfo) -> BoxFuture<'static, Infallible> {
        (self.run)(peer, self.router.clone(), session)
    }
}

fn run(peer: &Peer, router: Router, session: SessionInfo) -> BoxFuture<'static, Infallible> {
    let mut dispatcher = Dispatcher::new(peer, router, session, status_from_error);
    Box::pin(poll_fn(move |cx| dispatcher.poll(cx)))
}
