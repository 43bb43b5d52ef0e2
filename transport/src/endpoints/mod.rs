//! Which of several endpoints to try next.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bowline_runtime::Instant;

/// How old the failure of an endpoint must be to be forgotten when the one in use fails.
const FORGET: Duration = Duration::from_secs(600);

/// The endpoints of one service, and how they have done.
///
/// No clock and no sockets: facts and instants go in, and [`pick`](Self::pick) says which one to try. It never adds a
/// delay of its own, so that an only endpoint is tried as often as it would be without this.
///
/// - The one that last had a session stays the choice until it fails: only there can the session be continued.
/// - Else those that have not failed, in the order in which they were given.
/// - Then those that can be reached but are said to be ailing, also if the session was there.
/// - Then those that failed, the one whose failure is longest ago first, so that all of them get their turn.
/// - Last those that asked for patience, until that time has passed.
///
/// A success makes up for all failures of an endpoint. Failures older than 10 minutes are forgotten when the endpoint in
/// use fails: those that have recovered in the meantime come back to their place. Source of the number: our choice,
/// longer than a restart takes.
///
/// ```
/// use bowline_transport::Endpoints;
///
/// let now = std::time::Instant::now();
/// let mut endpoints = Endpoints::new("wss://a.example/ws").with("wss://b.example/ws");
/// let first = endpoints.pick(now, |_| false);
/// assert_eq!(endpoints.url(first), "wss://a.example/ws");
/// endpoints.handle_failure(now, first);
/// assert_eq!(endpoints.url(endpoints.pick(now, |_| false)), "wss://b.example/ws");
/// ```
#[derive(Debug, Clone)]
pub struct Endpoints {
    /// Never empty.
    candidates: Vec<Candidate>,
    /// The one that last had a session, until it fails.
    home: Option<EndpointId>,
    /// How many failures there were.
    turn: u64,
}

/// One endpoint of [`Endpoints`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EndpointId(usize);

#[derive(Debug, Clone)]
struct Candidate {
    url: String,
    health: Health,
    /// The endpoint said that it is of no use to come before this.
    not_before: Option<Instant>,
}

/// In the order in which endpoints are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    Good,
    /// It can be reached, and what is there is of no use for the moment. Never kept.
    Ailing,
    /// `turn` counts failures: clocks may be too coarse to order them.
    Failed {
        turn: u64,
        at: Instant,
    },
    /// It will fail in the same way for ever.
    Useless,
}

impl Endpoints {
    /// A list of one.
    pub fn new(url: impl Into<String>) -> Self {
        Self { candidates: vec![Candidate::new(url.into())], home: None, turn: 0 }
    }

    /// Adds one more behind the others. One that is there already changes nothing.
    #[must_use]
    pub fn with(mut self, url: impl Into<String>) -> Self {
        let url = url.into();
        if self.candidates.iter().all(|known| known.url != url) {
            self.candidates.push(Candidate::new(url));
        }
        self
    }

    /// What was given for `id`.
    pub fn url(&self, id: EndpointId) -> &str {
        &self.candidates[id.0].url
    }

    /// The endpoint to try next. `ailing` says of a URL whether what is behind it is known to be of no use just now, such
    /// as a service whose circuit breaker is open.
    pub fn pick(&self, now: Instant, ailing: impl Fn(&str) -> bool) -> EndpointId {
        if let Some(home) = self.home
            && !self.candidates[home.0].waits(now)
            && !ailing(self.url(home))
        {
            return home;
        }
        let key = |id: &usize| {
            let candidate = &self.candidates[*id];
            let wait = candidate.not_before.filter(|at| *at > now);
            let health = match candidate.health {
                Health::Good if ailing(&candidate.url) => Health::Ailing,
                health => health,
            };
            (candidate.health == Health::Useless, wait, health)
        };
        EndpointId((0..self.candidates.len()).min_by_key(key).unwrap_or_default())
    }

    /// When the first endpoint may be tried that has not asked for patience, or for no more of it: `now` at the earliest.
    pub fn earliest(&self, now: Instant) -> Instant {
        let useful = self.candidates.iter().filter(|candidate| candidate.health != Health::Useless);
        useful.map(|candidate| candidate.not_before.unwrap_or(now).max(now)).min().unwrap_or(now)
    }

    /// Whether there is one that has not failed yet.
    pub fn has_fresh(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.health == Health::Good)
    }

    /// There is a session at `id`.
    pub fn handle_success(&mut self, id: EndpointId) {
        self.home = Some(id);
        let candidate = &mut self.candidates[id.0];
        (candidate.health, candidate.not_before) = (Health::Good, None);
    }

    /// An attempt at `id` failed, or its session did soon after its welcome, or it has announced its end: the others are
    /// tried first.
    pub fn handle_failure(&mut self, now: Instant, id: EndpointId) {
        if self.home == Some(id) {
            self.home = None;
            for candidate in &mut self.candidates {
                candidate.forget(now);
            }
        }
        let candidate = &mut self.candidates[id.0];
        if candidate.health != Health::Useless {
            self.turn += 1;
            candidate.health = Health::Failed { turn: self.turn, at: now };
        }
    }

    /// The same, and nobody is to come again for as long as `wait`.
    pub fn handle_refusal(&mut self, now: Instant, id: EndpointId, wait: Duration) {
        self.handle_failure(now, id);
        self.candidates[id.0].not_before = now.checked_add(wait);
    }

    /// The endpoint will fail in the same way for ever; it is not tried while there is another. Says whether there is.
    pub fn handle_useless(&mut self, id: EndpointId) -> bool {
        self.home = self.home.filter(|home| *home != id);
        self.candidates[id.0].health = Health::Useless;
        self.candidates.iter().any(|candidate| candidate.health != Health::Useless)
    }

    /// Drops all waits that were asked for: somebody insists.
    pub fn forget_waits(&mut self) {
        for candidate in &mut self.candidates {
            candidate.not_before = None;
        }
    }
}

impl Candidate {
    fn new(url: String) -> Self {
        Self { url, health: Health::Good, not_before: None }
    }

    fn waits(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| at > now)
    }

    fn forget(&mut self, now: Instant) {
        if let Health::Failed { at, .. } = self.health
            && now.saturating_duration_since(at) >= FORGET
        {
            self.health = Health::Good;
        }
    }
}
