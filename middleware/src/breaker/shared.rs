use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use bowline_runtime::{Instant, now, random_bytes};
use tokio::sync::watch;

use super::state::{Machine, Outcome, Permit};
use super::{BreakerConfig, BreakerState};
use crate::metrics::breaker as metrics;

/// The breakers of one layer, by endpoint and service: shared by all services that the layer makes.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<BreakerConfig>,
    table: RwLock<Table>,
    /// Changed after each transition of any of them.
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Table {
    /// Where calls go; empty where nobody says.
    endpoint: Arc<str>,
    /// In the order in which they were first called; few, and never removed.
    breakers: Vec<Arc<Breaker>>,
}

impl Table {
    /// The breaker of `service` where calls go now.
    fn find(&self, service: &str) -> Option<&Arc<Breaker>> {
        self.breakers
            .iter()
            .find(|known| known.service == service && is_same(&known.endpoint, &self.endpoint))
    }
}

/// The breaker of one service at one endpoint.
#[derive(Debug)]
pub(super) struct Breaker {
    endpoint: Arc<str>,
    service: &'static str,
    machine: Mutex<Machine>,
}

/// Where a call goes.
pub(super) enum Admission {
    /// On, and its outcome back to the breaker.
    Watched(Arc<Breaker>, Permit),
    /// On; there is no breaker for its service.
    Unwatched,
    /// Back, to try again after this time.
    Refused(Duration),
}

impl Shared {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self { config: Arc::new(config), table: RwLock::default(), changed: watch::Sender::new(()) }
    }

    pub(super) fn admit(&self, service: &'static str, now: Instant) -> Admission {
        let Some(breaker) = self.find(service).or_else(|| self.add(service, now)) else {
            return Admission::Unwatched;
        };
        match self.act(&breaker, |machine| machine.admit(now)) {
            Ok(permit) => Admission::Watched(breaker, permit),
            Err(wait) => {
                metrics::refused(service);
                Admission::Refused(wait)
            }
        }
    }

    pub(super) fn handle_outcome(&self, breaker: &Breaker, now: Instant, permit: Permit, outcome: Outcome) {
        // A call may have been asked again elsewhere: what it ended with says nothing about where it was let through.
        let stayed = is_same(&self.read().endpoint, &breaker.endpoint);
        let outcome = if stayed { outcome } else { Outcome::Nothing };
        self.act(breaker, |machine| machine.handle_outcome(now, permit, outcome));
    }

    /// Calls go to `endpoint` from now on.
    pub(super) fn set_endpoint(&self, endpoint: &str) {
        if *self.read().endpoint == *endpoint {
            return;
        }
        self.table.write().unwrap_or_else(PoisonError::into_inner).endpoint = endpoint.into();
        tracing::debug!(endpoint, "circuit breakers");
        self.changed.send_replace(());
    }

    /// Whether calls to some service at `endpoint` would be refused until their time comes.
    pub(super) fn is_open_at(&self, endpoint: &str) -> bool {
        let now = now();
        let breakers = self.read().breakers.clone();
        breakers.iter().filter(|breaker| *breaker.endpoint == *endpoint).any(|breaker| {
            let state = self.act(breaker, |machine| machine.state(now));
            matches!(state, BreakerState::Open { until } if until > now)
        })
    }

    /// What the breaker of `service` does; closed where there is none.
    pub(super) fn state(&self, service: &str) -> BreakerState {
        let Some(breaker) = self.find(service) else { return BreakerState::Closed };
        self.act(&breaker, |machine| machine.state(now()))
    }

    pub(super) fn reset(&self) {
        let breakers = self.read().breakers.clone();
        for breaker in breakers {
            self.act(&breaker, |machine| machine.reset(now()));
        }
    }

    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn find(&self, service: &str) -> Option<Arc<Breaker>> {
        self.read().find(service).cloned()
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, service: &'static str, now: Instant) -> Option<Arc<Breaker>> {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        // Somebody else may have been here between the two locks.
        if let Some(breaker) = table.find(service) {
            return Some(breaker.clone());
        }
        if table.breakers.len() >= self.config.breakers {
            return None;
        }
        let seed = u64::from_le_bytes(random_bytes());
        let machine = Mutex::new(Machine::new(now, self.config.clone(), seed));
        let breaker = Arc::new(Breaker { endpoint: table.endpoint.clone(), service, machine });
        metrics::made(service, BreakerState::Closed.as_str());
        table.breakers.push(breaker.clone());
        Some(breaker)
    }

    /// Takes one step, and tells what it changed once the lock is released.
    fn act<R>(&self, breaker: &Breaker, step: impl FnOnce(&mut Machine) -> R) -> R {
        let mut entered = Vec::new();
        let result = {
            let mut machine = breaker.machine.lock().unwrap_or_else(PoisonError::into_inner);
            let result = step(&mut machine);
            entered.extend(std::iter::from_fn(|| machine.poll_transition()));
            result
        };
        for (from, to) in &entered {
            tracing::debug!(
                service = breaker.service,
                endpoint = &*breaker.endpoint,
                ?from,
                ?to,
                "circuit breaker"
            );
            metrics::moved(breaker.service, from.as_str(), to.as_str());
        }
        if !entered.is_empty() {
            self.changed.send_replace(());
        }
        result
    }
}

/// Mostly it is one string that both hold.
fn is_same(endpoint: &Arc<str>, other: &Arc<str>) -> bool {
    Arc::ptr_eq(endpoint, other) || endpoint == other
}

impl Drop for Breaker {
    fn drop(&mut self) {
        let machine = self.machine.get_mut().unwrap_or_else(PoisonError::into_inner);
        metrics::gone(self.service, machine.shown().as_str());
    }
}
