//! Time, what happens in it, and the course of one run: a storm, then fair weather, then everything must end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::session::Session;
use bowline_protocol::status::CloseCode;
use bowline_test_support::{Random, origin};

use crate::client::Client;
use crate::course::Course;
use crate::net::{Cargo, End, LinkId, Net};
use crate::oracle::{Counts, Invariant, Oracle, Violation};
use crate::profile::Profile;
use crate::server::Node;
use crate::trace::Trace;

/// Adds a line to the trace.
#[macro_export]
macro_rules! note {
    ($cx:expr, $($what:tt)*) => { $cx.trace.line($cx.now, format_args!($($what)*)) };
}

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
    /// An end learns that its link is lost.
    Lost(LinkId, End),
    /// A socket takes bytes again.
    Drained(Place),
    Timer(Place),
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
    pub(crate) is_healed: bool,
    /// Of machines that are gone.
    pub(crate) dropped: u64,
}

impl Ctx {
    /// Ends of ours never break each other's rules.
    pub(crate) fn judge_close(&mut self, place: Place, code: CloseCode, reason: &str) {
        let is_ours = matches!(code, CloseCode::MALFORMED | CloseCode::OUT_OF_STEP | CloseCode::TOO_BIG);
        if is_ours || code == CloseCode::VERSION {
            self.oracle.violate(Invariant::I1, format!("{place} closes with {code}: {reason}"));
        }
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

/// Runs one seed.
pub(crate) fn run(seed: u64) -> Report {
    let mut world = World::new(seed);
    world.run();
    let violation = world.cx.oracle.violation().cloned();
    let counts = world.cx.oracle.counts;
    match &violation {
        Some(violation) => note!(world.cx, "VIOLATION {:?}: {}", violation.invariant, violation.what),
        None => note!(world.cx, "fine: {counts:?}"),
    }
    Report { trace: world.cx.trace, violation, counts }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let profile = Profile::random(&mut random);
        let mut cx = Ctx {
            now: origin(),
            random,
            queue: Queue::default(),
            oracle: Oracle::default(),
            trace: Trace::default(),
            profile,
            is_healed: false,
            dropped: 0,
        };
        note!(cx, "seed {seed}, {:?}", cx.profile);
        let clients = (0..cx.profile.clients).map(|index| Client::new(&mut cx, index)).collect();
        cx.queue.at(cx.now, Happening::Act);
        cx.queue.at(cx.now + Duration::from_secs(1), Happening::Trouble);
        cx.queue.at(cx.now + cx.profile.storm, Happening::Heal);
        let mut world =
            Self { cx, net: Net::default(), clients, node: Node::default(), course: Course::Storm };
        for client in &mut world.clients {
            client.plan(&mut world.cx, Duration::ZERO);
        }
        world
    }

    fn run(&mut self) {
        while self.course != Course::Over && self.cx.oracle.violation().is_none() {
            let Some((at, what)) = self.cx.queue.next() else {
                let what = format!("nothing happens any more: {:?}", self.course);
                return self.cx.oracle.violate(Invariant::I10, what);
            };
            self.cx.now = self.cx.now.max(at);
            self.happen(what);
        }
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Connect(client, plan) => {
                self.clients[client].connect(&mut self.cx, &mut self.net, plan)
            }
            Happening::Opened(link) => self.opened(link),
            Happening::Arrives(link, from) => self.arrives(link, from),
            Happening::Lost(link, end) => self.lost(link, end),
            Happening::Drained(place) => self.drained(place),
            Happening::Timer(place) => self.timer(place),
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
        }
    }

    fn arrives(&mut self, link: LinkId, from: End) {
        while let Some(cargo) = self.net.arrival(self.cx.now, link, from) {
            let message = match cargo {
                Cargo::Message(message) => message,
                Cargo::Closed(code) => {
                    note!(self.cx, "l{link} was closed by {from:?} with {code}");
                    return self.lost(link, from.other());
                }
            };
            match from {
                End::Client => {
                    let Some(slot) = self.node.of_link(link) else { return };
                    let Some(peer) = self.node.peer(slot) else { return };
                    peer.receive(&mut self.cx, &mut self.net, message);
                    self.node.pump(&mut self.cx, &mut self.net, slot);
                }
                End::Server => {
                    let Some(client) = self.net.get(link).map(|it| it.client) else { return };
                    let client = &mut self.clients[client];
                    if client.peer.link == Some(link) {
                        client.peer.receive(&mut self.cx, &mut self.net, message);
                        client.pump(&mut self.cx, &mut self.net);
                    }
                }
            }
        }
    }

    fn lost(&mut self, link: LinkId, end: End) {
        let Some(client) = self.net.get(link).map(|it| it.client) else { return };
        match end {
            End::Client => {
                self.clients[client].lost(&mut self.cx, &mut self.net, link);
                self.clients[client].pump(&mut self.cx, &mut self.net);
            }
            End::Server => self.node.lost(&mut self.cx, &mut self.net, link),
        }
        self.net.sweep();
    }

    fn drained(&mut self, place: Place) {
        let peer = match place {
            Place::Client(client) => Some(&mut self.clients[client].peer),
            Place::Slot(slot, _) => self.node.peer(slot),
        };
        if let Some(peer) = peer {
            peer.drained(&mut self.cx, &mut self.net);
            self.pump(place);
        }
    }

    fn timer(&mut self, place: Place) {
        let peer = match place {
            Place::Client(client) => Some(&mut self.clients[client].peer),
            Place::Slot(slot, _) => self.node.peer(slot),
        };
        if peer.is_some_and(|peer| peer.timer(&mut self.cx)) {
            self.pump(place);
        }
    }

    /// Every machine that has an application.
    pub(crate) fn places(&mut self) -> Vec<Place> {
        let mut places: Vec<_> = (0..self.clients.len()).map(Place::Client).collect();
        for slot in self.node.slots() {
            if let Some(peer) = self.node.peer(slot) {
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
        let peer = match place {
            Place::Client(client) => Some(&mut self.clients[client].peer),
            Place::Slot(slot, _) => self.node.peer(slot),
        };
        if let Some(peer) = peer {
            does(&mut self.cx, &mut peer.app, &mut peer.machine);
            self.pump(place);
        }
    }

    fn act(&mut self) {
        if self.cx.is_healed {
            return;
        }
        let places = self.places();
        let place = places[self.cx.random.below(places.len() as u64) as usize];
        for _ in 0..1 + self.cx.random.below(4) {
            self.with_app(place, |cx, app, machine| app.act(cx, machine));
        }
        let next = Duration::from_millis(self.cx.random.below(self.cx.profile.acts));
        self.cx.queue.at(self.cx.now + next, Happening::Act);
    }
}
