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
use crate::places::Places;
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
pub(crate) async fn run(
    house: House,
    link: BoxLink,
    parts: Option<Parts>,
    mut stopping: watch::Receiver<bool>,
) {
    let peer = house.settings.peer();
    let Some((link, hello)) = greeted(link, &peer, &mut stopping).await else { return };
    let admitted = match house.admit(parts, &hello.credentials).await {
        Ok(admitted) => admitted,
        Err(refused) => return refuse(link, &peer, refused.code, &refused.reason).await,
    };
    let verdict = house.node.look(&hello, &admitted.who);
    let guest = Box::new(Guest { link, peer, hello, admitted });
    let returned = match verdict {
        Verdict::Resume { session } => {
            let (back, returned) = oneshot::channel();
            let carrying = house.places.upgrade().map(|places| places.carry());
            house.node.hand_over(session, Handover { guest, back });
            let returned = returned.await;
            drop(carrying);
            match returned {
                Ok(Returned::Refused(guest, verdict)) => house.begin(guest, verdict).await,
                returned => returned.ok(),
            }
        }
        verdict => house.begin(guest, verdict).await,
    };
    // A link that was lost does not come back.
    if let Some(Returned::Close(link, frame)) = returned {
        close(link, &frame).await;
    }
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
    async fn admit(&self, parts: Option<Parts>, credentials: &Secret) -> Admission {
        match parts {
            Some(mut parts) => self.settings.identifier.admit_with(&mut parts, credentials).await,
            None => Ok(Admitted::default()),
        }
    }

    /// Begins a new session on the link, if that is the verdict, and waits until the link comes back.
    async fn begin(&self, guest: Box<Guest>, verdict: Verdict) -> Option<Returned> {
        let begun = match verdict {
            Verdict::New { gap } => self.welcome(guest, gap),
            Verdict::Refuse(refusal) => Err((guest, refusal)),
            // A session that was found has refused already.
            Verdict::Resume { .. } => self.welcome(guest, None),
        };
        match begun {
            Ok(returned) => {
                let _carrying = self.places.upgrade().map(|places| places.carry());
                returned.await.ok()
            }
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
