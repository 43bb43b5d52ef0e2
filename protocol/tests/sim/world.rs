//! Time, what happens in it, and the course of one run: a storm, then fair weather, then everything must end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fmt;
use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{GapReason, Refusal};
use bowline_protocol::session::Session;
use bowline_protocol::status::CloseCode;
use bowline_test_support::{Random, origin};

use crate::client::Client;
use crate::course::Course;
use crate::faults::Broken;
use crate::net::{Cargo, End, LinkId, Net};
use crate::once::{self, Once};
use crate::oracle::{Counts, Invariant, Oracle, Violation};
use crate::peer::Peer;
use crate::profile::Profile;
use crate::server::Node;
use crate::trace::Trace;

/// Adds a line to the trace.
#[macro_export]
macro_rules! note {
    ($cx:expr, $($what:tt)*) => { $cx.trace.line($cx.now, format_args!($($what)*)) };
}

/// Happenings of one run; a long one has a tenth of it.
const TOO_MUCH: u64 = 5_000_000;

/// Names a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Client(usize),
    /// A session of the node, and its client.
    Slot(u32, usize),
}

impl Place {
    pub(crate) fn client(self) -> usize {
        match self {
            Self::Client(client) | Self::Slot(_, client) => client,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(client) => write!(f, "c{client}"),
            Self::Slot(slot, client) => write!(f, "s{client}.{slot}"),
        }
    }
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Happening {
    /// A client tries to connect, if this is still its plan.
    Connect(usize, u32),
    /// A link is there for both ends.
    Opened(LinkId),
    /// Something that this end wrote is there for the other.
    Arrives(LinkId, End),
    /// A part of something that this end wrote is there for the other.
    Piece(LinkId, End),
    /// An end learns that its link is lost.
    Lost(LinkId, End),
    /// A socket takes bytes again.
    Drained(Place),
    Timer(Place),
    /// A machine gets to what was read for it.
    Unread(Place),
    /// The node's book of sessions has a date.
    Window,
    /// A client's machine wakes.
    Wake(usize),
    /// An application does something.
    Act,
    /// The network does something.
    Trouble,
    /// The storm is over.
    Heal,
    /// Everyone must be live.
    MustBeLive,
    /// Readers read, handlers answer.
    Settle,
}

/// What will happen, and when.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(Instant, u64, Happening)>>,
    made: u64,
}

impl Queue {
    pub(crate) fn at(&mut self, at: Instant, what: Happening) {
        self.made += 1;
        self.heap.push(Reverse((at, self.made, what)));
    }

    fn next_until(&mut self, end: Instant) -> Option<(Instant, Happening)> {
        self.heap.peek().is_some_and(|Reverse((at, ..))| *at <= end).then(|| self.next())?
    }

    fn next(&mut self) -> Option<(Instant, Happening)> {
        self.heap.pop().map(|Reverse((at, _, what))| (at, what))
    }
}

/// What everything in a world shares.
#[derive(Debug)]
pub(crate) struct Ctx {
    pub(crate) now: Instant,
    pub(crate) random: Random,
    pub(crate) queue: Queue,
    pub(crate) oracle: Oracle,
    pub(crate) trace: Trace,
    pub(crate) profile: Profile,
    pub(crate) broken: Option<Broken>,
    /// The `once` calls of the node.
    pub(crate) once: Once,
    /// Closes for cause, per session.
    strikes: BTreeMap<u128, u32>,
    pub(crate) is_healed: bool,
    /// Of machines that are gone.
    pub(crate) dropped: u64,
}

impl Ctx {
    /// Ends of ours never break each other's rules.
    pub(crate) fn judge_close(&mut self, place: Place, session: Option<u128>, code: CloseCode, reason: &str) {
        if let Some(session) =
            session.filter(|_| matches!(code, CloseCode::SLOW | CloseCode::STALLED_MESSAGE))
        {
            let strikes = self.strikes.entry(session).or_default();
            *strikes += 1;
            if *strikes > 1 {
                self.oracle.session_gone(session, GapReason::NoProgress);
            }
        }
        let is_ours = matches!(code, CloseCode::MALFORMED | CloseCode::OUT_OF_STEP | CloseCode::TOO_BIG);
        if is_ours || code == CloseCode::VERSION {
            self.oracle.violate(Invariant::I1, format!("{place} closes with {code}: {reason}"));
        }
    }

    /// A token that nobody guesses.
    pub(crate) fn token(&mut self) -> [u8; 32] {
        let mut token = [0; 32];
        for part in token.chunks_mut(8) {
            part.copy_from_slice(&self.random.number().to_le_bytes());
        }
        token
    }

    /// Keeps what a machine counted that is no more.
    pub(crate) fn account(&mut self, machine: &Session) {
        self.dropped += dropped(machine);
    }
}

/// Notifies that a machine dropped, either way.
pub(crate) fn dropped(machine: &Session) -> u64 {
    let counted = machine.stats().counted;
    counted.notifies_dropped + counted.notifies_refused
}

/// What became of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) trace: Trace,
    pub(crate) violation: Option<Violation>,
    pub(crate) counts: Counts,
}

/// All of it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) cx: Ctx,
    pub(crate) net: Net,
    pub(crate) clients: Vec<Client>,
    pub(crate) node: Node,
    pub(crate) course: Course,
}

/// Runs one seed, with a rule broken or not.
pub(crate) fn run(seed: u64, broken: Option<Broken>) -> Report {
    World::new(seed, broken).finish()
}

/// The same while nothing bad happens.
pub(crate) fn run_calm(seed: u64, broken: Option<Broken>) -> Report {
    let mut world = World::new(seed, broken);
    world.cx.profile.is_calm = true;
    world.finish()
}
impl World {
    fn new(seed: u64, broken: Option<Broken>) -> Self {
        let mut random = Random::new(seed);
        let profile = Profile::random(&mut random);
        let mut world = Self::with(profile, random, broken);
        let cx = &mut world.cx;
        note!(cx, "seed {seed}, {:?}", cx.profile);
        cx.queue.at(cx.now, Happening::Act);
        cx.queue.at(cx.now + Duration::from_secs(1), Happening::Trouble);
        cx.queue.at(cx.now + cx.profile.storm, Happening::Heal);
        world
    }

    /// A world in which nothing happens but what clients do to become live.
    pub(crate) fn with(profile: Profile, mut random: Random, broken: Option<Broken>) -> Self {
        let once = Once::new(u128::from(random.number()), profile.once.clone());
        let node = Node::new(profile.node.clone());
        let mut cx = Ctx {
            now: origin(),
            random,
            queue: Queue::default(),
            oracle: Oracle::default(),
            trace: Trace::default(),
            profile,
            broken,
            once,
            strikes: BTreeMap::new(),
            is_healed: false,
            dropped: 0,
        };
        let clients = (0..cx.profile.clients).map(|index| Client::new(&mut cx, index)).collect();
        let mut world = Self { cx, net: Net::default(), clients, node, course: Course::Storm };
        for client in &mut world.clients {
            client.plan(&mut world.cx, Duration::ZERO);
        }
        world
    }

    pub(crate) fn finish(mut self) -> Report {
        self.run();
        let violation = self.cx.oracle.violation().cloned();
        let counts = self.cx.oracle.counts;
        match &violation {
            Some(violation) => note!(self.cx, "VIOLATION {:?}: {}", violation.invariant, violation.what),
            None => note!(self.cx, "fine: {counts:?}"),
        }
        Report { trace: self.cx.trace, violation, counts }
    }

    fn run(&mut self) {
        while self.course != Course::Over && self.cx.oracle.violation().is_none() {
            if self.cx.queue.made > TOO_MUCH {
                let what = "the ends keep each other busy without end".into();
                return self.cx.oracle.violate(Invariant::I10, what);
            }
            let Some((at, what)) = self.cx.queue.next() else {
                let what = format!("nothing happens any more: {:?}", self.course);
                return self.cx.oracle.violate(Invariant::I10, what);
            };
            self.step(at, what);
        }
    }

    /// Time goes on until `end`, with all that happens.
    pub(crate) fn run_until(&mut self, end: Instant) {
        while let Some((at, what)) = self.cx.queue.next_until(end) {
            self.step(at, what);
        }
        self.cx.now = end;
    }

    fn step(&mut self, at: Instant, what: Happening) {
        self.cx.now = self.cx.now.max(at);
        match self.sleeper(what) {
            Some(client) => self.clients[client].missed.push(what),
            None => {
                self.happen(what);
                self.answer_once();
            }
        }
    }

    /// The client that would have to be awake for this, and is not.
    fn sleeper(&self, what: Happening) -> Option<usize> {
        let client = match what {
            Happening::Connect(client, _) => client,
            Happening::Timer(Place::Client(client)) | Happening::Drained(Place::Client(client)) => client,
            Happening::Arrives(link, End::Server)
            | Happening::Piece(link, End::Server)
            | Happening::Lost(link, End::Client)
            | Happening::Opened(link) => self.net.get(link)?.client,
            _ => return None,
        };
        (self.clients[client].asleep_until > self.cx.now).then_some(client)
    }

    /// What the table of `once` calls has to say, goes to whoever waits.
    pub(crate) fn answer_once(&mut self) {
        while let Some((place, call, record)) = self.cx.once.answer() {
            self.with_app(place, |cx, app, machine| app.paid(cx, machine, call, record));
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Connect(client, plan) => {
                self.clients[client].connect(&mut self.cx, &mut self.net, plan)
            }
            Happening::Opened(link) => self.opened(link),
            Happening::Arrives(link, from) => self.arrives(link, from),
            Happening::Piece(link, from) => self.piece(link, from),
            Happening::Lost(link, end) => self.lost(link, end, None),
            Happening::Drained(place) => self.drained(place),
            Happening::Timer(place) => self.timer(place),
            Happening::Unread(place) => {
                if let Some(peer) = self.peer(place) {
                    let (peer, cx) = peer;
                    peer.process_unread(cx);
                    self.pump(place);
                }
            }
            Happening::Window => self.node.window(&mut self.cx, &mut self.net),
            Happening::Wake(client) => {
                note!(self.cx, "c{client} wakes");
                for what in std::mem::take(&mut self.clients[client].missed) {
                    self.cx.queue.at(self.cx.now, what);
                }
                self.clients[client].peer.machine.handle_wake(self.cx.now);
                self.clients[client].pump(&mut self.cx, &mut self.net);
            }
            Happening::Act => self.act(),
            Happening::Trouble => self.trouble(),
            Happening::Heal => self.heal(),
            Happening::MustBeLive => self.must_be_live(),
            Happening::Settle => self.settle(),
        }
    }

    fn pump(&mut self, place: Place) {
        match place {
            Place::Client(client) => self.clients[client].pump(&mut self.cx, &mut self.net),
            Place::Slot(slot, _) => self.node.pump(&mut self.cx, &mut self.net, slot),
        }
    }

    fn opened(&mut self, link: LinkId) {
        let Some(client) = self.net.get(link).map(|it| it.client) else { return };
        if self.clients[client].opened(&mut self.cx, &mut self.net, link) {
            self.node.opened(&mut self.cx, &mut self.net, link, client);
            self.clients[client].pump(&mut self.cx, &mut self.net);
        } else {
            // Nobody greets on it.
            self.net.forget(link, End::Server);
        }
    }

    fn arrives(&mut self, link: LinkId, from: End) {
        while let Some(cargo) = self.net.arrival(self.cx.now, link, from) {
            let message = match cargo {
                Cargo::Message(message) => message,
                Cargo::Closed(refusal) => {
                    note!(self.cx, "l{link} was closed by {from:?} with {}", refusal.code);
                    return self.lost(link, from.other(), Some(&refusal));
                }
            };
            match from {
                End::Client => {
                    let Some(slot) = self.node.of_link(link) else { return };
                    let Some(peer) = self.node.peer(slot) else { return };
                    if let Some(session) = peer.session {
                        self.cx.oracle.processes(session, link);
                    }
                    peer.receive(&mut self.cx, message);
                    self.node.pump(&mut self.cx, &mut self.net, slot);
                    self.piece(link, from);
                }
                End::Server => {
                    let Some(client) = self.net.get(link).map(|it| it.client) else { return };
                    let client = &mut self.clients[client];
                    if client.peer.link == Some(link) {
                        client.peer.receive(&mut self.cx, message);
                        client.pump(&mut self.cx, &mut self.net);
                    }
                    self.piece(link, from);
                }
            }
        }
    }

    /// The reader sees what came, parts of messages included, unless it is a page.
    fn piece(&mut self, link: LinkId, from: End) {
        let Some(arriving) = self.net.arriving(self.cx.now, link, from) else { return };
        let Some((client, is_page)) = self.net.get(link).map(|it| (it.client, it.weather.is_page)) else {
            return;
        };
        if !self.net.is_open(link, from.other()) {
            return;
        }
        match from {
            End::Client => {
                let Some(slot) = self.node.of_link(link) else { return };
                let Some(peer) = self.node.peer(slot) else { return };
                peer.machine.handle_received(self.cx.now, arriving);
                self.node.pump(&mut self.cx, &mut self.net, slot);
            }
            End::Server if is_page => {}
            End::Server => {
                let client = &mut self.clients[client];
                if client.peer.link == Some(link) {
                    client.peer.machine.handle_received(self.cx.now, arriving);
                    client.pump(&mut self.cx, &mut self.net);
                }
            }
        }
    }

    fn lost(&mut self, link: LinkId, end: End, closed: Option<&Refusal>) {
        let Some(client) = self.net.get(link).map(|it| it.client) else { return };
        match end {
            End::Client => {
                self.clients[client].lost(&mut self.cx, &mut self.net, link, closed);
                self.clients[client].pump(&mut self.cx, &mut self.net);
            }
            End::Server => {
                self.node.lost(&mut self.cx, &mut self.net, link, closed.map(|refusal| refusal.code));
            }
        }
        self.net.sweep();
    }

    fn peer(&mut self, place: Place) -> Option<(&mut Peer, &mut Ctx)> {
        let peer = match place {
            Place::Client(client) => Some(&mut self.clients[client].peer),
            Place::Slot(slot, _) => self.node.peer(slot),
        };
        Some((peer?, &mut self.cx))
    }

    fn drained(&mut self, place: Place) {
        if let Some((peer, cx)) = self.peer(place) {
            peer.drained(cx);
            self.pump(place);
        }
    }

    fn timer(&mut self, place: Place) {
        if self.peer(place).is_some_and(|(peer, cx)| peer.timer(cx)) {
            self.pump(place);
        }
    }

    /// Every machine that has an application.
    pub(crate) fn places(&mut self) -> Vec<Place> {
        let mut places: Vec<_> = (0..self.clients.len()).map(Place::Client).collect();
        for slot in self.node.slots() {
            if let Some(peer) = self.node.peer(slot).filter(|peer| peer.session.is_some()) {
                places.push(peer.place);
            }
        }
        places
    }

    pub(crate) fn with_app(
        &mut self,
        place: Place,
        does: impl FnOnce(&mut Ctx, &mut crate::app::App, &mut Session),
    ) {
        if let Some((peer, cx)) = self.peer(place) {
            does(cx, &mut peer.app, &mut peer.machine);
            self.pump(place);
        }
    }

    fn act(&mut self) {
        if self.cx.is_healed {
            return;
        }
        let places = self.places();
        let place = places[self.cx.random.below(places.len() as u64) as usize];
        if self.cx.random.below(4) == 0 {
            once::finish(&mut self.cx, false);
            self.answer_once();
        }
        if matches!(place, Place::Client(client) if self.clients[client].asleep_until > self.cx.now) {
            return self.act_again();
        }
        for _ in 0..1 + self.cx.random.below(4) {
            self.with_app(place, |cx, app, machine| app.act(cx, machine));
        }
        self.act_again();
    }

    fn act_again(&mut self) {
        let next = Duration::from_millis(self.cx.random.below(self.cx.profile.acts));
        self.cx.queue.at(self.cx.now + next, Happening::Act);
    }
}
