//! What both ends of a session are made of: the machine, its application, and at most one link.

use std::collections::VecDeque;
use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{Control, Decoder, Envelope, Hello, Outcome, Refusal};
use bowline_protocol::session::{Event, Held, Role, Session};
use bytes::Bytes;

use crate::app::App;
use crate::faults::{Broken, Rewriter};
use crate::net::{End, LinkId, Net};
use crate::note;
use crate::oracle::{Invariant, Party};
use crate::trace::digest;
use crate::world::{Ctx, Happening, Place};

/// One end.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) place: Place,
    pub(crate) machine: Session,
    pub(crate) app: App,
    pub(crate) link: Option<LinkId>,
    /// Server: the session, once there is one.
    pub(crate) session: Option<u128>,
    pub(crate) rewriter: Rewriter,
    /// Read from the socket and not yet processed, where that makes a difference.
    unread: VecDeque<Bytes>,
    /// The timer that is set: what the machine asked for, and when it fires.
    timer: Option<(Instant, Instant)>,
    /// Timers that fired at one moment without anything else happening.
    spins: (Instant, u32),
    /// The socket wakes the machine when it takes bytes again.
    is_blocked: bool,
    /// The largest message that it wrote.
    largest: usize,
}

/// What a peer can't do by itself.
#[derive(Debug)]
pub(crate) enum Pumped {
    /// Server: a client says hello.
    Hello(Box<Hello>),
    /// Server: the client showed that it has the newest token.
    Proved,
    /// The link is to be closed.
    Close(Refusal),
    Idle,
}

impl Peer {
    pub(crate) fn new(cx: &Ctx, place: Place, machine: Session) -> Self {
        let party = match machine.role() {
            Role::Client => Party::Client,
            Role::Server => Party::Server,
        };
        Self {
            place,
            machine,
            app: App::new(party, place),
            link: None,
            session: None,
            rewriter: Rewriter::new(cx.broken, cx.profile.limits.replay_bytes),
            unread: VecDeque::new(),
            timer: None,
            spins: (cx.now, 0),
            is_blocked: false,
            largest: 0,
        }
    }

    pub(crate) fn end(&self) -> End {
        match self.machine.role() {
            Role::Client => End::Client,
            Role::Server => End::Server,
        }
    }

    /// A message is there.
    pub(crate) fn receive(&mut self, cx: &mut Ctx, message: Bytes) {
        if self.rewriter.is(Broken::AckOnRead) {
            self.rewriter.arrived(&message);
            self.unread.push_back(message);
            let soon = Duration::from_millis(cx.random.below(100));
            return cx.queue.at(cx.now + soon, Happening::Unread(self.place));
        }
        self.process(cx, message);
    }

    /// The machine gets to what was read.
    pub(crate) fn process_unread(&mut self, cx: &mut Ctx) {
        if let Some(message) = self.unread.pop_front() {
            self.process(cx, message);
        }
    }

    fn process(&mut self, cx: &mut Ctx, message: Bytes) {
        note!(cx, "{} < {} B {:08x}", self.place, message.len(), digest(&message));
        let Some(message) = self.rewriter.incoming(message) else { return };
        if self.end() == End::Client && !self.machine.is_live() {
            self.look_for_a_gap(cx, &message);
        }
        self.machine.handle_message(cx.now, message);
    }

    /// The oracle reads the welcome before the machine does.
    fn look_for_a_gap(&mut self, cx: &mut Ctx, message: &Bytes) {
        if let Some(Ok(Envelope::Control(Control::Welcome(welcome)))) = Decoder::new(message.clone()).next()
            && welcome.outcome != Outcome::Resumed
            && self.machine.session_id().is_some()
        {
            cx.oracle.session_lost(self.place.client(), Party::Client);
            self.app.forget_stopped(cx);
        }
    }

    /// Does all that can be done now.
    pub(crate) fn pump(&mut self, cx: &mut Ctx, net: &mut Net) -> Pumped {
        loop {
            while let Some(event) = self.machine.poll_event() {
                match event {
                    Event::Hello(hello) => return Pumped::Hello(hello),
                    Event::Proved => return Pumped::Proved,
                    Event::Live { outcome, session } if self.end() == End::Client => {
                        note!(cx, "{} is live: {outcome:?}, session {session}", self.place);
                        cx.oracle.live(self.place.client(), outcome, session, self.app.identity);
                    }
                    event => self.app.take(cx, &mut self.machine, event),
                }
            }
            let (mut wrote, mut has_more) = (false, true);
            if let Some(link) = self.link {
                let end = self.end();
                while net.takes(cx.now, link, end) {
                    let Some(message) = self.machine.poll_transmit(cx.now) else { break };
                    assert!(has_more, "the message before was said to be the last");
                    (wrote, has_more) = (true, self.machine.has_more());
                    let Some(message) = self.rewriter.outgoing(message) else { continue };
                    self.largest = self.largest.max(message.len());
                    note!(cx, "{} > {} B {:08x} on l{link}", self.place, message.len(), digest(&message));
                    net.send(cx, link, end, message);
                }
                if !net.takes(cx.now, link, end) {
                    self.block(cx, net, link);
                }
            }
            if let Some(refusal) = self.machine.poll_close() {
                return Pumped::Close(refusal);
            }
            if !wrote {
                break;
            }
        }
        self.set_timer(cx);
        self.check_bounds(cx);
        Pumped::Idle
    }

    fn block(&mut self, cx: &mut Ctx, net: &Net, link: LinkId) {
        self.machine.handle_blocked(cx.now);
        if let Some(at) = net.takes_at(link, self.end())
            && !std::mem::replace(&mut self.is_blocked, true)
        {
            cx.queue.at(at.max(cx.now), Happening::Drained(self.place));
        }
    }

    /// The socket took some bytes of what waited.
    pub(crate) fn drained(&mut self, cx: &mut Ctx) {
        if std::mem::take(&mut self.is_blocked) && self.link.is_some() {
            self.machine.handle_progress(cx.now);
        }
    }

    fn set_timer(&mut self, cx: &mut Ctx) {
        let due = self.machine.poll_timeout();
        if self.timer.map(|it| it.0) == due {
            return;
        }
        self.timer = due.map(|due| {
            let late = Duration::from_millis(cx.random.below(1 + cx.profile.lateness));
            let at = due.max(cx.now) + late;
            cx.queue.at(at, Happening::Timer(self.place));
            (due, at)
        });
    }

    /// A timer went off; perhaps one that was moved since.
    pub(crate) fn timer(&mut self, cx: &mut Ctx) -> bool {
        let Some((due, at)) = self.timer else { return false };
        if at > cx.now {
            return false;
        }
        self.timer = None;
        self.spins = if self.spins.0 == cx.now { (cx.now, self.spins.1 + 1) } else { (cx.now, 0) };
        if self.spins.1 > 100 {
            cx.oracle.violate(Invariant::I10, format!("{}: the timer due at {due:?} spins", self.place));
        }
        self.machine.handle_timeout(cx.now);
        true
    }

    /// Forgets the link; the machine was told, or will be.
    pub(crate) fn unlink(&mut self, cx: &mut Ctx) -> Option<LinkId> {
        self.is_blocked = false;
        if !self.unread.is_empty() {
            note!(cx, "{} never processes {} messages that it read", self.place, self.unread.len());
            self.unread.clear();
        }
        self.link.take()
    }

    fn check_bounds(&self, cx: &mut Ctx) {
        let held = self.machine.stats().held;
        let limits = &cx.profile.limits;
        let is_within = held.unacknowledged_bytes <= limits.replay_bytes + self.largest
            && held.unacknowledged <= limits.replay_envelopes
            && held.incoming <= (limits.calls + limits.streams) as usize
            && held.assembly_bytes <= limits.assembly
            && held.extra_window <= limits.stream_window_extra
            // Those that were admitted wait again after the loss of a session.
            && held.waiting_calls <= limits.waiting_calls + (limits.calls + limits.streams) as usize
            && self.largest <= limits.message_out + 64 * 1024 + 1024;
        if !is_within {
            let what = format!("{} holds too much: {held:?}, largest {}", self.place, self.largest);
            cx.oracle.violate(Invariant::I5, what);
        }
    }

    /// A session that is over leaves nothing.
    pub(crate) fn check_over(&mut self, cx: &mut Ctx) {
        while let Some(event) = self.machine.poll_event() {
            self.app.take(cx, &mut self.machine, event);
        }
        self.app.forget_stopped(cx);
        self.app.read_all(cx, &mut self.machine);
        while let Some(event) = self.machine.poll_event() {
            self.app.take(cx, &mut self.machine, event);
        }
        let held = Held { notifies: 0, ..self.machine.stats().held };
        // A deadline of a call that is over may go off once more, to find nothing.
        if let Some(due) = self.machine.poll_timeout() {
            self.machine.handle_timeout(due);
        }
        if held != Held::default() || !self.app.has_no_calls() || self.machine.poll_timeout().is_some() {
            let what = format!(
                "{} is over and holds {held:?}, {}, due {:?}",
                self.place,
                self.app.open(),
                self.machine.poll_timeout()
            );
            cx.oracle.violate(Invariant::I9, what);
        }
    }
}
