use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
};

use bowline_middleware::{Connected, SessionMetrics};
use bowline_protocol::{
    Instant,
    envelope::{Outcome, Secret},
    session::Failure,
    status::{CloseCode, Code, Delivery, Status},
};
use bowline_rpc::{BoxError, Peer, SessionInfo};
use bowline_runtime::{BoxFuture, now, random_bytes};
use bowline_transport::{BoxLink, CloseFrame, Connect, ConnectError, Ended, drive};

use crate::{
    credentials::Provider,
    error::ConnectFailed,
    served::Served,
    state::{Action, Fall, Machine},
};

/// What links are made with, and what runs on them.
pub(crate) struct Means {
    pub(crate) connector: Arc<dyn Connect>,
    pub(crate) credentials: Option<Box<dyn Provider>>,
    /// What this end serves.
    pub(crate) served: Option<Served>,
}

/// One end of a session with the machine that keeps it on a link.
pub(super) struct Lane {
    pub(super) peer: Peer,
    pub(super) machine: Machine,
    carrier: Carrier,
    /// Runs the calls of the session that was last live.
    dispatcher: Option<BoxFuture<'static, Infallible>>,
    /// Why the newest try or link failed.
    failed: Option<ConnectFailed>,
    /// What is left of its calls ends with this.
    farewell: Failure,
    metrics: SessionMetrics,
}

enum Carrier {
    None,
    Asking(BoxFuture<'static, Result<Secret, BoxError>>),
    Connecting(BoxFuture<'static, Result<BoxLink, ConnectError>>),
    Driving(BoxFuture<'static, Ended>),
}

/// How far one round came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Progress {
    /// Everything waits.
    None,
    /// Another round may do more.
    Some,
    /// The end.
    Over,
}

impl Lane {
    pub(super) fn new(peer: Peer, machine: Machine) -> Self {
        Self {
            peer,
            machine,
            carrier: Carrier::None,
            dispatcher: None,
            failed: None,
            farewell: Failure::Closed,
            metrics: SessionMetrics::client(),
        }
    }

    /// Runs everything once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant, means: &mut Means) -> Progress {
        self.machine.handle_timeout(now);
        self.run_peer_timers(cx, now);
        let moved = self.poll_carrier(cx, means);
        self.metrics.poll(cx, &self.peer);
        if let Some(dispatcher) = &mut self.dispatcher {
            let Poll::Pending = dispatcher.as_mut().poll(cx);
        }
        moved.max(self.act(means))
    }

    /// Lets the calls of this session end, while another one takes those that are made from now on. With its link it is
    /// over.
    pub(super) fn leave(&mut self, now: Instant) {
        self.machine.leave(now);
        self.farewell = Failure::Disconnected(Delivery::OutcomeUnknown);
    }

    /// Whether it has come to its end.
    pub(super) fn is_over(&self) -> bool {
        self.machine.is_over()
    }

    /// Whether the session carries calls, of either end.
    pub(super) fn is_busy(&self) -> bool {
        let held = self.peer.stats().session.held;
        held.calls + held.incoming > 0
    }

    /// When [`poll`](Self::poll) is due, if nothing else wakes the task.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let session = match self.carrier {
            Carrier::Driving(_) => None,
            _ => self.peer.poll_timeout(),
        };
        [session, self.machine.poll_timeout()].into_iter().flatten().min()
    }

    /// Why the newest try or link failed.
    pub(super) fn take_failure(&mut self) -> ConnectFailed {
        self.failed.take().unwrap_or(ConnectFailed::Closed)
    }

    /// Moves the link on. `Some` if it became another thing, which is to be polled as well.
    fn poll_carrier(&mut self, cx: &mut Context<'_>, means: &Means) -> Progress {
        let (fall, failed) = match &mut self.carrier {
            Carrier::None => return Progress::None,
            Carrier::Asking(credentials) => match credentials.as_mut().poll(cx) {
                Poll::Pending => return Progress::None,
                Poll::Ready(Ok(credentials)) => {
                    self.peer.set_credentials(credentials);
                    self.connect(means);
                    return Progress::Some;
                }
                Poll::Ready(Err(error)) => {
                    tracing::warn!(error = &*error as &dyn std::error::Error, "no credentials");
                    (Fall::Lost, ConnectFailed::NoCredentials(error))
                }
            },
            Carrier::Connecting(link) => match link.as_mut().poll(cx) {
                Poll::Pending => return Progress::None,
                Poll::Ready(Ok(link)) => {
                    let peer = self.peer.clone();
                    self.carrier = Carrier::Driving(Box::pin(async move {
                        drive(link, &peer, std::future::pending()).await
                    }));
                    self.machine.handle_linked(now());
                    self.metrics.link_opened();
                    return Progress::Some;
                }
                Poll::Ready(Err(error)) => fall_of_try(error),
            },
            Carrier::Driving(ended) => {
                let ended = ended.as_mut().poll(cx);
                // A welcome and the end may come in one breath: the welcome counts.
                if let Poll::Ready(outcome) = self.peer.poll_live(cx) {
                    self.handle_live(outcome, means);
                }
                if let Poll::Ready(spread) = self.peer.poll_go_away(cx) {
                    tracing::debug!(?spread, "go-away");
                    self.machine.handle_go_away(now(), spread.mul_f64(fraction()));
                }
                match ended {
                    Poll::Pending => return Progress::None,
                    Poll::Ready(ended) => {
                        self.metrics.look(&self.peer);
                        self.metrics.link_closed(ended.frame.as_ref().map(|frame| frame.code));
                        fall_of_link(ended)
                    }
                }
            }
        };
        self.metrics.connected(outcome_of(&failed));
        self.failed = Some(failed);
        self.carrier = Carrier::None;
        self.machine.handle_fall(now(), fall);
        Progress::Some
    }

    fn handle_live(&mut self, outcome: Outcome, means: &Means) {
        self.machine.handle_live(now(), outcome.into());
        self.metrics.connected(Connected::Live);
        self.metrics.live(outcome);
        if let Some(served) = &means.served
            && outcome != Outcome::Resumed
        {
            // Calls of the session before have been stopped; what is left of their tasks goes with its dispatcher.
            let id = self.peer.session_id().unwrap_or_default();
            let info = SessionInfo { id, ..Default::default() };
            self.dispatcher = Some(served.run(&self.peer, info));
        }
    }

    /// Runs the session's clock where no link does it.
    fn run_peer_timers(&self, cx: &mut Context<'_>, now: Instant) {
        if matches!(self.carrier, Carrier::Driving(_)) {
            return;
        }
        // So that a call whose deadline comes before the others' wakes the task.
        self.peer.register(cx);
        if self.peer.poll_timeout().is_some_and(|at| at <= now) {
            self.peer.handle_timeout();
        }
    }

    /// Does what the machine wants.
    fn act(&mut self, means: &mut Means) -> Progress {
        let mut progress = Progress::None;
        while let Some(action) = self.machine.poll_action() {
            progress = Progress::Some;
            match action {
                Action::Connect => {
                    self.let_go();
                    self.metrics.connecting();
                    match &mut means.credentials {
                        Some(provider) => self.carrier = Carrier::Asking(provider.ask()),
                        None => self.connect(means),
                    }
                }
                Action::Drop => {
                    self.let_go();
                    self.metrics.connected(Connected::TimedOut);
                    self.failed = Some(ConnectFailed::TimedOut);
                }
                Action::Disconnect => self.let_go(),
                Action::Probe => self.peer.handle_wake(),
                Action::SayGoodbye => self.peer.close(CloseCode::NORMAL, ""),
                Action::Refuse { code, reason } => self.peer.fail_all(refusal(code, &reason)),
                Action::Stop => {
                    self.let_go();
                    self.peer.fail_all(self.farewell.clone());
                    return Progress::Over;
                }
            }
        }
        progress
    }

    /// Lets go of the link without a word; the session is told by the loop that ran it.
    fn let_go(&mut self) {
        self.carrier = Carrier::None;
        self.metrics.link_closed(None);
    }

    fn connect(&mut self, means: &Means) {
        self.machine.handle_credentials(now());
        if let Some(endpoint) = self.machine.endpoint() {
            self.carrier = Carrier::Connecting(means.connector.connect(endpoint));
        }
    }
}

fn fall_of_try(error: ConnectError) -> (Fall, ConnectFailed) {
    tracing::debug!(error = &error as &dyn std::error::Error, "no link");
    let fall = if error.is_permanent() { Fall::Useless { reason: error.to_string() } } else { Fall::Lost };
    (fall, ConnectFailed::NoLink(error))
}

fn fall_of_link(ended: Ended) -> (Fall, ConnectFailed) {
    tracing::debug!(?ended, "link ended");
    match ended.frame {
        Some(CloseFrame { code, reason }) => {
            let failed = ConnectFailed::Refused { code, reason: reason.clone() };
            (Fall::Closed { code, reason }, failed)
        }
        None => (Fall::Lost, ConnectFailed::Lost),
    }
}

fn outcome_of(failed: &ConnectFailed) -> Connected {
    match failed {
        ConnectFailed::NoCredentials(_) => Connected::NoCredentials,
        ConnectFailed::NoLink(_) => Connected::NoLink,
        ConnectFailed::Refused { .. } => Connected::Refused,
        ConnectFailed::TimedOut => Connected::TimedOut,
        _ => Connected::Lost,
    }
}

/// A random part of one.
fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(random_bytes())) / f64::from(u32::MAX)
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
