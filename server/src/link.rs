//! One link: from its first message to the session that it belongs to, and its close.

use std::pin::pin;
use std::sync::{Arc, Weak};

use bowline_middleware::link_refused;
use bowline_protocol::envelope::{Hello, Outcome, Refusal, Secret};
use bowline_protocol::registry::{Gap, New, Verdict};
use bowline_protocol::session::Welcoming;
use bowline_protocol::status::CloseCode;
use bowline_rpc::{Peer, SessionInfo};
use bowline_runtime::{random_bytes, random_u128};
use bowline_transport::{BoxLink, Link, close, drive, greet};
use futures_util::future::{Either, select};
use http::request::Parts;
use tokio::sync::{oneshot, watch};

use crate::identify::{Admission, Admitted};
use crate::mail::{Guest, Handover, Mail, Returned};
use crate::node::Node;
use crate::places::{Carrying, Places};
use crate::server::Settings;
use crate::session::{Carried, Session, Sessions};

/// What links need of their server.
#[derive(Clone)]
pub(crate) struct House {
    pub(crate) settings: Arc<Settings>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) node: Arc<Node>,
    /// Weak, because it owns the tasks that have this.
    pub(crate) places: Weak<Places>,
}

/// Runs a link. `parts` is the request that it came of; without one it is anonymous.
///
/// A link waits here for as long as its session has it, and there are many: what it takes to greet and to close one lives in
/// boxes of its own, which are gone by then.
pub(crate) fn run(
    house: House,
    link: impl Future<Output = Option<BoxLink>> + Send + 'static,
    parts: Option<Parts>,
    stopping: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let arriving = Box::pin(arrive(house.clone(), link, parts, stopping));
    async move {
        let mut away = arriving.await;
        while let Some(Away { returned, carrying }) = away {
            let returned = returned.await;
            drop(carrying);
            away = match returned {
                Ok(Returned::Refused(guest, verdict)) => Box::pin(house.begin(guest, verdict)).await,
                Ok(Returned::Close(link, frame)) => return Box::pin(close(link, &frame)).await,
                // It was lost.
                Err(_) => None,
            };
        }
    }
}

/// Greets a link and gives it to its session.
async fn arrive(
    house: House,
    link: impl Future<Output = Option<BoxLink>>,
    parts: Option<Parts>,
    mut stopping: watch::Receiver<bool>,
) -> Option<Away> {
    let link = link.await?;
    let peer = house.settings.peer();
    let (link, hello) = greeted(link, &peer, &mut stopping).await?;
    let admitted = match house.admit(parts, &hello.credentials).await {
        Ok(admitted) => admitted,
        Err(refused) => {
            refuse(link, &peer, refused.code, &refused.reason).await;
            return None;
        }
    };
    let verdict = house.node.look(&hello, &admitted.who);
    let guest = Box::new(Guest { link, peer, hello, admitted });
    if let Verdict::Resume { session } = verdict {
        let (back, returned) = oneshot::channel();
        let carrying = house.carry();
        house.node.hand_over(session, Handover { guest, back });
        return Some(Away { returned, carrying });
    }
    house.begin(guest, verdict).await
}

/// A link that a session has.
struct Away {
    returned: oneshot::Receiver<Returned>,
    carrying: Option<Carrying>,
}

/// Reads the hello. `None` when there was none in time, or the server is being stopped.
async fn greeted(
    link: BoxLink,
    peer: &Peer,
    stopping: &mut watch::Receiver<bool>,
) -> Option<(BoxLink, Hello)> {
    let greeted = until_stopped(greet(link, peer), peer, stopping).await;
    greeted.inspect_err(|ended| tracing::debug!(?ended, "link ended before its hello")).ok()
}

/// Runs a link, which is closed when the server is stopped.
async fn until_stopped<T>(
    running: impl Future<Output = T>,
    peer: &Peer,
    stopping: &mut watch::Receiver<bool>,
) -> T {
    let mut running = pin!(running);
    let stopped = async {
        // Fails when the server is gone, which aborts this task anyway.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    match select(running.as_mut(), pin!(stopped)).await {
        Either::Left((ended, _)) => ended,
        Either::Right(_) => {
            peer.close(CloseCode::DRAIN, "the server is being stopped");
            running.await
        }
    }
}

/// Closes a link whose client has said hello.
async fn refuse(link: BoxLink, peer: &Peer, code: CloseCode, reason: &str) {
    tracing::debug!(%code, reason, "link refused");
    link_refused(code);
    peer.close(code, reason);
    drive(link, peer, std::future::pending()).await;
}

impl House {
    fn carry(&self) -> Option<Carrying> {
        self.places.upgrade().map(|places| places.carry())
    }

    async fn admit(&self, parts: Option<Parts>, credentials: &Secret) -> Admission {
        match parts {
            Some(mut parts) => self.settings.identifier.admit_with(&mut parts, credentials).await,
            None => Ok(Admitted::default()),
        }
    }

    /// Begins a new session on the link, if that is the verdict.
    async fn begin(&self, guest: Box<Guest>, verdict: Verdict) -> Option<Away> {
        let begun = match verdict {
            Verdict::New { gap } => self.welcome(guest, gap),
            Verdict::Refuse(refusal) => Err((guest, refusal)),
            // A session that was found has refused already.
            Verdict::Resume { .. } => self.welcome(guest, None),
        };
        match begun {
            Ok(returned) => Some(Away { returned, carrying: self.carry() }),
            Err((guest, Refusal { code, reason })) => {
                refuse(guest.link, &guest.peer, code, &reason).await;
                None
            }
        }
    }

    /// Begins a new session on the link; returns where the link will come back.
    fn welcome(
        &self,
        guest: Box<Guest>,
        gap: Option<Gap>,
    ) -> Result<oneshot::Receiver<Returned>, (Box<Guest>, Refusal)> {
        let (id, token, epoch): (_, [u8; 32], _) = (random_u128(), random_bytes(), random_u128());
        let mail = Arc::new(Mail::default());
        let new = New { session: id, token: &token, epoch, who: guest.admitted.who, hello: &guest.hello };
        if let Err(refusal) = self.node.insert(new, &mail) {
            return Err((guest, refusal));
        }
        let Guest { link, peer, hello, admitted } = *guest;
        let outcome = gap.map_or(Outcome::New, |gap| lost(&hello, gap));
        peer.welcome(Welcoming {
            outcome,
            peer_last_processed: gap.and_then(|gap| gap.remains).map(|remains| remains.last_processed),
            identity: admitted.who.identity,
            ..Welcoming::new(id, token, epoch)
        });
        let info = self.settings.info(id, admitted);
        let dispatch = |peer: &Peer| self.sessions.dispatch(peer, info);
        let session = Session::new(id, peer, self.node.clone(), mail, dispatch, outcome);
        let (back, returned) = oneshot::channel();
        // Without an owner the server is gone, and so is the session.
        if let Some(places) = self.places.upgrade() {
            places.adopt(session.run(Carried { link, back }));
        }
        Ok(returned)
    }
}

/// What the client is told of the session that it asked for.
fn lost(hello: &Hello, gap: Gap) -> Outcome {
    let processed = hello.resume.as_ref().map_or(0, |resume| resume.last_processed);
    let lost_from = processed.saturating_add(1);
    let lost_to = gap.remains.map(|remains| remains.head);
    Outcome::Gap { reason: gap.reason, lost_from, lost_to }
}

/// Runs the far end of a channel in process: a session of its one link, which is never cut.
pub(crate) async fn run_local(
    link: impl Link,
    peer: Peer,
    sessions: Arc<dyn Sessions>,
    info: SessionInfo,
    mut stopping: watch::Receiver<bool>,
) {
    let _ending = Ending(&peer);
    let serving = async {
        std::future::poll_fn(|cx| peer.poll_hello(cx)).await;
        peer.welcome(Welcoming::new(info.id, random_bytes(), random_u128()));
        sessions.dispatch(&peer, info).await
    };
    let ended = until_stopped(drive(link, &peer, serving), &peer, &mut stopping).await;
    tracing::debug!(?ended, "session in process ended");
}

/// Nobody comes back to a session in process.
struct Ending<'a>(&'a Peer);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It held the whole greeting, request and limits for as long as the link lived: more than 6 KiB of each idle connection.
    #[test]
    fn a_link_that_its_session_has_takes_little_memory() {
        let server = crate::Server::builder().build();
        let parts = http::Request::new(()).into_parts().0;
        let link = std::future::ready(None);
        let (_stop, stopping) = watch::channel(false);
        let running = run(server.house(), link, Some(parts), stopping);
        assert!(size_of_val(&running) <= 512, "{}", size_of_val(&running));
    }
}
