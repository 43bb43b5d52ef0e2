//! What a client does next: when and where to connect, how long to wait, when to stop.
//!
//! No sockets, clocks or tasks: facts and instants go in, actions and the next deadline come out. After every fact
//! or command, take actions with [`Machine::poll_action`] until there are none, then wait for the next fact or for
//! [`Machine::poll_timeout`].

mod disconnect;

use std::{collections::VecDeque, time::Duration};

use bowline_middleware::BreakerHandle;
use bowline_protocol::{Instant, status::CloseCode};
use bowline_transport::{Backoff, EndpointId, Endpoints};

use super::{Arrival, Fall, Patience, State};

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Let go of whatever link there is, without a word, and open another one to [`Machine::endpoint`].
    Connect,
    /// Let go of the link; it is of no use any more.
    Drop,
    /// Let go of the link, since a person wants none.
    Disconnect,
    /// See whether the link still works.
    Probe,
    /// Say goodbye on the link, then let go of it.
    SayGoodbye,
    /// Every call that waits ends: nobody will carry it. The session may be tried again later.
    Refuse { code: CloseCode, reason: String },
    /// The end: every call ends, the driver too.
    Stop,
}

#[derive(Debug)]
enum Phase {
    Idle,
    /// Credentials, then a link, are being made.
    Connecting {
        until: Instant,
    },
    /// There is a link, and no welcome on it yet.
    Greeting {
        until: Instant,
    },
    Live {
        since: Instant,
        arrival: Arrival,
        end: End,
    },
    Waiting {
        until: Instant,
        shown: Duration,
    },
    /// A person wants no link.
    Offline,
    Refused {
        code: CloseCode,
        reason: String,
    },
    /// Saying goodbye.
    Closing {
        until: Instant,
    },
    Closed,
}

/// Whether the other end has announced the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Unknown,
    /// Another session is to be opened beside this one then.
    Announced {
        leave_at: Instant,
    },
    /// That has been said.
    Leaving,
}

/// How long there has been no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Absence {
    /// There is one, or nobody wants one.
    None,
    Since(Instant),
    Long,
}

/// How many of the shortest spans are left out after a failure that is no accident: 0.5 s and 1 s by default.
const SKIPPED: u32 = 2;

/// Where delays come from: each is drawn below a bound that doubles.
pub(crate) trait Delays {
    fn next_delay(&mut self) -> Duration;
    /// From the upper half of the span.
    fn next_long_delay(&mut self) -> Duration;
    fn reset(&mut self);
}

impl Delays for Backoff {
    fn next_delay(&mut self) -> Duration {
        Backoff::next_delay(self)
    }

    fn next_long_delay(&mut self) -> Duration {
        Backoff::next_long_delay(self)
    }

    fn reset(&mut self) {
        Backoff::reset(self);
    }
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Machine<D = Backoff> {
    phase: Phase,
    patience: Patience,
    endpoints: Endpoints,
    /// Asked for the endpoints whose services fail.
    breakers: Vec<BreakerHandle>,
    /// The endpoint that was last tried.
    at: Option<EndpointId>,
    /// Failures since a session last settled.
    failures: u32,
    absence: Absence,
    /// When the link that is there was last looked at because of a wake-up.
    woken: Option<Instant>,
    /// Whether there ever was a session: before that, the state is "connecting", not "reconnecting".
    was_live: bool,
    /// When each endpoint has failed once, it is the end.
    fail_fast: bool,
    /// Another session has followed: the loss of the link is the end.
    has_left: bool,
    delays: D,
    actions: VecDeque<Action>,
}

impl<D: Delays> Machine<D> {
    pub(crate) fn new(endpoints: Endpoints, patience: Patience, delays: D) -> Self {
        Self {
            phase: Phase::Idle,
            patience,
            endpoints,
            breakers: Vec::new(),
            at: None,
            failures: 0,
            absence: Absence::None,
            woken: None,
            was_live: false,
            fail_fast: false,
            has_left: false,
            delays,
            actions: VecDeque::new(),
        }
    }

    /// Endpoints with an open breaker are tried after others.
    pub(crate) fn with_breakers(mut self, breakers: Vec<BreakerHandle>) -> Self {
        self.breakers = breakers;
        self
    }

    /// From now until the session is first live, the failure of the last endpoint is the end.
    pub(crate) fn fail_fast(mut self) -> Self {
        self.fail_fast = true;
        self
    }

    /// The machine of a session beside this one, where this endpoint is tried last. It starts at once.
    pub(crate) fn beside(&self, now: Instant) -> Self
    where
        D: Clone,
    {
        let mut beside = Self::new(self.endpoints.clone(), self.patience.clone(), self.delays.clone())
            .with_breakers(self.breakers.clone());
        beside.was_live = true;
        beside.connect(now);
        beside
    }

    /// Another session has followed this one: what is under way ends here and nowhere else, at the latest with the link.
    pub(crate) fn leave(&mut self, now: Instant) {
        self.has_left = true;
        if let Some(at) = self.at {
            self.endpoints = Endpoints::new(self.endpoints.url(at));
            self.at = Some(self.endpoints.pick(now, |_| false));
        }
    }

    /// What people see.
    pub(crate) fn state(&self) -> State {
        match &self.phase {
            Phase::Idle => State::Idle,
            Phase::Connecting { .. } | Phase::Greeting { .. } if self.failures == 0 && !self.was_live => {
                State::Connecting
            }
            Phase::Connecting { .. } | Phase::Greeting { .. } => self.trying(Duration::ZERO),
            Phase::Live { arrival, .. } => State::Live(*arrival),
            Phase::Waiting { shown, .. } => self.trying(*shown),
            Phase::Offline => State::Offline,
            Phase::Refused { code, reason } => State::Refused { code: *code, reason: reason.clone() },
            Phase::Closing { .. } | Phase::Closed => State::Closed,
        }
    }

    fn trying(&self, next_in: Duration) -> State {
        let attempt = self.failures.max(1);
        match self.absence {
            Absence::Long => State::Suspended { attempt, next_in },
            Absence::None | Absence::Since(_) => State::Reconnecting { attempt, next_in },
        }
    }

    /// Whether it has stopped for good; all actions were taken.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closed) && self.actions.is_empty()
    }

    /// Whether it matters if the process slept.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. } | Phase::Live { .. })
    }

    /// Which endpoint is being tried or in use.
    pub(crate) fn endpoint_id(&self) -> Option<EndpointId> {
        self.at
    }

    /// Its URL.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        self.at.map(|id| self.endpoints.url(id))
    }

    /// Tries now, whatever the machine waits for; a link that is there is dropped first. Nothing once closed.
    pub(crate) fn reconnect(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            self.endpoints.forget_waits();
            self.connect(now);
        }
    }

    /// The process slept, or the network may be back: ends a wait that is of our own making, and looks at a link that
    /// is there.
    pub(crate) fn handle_wake(&mut self, now: Instant) {
        match self.phase {
            Phase::Waiting { .. } => match self.endpoints.earliest(now) {
                earliest if earliest <= now => self.connect(now),
                earliest => self.wait(now, earliest),
            },
            Phase::Live { .. } => {
                self.woken = Some(now);
                self.actions.push_back(Action::Probe);
            }
            _ => {}
        }
    }

    /// Ends it, with a goodbye if there is anyone to say it to.
    pub(crate) fn close(&mut self, now: Instant) {
        match self.phase {
            Phase::Greeting { .. } | Phase::Live { .. } => {
                self.phase = Phase::Closing { until: now + self.patience.close };
                self.actions.push_back(Action::SayGoodbye);
            }
            Phase::Closing { .. } | Phase::Closed => {}
            _ => self.stop(),
        }
    }

    /// There are credentials for the link that is made next.
    pub(crate) fn handle_credentials(&mut self, now: Instant) {
        if let Phase::Connecting { until } = &mut self.phase {
            *until = now + self.patience.connect;
        }
    }

    /// There is a link; the session said hello on it.
    pub(crate) fn handle_linked(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.phase = Phase::Greeting { until: now + self.patience.welcome };
        }
    }

    /// The other end said welcome.
    pub(crate) fn handle_live(&mut self, now: Instant, arrival: Arrival) {
        if matches!(self.phase, Phase::Greeting { .. }) {
            self.phase = Phase::Live { since: now, arrival, end: End::Unknown };
            self.woken = None;
            self.absence = Absence::None;
            self.was_live = true;
            self.fail_fast = false;
            if let Some(at) = self.at {
                self.endpoints.handle_success(at);
            }
        }
    }

    /// The other end has announced that the session will end; `after` that much another one is to be opened beside it.
    pub(crate) fn handle_go_away(&mut self, now: Instant, after: Duration) {
        if let Phase::Live { since, end: end @ End::Unknown, .. } = &mut self.phase {
            // Else somebody who says so to every session would be given one after the other.
            let leave_at = (now + after).max(*since + self.patience.stay);
            *end = End::Announced { leave_at };
            if let Some(at) = self.at {
                self.endpoints.handle_failure(now, at);
            }
        }
    }

    /// Whether it is time to open another session beside this one. Says so once.
    pub(crate) fn poll_leave(&mut self, now: Instant) -> bool {
        if let Phase::Live { end, .. } = &mut self.phase
            && matches!(*end, End::Announced { leave_at } if leave_at <= now)
        {
            *end = End::Leaving;
            return true;
        }
        false
    }

    /// The try failed, or the link is gone.
    pub(crate) fn handle_fall(&mut self, now: Instant, fall: Fall) {
        let (lived, announced) = match self.phase {
            Phase::Connecting { .. } | Phase::Greeting { .. } => (None, false),
            Phase::Live { since, end, .. } => {
                (Some(now.saturating_duration_since(since)), end != End::Unknown)
            }
            Phase::Closing { .. } => return self.stop(),
            // What fell was dropped before: says nothing about what is done now.
            Phase::Idle | Phase::Waiting { .. } | Phase::Offline | Phase::Refused { .. } | Phase::Closed => {
                return;
            }
        };
        if self.has_left {
            return self.stop();
        }
        let settled = lived.is_some_and(|lived| lived >= self.patience.settled);
        let farewell = announced || fall.is_farewell();
        if let Err((code, reason)) = self.judge(now, &fall, settled && !farewell) {
            return self.refuse(code, reason);
        }
        if self.fail_fast {
            // Whoever waits for the first session has nothing from a pause while there is another endpoint.
            return if self.endpoints.has_fresh() { self.connect(now) } else { self.stop() };
        }
        if lived.is_some() {
            self.absence = Absence::Since(now);
        }
        if settled {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        // It was lost while nobody looked: a browser tells of the end of a page's socket only after it has told the page that it
        // is shown again, and a probe takes a while. The sign that ends a wait is the one that came before.
        let woken =
            self.woken.take().is_some_and(|at| now.saturating_duration_since(at) <= self.patience.woken);
        if woken && lived.is_some() && !farewell {
            if self.failures == 1 {
                self.delays.reset();
            }
            self.wait(now, now);
            return self.handle_wake(now);
        }
        let accident = lived.is_some_and(|lived| lived > self.patience.accident) && !farewell;
        let delay = self.draw(accident);
        self.wait(now, self.endpoints.earliest(now) + delay);
    }

    /// Notes what `fall` says about the endpoint. An error if it says that trying again is of no use.
    fn judge(&mut self, now: Instant, fall: &Fall, healthy: bool) -> Result<(), (CloseCode, String)> {
        let Some(at) = self.at else { return Ok(()) };
        match fall {
            Fall::Useless { reason } if !self.endpoints.handle_useless(at) => {
                return Err((CloseCode::POLICY, reason.clone()));
            }
            Fall::Useless { reason } => tracing::warn!(%reason, "an endpoint that is none"),
            Fall::Closed { code, reason } if code.stops() => return Err((*code, reason.clone())),
            _ => match fall.wait() {
                Some(wait) => self.endpoints.handle_refusal(now, at, wait),
                // The session is there, and only there can it go on.
                None if healthy => {}
                None => self.endpoints.handle_failure(now, at),
            },
        }
        Ok(())
    }

    /// How long to wait before the next try.
    fn draw(&mut self, accident: bool) -> Duration {
        if self.failures > 1 {
            return self.delays.next_delay();
        }
        self.delays.reset();
        if accident {
            return self.delays.next_delay();
        }
        // A server that stops loses everybody at one moment, and one that is ill loses them again and again. Only a link
        // that had lived long and fell by accident is tried again within the first, short span.
        for _ in 0..SKIPPED {
            self.delays.next_delay();
        }
        self.delays.next_long_delay()
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Connecting { until } | Phase::Greeting { until } if until <= now => {
                self.actions.push_back(Action::Drop);
                self.handle_fall(now, Fall::Lost);
            }
            Phase::Waiting { until, .. } if until <= now => self.connect(now),
            Phase::Closing { until } if until <= now => self.stop(),
            _ => {}
        }
        if self.suspended_at().is_some_and(|at| at <= now) {
            self.absence = Absence::Long;
            if let Phase::Waiting { until, shown } = &mut self.phase {
                *shown = until.saturating_duration_since(now);
            }
        }
    }

    /// What the driver is to do next.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let next = match self.phase {
            Phase::Connecting { until }
            | Phase::Greeting { until }
            | Phase::Waiting { until, .. }
            | Phase::Closing { until } => Some(until),
            Phase::Live { end: End::Announced { leave_at }, .. } => Some(leave_at),
            Phase::Idle | Phase::Live { .. } | Phase::Offline | Phase::Refused { .. } | Phase::Closed => None,
        };
        [next, self.suspended_at()].into_iter().flatten().min()
    }

    /// When the client becomes suspended, if nothing changes.
    fn suspended_at(&self) -> Option<Instant> {
        match (&self.phase, self.absence) {
            (
                Phase::Connecting { .. } | Phase::Greeting { .. } | Phase::Waiting { .. },
                Absence::Since(since),
            ) => Some(since + self.patience.suspended),
            _ => None,
        }
    }

    fn connect(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Live { .. }) || self.absence == Absence::None {
            self.absence = Absence::Since(now);
        }
        let ailing = |url: &str| self.breakers.iter().any(|breaker| breaker.is_open_at(url));
        self.at = Some(self.endpoints.pick(now, ailing));
        self.phase = Phase::Connecting { until: now + self.patience.credentials };
        self.actions.push_back(Action::Connect);
    }

    fn wait(&mut self, now: Instant, until: Instant) {
        self.phase = Phase::Waiting { until, shown: until.saturating_duration_since(now) };
    }

    fn refuse(&mut self, code: CloseCode, reason: String) {
        if self.fail_fast {
            return self.stop();
        }
        self.absence = Absence::None;
        self.phase = Phase::Refused { code, reason: reason.clone() };
        self.actions.push_back(Action::Refuse { code, reason });
    }

    fn stop(&mut self) {
        self.phase = Phase::Closed;
        self.actions.push_back(Action::Stop);
    }
}
