//! A session against a peer and an application that do anything, in any order, from a script of bytes.
//!
//! Used by the property test `prop_hostile` and by the fuzz target `session`. What must hold whatever happens stands in
//! [`World::check`] and in [`World::disconnect`].

mod application;
mod peer;
mod script;
mod wild;

use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{
    Control, Decoder, Envelope, Hello, MAX_HEADER, Outcome, Refusal, Resume, Welcome,
};
use bowline_protocol::limits::{Limits, Timing};
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::{Config, Failure, Held, Role, Session, Welcoming};
use bowline_protocol::status::CloseCode;

use application::Application;
use peer::Peer;
pub(crate) use script::Script;

const fn method(name: &'static str, kind: MethodKind) -> MethodDescriptor {
    MethodDescriptor { name, kind, retry: Retry::Never, hash: 1, deadline: None, lag: Lag::Close }
}

/// Served by both ends: a method of each kind.
pub(crate) static SERVICE: ServiceDescriptor = ServiceDescriptor {
    name: "Anything",
    methods: &[
        method("unary", MethodKind::Unary),
        method("down", MethodKind::ServerStream),
        method("up", MethodKind::ClientStream),
        method("both", MethodKind::Bidirectional),
        method("notify", MethodKind::Notify),
        method("watch", MethodKind::Watch),
    ],
};

/// Small enough that scripts reach them.
fn limits() -> Limits {
    Limits {
        calls: 4,
        streams: 4,
        nested: 1,
        message_in: 1 << 20,
        message_out: 16 << 10,
        payload_in: 256 << 10,
        assembly: 512 << 10,
        stream_window: 4096,
        stream_window_max: 16 << 10,
        stream_window_extra: 32 << 10,
        replay_bytes: 256 << 10,
        replay_envelopes: 64,
        unsequenced_envelopes: 8,
        unsequenced_bytes: 32 << 10,
        notifies_running: 4,
        waiting_calls: 8,
        waiting_bytes: 64 << 10,
        ..Limits::default()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one start time; only differences from it count")]
fn origin() -> Instant {
    Instant::now()
}

/// What a script came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How the session under test closed its links, in order.
    pub(crate) closed: Vec<Refusal>,
    /// How often the session was live.
    pub(crate) live: usize,
    /// How often it went on on another link.
    pub(crate) resumed: usize,
    /// Of these, how often the other end lied about what it had.
    pub(crate) misled: usize,
    /// How often a client was offered a session that was not its own, or not in this state.
    pub(crate) forged: usize,
    /// How often its application was given a call, the result of one, an item; how many of them were large.
    pub(crate) calls: usize,
    pub(crate) answers: usize,
    pub(crate) items: usize,
    pub(crate) large: usize,
}

/// Runs `script` against the end `tested`.
///
/// # Panics
///
/// When the session panics, or breaks what holds whatever the other end does.
pub(crate) fn run(tested: Role, bytes: &[u8]) -> Report {
    let mut script = Script::new(bytes);
    let mut world = World::new(tested);
    while !script.is_over() {
        world.step(&mut script);
        world.settle(&mut script);
    }
    if !world.connected {
        // A session without a link goes with the next one.
        world.session.handle_connected(world.now);
        world.connected = true;
    }
    world.disconnect();
    world.end();
    world.report
}

#[derive(Debug)]
struct World {
    tested: Role,
    session: Session,
    now: Instant,
    connected: bool,
    /// Messages to the peer are lost.
    deaf: bool,
    /// Counts attaches.
    generation: u64,
    /// What a client was welcomed with last.
    welcome: Option<Welcome>,
    peer: Peer,
    application: Application,
    report: Report,
}

impl World {
    fn new(tested: Role) -> Self {
        Self {
            tested,
            session: session(tested),
            now: origin(),
            connected: false,
            deaf: false,
            generation: 1,
            welcome: None,
            peer: Peer::default(),
            application: Application::default(),
            report: Report::default(),
        }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        if !self.connected {
            return self.connect(script);
        }
        match script.below(32) {
            0..=15 => {
                let message = self.peer.message(script);
                self.session.handle_message(self.now, message);
            }
            16..=27 => self.application.act(&mut self.session, self.now, script, &mut self.report),
            28 => {
                self.now += Duration::from_millis(script.number() % 40_000);
                self.session.handle_timeout(self.now);
            }
            29 if script.once_in(8) => self.session.handle_text(self.now),
            29 => self.session.handle_blocked(self.now),
            30 if script.once_in(4) => self.disconnect(),
            30 if script.once_in(3) => self.deaf = true,
            30 if script.once_in(2) => self.cut(None),
            30 => self.session.handle_progress(self.now),
            _ => self.now += Duration::from_millis(u64::from(script.byte())),
        }
    }

    fn connect(&mut self, script: &mut Script<'_>) {
        self.connected = true;
        if self.session.is_detached() && self.tested == Role::Server {
            return self.resume(script);
        }
        if self.session.is_detached() && !script.once_in(8) {
            return self.offer(script);
        }
        self.peer = Peer::default();
        self.generation = 1;
        self.session.handle_connected(self.now);
        if !script.once_in(16) {
            self.write();
            let message = self.peer.handshake(script, self.tested);
            self.session.handle_message(self.now, message);
        } else if script.once_in(4) {
            self.now += Duration::from_secs(10);
            self.session.handle_timeout(self.now);
        }
    }

    /// The link is lost, or was closed by this end, and the session may go on.
    fn cut(&mut self, code: Option<CloseCode>) {
        self.session.handle_disconnect(self.now, code);
        self.connected = false;
        self.application.handle_disconnect();
        self.deaf = false;
        if self.session.is_over() {
            self.application.take_events(&mut self.session, self.now, &mut self.report);
            self.end();
            self.session = session(self.tested);
            self.application.forget_incoming();
        }
    }

    /// The client asks for its session, with any numbers and then with the right ones.
    fn resume(&mut self, script: &mut Script<'_>) {
        let right = self.peer.resume(&mut self.session, self.generation);
        for _ in 0..script.below(4) {
            let wrong = wild::resume(script, &right);
            let (before, asked) = (self.session.stats(), Hello { resume: Some(wrong), ..Hello::default() });
            if asked.resume.as_ref().is_some_and(|it| self.session.can_resume(it).is_err()) {
                self.session.attach(self.now, &asked, Welcoming::new(1, [8; 32], 2));
                assert!(self.session.is_detached(), "refused, and attached");
                assert_eq!(self.session.stats(), before, "refused, and changed");
            }
        }
        let mut wrong = wild::resume(script, &right);
        if script.once_in(2) {
            let unknown = u64::from(script.byte()) % (self.session.stats().held.unacknowledged as u64 + 1);
            wrong = Resume { last_processed: self.session.head() - unknown, ..right.clone() };
        }
        let is_plausible = wrong != right && self.session.can_resume(&wrong).is_ok();
        let right = if is_plausible && script.once_in(2) {
            self.peer.claim(wrong.last_processed);
            self.report.misled += 1;
            wrong
        } else {
            right
        };
        if self.session.can_resume(&right).is_err() {
            // Closed for cause again and again: given up.
            self.session.end(self.now);
            self.application.take_events(&mut self.session, self.now, &mut self.report);
            self.end();
            self.session = session(self.tested);
            self.application.forget_incoming();
            self.connected = false;
            return;
        }
        self.generation += 1;
        let hello = Hello { resume: Some(right), ..Hello::default() };
        let welcoming = Welcoming { generation: self.generation, ..Welcoming::new(1, [9; 32], 2) };
        self.session.attach(self.now, &hello, welcoming);
        self.report.resumed += 1;
    }

    /// The server offers a client its session: as it is, or in some other way.
    fn offer(&mut self, script: &mut Script<'_>) {
        self.session.handle_connected(self.now);
        let hello = self.session.poll_transmit(self.now).expect("a client says hello");
        let Some(Ok(Envelope::Control(Control::Hello(said)))) = Decoder::new(hello.clone()).next() else {
            panic!("a client says hello first");
        };
        let (head, before) = (self.session.head(), self.session.stats().held);
        let Some(resume) = said.resume else {
            // It has given its session up, and is offered it nevertheless, or any other.
            self.peer = Peer::default();
            self.peer.read(&hello);
            let older = self.welcome.take().filter(|_| script.once_in(2));
            let welcome = older.unwrap_or_else(|| wild::welcome(script));
            self.peer.caller = welcome.identity;
            let message = peer::encoded(&[Envelope::Control(Control::Welcome(Box::new(welcome)))]);
            return self.session.handle_message(self.now, message);
        };
        let right = self.peer.welcome(&resume, self.generation.max(resume.generation).saturating_add(1));
        let forges = script.once_in(2);
        let mut welcome = right.clone();
        if forges {
            welcome = wild::forged(script, &right, self.welcome.as_ref());
        } else if script.once_in(4) {
            // A lie that can't be found out.
            let unknown = u64::from(script.byte()) % (before.unacknowledged as u64 + 1);
            welcome.peer_last_processed = Some(head - unknown);
            welcome.peer_unsequenced = script.number();
        }
        let message = peer::encoded(&[Envelope::Control(Control::Welcome(Box::new(welcome.clone())))]);
        self.session.handle_message(self.now, message);
        let resumes = welcome.outcome == Outcome::Resumed;
        let is_other = (welcome.session, welcome.epoch) != (resume.session, resume.epoch)
            || welcome.generation <= resume.generation
            || welcome.identity != right.identity
            || welcome.peer_last_processed.is_none_or(|seq| seq > head);
        if resumes && is_other {
            assert!(!self.session.is_live(), "it went on with {welcome:?}, and asked for {resume:?}");
            assert_eq!(self.session.stats().held.calls, before.calls, "refused, and changed");
            self.report.forged += 1;
        } else if resumes && self.session.is_live() {
            self.report.resumed += 1;
            self.generation = welcome.generation;
            self.peer.begin_link(resume.last_processed);
            if welcome.peer_last_processed != right.peer_last_processed {
                self.peer.claim(welcome.peer_last_processed.unwrap_or_default());
                self.report.misled += 1;
            }
        } else {
            self.generation = 1;
            self.peer = Peer::default();
            self.peer.read(&hello);
            self.peer.caller = welcome.identity;
        }
        self.welcome = Some(welcome);
    }

    /// Takes all output, as a driver does.
    fn settle(&mut self, script: &mut Script<'_>) {
        self.application.take_events(&mut self.session, self.now, &mut self.report);
        // Now and then the socket is full and nothing is taken.
        let is_full = self.connected && script.once_in(8);
        if self.connected && !is_full {
            self.write();
        }
        if !is_full {
            self.settle_timers();
        }
        self.application.take_events(&mut self.session, self.now, &mut self.report);
        self.check();
        if let Some(refusal) = self.session.poll_close() {
            assert!(refusal.code.name().is_some(), "{} is in no table", refusal.code);
            assert!(!refusal.reason.is_empty());
            let code = refusal.code;
            self.report.closed.push(refusal);
            // Whoever closed the link for cause may come back, or not.
            if script.once_in(2) { self.cut(Some(code)) } else { self.disconnect() }
        }
    }

    fn write(&mut self) {
        for round in 0.. {
            assert!(round < 4096, "the session writes for ever");
            let Some(message) = self.session.poll_transmit(self.now) else { break };
            assert!(!message.is_empty());
            // One envelope may go beyond, with what is never in chunks: a payload of 64 KiB and metadata.
            let most = limits().message_out + (64 << 10) + (8 << 10) + 64 * 20 + MAX_HEADER;
            assert!(message.len() <= most, "a message of {} bytes", message.len());
            if !self.deaf {
                self.peer.read(&message);
            }
        }
    }

    /// Whatever is due now is done by then: a timer that stays due would spin its driver.
    fn settle_timers(&mut self) {
        for round in 0.. {
            assert!(round < 64, "a timer stays due");
            match self.session.poll_timeout() {
                Some(due) if due <= self.now => self.session.handle_timeout(self.now),
                _ => break,
            }
        }
    }

    /// What no peer may make a session hold.
    fn check(&self) {
        let limits = limits();
        let Held { events, incoming, assembling, assembly_bytes, notifies, .. } = self.session.stats().held;
        let held = self.session.stats().held;
        assert_eq!(events, 0, "all were taken");
        let most = (limits.calls + limits.streams) as usize;
        assert!(incoming <= most, "{incoming} calls of the other end");
        assert!(assembling <= 1024, "{assembling} payloads under assembly");
        assert!(assembly_bytes <= 2 * limits.assembly, "{assembly_bytes} bytes under assembly");
        assert!(notifies <= limits.notifies_running, "{notifies} notifies run");
        assert!(held.extra_window <= limits.stream_window_extra, "{held:?}");
        let again = self.application.again();
        assert!(held.waiting_calls <= limits.waiting_calls + again, "{held:?}");
        let waiting = limits.waiting_bytes.max(application::MAX_PAYLOAD);
        assert!(held.waiting_bytes <= waiting + again * application::MAX_PAYLOAD, "{held:?}");
        assert!(held.unacknowledged <= limits.replay_envelopes + 64, "{held:?}");
        assert!(held.unacknowledged_bytes <= limits.replay_bytes + (128 << 10), "{held:?}");
        if held.calls == 0 && held.incoming == 0 {
            // What is still under assembly then is thrown away as it comes.
            assert_eq!((held.extra_window, held.assembly_bytes), (0, 0), "{held:?}");
        }
        // Each call, its items and its answer, and each notify and declaration.
        assert!(held.queued <= 4096, "{held:?}");
    }

    /// Nothing is left of a session: at a server at once, at a client when its calls are given up.
    fn disconnect(&mut self) {
        if !self.connected {
            return;
        }
        self.connected = false;
        self.deaf = false;
        self.application.handle_disconnect();
        self.session.handle_disconnect(self.now, Some(CloseCode::NORMAL));
        self.application.take_events(&mut self.session, self.now, &mut self.report);
        let held = self.session.stats().held;
        let of_the_link = Held { calls: 0, waiting_calls: 0, waiting_bytes: 0, queued: 0, ..held };
        assert_eq!(of_the_link, Held::default(), "left of a link");
        if self.tested == Role::Server {
            self.end();
            self.session = session(self.tested);
        }
        self.application.forget_incoming();
    }

    fn end(&mut self) {
        self.session.fail_all(self.now, Failure::Closed);
        self.application.take_events(&mut self.session, self.now, &mut self.report);
        self.application.finish(&mut self.session, self.now);
        assert_eq!(self.session.stats().held, Held::default(), "left at the end");
    }
}

fn session(role: Role) -> Session {
    let config = Config { limits: limits(), timing: Timing::default(), services: vec![&SERVICE] };
    match role {
        Role::Client => Session::client(config, 42),
        Role::Server => Session::server(config),
    }
}
