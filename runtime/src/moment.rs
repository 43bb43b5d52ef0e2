use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use crate::{Instant, now};

thread_local! {
    /// What the clock said last in the moment that this thread is in; `None` outside of any.
    static SEEN: Cell<Option<Option<Instant>>> = const { Cell::new(None) };
}

/// What runs on this thread from here until this is dropped, and shares its looks at the clock.
///
/// A look costs as much as a small step, and a call has several in a row: for its deadline, for a layer that takes its
/// time, for how long handlers have been at it. Whoever can do with what was seen a few steps ago asks
/// [`recent`](Self::recent) or [`after`](Self::after), which look where nobody has. Outside of a moment they always do.
///
/// A moment inside of another has looks of its own: a handler knows what it did itself between two of them, and those around
/// it do not. Begin one where foreign code has just given control to ours, and end it before that gets it back.
#[must_use = "it ends when it is dropped"]
pub struct Moment {
    around: Option<Option<Instant>>,
    /// It is this thread's.
    stays: PhantomData<*const ()>,
}

impl Moment {
    /// Begins one, in which nobody has looked.
    #[inline]
    pub fn begin() -> Self {
        Self { around: SEEN.replace(Some(None)), stays: PhantomData }
    }

    /// Tells the moment that this thread is in what the clock said; does nothing outside of one.
    #[inline]
    pub fn note(now: Instant) {
        if SEEN.get().is_some() {
            SEEN.set(Some(Some(now)));
        }
    }

    /// Whether somebody has looked in this moment, and saw that it is later than `earlier`.
    #[inline]
    pub fn is_seen_after(earlier: Instant) -> bool {
        SEEN.get().flatten().is_some_and(|seen| seen > earlier)
    }

    /// What was seen in this moment is too long ago: whoever asks next looks.
    #[inline]
    pub fn forget() {
        if SEEN.get().is_some() {
            SEEN.set(Some(None));
        }
    }

    /// What the clock said last in this moment.
    #[inline]
    pub fn recent() -> Instant {
        SEEN.get().flatten().unwrap_or_else(look)
    }

    /// The same, unless that is no later than `earlier`.
    #[inline]
    pub fn after(earlier: Instant) -> Instant {
        SEEN.get().flatten().filter(|seen| *seen > earlier).unwrap_or_else(look)
    }
}

/// Looks, and notes it.
fn look() -> Instant {
    let now = now();
    Moment::note(now);
    now
}

impl Drop for Moment {
    #[inline]
    fn drop(&mut self) {
        SEEN.set(self.around);
    }
}

impl fmt::Debug for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moment").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn second() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_look_does_for_a_moment() {
        let moment = Moment::begin();
        let first = Moment::recent();
        second().await;
        assert_eq!((Moment::recent(), now()), (first, first + Duration::from_secs(1)));
        drop(moment);
        assert_eq!(Moment::recent(), now(), "nobody says when it was seen");
        let _next = Moment::begin();
        second().await;
        assert_eq!(Moment::recent(), now());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_to_be_later_is_looked_at_once_more_and_then_shared() {
        let _moment = Moment::begin();
        let first = Moment::recent();
        second().await;
        let later = Moment::after(first);
        assert_eq!(later, now());
        second().await;
        assert_eq!((Moment::after(first), Moment::recent()), (later, later));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_forgotten_is_looked_at_again() {
        Moment::forget();
        let _moment = Moment::begin();
        let first = Moment::recent();
        second().await;
        assert!(!Moment::is_seen_after(first));
        Moment::forget();
        assert!(!Moment::is_seen_after(first), "nobody has looked");
        assert_eq!(Moment::recent(), now());
        assert!(Moment::is_seen_after(first));
        Moment::forget();
        second().await;
        assert_eq!(Moment::after(first), now());
    }

    #[tokio::test(start_paused = true)]
    async fn moments_tell_each_other_nothing() {
        let _outer = Moment::begin();
        let first = Moment::recent();
        second().await;
        {
            let _inner = Moment::begin();
            assert_eq!(Moment::recent(), now());
            Moment::note(now() + Duration::from_secs(10));
        }
        assert_eq!(Moment::recent(), first);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_noted_outside_of_a_moment() {
        Moment::note(now() + Duration::from_secs(10));
        assert_eq!(Moment::recent(), now());
        let _moment = Moment::begin();
        assert_eq!(Moment::recent(), now());
    }
}
