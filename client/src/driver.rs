//! The task behind a client: owns the link, the timers and the served calls, and decides nothing.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bowline_middleware::status_from_error;
use bowline_protocol::{
    Instant,
    envelope::Outcome,
    session::Failure,
    status::{CloseCode, Code, Status},
};
use bowline_rpc::{Dispatcher, Peer, Router, SessionInfo};
use bowline_runtime::{BoxFuture, Sleep, now, sleep_until};
use bowline_transport::{BoxLink, CloseFrame, Connect, ConnectError, Ended, drive};
use futures_util::task::AtomicWaker;
use tokio::sync::{oneshot, watch};

use crate::{
    error::ConnectFailed,
    state::{Action, Fall, Machine, State},
};

/// Where handles leave what they want of the driver.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    wishes: Mutex<Wishes>,
    waker: AtomicWaker,
}

#[derive(Debug, Default)]
struct Wishes {
    reconnect: bool,
    close: bool,
}

impl Desk {
    fn wish(&self, wish: impl FnOnce(&mut Wishes)) {
        wish(&mut self.lock());
        self.waker.wake();
    }

    fn poll_wishes(&self, cx: &Context<'_>) -> Wishes {
        self.waker.register(cx.waker());
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by everything that keeps a client alive: its handles, stubs, calls and streams. The last one closes it.
#[derive(Debug, Default)]
pub(crate) struct Lease(Arc<Desk>);

impl Lease {
    /// Where the driver looks.
    pub(crate) fn desk(&self) -> Arc<Desk> {
        self.0.clone()
    }

    pub(crate) fn reconnect(&self) {
        self.0.wish(|wishes| wishes.reconnect = true);
    }

    pub(crate) fn close(&self) {
        self.0.wish(|wishes| wishes.close = true);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.close();
    }
}

enum Carrier {
    None,
    Connecting(BoxFuture<'static, Result<BoxLink, ConnectError>>),
    Driving(BoxFuture<'static, Ended>),
}

/// What a driver is made of; [`Driver::new`] adds what is its own.
pub(crate) struct Parts {
    pub(crate) peer: Peer,
    pub(crate) machine: Machine,
    pub(crate) connector: Arc<dyn Connect>,
    pub(crate) endpoint: String,
    /// What this end serves.
    pub(crate) served: Option<Router>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) states: watch::Sender<State>,
    /// Whoever waits for the first welcome, or for the first failure.
    pub(crate) first: First,
}

/// The future that a client spawns. It ends when the client is closed or its last handle is gone.
pub(crate) struct Driver {
    parts: Parts,
    carrier: Carrier,
    /// Runs the calls of the session that was last live.
    dispatcher: Option<Dispatcher<Router>>,
    timer: Sleep,
}

impl Driver {
    pub(crate) fn new(mut parts: Parts) -> Self {
        let now = now();
        parts.machine.reconnect(now);
        let timer = sleep_until(now);
        Self { parts, carrier: Carrier::None, dispatcher: None, timer }
    }

    fn handle_wishes(&mut self, cx: &Context<'_>, now: Instant) {
        let wishes = self.parts.desk.poll_wishes(cx);
        if wishes.close {
            self.parts.machine.close(now);
        } else if wishes.reconnect {
            self.parts.machine.reconnect(now);
        }
    }

    /// Moves the link on. `true` if it became another thing, which is to be polled as well.
    fn poll_carrier(&mut self, cx: &mut Context<'_>) -> bool {
        let fall = match &mut self.carrier {
            Carrier::None => return false,
            Carrier::Connecting(link) => match link.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(link)) => {
                    let peer = self.parts.peer.clone();
                    self.carrier = Carrier::Driving(Box::pin(async move {
                        drive(link, &peer, std::future::pending()).await
                    }));
                    self.parts.machine.handle_linked(now());
                    return true;
                }
                Poll::Ready(Err(error)) => fall_of_try(error, &mut self.parts.first),
            },
            Carrier::Driving(ended) => {
                let ended = ended.as_mut().poll(cx);
                // A welcome and the end may come in one breath: the welcome counts.
                if let Poll::Ready(outcome) = self.parts.peer.poll_live(cx) {
                    self.handle_live(&outcome);
                }
                match ended {
                    Poll::Pending => return false,
                    Poll::Ready(ended) => fall_of_link(ended, &mut self.parts.first),
                }
            }
        };
        self.carrier = Carrier::None;
        self.parts.machine.handle_fall(now(), fall);
        true
    }

    fn handle_live(&mut self, outcome: &Outcome) {
        self.parts.machine.handle_live(now());
        if let Some(router) = &self.parts.served
            && !matches!(outcome, Outcome::Resumed)
        {
            // Calls of the session before have been stopped; what is left of their tasks goes with its dispatcher.
            let id = self.parts.peer.session_id().unwrap_or_default();
            let info = SessionInfo { id, ..Default::default() };
            let router = router.clone();
            self.dispatcher = Some(Dispatcher::new(&self.parts.peer, router, info, status_from_error));
        }
        if let Some(first) = self.parts.first.take() {
            // Nobody waits any more: then the lease is gone too, and that ends the client.
            let _ = first.send(Ok(()));
        }
    }

    /// Runs the session's clock where no link does it.
    fn run_peer_timers(&mut self, cx: &mut Context<'_>, now: Instant) {
        if matches!(self.carrier, Carrier::Driving(_)) {
            return;
        }
        // So that a call whose deadline comes before the others' wakes the task.
        self.parts.peer.register(cx);
        if self.parts.peer.poll_timeout().is_some_and(|at| at <= now) {
            self.parts.peer.handle_timeout();
        }
    }

    /// Does what the machine wants.
    fn act(&mut self) -> Progress {
        let mut progress = Progress::None;
        while let Some(action) = self.parts.machine.poll_action() {
            progress = Progress::Some;
            match action {
                Action::Connect => {
                    self.let_go();
                    let link = self.parts.connector.connect(&self.parts.endpoint);
                    self.carrier = Carrier::Connecting(link);
                }
                Action::Drop => {
                    self.let_go();
                    self.tell_first(ConnectFailed::TimedOut);
                }
                Action::SayGoodbye => self.parts.peer.close(CloseCode::NORMAL, ""),
                Action::Refuse { code, reason } => self.parts.peer.fail_all(refusal(code, &reason)),
                Action::Stop => {
                    self.let_go();
                    self.parts.peer.fail_all(Failure::Closed);
                    self.publish();
                    self.tell_first(ConnectFailed::Closed);
                    return Progress::Over;
                }
            }
        }
        progress
    }

    /// Lets go of the link without a word; the session is told by the loop that ran it.
    fn let_go(&mut self) {
        self.carrier = Carrier::None;
    }

    fn tell_first(&mut self, failed: ConnectFailed) {
        if let Some(first) = self.parts.first.take() {
            let _ = first.send(Err(failed));
        }
    }

    fn publish(&self) {
        let state = self.parts.machine.state();
        self.parts.states.send_if_modified(|shown| {
            let changed = *shown != state;
            if changed {
                tracing::debug!(%state, "client state");
                *shown = state;
            }
            changed
        });
    }

    /// Sets the timer. `true` if its time has come already.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let session = match self.carrier {
            Carrier::Driving(_) => None,
            _ => self.parts.peer.poll_timeout(),
        };
        let Some(next) = [session, self.parts.machine.poll_timeout()].into_iter().flatten().min() else {
            return false;
        };
        if self.timer.deadline() != next {
            self.timer.reset(next);
        }
        Pin::new(&mut self.timer).poll(cx).is_ready()
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let now = now();
            this.handle_wishes(cx, now);
            this.parts.machine.handle_timeout(now);
            this.run_peer_timers(cx, now);
            let changed = this.poll_carrier(cx);
            if let Some(dispatcher) = &mut this.dispatcher {
                let Poll::Pending = dispatcher.poll(cx);
            }
            let acted = this.act();
            if acted == Progress::Over {
                return Poll::Ready(());
            }
            this.publish();
            let due = this.poll_timer(cx);
            if !changed && !due && acted == Progress::None {
                return Poll::Pending;
            }
        }
    }
}

/// How far [`Driver::act`] came.
#[derive(PartialEq)]
enum Progress {
    None,
    Some,
    Over,
}

type First = Option<oneshot::Sender<Result<(), ConnectFailed>>>;

fn fall_of_try(error: ConnectError, first: &mut First) -> Fall {
    tracing::debug!(error = &error as &dyn std::error::Error, "no link");
    let fall = if error.is_permanent() {
        Fall::Closed { code: CloseCode::POLICY, reason: error.to_string() }
    } else {
        Fall::Lost
    };
    if let Some(first) = first.take() {
        let _ = first.send(Err(ConnectFailed::NoLink(error)));
    }
    fall
}

fn fall_of_link(ended: Ended, first: &mut First) -> Fall {
    tracing::debug!(?ended, "link ended");
    let (fall, failed) = match ended.frame {
        Some(CloseFrame { code, reason }) => {
            let failed = ConnectFailed::Refused { code, reason: reason.clone() };
            (Fall::Closed { code, reason }, failed)
        }
        None => (Fall::Lost, ConnectFailed::Lost),
    };
    if let Some(first) = first.take() {
        let _ = first.send(Err(failed));
    }
    fall
}

/// What calls end with while the other end wants nothing of us.
fn refusal(code: CloseCode, reason: &str) -> Failure {
    let kind = match code {
        CloseCode::BAD_CREDENTIALS => Code::Unauthenticated,
        CloseCode::FORBIDDEN => Code::PermissionDenied,
        _ => Code::Unavailable,
    };
    let why = if reason.is_empty() { code.to_string() } else { reason.to_owned() };
    Failure::Status(Status::new(kind, format!("the connection was refused: {why}")))
}
