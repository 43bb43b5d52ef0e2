//! Links: they delay, stall, slice, go silent one way, and are lost at any byte.
//!
//! A link is two pipes. What is written into a pipe leaves it at the pipe's rate, arrives later and in order, as TCP
//! has it, and is a message for the reader once its last byte is there. The two ends learn of a loss each in its own
//! time, or never.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{Decoder, Encoder, Refusal};
use bowline_protocol::session::Arriving;
use bowline_test_support::Random;
use bytes::Bytes;

use crate::world::{Ctx, Happening};

/// Bytes of which a socket says that it took them.
const PIECE: usize = 4096;

/// How often the reader looks at what came of a message that takes longer.
const PIECES: Duration = Duration::from_secs(1);

/// Names a link.
pub(crate) type LinkId = u32;

/// One end of a link, and the pipe that it writes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    Client = 0,
    Server = 1,
}

impl End {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// How a link is.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    /// One way.
    pub(crate) delay: Duration,
    /// Up to this much more, by chance.
    pub(crate) jitter: Duration,
    /// Bytes per second.
    pub(crate) rate: u64,
    /// Of 256 messages, how many arrive as messages of one envelope each.
    pub(crate) slices: u8,
    /// Bytes that the socket takes before they are on their way.
    pub(crate) buffer: usize,
    /// The client's end shows whole messages only, as a page's does.
    pub(crate) is_page: bool,
}

impl Weather {
    pub(crate) fn random(random: &mut Random) -> Self {
        let delay = match random.below(4) {
            0 => 0,
            1 => random.below(400),
            _ => random.below(60),
        };
        Self {
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(random.below(80) * random.below(2)),
            rate: [20_000, 500_000, 5_000_000, 1_000_000_000][random.below(4) as usize],
            slices: if random.below(3) == 0 { random.below(256) as u8 } else { 0 },
            buffer: 512 << random.below(9),
            is_page: random.below(2) == 0,
        }
    }

    /// After the storm.
    pub(crate) fn fair() -> Self {
        Self {
            delay: Duration::from_millis(20),
            jitter: Duration::ZERO,
            rate: 5_000_000,
            slices: 0,
            buffer: 128 * 1024,
            is_page: false,
        }
    }
}

/// What comes out of a pipe.
#[derive(Debug)]
pub(crate) enum Cargo {
    Message(Bytes),
    /// The writer closed, and said why.
    Closed(Refusal),
}

#[derive(Debug)]
struct Flight {
    /// When its first byte is there, and its last.
    begins: Instant,
    at: Instant,
    cargo: Cargo,
}

#[derive(Debug)]
struct Pipe {
    flights: VecDeque<Flight>,
    /// When bytes leave, and how many.
    leaving: VecDeque<(Instant, usize)>,
    free_at: Instant,
    last_arrival: Instant,
    /// Bytes that were ever written.
    written: u64,
    /// Bytes and messages that arrived.
    arrived: (u64, u64),
    /// The byte at which the link is lost.
    break_at: Option<u64>,
    /// Nothing leaves any more.
    is_silent: bool,
}

/// A link between a client and the node.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: usize,
    pub(crate) weather: Weather,
    /// What each end writes into.
    pipes: [Pipe; 2],
    /// Whether each end still has it.
    is_open: [bool; 2],
    /// It is beyond repair: nothing new arrives, whoever knows of it.
    is_lost: bool,
}

/// All links.
#[derive(Debug, Default)]
pub(crate) struct Net {
    links: BTreeMap<LinkId, Link>,
    made: LinkId,
}

impl Net {
    /// A new link; it is there for its ends once it is opened.
    pub(crate) fn make(&mut self, now: Instant, client: usize, weather: Weather) -> LinkId {
        self.made += 1;
        let pipe = || Pipe {
            flights: VecDeque::new(),
            leaving: VecDeque::new(),
            free_at: now,
            last_arrival: now,
            written: 0,
            arrived: (0, 0),
            break_at: None,
            is_silent: false,
        };
        let link = Link { client, weather, pipes: [pipe(), pipe()], is_open: [true; 2], is_lost: false };
        self.links.insert(self.made, link);
        self.made
    }

    pub(crate) fn get(&self, link: LinkId) -> Option<&Link> {
        self.links.get(&link)
    }

    /// Links that some end still has.
    pub(crate) fn open_links(&self) -> Vec<LinkId> {
        self.links.iter().filter(|(_, it)| it.is_open != [false; 2]).map(|(&id, _)| id).collect()
    }

    /// Links that work, as far as the network knows.
    pub(crate) fn sound_links(&self) -> Vec<LinkId> {
        let is_sound = |it: &Link| it.is_open == [true; 2] && !it.is_lost;
        self.links.iter().filter(|(_, it)| is_sound(it)).map(|(&id, _)| id).collect()
    }

    /// Whether this link works both ways.
    pub(crate) fn is_sound(&self, link: LinkId) -> bool {
        let is_sound =
            |it: &Link| it.is_open == [true; 2] && !it.is_lost && it.pipes.iter().all(|pipe| !pipe.is_silent);
        self.links.get(&link).is_some_and(is_sound)
    }

    pub(crate) fn is_open(&self, link: LinkId, end: End) -> bool {
        self.links.get(&link).is_some_and(|it| it.is_open[end as usize])
    }

    /// Whether the socket of this end takes another message.
    pub(crate) fn takes(&mut self, now: Instant, link: LinkId, from: End) -> bool {
        let Some(link) = self.links.get_mut(&link) else { return false };
        let buffer = link.weather.buffer;
        link.is_open[from as usize] && link.pipes[from as usize].backlog(now) < buffer
    }

    /// When the socket of this end, which takes nothing now, will take something.
    pub(crate) fn takes_at(&self, link: LinkId, from: End) -> Option<Instant> {
        let link = self.links.get(&link)?;
        let pipe = &link.pipes[from as usize];
        if pipe.is_silent {
            return None;
        }
        let mut left: usize = pipe.leaving.iter().map(|it| it.1).sum();
        pipe.leaving.iter().find_map(|&(at, len)| {
            left -= len;
            (left < link.weather.buffer).then_some(at)
        })
    }

    /// Writes a message.
    pub(crate) fn send(&mut self, cx: &mut Ctx, id: LinkId, from: End, message: Bytes) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if !link.is_open[from as usize] {
            return;
        }
        if link.weather.slices > 0 && cx.random.below(256) < u64::from(link.weather.slices) {
            for envelope in Decoder::new(message) {
                let mut out = Vec::new();
                Encoder::new(&mut out).push(&envelope.expect("a session writes what can be read"));
                self.put(cx, id, from, Cargo::Message(out.into()));
            }
        } else {
            self.put(cx, id, from, Cargo::Message(message));
        }
    }

    fn put(&mut self, cx: &mut Ctx, id: LinkId, from: End, cargo: Cargo) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let len = match &cargo {
            // A WebSocket header of two to ten bytes; what matters is that there is one.
            Cargo::Message(message) => message.len() + 4,
            Cargo::Closed(_) => 4,
        };
        let pipe = &mut link.pipes[from as usize];
        let leaves =
            pipe.free_at.max(cx.now) + Duration::from_secs_f64(len as f64 / link.weather.rate as f64);
        let starts = pipe.free_at.max(cx.now);
        pipe.free_at = leaves;
        // The kernel takes and sends a message piece by piece.
        let mut left = len;
        while left > 0 {
            let piece = left.min(PIECE);
            left -= piece;
            let at = starts + (leaves - starts).mul_f64((len - left) as f64 / len as f64);
            pipe.leaving.push_back((at, piece));
        }
        pipe.written += len as u64;
        if pipe.break_at.is_some_and(|at| pipe.written > at) && !link.is_lost {
            link.is_lost = true;
            let notice = leaves + link.weather.delay;
            cx.queue.at(notice, Happening::Lost(id, from.other()));
            let later = Duration::from_millis(cx.random.below(300));
            cx.queue.at(notice + later, Happening::Lost(id, from));
            crate::note!(cx, "l{id} breaks at byte {} from {from:?}", pipe.written);
        }
        if link.is_lost || pipe.is_silent {
            return;
        }
        let jitter = link.weather.jitter.mul_f64(cx.random.fraction());
        let at = pipe.last_arrival.max(leaves + link.weather.delay + jitter);
        let begins = at - (leaves - starts);
        pipe.last_arrival = at;
        pipe.flights.push_back(Flight { begins, at, cargo });
        cx.queue.at(at, Happening::Arrives(id, from));
        let mut piece = begins + PIECES;
        while piece < at {
            cx.queue.at(piece, Happening::Piece(id, from));
            piece += PIECES;
        }
    }

    /// The next thing that is there for the reader of this pipe.
    pub(crate) fn arrival(&mut self, now: Instant, id: LinkId, from: End) -> Option<Cargo> {
        let link = self.links.get_mut(&id)?;
        let pipe = &mut link.pipes[from as usize];
        if pipe.flights.front()?.at > now {
            return None;
        }
        let cargo = pipe.flights.pop_front()?.cargo;
        if let Cargo::Message(message) = &cargo {
            pipe.arrived.0 += message.len() as u64;
            pipe.arrived.1 += 1;
        }
        if link.is_open[from.other() as usize] {
            return Some(cargo);
        }
        None
    }

    /// What has arrived of all that this end wrote.
    pub(crate) fn arriving(&self, now: Instant, id: LinkId, from: End) -> Option<Arriving> {
        let link = self.links.get(&id)?;
        let pipe = &link.pipes[from as usize];
        let (bytes, messages) = pipe.arrived;
        let part = pipe.flights.front().map_or(0, |flight| match &flight.cargo {
            Cargo::Message(message) if flight.begins < now && now < flight.at => {
                let time = (now - flight.begins).as_secs_f64() / (flight.at - flight.begins).as_secs_f64();
                (message.len() as f64 * time) as u64
            }
            Cargo::Message(_) | Cargo::Closed(_) => 0,
        });
        Some(Arriving { bytes: bytes + part, messages, unfinished: part, is_partial: part > 0 })
    }

    /// One end closes: what it wrote still travels, what comes to it is not read.
    pub(crate) fn close(&mut self, cx: &mut Ctx, id: LinkId, end: End, refusal: &Refusal) {
        if self.is_open(id, end) {
            self.put(cx, id, end, Cargo::Closed(refusal.clone()));
            self.forget(id, end);
        }
    }

    /// One end has the link no more.
    pub(crate) fn forget(&mut self, id: LinkId, end: End) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.is_open[end as usize] = false;
        link.pipes[end.other() as usize].flights.clear();
    }

    /// The link is lost. Each end learns of it when it is told, or never; what is under way arrives or not.
    pub(crate) fn lose(&mut self, cx: &mut Ctx, id: LinkId, notice: [Option<Duration>; 2]) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.is_lost = true;
        for end in [End::Client, End::Server] {
            if cx.random.below(2) == 0 {
                link.pipes[end as usize].flights.clear();
            }
            if let Some(after) = notice[end as usize] {
                cx.queue.at(cx.now + after, Happening::Lost(id, end));
            }
        }
    }

    /// The link will be lost when this end has written so many more bytes.
    pub(crate) fn lose_after(&mut self, id: LinkId, from: End, bytes: u64) {
        if let Some(link) = self.links.get_mut(&id) {
            let pipe = &mut link.pipes[from as usize];
            pipe.break_at = Some(pipe.written + bytes);
        }
    }

    /// Nothing leaves this end for a while.
    pub(crate) fn stall(&mut self, cx: &mut Ctx, id: LinkId, from: End, time: Duration) {
        let until = cx.now + time;
        let Some(link) = self.links.get_mut(&id) else { return };
        let pipe = &mut link.pipes[from as usize];
        pipe.free_at = pipe.free_at.max(until);
        pipe.last_arrival = pipe.last_arrival.max(until);
        for flight in &mut pipe.flights {
            flight.at = flight.at.max(until);
        }
        for (leaves, _) in &mut pipe.leaving {
            *leaves = (*leaves).max(until);
        }
        cx.queue.at(pipe.last_arrival, Happening::Arrives(id, from));
        cx.queue.at(until, Happening::Arrives(id, from));
    }

    /// What this end writes from now on goes nowhere, and nobody says so.
    pub(crate) fn silence(&mut self, id: LinkId, from: End) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let pipe = &mut link.pipes[from as usize];
        pipe.is_silent = true;
        pipe.flights.clear();
    }

    /// Forgets links that nobody has.
    pub(crate) fn sweep(&mut self) {
        self.links.retain(|_, link| link.is_open != [false; 2]);
    }
}

impl Pipe {
    /// Bytes that the socket holds.
    fn backlog(&mut self, now: Instant) -> usize {
        while !self.is_silent && self.leaving.front().is_some_and(|it| it.0 <= now) {
            self.leaving.pop_front();
        }
        self.leaving.iter().map(|it| it.1).sum()
    }
}
