//! The task behind a client: owns links, timers and served calls, and decides nothing.

mod lane;

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bowline_middleware::BreakerHandle;
use bowline_protocol::{
    Instant,
    session::{Config, Failure},
};
use bowline_rpc::{Line, Peer};
use bowline_runtime::{Sleep, now, sleep_until};
use bowline_transport::{EndpointId, PlatformWakeSignals, SleepWatch};
use tokio::sync::{oneshot, watch};

use crate::{
    desk::Desk,
    error::ConnectFailed,
    liveness::Liveness,
    state::{Machine, State},
};

use lane::{Lane, Progress};

pub(crate) use lane::Means;

/// How long the calls of a session may go on beside the one that follows it.
const LEAVE: Duration = Duration::from_secs(30);

/// What a driver is made of; [`Driver::new`] adds what is its own.
pub(crate) struct Parts {
    /// Where calls go.
    pub(crate) line: Line,
    /// What sessions that follow the first one are made with.
    pub(crate) config: Config,
    /// Told where calls go.
    pub(crate) breakers: Vec<BreakerHandle>,
    pub(crate) wall_clock: fn() -> Duration,
    pub(crate) machine: Machine,
    pub(crate) means: Means,
    pub(crate) desk: Arc<Desk>,
    pub(crate) states: watch::Sender<State>,
    /// Whoever waits for the first welcome, or for the failure of the last endpoint.
    pub(crate) first: Option<oneshot::Sender<Result<(), ConnectFailed>>>,
}

/// The future that a client spawns. It ends when the client is closed or its last handle is gone.
pub(crate) struct Driver {
    /// The session that new calls go to.
    lane: Lane,
    /// The one that is to follow it, since the server said that it will go away.
    next: Option<Lane>,
    /// Those before it, while their calls end.
    leaving: Vec<Leaving>,
    line: Line,
    config: Config,
    breakers: Vec<BreakerHandle>,
    /// The endpoint that they were last told.
    told: Option<EndpointId>,
    wall_clock: fn() -> Duration,
    means: Means,
    desk: Arc<Desk>,
    states: watch::Sender<State>,
    /// What they were last told.
    shown: Option<State>,
    liveness: Arc<Liveness>,
    first: Option<oneshot::Sender<Result<(), ConnectFailed>>>,
    naps: SleepWatch,
    /// Dropped with the driver, which they wake.
    _signals: PlatformWakeSignals,
    timer: Sleep,
}

struct Leaving {
    lane: Lane,
    /// `None` once its end has begun.
    until: Option<Instant>,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { line, config, breakers, wall_clock, mut machine, means, desk, states, first } = parts;
        let now = now();
        machine.reconnect(now);
        let woken = desk.clone();
        let liveness = Liveness::of(&line.channel());
        liveness.set(false);
        let mut driver = Self {
            lane: Lane::new(line.peer(), machine),
            next: None,
            leaving: Vec::new(),
            line,
            config,
            breakers,
            told: None,
            wall_clock,
            means,
            desk,
            states,
            shown: None,
            liveness,
            first,
            naps: SleepWatch::new(now, wall_clock()),
            _signals: PlatformWakeSignals::listen(move || woken.wake()),
            timer: sleep_until(now),
        };
        // Before anybody can call.
        driver.tell_breakers();
        driver
    }

    fn handle_wishes(&mut self, cx: &Context<'_>, now: Instant) {
        let wishes = self.desk.poll_wishes(cx);
        if wishes.close {
            self.next = None;
            self.lane.machine.close(now);
            self.leaving.iter_mut().for_each(|leaving| leaving.end(now));
        } else if wishes.reconnect {
            self.next = None;
            self.lane.machine.reconnect(now);
            self.leaving.iter_mut().for_each(|leaving| leaving.lane.machine.go_on(now));
        } else if wishes.disconnect {
            self.next = None;
            self.lanes().for_each(|lane| lane.machine.disconnect(now));
        } else if wishes.wake {
            self.handle_wake(now);
        }
    }

    /// Notices when the process slept, and gives back what calls took that are over: this runs now and then, and so needs no
    /// timer of its own for that.
    fn watch_sleep(&mut self, now: Instant) {
        if self.naps.poll_timeout() > now {
            return;
        }
        self.lanes().for_each(|lane| lane.peer.trim());
        let slept = self.naps.handle_tick(now, (self.wall_clock)());
        if slept {
            tracing::debug!("slept");
            self.handle_wake(now);
        }
    }

    fn handle_wake(&mut self, now: Instant) {
        self.lanes().for_each(|lane| {
            // Before anything is sent.
            lane.peer.handle_wall_clock();
            lane.machine.handle_wake(now);
        });
    }

    fn lanes(&mut self) -> impl Iterator<Item = &mut Lane> {
        let leaving = self.leaving.iter_mut().map(|leaving| &mut leaving.lane);
        std::iter::once(&mut self.lane).chain(&mut self.next).chain(leaving)
    }

    /// Opens a session beside the one whose end is announced, and lets it follow once it is live.
    fn poll_next(&mut self, cx: &mut Context<'_>, now: Instant) -> Progress {
        if self.lane.machine.poll_leave(now) {
            let peer = Peer::client_with_wall_clock(self.config.clone(), self.wall_clock);
            self.next = Some(Lane::new(peer, self.lane.machine.beside(now)));
        }
        let Some(next) = &mut self.next else { return Progress::None };
        if !self.lane.machine.state().is_live() {
            // It is looking for a session by itself now.
            self.next = None;
            return Progress::None;
        }
        let progress = next.poll(cx, now, &mut self.means);
        if next.machine.state().is_live()
            && let Some(next) = self.next.take()
        {
            tracing::debug!("another session follows");
            self.line.switch(next.peer.clone());
            let mut lane = std::mem::replace(&mut self.lane, next);
            lane.leave(now);
            self.leaving.push(Leaving { lane, until: Some(now + LEAVE) });
        }
        progress
    }

    /// Ends sessions whose calls have ended, or whose time is up; those whose link is lost end by themselves.
    fn poll_leaving(&mut self, cx: &mut Context<'_>, now: Instant) -> Progress {
        let mut most = Progress::None;
        self.leaving.retain_mut(|leaving| {
            let mut progress = leaving.lane.poll(cx, now, &mut self.means);
            // After the link was read: what came may have been the end of its last call, and nothing else may come.
            if leaving.until.is_some_and(|until| until <= now || !leaving.lane.is_busy()) {
                leaving.end(now);
                progress = progress.max(Progress::Some);
            }
            most = most.max(progress.min(Progress::Some));
            progress != Progress::Over
        });
        most
    }

    /// Tells breakers where calls go: to the session that is there or is looked for.
    fn tell_breakers(&mut self) {
        let at = self.lane.machine.endpoint_id();
        if self.told != at
            && let Some(endpoint) = self.lane.machine.endpoint()
        {
            self.told = at;
            self.breakers.iter().for_each(|breaker| breaker.set_endpoint(endpoint));
        }
    }

    fn publish(&mut self) {
        let state = self.lane.machine.state();
        if self.shown.as_ref() == Some(&state) {
            return;
        }
        self.shown = Some(state.clone());
        let is_live = state.is_live();
        self.liveness.set(is_live);
        self.states.send_if_modified(|shown| {
            let changed = *shown != state;
            if changed {
                tracing::debug!(%state, "client state");
                *shown = state;
            }
            changed
        });
        // Last: whoever waited for it looks at the state next.
        if is_live && let Some(first) = self.first.take() {
            // Nobody waits any more: then the lease is gone too, and that ends the client.
            let _ = first.send(Ok(()));
        }
    }

    /// Sets the timer. `Some` if its time has come already.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Progress {
        let tick = self.lane.machine.is_under_way().then(|| self.naps.poll_timeout());
        let leave = self.leaving.iter().filter_map(|leaving| leaving.until).min();
        let lanes = self.lanes().filter_map(|lane| lane.poll_timeout()).min();
        let Some(next) = [tick, leave, lanes].into_iter().flatten().min() else {
            return Progress::None;
        };
        if self.timer.deadline() != next {
            self.timer.reset(next);
        }
        match Pin::new(&mut self.timer).poll(cx) {
            Poll::Ready(()) => Progress::Some,
            Poll::Pending => Progress::None,
        }
    }
}

impl Leaving {
    fn end(&mut self, now: Instant) {
        self.until = None;
        self.lane.machine.close(now);
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // At its end everybody has been told. Before it, its task is gone: a function of the application panicked in it,
        // or its runtime was shut down. Nobody is left who would end calls, not even those whose deadline passes.
        if self.lane.is_over() && self.leaving.is_empty() {
            return;
        }
        self.lanes().for_each(|lane| lane.peer.fail_all(Failure::Closed));
        self.liveness.set(false);
        self.states.send_replace(State::Closed);
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            let now = now();
            this.handle_wishes(cx, now);
            this.watch_sleep(now);
            let mut progress = this.lane.poll(cx, now, &mut this.means).min(Progress::Some);
            progress = progress.max(this.poll_next(cx, now)).max(this.poll_leaving(cx, now));
            this.tell_breakers();
            this.publish();
            if this.lane.is_over() && this.leaving.is_empty() {
                if let Some(first) = this.first.take() {
                    let _ = first.send(Err(this.lane.take_failure()));
                }
                return Poll::Ready(());
            }
            if progress.max(this.poll_timer(cx)) == Progress::None {
                return Poll::Pending;
            }
        }
    }
}
