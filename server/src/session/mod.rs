//! One session: the task that has its state and its handlers, and at most one link.

mod held;
mod stack;

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bowline_middleware::SessionMetrics;
use bowline_protocol::envelope::{Hello, Outcome};
use bowline_protocol::registry::{Gap, Remains, Verdict};
use bowline_protocol::session::Welcoming;
use bowline_protocol::status::CloseCode;
use bowline_rpc::Peer;
use bowline_runtime::{BoxFuture, Lines, Rope, Sleep, now, random_bytes, sleep_until};
use bowline_transport::{BoxLink, CloseFrame, Ended, Left, drive_until};

use crate::mail::{Back, End, Guest, Handover, Letter, Mail, Returned};
use crate::node::Node;
use held::{HeldReport, Mood, Runs};

pub(crate) use stack::{Sessions, Stacked};

/// How many lines of the dispatcher each turn prefetches: what lies at its beginning is asked for each time. Source: our choice,
/// by its size.
const HANDLERS: usize = 8;

/// A session from its welcome to its end.
///
/// While it has a link it drives it; while it has none its handlers go on, and it waits for the next link or for its
/// end. Dropping it ends the session.
pub(crate) struct Session {
    /// Polled in this task, and its handlers with it.
    dispatch: BoxFuture<'static, Infallible>,
    desk: Desk,
}

/// A link, and where it goes when the session has no use for it any more.
pub(crate) struct Carried {
    pub(crate) link: BoxLink,
    pub(crate) back: Back,
}

impl Session {
    /// The session that `peer` has just welcomed and that `node` has entered.
    pub(crate) fn new(
        id: u128,
        peer: Peer,
        node: Arc<Node>,
        mail: Arc<Mail>,
        dispatch: impl FnOnce(&Peer) -> BoxFuture<'static, Infallible>,
        outcome: Outcome,
    ) -> Self {
        // First what ends the session when making the stack panics.
        let mut desk = Desk {
            id,
            peer,
            node,
            mail,
            metrics: SessionMetrics::server(),
            held: HeldReport::default(),
            has_link: true,
            is_proved: false,
            ending: None,
        };
        let dispatch = dispatch(&desk.peer);
        desk.metrics.live(outcome);
        Self { dispatch, desk }
    }

    /// Runs it, first on this link.
    pub(crate) async fn run(mut self, first: Carried) {
        let mut carried = Some(first);
        loop {
            let next = match carried.take() {
                Some(carried) => self.attached(carried).await,
                None => self.detached().await,
            };
            match next {
                Next::Link(arrival) => {
                    carried = Some(self.desk.take_up(*arrival));
                    self.desk.metrics.live(Outcome::Resumed);
                }
                Next::NoLink => {}
                Next::Over => return,
            }
        }
    }

    /// Drives a link until it ends or another takes its place.
    async fn attached(&mut self, Carried { link, back }: Carried) -> Next {
        let Self { dispatch, desk } = self;
        desk.has_link = true;
        let mut rope = Rope::default();
        let mut bell = rope.bell();
        desk.metrics.link_opened();
        let peer = desk.peer.clone();
        let (watching, mut runs) = (&mut *desk, Runs::default());
        let handlers = Lines::of(&**dispatch).first(HANDLERS);
        peer.foresee_dispatcher(handlers);
        let until = poll_fn(move |_| {
            handlers.prefetch();
            if runs.note() {
                bell.ring();
            }
            bell.poll(|cx| watching.poll_attached(&mut runs, cx))
        });
        let (link, left) = drive_until(link, &peer, rope, dispatch.as_mut(), until).await;
        match left {
            Left::Until(arrival) => {
                let (code, reason) = if arrival.superseded {
                    (CloseCode::SUPERSEDED, "another instance of the client has the session")
                } else {
                    (CloseCode::FENCED, "a newer link has the session")
                };
                desk.metrics.link_closed(Some(code));
                give_back(back, link, CloseFrame::new(code, reason));
                Next::Link(arrival)
            }
            Left::Ended(Ended { by, frame }) => {
                tracing::debug!(?by, ?frame, "link ended");
                desk.metrics.look(&peer);
                desk.metrics.link_closed(frame.as_ref().map(|frame| frame.code));
                if let Some(frame) = frame {
                    give_back(back, link, frame);
                }
                desk.lose_link()
            }
        }
    }

    /// Waits without a link.
    async fn detached(&mut self) -> Next {
        let Self { dispatch, desk } = self;
        desk.has_link = false;
        let mut rope = Rope::default();
        let mut bell = rope.bell();
        let (mut timer, mut runs) = (None, Runs::default());
        poll_fn(|cx| {
            rope.attend(cx);
            if runs.note() {
                bell.ring();
            }
            if let Poll::Ready(next) = bell.poll(|cx| desk.poll_detached(&mut runs, cx)) {
                return Poll::Ready(next);
            }
            let Poll::Pending = dispatch.as_mut().poll(cx);
            desk.pass_time(&mut timer, cx);
            Poll::Pending
        })
        .await
    }
}

/// The link's own task closes it. It may have been aborted; then the link is dropped here.
fn give_back(back: Back, link: BoxLink, frame: CloseFrame) {
    let _ = back.send(Returned::Close(link, frame));
}

/// What comes next in the life of a session.
enum Next {
    Link(Box<Arrival>),
    NoLink,
    Over,
}

/// A link that the session goes on with.
struct Arrival {
    carried: Carried,
    hello: Hello,
    token: [u8; 32],
    generation: u64,
    /// Whether another instance of the client sent it.
    superseded: bool,
}

/// Everything of a session but its handlers: what decides.
struct Desk {
    id: u128,
    peer: Peer,
    node: Arc<Node>,
    mail: Arc<Mail>,
    metrics: SessionMetrics,
    held: HeldReport,
    has_link: bool,
    /// The client has shown that it has the newest token.
    is_proved: bool,
    /// The session ends: when its link is closed, if it has one.
    ending: Option<End>,
}

impl Desk {
    /// What there is to do beside driving the link. Ready when another link takes its place.
    fn poll_attached(&mut self, runs: &mut Runs, cx: &mut Context<'_>) -> Poll<Box<Arrival>> {
        if !self.is_proved && self.peer.poll_proved(cx).is_ready() {
            self.is_proved = true;
            self.node.prove(self.id);
        }
        self.look_at_held(runs, cx);
        while let Poll::Ready(letter) = self.mail.poll(cx) {
            match letter {
                Letter::Handover(handover) => {
                    if let Some(arrival) = self.judge(handover) {
                        return Poll::Ready(arrival);
                    }
                }
                Letter::End(end) => self.close(end),
                Letter::GoAway(spread) => self.peer.go_away(spread),
            }
        }
        Poll::Pending
    }

    /// Tells the server how many bytes the session holds, and metrics what it did, when it is time to.
    fn look_at_held(&mut self, runs: &mut Runs, cx: &mut Context<'_>) {
        let Self { held, peer, metrics, .. } = self;
        let news = held.poll(runs, cx, |mood| {
            if mood == Mood::Calm {
                peer.trim();
            }
            metrics.look(peer);
            peer.held_bytes()
        });
        if let Some(bytes) = news {
            self.node.set_held(self.id, bytes);
        }
    }

    fn poll_detached(&mut self, runs: &mut Runs, cx: &mut Context<'_>) -> Poll<Next> {
        self.look_at_held(runs, cx);
        while let Poll::Ready(letter) = self.mail.poll(cx) {
            match letter {
                Letter::Handover(handover) => {
                    if let Some(arrival) = self.judge(handover) {
                        return Poll::Ready(Next::Link(arrival));
                    }
                }
                Letter::End(end) => self.close(end),
                // There is nobody to tell; whoever comes back is told then.
                Letter::GoAway(_) => {}
            }
            if let Some(end) = self.ending {
                self.finish(end);
                return Poll::Ready(Next::Over);
            }
        }
        Poll::Pending
    }

    /// Whether the session goes on with this link; else the link goes back.
    fn judge(&mut self, handover: Handover) -> Option<Box<Arrival>> {
        let token = random_bytes();
        let Guest { hello, admitted, .. } = &*handover.guest;
        let attached = match self.node.attach(hello, &admitted.who, &token) {
            Ok(attached) => attached,
            Err(verdict) => {
                handover.refuse(verdict);
                return None;
            }
        };
        let possible = hello.resume.as_ref().map_or(Ok(()), |resume| self.peer.can_resume(resume));
        if let Err(reason) = possible {
            let gap = Gap { reason, remains: Some(self.remains()) };
            handover.refuse(Verdict::New { gap: Some(gap) });
            self.close(End { reason, code: CloseCode::FENCED, sentence: "the session could not go on" });
            return None;
        }
        let Handover { guest, back } = handover;
        let Guest { link, hello, .. } = *guest;
        Some(Box::new(Arrival {
            carried: Carried { link, back },
            hello,
            token,
            generation: attached.generation,
            superseded: attached.superseded,
        }))
    }

    /// Puts the session on the link. Nothing was read from the older one since [`judge`](Self::judge).
    fn take_up(&mut self, arrival: Arrival) -> Carried {
        let Arrival { carried, hello, token, generation, superseded: _ } = arrival;
        self.is_proved = false;
        let epoch = hello.resume.as_ref().map_or(0, |resume| resume.epoch);
        self.peer.attach(&hello, Welcoming { generation, ..Welcoming::new(self.id, token, epoch) });
        tracing::debug!(session = self.id, generation, "session resumed");
        if let Some(spread) = self.node.draining() {
            self.peer.go_away(spread);
        }
        carried
    }

    /// The session is to end, and its link is told first.
    fn close(&mut self, end: End) {
        self.ending.get_or_insert(end);
        if self.has_link {
            self.peer.close(end.code, end.sentence);
        }
    }

    /// The link is gone.
    fn lose_link(&mut self) -> Next {
        if let Some(end) = self.ending {
            self.finish(end);
            return Next::Over;
        }
        if self.peer.is_over() {
            // Closed on purpose: nobody comes back for it.
            self.node.forget(self.id);
            return Next::Over;
        }
        self.node.detach(self.id, self.peer.held_bytes());
        Next::NoLink
    }

    /// The session is over, and its client may ask what became of it.
    fn finish(&mut self, end: End) {
        tracing::debug!(session = self.id, reason = ?end.reason, "session ended");
        self.node.remove(self.id, end.reason, self.remains());
        self.peer.end();
    }

    fn remains(&self) -> Remains {
        let (last_processed, head) = self.peer.progress();
        Remains { last_processed, head }
    }

    /// Lets time pass in a session that no link drives, and is woken by its handlers.
    fn pass_time(&self, timer: &mut Option<Sleep>, cx: &mut Context<'_>) {
        self.peer.register(cx);
        while let Some(due) = self.peer.poll_timeout() {
            if due > now() {
                let timer = timer.get_or_insert_with(|| sleep_until(due));
                if timer.deadline() != due {
                    timer.reset(due);
                }
                if Pin::new(timer).poll(cx).is_pending() {
                    return;
                }
            }
            *timer = None;
            self.peer.handle_timeout();
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Does nothing for a session that has ended; else its task was aborted.
        self.node.forget(self.id);
        self.mail.close();
        self.peer.end();
    }
}
