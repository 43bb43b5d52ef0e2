//! After the storm: fair weather, in which everything must end, and then the end itself.

use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::session::Held;
use bowline_protocol::status::CloseCode;

use crate::note;
use crate::once;
use crate::oracle::Invariant;
use crate::world::{Happening, World, dropped};

/// Where a run is after the storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    Storm,
    /// Until then everything must have ended.
    Settling(Instant),
    Closing(Instant),
    Over,
}

impl World {
    /// The network is well from now on.
    pub(crate) fn heal(&mut self) {
        let cx = &mut self.cx;
        note!(cx, "the storm is over");
        cx.is_healed = true;
        for client in &mut self.clients {
            client.offline_until = cx.now;
            if client.asleep_until > cx.now {
                client.asleep_until = cx.now;
                cx.queue.at(cx.now, Happening::Wake(client.index));
            }
        }
        cx.queue.at(cx.now + Duration::from_secs(60), Happening::MustBeLive);
        cx.queue.at(cx.now, Happening::Settle);
        self.course = Course::Settling(cx.now + Duration::from_secs(600));
    }

    /// I7.
    pub(crate) fn must_be_live(&mut self) {
        for client in &self.clients {
            let is_sound = client.peer.link.is_some_and(|link| self.net.is_sound(link));
            if !(client.is_closed || client.peer.machine.is_live() && is_sound) {
                let what = format!("c{} is not live 60 s after the storm", client.index);
                self.cx.oracle.violate(Invariant::I7, what);
            }
        }
    }

    /// After the storm: everything ends, step by step.
    pub(crate) fn settle(&mut self) {
        for place in self.places() {
            self.with_app(place, |cx, app, machine| app.settle(cx, machine));
        }
        once::finish(&mut self.cx, true);
        self.answer_once();
        let next = Duration::from_millis(500);
        self.cx.queue.at(self.cx.now + next, Happening::Settle);
        let now = self.cx.now;
        let is_done = match self.course {
            Course::Settling(_) => self.is_idle() && self.holds_nothing(),
            Course::Closing(_) => self.node.is_empty() && self.net.open_links().is_empty(),
            Course::Storm | Course::Over => false,
        };
        match self.course {
            Course::Settling(_) if is_done => {
                self.close();
                self.course = Course::Closing(now + Duration::from_secs(300));
            }
            Course::Closing(_) if is_done => {
                self.check_over();
                self.course = Course::Over;
            }
            Course::Settling(until) | Course::Closing(until) if now > until => {
                let mut waiting = self.cx.oracle.waiting();
                waiting.extend(self.cx.oracle.running());
                for place in self.places() {
                    let mut held = String::new();
                    self.with_app(place, |_, app, machine| {
                        held = format!("{place}: {:?} {}", machine.stats().held, app.open());
                    });
                    waiting.push(held);
                }
                waiting.push(format!("node: {}, links {:?}", self.node.held(), self.net.open_links()));
                let what = format!("{:?} takes too long:\n{}", self.course, waiting.join("\n"));
                self.cx.oracle.violate(Invariant::I10, what);
            }
            _ => {}
        }
    }

    /// No application has anything open, and every client could.
    fn is_idle(&mut self) -> bool {
        let live = self.clients.iter().all(|client| client.peer.machine.is_live());
        let clients = self.clients.iter().all(|client| client.peer.app.is_idle());
        let slots = self.node.slots();
        live && clients
            && self.cx.once.is_idle()
            && slots.into_iter().all(|slot| self.node.peer(slot).is_some_and(|it| it.app.is_idle()))
    }

    /// Both ends of every session have said and heard everything.
    fn holds_nothing(&mut self) -> bool {
        let mut all = true;
        for place in self.places() {
            self.with_app(place, |_, _, machine| all &= machine.stats().held == Held::default());
        }
        all
    }

    fn close(&mut self) {
        for index in 0..self.clients.len() {
            note!(self.cx, "c{index} leaves");
            let client = &mut self.clients[index];
            client.is_closed = true;
            client.peer.machine.close(self.cx.now, CloseCode::NORMAL, "bye");
            client.pump(&mut self.cx, &mut self.net);
        }
    }

    fn check_over(&mut self) {
        for client in &mut self.clients {
            client.peer.check_over(&mut self.cx);
            self.cx.dropped += dropped(&client.peer.machine);
        }
        let waiting = [self.cx.oracle.waiting(), self.cx.oracle.running()].concat();
        if !waiting.is_empty() {
            self.cx.oracle.violate(Invariant::I10, waiting.join("\n"));
        }
        let (offered, arrived) = self.cx.oracle.notifies();
        let (dropped, lost) = (self.cx.dropped, self.cx.oracle.sessions_lost());
        // What was under way when a session was lost counts as dropped, and may have arrived all the same.
        let unknown = lost * 2 * self.cx.profile.limits.unsequenced_envelopes as u64;
        if offered > arrived + dropped || arrived + dropped - offered > unknown {
            let what = format!("{offered} notifies offered, {arrived} arrived, {dropped} dropped");
            self.cx.oracle.violate(Invariant::I8, what);
        }
    }
}
