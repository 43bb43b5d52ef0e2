use std::collections::VecDeque;
use std::sync::OnceLock;
use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{
    Control, Decoder, Encoder, Envelope, GapReason, Hello, Outcome, Refusal, Resume,
};
use bowline_protocol::session::{Config, Event, Session, Welcoming};
use bowline_protocol::status::CloseCode;
use bytes::Bytes;

use crate::Random;

/// The moment at which simulated time starts: the same for a whole test run.
pub fn origin() -> Instant {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    *ORIGIN.get_or_init(Instant::now)
}

/// One end of a [`Pair`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that says hello.
    Client = 0,
    /// The end that says welcome.
    Server = 1,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// What a link does to messages. Order is kept, as TCP keeps it.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// How long a message is under way.
    pub delay: Duration,
    /// Up to this much longer, by chance.
    pub jitter: Duration,
    /// Of 256 messages, how many are cut into messages of one envelope each.
    pub split: u8,
    /// Of 256 messages, how many are joined to the one before that is still under way.
    pub merge: u8,
    /// Timers fire up to this much late, by chance, so that they come in another order.
    pub lateness: Duration,
}

/// Two sessions and the link between them, in memory and in simulated time.
#[derive(Debug)]
pub struct Pair {
    /// Both ends, by [`Side`].
    pub ends: [End; 2],
    /// The time.
    pub now: Instant,
    /// What the link does.
    pub weather: Weather,
    /// Whether to keep what crosses the wire in [`End::sent`].
    pub records: bool,
    /// Who closed the link, and why.
    pub closed: Option<(Side, Refusal)>,
    /// How the server is configured that a gap begins with.
    pub server: Config,
    random: Random,
    /// Counts sessions and their attaches: ids and tokens follow from it.
    ids: u128,
    generation: u64,
}

/// One end of a pair.
#[derive(Debug)]
pub struct End {
    /// The machine.
    pub session: Session,
    /// Its events that the test has not looked at.
    pub events: VecDeque<Event>,
    /// What it wrote, if that is recorded.
    pub sent: Vec<Envelope>,
    /// Whether its socket takes messages.
    pub takes: bool,
    /// Whether messages to it arrive.
    pub hears: bool,
    /// Bytes it wrote.
    pub bytes: usize,
    /// The largest message it wrote.
    pub largest: usize,
    inbox: VecDeque<(Instant, Arrival)>,
    timer: Option<(Instant, Instant)>,
}

#[derive(Debug)]
enum Arrival {
    Message(Bytes),
    Closed(CloseCode),
}

impl Pair {
    /// Two ends without a link.
    pub fn new(client: Config, server: Config) -> Self {
        let end = |session| End {
            session,
            events: VecDeque::new(),
            sent: Vec::new(),
            takes: true,
            hears: true,
            bytes: 0,
            largest: 0,
            inbox: VecDeque::new(),
            timer: None,
        };
        Self {
            ends: [end(Session::client(client, 7)), end(Session::server(server.clone()))],
            now: origin(),
            weather: Weather::default(),
            records: true,
            closed: None,
            server,
            random: Random::new(1),
            ids: 100,
            generation: 0,
        }
    }

    /// Two ends with a live session between them.
    pub fn live(client: Config, server: Config) -> Self {
        let mut pair = Self::new(client, server);
        pair.connect();
        pair.run();
        assert!(pair.client().is_live() && pair.server().is_live(), "the session is live: {:?}", pair.closed);
        pair.events(Side::Client);
        pair.events(Side::Server);
        for end in &mut pair.ends {
            end.sent.clear();
        }
        pair
    }

    /// Chance that is the same for the same seed.
    pub fn seed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    /// The client's machine.
    pub fn client(&mut self) -> &mut Session {
        &mut self.ends[0].session
    }

    /// The server's machine.
    pub fn server(&mut self) -> &mut Session {
        &mut self.ends[1].session
    }

    /// The machine of one end.
    pub fn session(&mut self, side: Side) -> &mut Session {
        &mut self.ends[side as usize].session
    }

    /// The events of one end that the test has not looked at.
    pub fn events(&mut self, side: Side) -> Vec<Event> {
        let end = &mut self.ends[side as usize];
        while let Some(event) = end.session.poll_event() {
            end.events.push_back(event);
        }
        end.events.drain(..).collect()
    }

    /// What one end wrote since the last look.
    pub fn sent(&mut self, side: Side) -> Vec<Envelope> {
        std::mem::take(&mut self.ends[side as usize].sent)
    }

    /// A link appears.
    pub fn connect(&mut self) {
        let now = self.now;
        if self.server().is_over() {
            self.ends[Side::Server as usize].session = Session::server(self.server.clone());
        }
        for end in &mut self.ends {
            end.session.handle_connected(now);
        }
    }

    /// A new server for the next link: the session is lost.
    pub fn restart_server(&mut self, config: Config) {
        self.ends[1].session = Session::server(config.clone());
        self.ends[1].events.clear();
        self.server = config;
    }

    /// The link is lost, with everything under way.
    pub fn cut(&mut self) {
        let now = self.now;
        for end in &mut self.ends {
            end.inbox.clear();
            end.session.handle_disconnect(now, None);
        }
    }

    /// Hands bytes to one end as if the other had written them.
    pub fn inject(&mut self, to: Side, message: Bytes) {
        let now = self.now;
        self.session(to).handle_message(now, message);
    }

    /// Runs until nothing happens any more at the present moment.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Moves time on, stopping wherever something is due.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        self.run();
        while let Some(next) = self.next_moment().filter(|&next| next <= end) {
            self.now = self.now.max(next);
            self.fire_timers();
            self.run();
        }
        self.now = end;
        self.fire_timers();
        self.run();
    }

    fn next_moment(&mut self) -> Option<Instant> {
        self.set_timers();
        let arrivals = self.ends.iter().filter(|end| end.hears).filter_map(|end| Some(end.inbox.front()?.0));
        let timers = self.ends.iter().filter_map(|end| end.timer.map(|(_, at)| at));
        arrivals.chain(timers).min()
    }

    fn set_timers(&mut self) {
        for end in &mut self.ends {
            let due = end.session.poll_timeout();
            if end.timer.map(|(due, _)| due) != due {
                let late = self.weather.lateness.mul_f64(self.random.fraction());
                end.timer = due.map(|due| (due, due + late));
            }
        }
    }

    fn fire_timers(&mut self) {
        self.set_timers();
        for end in &mut self.ends {
            if end.timer.is_some_and(|(_, at)| at <= self.now) {
                end.session.handle_timeout(self.now);
                end.timer = None;
            }
        }
    }

    /// Everything that is ready now, once. Whether there was anything.
    fn step(&mut self) -> bool {
        let mut progress = false;
        for side in [Side::Client, Side::Server] {
            progress |= self.take_events(side);
            progress |= self.transmit(side);
            progress |= self.deliver(side);
        }
        progress
    }

    fn take_events(&mut self, side: Side) -> bool {
        let mut progress = false;
        while let Some(event) = self.ends[side as usize].session.poll_event() {
            progress = true;
            if let Event::Hello(hello) = &event {
                let hello = hello.clone();
                self.greet(&hello);
            }
            self.ends[side as usize].events.push_back(event);
        }
        progress
    }

    /// What a server does with a hello: goes on with the session that it asks for, or begins one.
    fn greet(&mut self, hello: &Hello) {
        let now = self.now;
        let resumed = hello.resume.as_ref().map(|resume| self.can_resume(resume));
        self.ids += 1;
        let token = [self.ids as u8; 32];
        let gap = |reason| {
            let lost_from = hello.resume.as_ref().map_or(1, |resume| resume.last_processed + 1);
            Outcome::Gap { reason, lost_from, lost_to: None }
        };
        let end = &mut self.ends[Side::Server as usize];
        match resumed {
            Some(Ok(())) => {
                self.generation += 1;
                let session = hello.resume.as_ref().map_or(0, |resume| resume.session);
                let generation = self.generation;
                let welcoming = Welcoming { generation, ..Welcoming::new(session, token, session) };
                end.session.attach(now, hello, welcoming);
            }
            gone => {
                let wanted = hello.resume.as_ref().map(|resume| resume.session);
                let had = end.session.session_id();
                let processed = had.filter(|had| Some(*had) == wanted).map(|_| end.session.last_processed());
                if had.is_some() {
                    end.session.end(now);
                    end.events.extend(std::iter::from_fn(|| end.session.poll_event()));
                    end.session = Session::server(self.server.clone());
                    end.session.handle_connected(now);
                    let mut out = Vec::new();
                    Encoder::new(&mut out).push(&Envelope::Control(Control::Hello(Box::new(hello.clone()))));
                    end.session.handle_message(now, out.into());
                    end.session.poll_event();
                }
                self.generation = 1;
                let outcome = gone.and_then(Result::err).map_or(Outcome::New, gap);
                let peer_last_processed = processed.filter(|_| outcome != Outcome::New);
                let welcoming =
                    Welcoming { outcome, peer_last_processed, ..Welcoming::new(self.ids, token, self.ids) };
                end.session.welcome(now, welcoming);
            }
        }
    }

    fn can_resume(&self, resume: &Resume) -> Result<(), GapReason> {
        // Any token of this pair's making will do: which are valid is for a registry to know.
        if resume.token.len() != 32 {
            return Err(GapReason::Unknown);
        }
        self.ends[Side::Server as usize].session.can_resume(resume)
    }

    fn transmit(&mut self, side: Side) -> bool {
        let now = self.now;
        let (mut progress, mut has_more) = (false, true);
        while self.ends[side as usize].takes {
            let end = &mut self.ends[side as usize];
            let Some(message) = end.session.poll_transmit(now) else { break };
            assert!(has_more, "the message before was said to be the last");
            (progress, has_more) = (true, end.session.has_more());
            end.bytes += message.len();
            end.largest = end.largest.max(message.len());
            if self.records {
                end.sent.extend(
                    Decoder::new(message.clone()).map(|it| it.expect("a session writes what can be read")),
                );
            }
            self.send(side.other(), message);
        }
        if let Some(refusal) = self.session(side).poll_close() {
            progress = true;
            self.session(side).handle_disconnect(now, Some(refusal.code));
            let at = self.arrival(side.other());
            let other = &mut self.ends[side.other() as usize];
            other.inbox.push_back((at, Arrival::Closed(refusal.code)));
            self.ends[side as usize].inbox.clear();
            self.closed.get_or_insert((side, refusal));
        }
        progress
    }

    fn send(&mut self, to: Side, message: Bytes) {
        if self.random.below(256) < u64::from(self.weather.split) {
            for envelope in Decoder::new(message) {
                let mut out = Vec::new();
                Encoder::new(&mut out).push(&envelope.expect("a session writes what can be read"));
                self.enqueue(to, out.into());
            }
        } else {
            self.enqueue(to, message);
        }
    }

    fn enqueue(&mut self, to: Side, message: Bytes) {
        let merge = self.random.below(256) < u64::from(self.weather.merge);
        let at = self.arrival(to);
        let inbox = &mut self.ends[to as usize].inbox;
        match inbox.back_mut() {
            // Each message states its first number, so that two after each other are one.
            Some((_, Arrival::Message(last))) if merge && last.len() + message.len() < 256 * 1024 => {
                *last = [&last[..], &message[..]].concat().into();
            }
            _ => inbox.push_back((at, Arrival::Message(message))),
        }
    }

    fn arrival(&mut self, to: Side) -> Instant {
        let jitter = self.weather.jitter.mul_f64(self.random.fraction());
        let at = self.now + self.weather.delay + jitter;
        self.ends[to as usize].inbox.back().map_or(at, |&(last, _)| last.max(at))
    }

    fn deliver(&mut self, side: Side) -> bool {
        let mut progress = false;
        let now = self.now;
        loop {
            let end = &mut self.ends[side as usize];
            if !end.hears || end.inbox.front().is_none_or(|it| it.0 > now) {
                return progress;
            }
            let Some((_, arrival)) = end.inbox.pop_front() else { return progress };
            progress = true;
            match arrival {
                Arrival::Message(message) => end.session.handle_message(now, message),
                Arrival::Closed(code) => {
                    end.inbox.clear();
                    end.session.handle_disconnect(now, Some(code));
                }
            }
            self.take_events(side);
        }
    }
}
