//! What a client does next: when to connect, how long to wait, when to stop.
//!
//! No sockets, clocks or tasks: facts and instants go in, actions and the next deadline come out. After every fact
//! or command, take actions with [`Machine::poll_action`] until there are none, then wait for the next fact or for
//! [`Machine::poll_timeout`].

use std::{collections::VecDeque, fmt, time::Duration};

use bowline_protocol::{Instant, status::CloseCode};
use bowline_transport::Backoff;

/// What a client is doing, for people to see.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Nothing was started.
    Idle,
    /// The first connection is being made.
    Connecting,
    /// Calls go through: the other end has said welcome.
    Live,
    /// The link was lost or could not be made; tries go on for ever.
    Reconnecting {
        /// The number of the try that comes next or is under way, from 1.
        attempt: u32,
        /// How long the client waits before that try, from when this state began; zero while it is under way.
        next_in: Duration,
    },
    /// The other end said that trying again is of no use. [`Client::reconnect`](crate::Client::reconnect) tries
    /// all the same.
    Refused {
        /// The close code.
        code: CloseCode,
        /// What the other end said about it; may be empty.
        reason: String,
    },
    /// Closed on purpose, for good.
    Closed,
}

impl State {
    /// Whether calls go through now.
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// Whether the client has stopped trying.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Closed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => f.write_str("idle"),
            Self::Connecting => f.write_str("connecting"),
            Self::Live => f.write_str("live"),
            Self::Reconnecting { attempt, next_in } if next_in.is_zero() => {
                write!(f, "reconnecting (attempt {attempt})")
            }
            Self::Reconnecting { attempt, next_in } => {
                let seconds = next_in.as_millis().div_ceil(1000);
                write!(f, "reconnecting in {seconds} s (attempt {attempt})")
            }
            Self::Refused { code, reason } if reason.is_empty() => write!(f, "refused: {code}"),
            Self::Refused { reason, .. } => write!(f, "refused: {reason}"),
            Self::Closed => f.write_str("closed"),
        }
    }
}

/// How long a client waits for things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Patience {
    /// For a link: TCP, TLS and the upgrade.
    pub(crate) connect: Duration,
    /// For the welcome, once there is a link.
    pub(crate) welcome: Duration,
    /// For a goodbye to be written.
    pub(crate) close: Duration,
    /// How long a session must have been live for its failures to be forgotten.
    pub(crate) settled: Duration,
    /// How long a link must have lived for its loss to be seen as an accident, after which the next try comes soon.
    pub(crate) accident: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            welcome: Duration::from_secs(10),
            close: Duration::from_secs(1),
            settled: Duration::from_secs(10),
            accident: Duration::from_secs(60),
        }
    }
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Let go of whatever link there is, without a word, and open another one.
    Connect,
    /// Let go of the link; it is of no use any more.
    Drop,
    /// Say goodbye on the link, then let go of it.
    SayGoodbye,
    /// Every call that waits ends: nobody will carry it. The session may be tried again later.
    Refuse { code: CloseCode, reason: String },
    /// The end: every call ends, the driver too.
    Stop,
}

/// How a try or a link came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fall {
    /// No link could be made, or it was lost without a word.
    Lost,
    /// Closed with a code, by either end.
    Closed { code: CloseCode, reason: String },
}

#[derive(Debug)]
enum Phase {
    Idle,
    Connecting {
        until: Instant,
    },
    /// There is a link, and no welcome on it yet.
    Greeting {
        until: Instant,
    },
    Live {
        since: Instant,
    },
    Waiting {
        until: Instant,
        delay: Duration,
    },
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

/// How many of the shortest spans are left out after a failure that is no accident: 0.5 s and 1 s by default.
const SKIPPED: u32 = 2;

/// Where delays come from: each is drawn below a bound that doubles.
pub(crate) trait Delays {
    fn next_delay(&mut self) -> Duration;
    fn reset(&mut self);
}

impl Delays for Backoff {
    fn next_delay(&mut self) -> Duration {
        Backoff::next_delay(self)
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
    /// Tries that failed since the session was last live for [`Patience::settled`].
    failures: u32,
    /// Whether the session was ever live: before that, the state is "connecting", not "reconnecting".
    was_live: bool,
    /// The first failure is the end.
    fail_fast: bool,
    delays: D,
    actions: VecDeque<Action>,
}

impl<D: Delays> Machine<D> {
    pub(crate) fn new(patience: Patience, delays: D) -> Self {
        Self {
            phase: Phase::Idle,
            patience,
            delays,
            failures: 0,
            was_live: false,
            fail_fast: false,
            actions: Default::default(),
        }
    }

    /// From now until the session is first live, any failure is the end.
    pub(crate) fn fail_fast(mut self) -> Self {
        self.fail_fast = true;
        self
    }

    /// What people see.
    pub(crate) fn state(&self) -> State {
        match &self.phase {
            Phase::Idle => State::Idle,
            Phase::Connecting { .. } | Phase::Greeting { .. } if self.failures == 0 && !self.was_live => {
                State::Connecting
            }
            Phase::Connecting { .. } | Phase::Greeting { .. } => {
                State::Reconnecting { attempt: self.failures.max(1), next_in: Duration::ZERO }
            }
            Phase::Live { .. } => State::Live,
            Phase::Waiting { delay, .. } => {
                State::Reconnecting { attempt: self.failures.max(1), next_in: *delay }
            }
            Phase::Refused { code, reason } => State::Refused { code: *code, reason: reason.clone() },
            Phase::Closing { .. } | Phase::Closed => State::Closed,
        }
    }

    /// Tries now, whatever the machine waits for; a link that is there is dropped first. Nothing once closed.
    pub(crate) fn reconnect(&mut self, now: Instant) {
        if !matches!(self.phase, Phase::Closing { .. } | Phase::Closed) {
            self.connect(now);
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

    /// There is a link; the session said hello on it.
    pub(crate) fn handle_linked(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Connecting { .. }) {
            self.phase = Phase::Greeting { until: now + self.patience.welcome };
        }
    }

    /// The other end said welcome.
    pub(crate) fn handle_live(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Greeting { .. }) {
            self.phase = Phase::Live { since: now };
            self.was_live = true;
            self.fail_fast = false;
        }
    }

    /// The try failed, or the link is gone.
    pub(crate) fn handle_fall(&mut self, now: Instant, fall: Fall) {
        let lived = match self.phase {
            Phase::Connecting { .. } | Phase::Greeting { .. } => Duration::ZERO,
            Phase::Live { since } => now.saturating_duration_since(since),
            Phase::Closing { .. } => return self.stop(),
            // What fell was dropped before: says nothing about what is done now.
            Phase::Idle | Phase::Waiting { .. } | Phase::Refused { .. } | Phase::Closed => return,
        };
        if self.fail_fast {
            return self.stop();
        }
        if lived >= self.patience.settled {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        let (announced, at_least) = match fall {
            Fall::Closed { code, reason } if code.stops() => {
                self.phase = Phase::Refused { code, reason: reason.clone() };
                self.actions.push_back(Action::Refuse { code, reason });
                return;
            }
            Fall::Closed { code, reason } => (code == CloseCode::DRAIN, wait_of(&reason)),
            Fall::Lost => (false, None),
        };
        let accident = lived >= self.patience.accident && !announced;
        if self.failures == 1 {
            self.delays.reset();
            // A server that stops loses everybody at one moment, and one that is ill loses them again and again. Only
            // a link that had lived long and fell by accident is tried again within the first, short span.
            for _ in 0..if accident { 0 } else { SKIPPED } {
                self.delays.next_delay();
            }
        }
        let delay = self.delays.next_delay().max(at_least.unwrap_or_default());
        self.phase = Phase::Waiting { until: now + delay, delay };
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
    }

    /// What the driver is to do next.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Connecting { until }
            | Phase::Greeting { until }
            | Phase::Waiting { until, .. }
            | Phase::Closing { until } => Some(until),
            Phase::Idle | Phase::Live { .. } | Phase::Refused { .. } | Phase::Closed => None,
        }
    }

    fn connect(&mut self, now: Instant) {
        self.phase = Phase::Connecting { until: now + self.patience.connect };
        self.actions.push_back(Action::Connect);
    }

    fn stop(&mut self) {
        self.phase = Phase::Closed;
        self.actions.push_back(Action::Stop);
    }
}

/// How long a reason asks us to wait: "… retry after 30 s".
fn wait_of(reason: &str) -> Option<Duration> {
    /// The other end may ask for patience, not for eternity.
    const LONGEST: u64 = 600;
    let (_, rest) = reason.split_once("retry after ")?;
    let seconds = rest.split_once(" s")?.0.parse::<u64>().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The n-th delay is n seconds, so that tests see which one was asked for.
    #[derive(Debug, Default)]
    struct Counting(u64);

    impl Delays for Counting {
        fn next_delay(&mut self) -> Duration {
            self.0 += 1;
            Duration::from_secs(self.0)
        }

        fn reset(&mut self) {
            self.0 = 0;
        }
    }

    fn machine() -> Machine<Counting> {
        Machine::new(Patience::default(), Counting::default())
    }

    fn clock() -> impl Fn(u64) -> Instant {
        let origin = Instant::now();
        move |seconds| origin + Duration::from_secs(seconds)
    }

    fn actions(machine: &mut Machine<Counting>) -> Vec<Action> {
        std::iter::from_fn(|| machine.poll_action()).collect()
    }

    fn live(machine: &mut Machine<Counting>, now: Instant) {
        machine.reconnect(now);
        machine.handle_linked(now);
        machine.handle_live(now);
        actions(machine);
        assert_eq!(machine.state(), State::Live);
    }

    fn closed(code: CloseCode, reason: &str) -> Fall {
        Fall::Closed { code, reason: reason.into() }
    }

    #[test]
    fn an_open_link_is_not_live_before_the_welcome() {
        let (at, mut machine) = (clock(), machine());
        assert_eq!(machine.state(), State::Idle);
        machine.reconnect(at(0));
        assert_eq!(actions(&mut machine), [Action::Connect]);
        machine.handle_linked(at(1));
        assert_eq!(machine.state(), State::Connecting);
        machine.handle_live(at(2));
        assert_eq!(machine.state(), State::Live);
        assert_eq!(machine.poll_timeout(), None);
    }

    #[test]
    fn tries_go_on_with_growing_delays_until_one_succeeds() {
        let (at, mut machine) = (clock(), machine());
        machine.reconnect(at(0));
        let mut now = 0;
        for attempt in 1..=5 {
            machine.handle_fall(at(now), Fall::Lost);
            let delay = u64::from(attempt) + 2;
            let next_in = Duration::from_secs(delay);
            assert_eq!(machine.state(), State::Reconnecting { attempt, next_in });
            actions(&mut machine);
            machine.handle_timeout(at(now + delay - 1));
            assert_eq!(actions(&mut machine), [], "not before its time");
            now += delay;
            machine.handle_timeout(at(now));
            assert_eq!(actions(&mut machine), [Action::Connect]);
            assert_eq!(machine.state(), State::Reconnecting { attempt, next_in: Duration::ZERO });
        }
        machine.handle_linked(at(now));
        machine.handle_live(at(now));
        assert_eq!(machine.state(), State::Live);
    }

    #[test]
    fn a_link_that_is_not_made_or_not_welcomed_in_time_is_dropped() {
        let (at, mut machine) = (clock(), machine());
        machine.reconnect(at(0));
        actions(&mut machine);
        assert_eq!(machine.poll_timeout(), Some(at(10)));
        machine.handle_timeout(at(10));
        assert_eq!(actions(&mut machine), [Action::Drop]);
        machine.handle_timeout(at(13));
        assert_eq!(actions(&mut machine), [Action::Connect]);
        machine.handle_linked(at(14));
        assert_eq!(machine.poll_timeout(), Some(at(24)));
        machine.handle_timeout(at(24));
        assert_eq!(actions(&mut machine), [Action::Drop]);
        assert!(matches!(machine.state(), State::Reconnecting { attempt: 2, .. }));
    }

    #[test]
    fn failures_are_forgotten_only_after_a_settled_session() {
        let (at, mut machine) = (clock(), machine());
        machine.reconnect(at(0));
        machine.handle_fall(at(0), Fall::Lost);
        live(&mut machine, at(10));
        machine.handle_fall(at(19), Fall::Lost);
        assert!(matches!(machine.state(), State::Reconnecting { attempt: 2, .. }), "lived 9 s");
        live(&mut machine, at(30));
        machine.handle_fall(at(40), Fall::Lost);
        assert!(matches!(machine.state(), State::Reconnecting { attempt: 1, .. }), "lived 10 s");
    }

    #[test]
    fn only_an_accident_after_a_long_life_is_tried_again_soon() {
        let delay = |lived, fall| {
            let (at, mut machine) = (clock(), machine());
            live(&mut machine, at(0));
            machine.handle_fall(at(lived), fall);
            match machine.state() {
                State::Reconnecting { next_in, .. } => next_in.as_secs(),
                state => panic!("{state}"),
            }
        };
        assert_eq!(delay(60, Fall::Lost), 1);
        assert_eq!(delay(59, Fall::Lost), 3);
        assert_eq!(delay(60, closed(CloseCode::DRAIN, "")), 3);
        assert_eq!(delay(60, closed(CloseCode::TRY_AGAIN, "full, retry after 30 s")), 30);
        assert_eq!(delay(60, closed(CloseCode::TRY_AGAIN, "retry after 99999999 s")), 600);
        assert_eq!(delay(60, closed(CloseCode::TRY_AGAIN, "retry after a while")), 1);
    }

    #[test]
    fn a_stop_code_stops_until_someone_asks_again() {
        let (at, mut machine) = (clock(), machine());
        live(&mut machine, at(0));
        machine.handle_fall(at(5), closed(CloseCode::FORBIDDEN, "members only"));
        let (code, reason) = (CloseCode::FORBIDDEN, String::from("members only"));
        assert_eq!(machine.state(), State::Refused { code, reason: reason.clone() });
        assert_eq!(actions(&mut machine), [Action::Refuse { code, reason }]);
        assert_eq!(machine.poll_timeout(), None);
        machine.handle_timeout(at(1000));
        machine.handle_fall(at(1000), Fall::Lost);
        assert_eq!(actions(&mut machine), []);
        machine.reconnect(at(1001));
        assert_eq!(actions(&mut machine), [Action::Connect]);
    }

    #[test]
    fn failing_fast_ends_with_the_first_failure_and_not_after_the_first_welcome() {
        let (at, mut machine) = (clock(), machine().fail_fast());
        machine.reconnect(at(0));
        actions(&mut machine);
        machine.handle_fall(at(1), Fall::Lost);
        assert_eq!(actions(&mut machine), [Action::Stop]);
        assert_eq!(machine.state(), State::Closed);

        let mut machine = self::machine().fail_fast();
        live(&mut machine, at(0));
        machine.handle_fall(at(1), Fall::Lost);
        assert!(matches!(machine.state(), State::Reconnecting { .. }));
    }

    #[test]
    fn close_says_goodbye_only_where_someone_listens_and_waits_a_moment_at_most() {
        let (at, mut machine) = (clock(), machine());
        live(&mut machine, at(0));
        machine.close(at(1));
        assert_eq!(actions(&mut machine), [Action::SayGoodbye]);
        assert_eq!(machine.state(), State::Closed);
        machine.close(at(1));
        machine.reconnect(at(1));
        assert_eq!(actions(&mut machine), []);
        machine.handle_timeout(at(2));
        assert_eq!(actions(&mut machine), [Action::Stop]);

        let mut machine = self::machine();
        machine.reconnect(at(0));
        machine.handle_fall(at(0), Fall::Lost);
        actions(&mut machine);
        machine.close(at(1));
        assert_eq!(actions(&mut machine), [Action::Stop]);
    }

    #[test]
    fn a_link_that_falls_while_closing_ends_it_too() {
        let (at, mut machine) = (clock(), machine());
        live(&mut machine, at(0));
        machine.close(at(1));
        actions(&mut machine);
        machine.handle_fall(at(1), closed(CloseCode::NORMAL, ""));
        assert_eq!(actions(&mut machine), [Action::Stop]);
    }

    #[test]
    fn reconnect_goes_on_at_once_and_from_a_living_link_too() {
        let (at, mut machine) = (clock(), machine());
        live(&mut machine, at(0));
        machine.reconnect(at(5));
        assert_eq!(actions(&mut machine), [Action::Connect]);
        assert_eq!(machine.state(), State::Reconnecting { attempt: 1, next_in: Duration::ZERO });
        machine.handle_fall(at(6), Fall::Lost);
        machine.reconnect(at(6));
        assert_eq!(actions(&mut machine), [Action::Connect]);
    }

    #[test]
    fn states_read_as_sentences() {
        let next_in = Duration::from_millis(2_100);
        assert_eq!(
            State::Reconnecting { attempt: 2, next_in }.to_string(),
            "reconnecting in 3 s (attempt 2)"
        );
        let refused = |reason: &str| State::Refused { code: CloseCode::FORBIDDEN, reason: reason.into() };
        assert_eq!(refused("members only").to_string(), "refused: members only");
        assert_eq!(refused("").to_string(), "refused: 4503 (forbidden)");
    }
}
