use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::wire::{Behaviour, Flow, Wire};

/// The faults of a pair of links, or of all links of one [`network`](super::network), changed while they run.
///
/// A clone controls the same links. [`Default`] has no faults.
///
/// ```
/// use bowline_transport::memory::{Faults, pair};
/// use bowline_transport::{Link, LinkError, Received};
/// use std::future::poll_fn;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let faults = Faults::default();
/// let (mut left, mut right) = pair(&faults);
/// faults.stall();
/// left.start_send("late".into())?;
/// faults.resume();
/// assert_eq!(poll_fn(|cx| right.poll_receive(cx)).await?, Received::Binary("late".into()));
/// faults.cut();
/// assert!(matches!(poll_fn(|cx| right.poll_receive(cx)).await, Err(LinkError::Lost(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What the next wire starts with.
    behaviour: Behaviour,
    unplugged: bool,
    wires: Vec<Weak<Wire>>,
}

impl Faults {
    /// Loses each link, for both of its ends, after `messages` more messages; both directions count, and what is on
    /// its way is lost too. Links that are made later start counting anew. 0 cuts at once.
    pub fn drop_after(&self, messages: u64) {
        if messages == 0 {
            return self.cut();
        }
        self.change(|behaviour| behaviour.remaining = Some(messages));
    }

    /// Lets everything that is sent from now on arrive that much later, in order.
    pub fn delay(&self, delay: Duration) {
        self.change(|behaviour| behaviour.delay = delay);
    }

    /// Holds everything up: what is sent waits on the wire, up to its capacity of 64 KiB per direction, until
    /// [`resume`](Faults::resume).
    pub fn stall(&self) {
        self.change(|behaviour| behaviour.flow = Flow::Stalled);
    }

    /// Ends a stall: what waited arrives. Also ends [`half_open`](Faults::half_open), whose messages stay lost.
    pub fn resume(&self) {
        self.change(|behaviour| behaviour.flow = Flow::Running);
    }

    /// Makes each link half open: what is sent from now on never arrives, closes included, and neither end is told.
    /// This is what a pulled cable looks like. Writers have to wait after 64 KiB.
    pub fn half_open(&self) {
        self.change(|behaviour| behaviour.flow = Flow::HalfOpen);
    }

    /// Loses each living link now, for both of its ends. New links can be made.
    pub fn cut(&self) {
        let mut state = self.lock();
        state.each(|wire| wire.change(super::wire::State::cut));
        state.wires.clear();
    }

    /// Loses each living link and refuses new ones until [`plug`](Faults::plug).
    pub fn unplug(&self) {
        self.lock().unplugged = true;
        self.cut();
    }

    /// Lets new links be made again.
    pub fn plug(&self) {
        self.lock().unplugged = false;
    }

    /// How many links live.
    pub fn links(&self) -> usize {
        let mut living = 0;
        self.lock().each(|wire| living += usize::from(!wire.lock().cut));
        living
    }

    pub(super) fn is_unplugged(&self) -> bool {
        self.lock().unplugged
    }

    pub(super) fn wire(&self) -> Arc<Wire> {
        let mut state = self.lock();
        state.each(|_| ());
        let wire = Wire::new(state.behaviour);
        state.wires.push(Arc::downgrade(&wire));
        wire
    }

    fn change(&self, change: impl Fn(&mut Behaviour)) {
        let mut state = self.lock();
        change(&mut state.behaviour);
        state.each(|wire| wire.change(|state| change(&mut state.behaviour)));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Visits the living wires and forgets the others.
    fn each(&mut self, mut visit: impl FnMut(&Wire)) {
        self.wires.retain(|wire| wire.upgrade().inspect(|wire| visit(wire)).is_some());
    }
}
