use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bowline_protocol::envelope::{GapReason, Hello, Refusal};
use bowline_protocol::registry::Verdict;
use bowline_protocol::status::CloseCode;
use bowline_rpc::Peer;
use bowline_transport::{BoxLink, CloseFrame};
use tokio::sync::oneshot;

use crate::identify::Admitted;

/// What is said to the task of a session from outside.
///
/// One letter of each kind waits at most; of two links that the session has not seen the newer one stays.
#[derive(Debug, Default)]
pub(crate) struct Mail(Mutex<Letters>);

#[derive(Debug, Default)]
struct Letters {
    end: Option<End>,
    handover: Option<Handover>,
    go_away: Option<Duration>,
    /// The session takes no letters any more.
    is_closed: bool,
    waker: Option<Waker>,
}

/// One thing that is said.
#[derive(Debug)]
pub(crate) enum Letter {
    End(End),
    Handover(Handover),
    GoAway(Duration),
}

/// The session is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// What its client is told if it asks for the session.
    pub(crate) reason: GapReason,
    /// What its link is closed with, if it has one.
    pub(crate) code: CloseCode,
    pub(crate) sentence: &'static str,
}

/// A link whose client wants to go on with the session.
#[derive(Debug)]
pub(crate) struct Handover {
    pub(crate) guest: Box<Guest>,
    pub(crate) back: Back,
}

/// A link whose client has said hello and who it is.
pub(crate) struct Guest {
    pub(crate) link: BoxLink,
    /// Read the hello; welcomes the client if a new session begins.
    pub(crate) peer: Peer,
    pub(crate) hello: Hello,
    pub(crate) admitted: Admitted,
}

/// How a link comes back to the task that made it. Dropped when the link was lost.
pub(crate) type Back = oneshot::Sender<Returned>;

/// A link that a session does not want, or no longer.
#[derive(Debug)]
pub(crate) enum Returned {
    /// The session does not go on with it.
    Refused(Box<Guest>, Verdict),
    /// It is to be closed with this.
    Close(BoxLink, CloseFrame),
}

impl Mail {
    pub(crate) fn end(&self, end: End) {
        self.put(|letters| {
            // The first reason stands.
            letters.end.get_or_insert(end);
        });
    }

    pub(crate) fn go_away(&self, spread: Duration) {
        self.put(|letters| letters.go_away = Some(spread));
    }

    pub(crate) fn hand_over(&self, handover: Handover) {
        let refused = self.put(|letters| {
            if letters.is_closed {
                return Some((handover, CloseCode::TRY_AGAIN, "the session has just ended"));
            }
            let (keep, refuse) = match letters.handover.take() {
                // Hellos of one client may come out of order.
                Some(waiting) if waiting.is_newer_than(&handover) => (waiting, Some(handover)),
                waiting => (handover, waiting),
            };
            letters.handover = Some(keep);
            refuse.map(|overtaken| (overtaken, CloseCode::FENCED, "a newer link has the session"))
        });
        if let Some((handover, code, reason)) = refused {
            handover.refuse(Verdict::Refuse(Refusal { code, reason: reason.into() }));
        }
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Letter> {
        let mut letters = self.lock();
        if let Some(end) = letters.end.take() {
            return Poll::Ready(Letter::End(end));
        }
        if let Some(handover) = letters.handover.take() {
            return Poll::Ready(Letter::Handover(handover));
        }
        if let Some(spread) = letters.go_away.take() {
            return Poll::Ready(Letter::GoAway(spread));
        }
        if letters.waker.as_ref().is_none_or(|known| !known.will_wake(cx.waker())) {
            letters.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Takes no letters any more; a link that waits is told to try again.
    pub(crate) fn close(&self) {
        let handover = {
            let mut letters = self.lock();
            letters.is_closed = true;
            letters.handover.take()
        };
        if let Some(handover) = handover {
            self.hand_over(handover);
        }
    }

    fn put<R>(&self, change: impl FnOnce(&mut Letters) -> R) -> R {
        let (result, waker) = {
            let mut letters = self.lock();
            (change(&mut letters), letters.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handover {
    /// Whether one client sent both, and this one later.
    fn is_newer_than(&self, other: &Self) -> bool {
        let (this, other) = (&self.guest.hello, &other.guest.hello);
        this.instance == other.instance && this.attempt > other.attempt
    }

    /// Gives the link back.
    pub(crate) fn refuse(self, verdict: Verdict) {
        // Fails when the link's task was aborted; the link is lost then, as it would have been there.
        let _ = self.back.send(Returned::Refused(self.guest, verdict));
    }
}

impl fmt::Debug for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guest").field("who", &self.admitted.who).finish_non_exhaustive()
    }
}
