//! Whether what a hook shows may be out of date: one answer for every kind of hook.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt;
use leptos::prelude::*;

use crate::follow::Link;

/// Gathers what is known, and shows it as the signal `stale`.
///
/// Stale is what is shown while it is not known to be what the server would say: the connection is away, what was asked for
/// is asked for again or failed, or it belongs to other arguments. Where nothing is shown there is nothing stale.
#[derive(Debug, Clone)]
pub(crate) struct Freshness {
    stale: ArcRwSignal<bool>,
    facts: Arc<Mutex<Facts>>,
}

#[derive(Debug)]
struct Facts {
    /// Something is shown.
    shown: bool,
    /// It is what was said last to what is asked now.
    current: bool,
    /// Calls go through.
    live: bool,
}

impl Freshness {
    pub(crate) fn new() -> Self {
        let facts = Facts { shown: false, current: false, live: true };
        Self { stale: ArcRwSignal::new(false), facts: Arc::new(Mutex::new(facts)) }
    }

    pub(crate) fn signal(&self) -> ReadSignal<bool> {
        self.stale.read_only().into()
    }

    /// What is shown is current.
    pub(crate) fn renew(&self) {
        self.change(|facts| (facts.shown, facts.current) = (true, true));
    }

    /// What is shown is no longer known to be so.
    pub(crate) fn outdate(&self) {
        self.change(|facts| facts.current = false);
    }

    /// Nothing is shown any more.
    pub(crate) fn clear(&self) {
        self.change(|facts| (facts.shown, facts.current) = (false, false));
    }

    /// Follows the connection, for what no subscription keeps up to date.
    pub(crate) async fn follow(&self, link: Link) {
        let mut changes = link.changes();
        while let Some(live) = changes.next().await {
            self.change(|facts| facts.live = live);
        }
    }

    fn change(&self, change: impl FnOnce(&mut Facts)) {
        let stale = {
            let mut facts = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut facts);
            facts.shown && !(facts.current && facts.live)
        };
        if self.stale.get_untracked() != stale {
            self.stale.set(stale);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_is_only_what_is_shown_and_not_known_to_be_so() {
        let freshness = Freshness::new();
        let stale = || freshness.stale.get_untracked();
        freshness.change(|facts| facts.live = false);
        freshness.outdate();
        assert!(!stale(), "nothing is shown");
        freshness.renew();
        assert!(stale(), "the connection is away");
        freshness.change(|facts| facts.live = true);
        assert!(!stale());
        freshness.outdate();
        freshness.change(|facts| facts.live = false);
        freshness.change(|facts| facts.live = true);
        assert!(stale(), "a connection alone makes nothing current");
        freshness.renew();
        assert!(!stale());
        freshness.outdate();
        freshness.clear();
        assert!(!stale());
    }
}
