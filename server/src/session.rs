use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;

use bowline_middleware::status_from_error;
use bowline_protocol::envelope::{GapReason, Hello, Outcome};
use bowline_protocol::session::Welcoming;
use bowline_protocol::status::CloseCode;
use bowline_rpc::{BoxError, Call, Dispatcher, Peer, Reply, Router, SessionInfo};
use bowline_runtime::{BoxFuture, random_bytes, random_u128};
use bowline_transport::{Link, drive};
use futures_util::future::{Either, select};
use tokio::sync::watch;
use tower_layer::Layer;
use tower_service::Service;

use crate::identify::Admission;

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
        let mut dispatcher = Dispatcher::new(peer, stack, info, status_from_error);
        Box::pin(async move { poll_fn(|cx| dispatcher.poll(cx)).await })
    }
}

/// One session over one link, from its first message to its last.
pub(crate) async fn run<L: Link>(
    link: L,
    peer: Peer,
    sessions: &dyn Sessions,
    admission: Admission,
    mut stopping: watch::Receiver<bool>,
) {
    let _ending = Ending(&peer);
    let serving = async {
        let extensions = match admission {
            Ok(extensions) => extensions,
            Err(refused) => {
                peer.close(refused.code, &refused.reason);
                return std::future::pending().await;
            }
        };
        let hello = poll_fn(|cx| peer.poll_hello(cx)).await;
        let id = random_u128();
        peer.welcome(Welcoming {
            outcome: outcome_of(&hello),
            ..Welcoming::new(id, random_bytes(), random_u128())
        });
        let info = SessionInfo { id, extensions, ..SessionInfo::default() };
        sessions.dispatch(&peer, info).await
    };
    let mut driven = pin!(drive(link, &peer, serving));
    let stopped = async {
        // Fails when the server is gone, which aborts this task anyway.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let ended = match select(driven.as_mut(), pin!(stopped)).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => {
            peer.close(CloseCode::DRAIN, "the server is being stopped");
            driven.await
        }
    };
    tracing::debug!(?ended, "session ended");
}

/// Nobody comes back to a session without a link: its handlers are dropped when the link goes.
struct Ending<'a>(&'a Peer);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// What a client is told that asks for a session which it had before.
fn outcome_of(hello: &Hello) -> Outcome {
    match &hello.resume {
        None => Outcome::New,
        Some(resume) => Outcome::Gap {
            reason: GapReason::Unknown,
            lost_from: resume.last_processed.saturating_add(1),
            lost_to: None,
        },
    }
}
