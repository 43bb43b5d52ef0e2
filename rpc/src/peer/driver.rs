use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bowline_protocol::envelope::{GapReason, Hello, OnceTable, Outcome, Refusal, Resume, Secret};
use bowline_protocol::session::{Arriving, AssemblyPool, Failure, Welcoming};
use bowline_protocol::status::CloseCode;
use bowline_runtime::{Instant, Lines};
use bytes::Bytes;

use super::Peer;
use super::state::{Mailbox, State, Wakes};

/// What there is to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// A message. There may be another.
    Message(Bytes),
    /// A message that is the last for now: the task is woken by commands, as where there is nothing.
    Last(Bytes, Rest),
    /// Nothing. The task is woken by commands.
    Nothing(Rest),
    /// Nothing yet: tasks that are ready should run before, and may add to it.
    Later,
}

/// What a driver that has written everything waits for: when [`handle_timeout`](Peer::handle_timeout) is due, or nothing
/// more as the link is to be closed, and how.
pub type Rest = Result<Option<Instant>, Refusal>;

/// What a driver calls.
impl Peer {
    /// A link is there. A client's session says hello on it; a server's waits for one.
    pub fn handle_connected(&self) {
        self.act_now(|state, now, _| {
            state.failed = None;
            state.away();
            state.session.handle_connected(now);
        });
    }

    /// The driver is at work: until [`poll_transmit`](Self::poll_transmit) has nothing for it, or it calls
    /// [`register`](Self::register), commands need not wake it, and what comes in need not wake the dispatcher, which
    /// it runs by itself before it writes. For drivers that come back by themselves whenever they stop before that.
    pub fn attend(&self) {
        // Only one driver is at work at a time.
        let turn = self.0.turn.load(Ordering::Relaxed);
        self.0.turn.store(turn.wrapping_add(1), Ordering::Release);
    }

    /// What each turn of the driver asks for beside the session: whoever knows when the next one comes, as a
    /// [`Topic`](crate::Topic) does, has it brought before. For drivers that are many; addresses that are wrong by then harm nobody.
    pub fn foresee(&self, parts: [Lines; 3]) {
        self.lock().driver_lines = parts;
    }

    /// The same of the dispatcher.
    pub fn foresee_dispatcher(&self, lines: Lines) {
        self.lock().dispatcher_lines = lines;
    }

    /// One whole binary message came in.
    pub fn handle_message(&self, message: Bytes) {
        self.drive(|state, now, _| state.session.handle_message(now, message));
    }

    /// Bytes came in that do not make a whole message. For drivers that see them; what came in all is said each time.
    pub fn handle_received(&self, arriving: Arriving) {
        self.drive(|state, now, _| state.session.handle_received(now, arriving));
    }

    /// A text message came in, where binary is due.
    pub fn handle_text(&self) {
        self.drive(|state, now, _| state.session.handle_text(now));
    }

    /// The link is gone; `code` is what it was closed with, by either end, if it was. The session goes on without it,
    /// unless the code [stops](CloseCode::stops).
    pub fn handle_disconnect(&self, code: Option<CloseCode>) {
        self.act_now(|state, now, wakes| {
            self.0.links.fetch_add(1, Ordering::Release);
            state.session.handle_disconnect(now, code);
            state.leave(wakes);
        });
    }

    /// Client: the machine slept, or the network came back. Deadlines that have passed are found, then the other end
    /// is asked whether it is still there.
    pub fn handle_wake(&self) {
        self.command(|state, now, _| state.session.handle_wake(now));
    }

    /// The instant that [`poll_timeout`](Self::poll_timeout) named has come.
    pub fn handle_timeout(&self) {
        self.act_now(|state, now, _| state.session.handle_timeout(now));
    }

    /// The driver woke up, after it may have slept: calls that were queued until a time that has passed by the wall clock
    /// end. [`poll_transmit`](Self::poll_transmit) looks as well, before anything is written.
    pub fn handle_wall_clock(&self) {
        self.act_now(|state, now, _| self.expire_queued(state, now));
    }

    fn expire_queued(&self, state: &mut State, now: Instant) {
        // Clocks are read only where something depends on them.
        if state.session.poll_wall_clock().is_some() {
            state.session.handle_wall_clock(now, self.wall_clock());
        }
    }

    /// The socket accepts no more bytes for now.
    pub fn handle_blocked(&self) {
        self.drive(|state, now, _| state.session.handle_blocked(now));
    }

    /// The socket accepted bytes.
    pub fn handle_progress(&self) {
        self.drive(|state, now, _| state.session.handle_progress(now));
    }

    /// The next message to write. Ask again after each one; while there is none, the task is woken by commands.
    pub fn poll_transmit(&self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.act_in_time(|state, wakes| self.write(state, wakes, cx).0).map_or(Poll::Pending, Poll::Ready)
    }

    /// As [`poll_transmit`](Self::poll_transmit), and says which message is the last that there is, and what the driver
    /// waits for then, which may change with whatever else the session is told.
    ///
    /// `heard` is whether messages were handled that may move tasks which have not run since; `None` writes whatever there
    /// is. Those tasks go first ([`Transmit::Later`]) if more than one call is under way, and either something was heard or
    /// one of the calls has just asked for something: what they add then leaves in the same message. A single call is
    /// written at once: nothing can join it.
    pub fn transmit(&self, cx: &mut Context<'_>, heard: Option<bool>) -> Transmit {
        self.act_in_time(|state, wakes| {
            if state.slots.len() > 1 && heard.is_some_and(|heard| heard || state.news) {
                return Transmit::Later;
            }
            match self.write(state, wakes, cx) {
                (Some(message), true) => Transmit::Last(message, state.rest()),
                (Some(message), false) => Transmit::Message(message),
                (None, _) => Transmit::Nothing(state.rest()),
            }
        })
    }

    /// The next message, and whether there is nothing behind it.
    #[inline]
    fn write(&self, state: &mut State, wakes: &mut Wakes, cx: &Context<'_>) -> (Option<Bytes>, bool) {
        state.retimes |= !state.session.writes_in_time();
        let now = self.recent(state);
        self.expire_queued(state, now);
        let message = state.session.poll_transmit(now);
        if message.is_some() && state.session.has_more() {
            return (message, false);
        }
        state.news = false;
        state.park_driver(wakes, cx);
        (message, true)
    }

    /// Asks to be woken by commands as [`poll_transmit`](Self::poll_transmit) does, without taking a message: for a
    /// driver whose socket is blocked.
    pub fn register(&self, cx: &mut Context<'_>) {
        self.act(|state, wakes| state.park_driver(wakes, cx));
    }

    /// Gives back memory that was needed for more than there is now; the [`Dispatcher`](crate::Dispatcher) does the same
    /// when it runs next. For drivers, now and then.
    pub fn trim(&self) {
        self.act(|state, _| {
            state.slots.shrink_to_fit();
            state.arrivals.shrink_to_fit();
            (state.trims, state.dispatches) = (true, true);
            state.session.trim();
        });
    }

    /// Whether the link is to be closed, and how. Only after everything of `poll_transmit` was written.
    pub fn poll_close(&self) -> Option<Refusal> {
        self.lock().session.poll_close()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. May change with every other call.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.lock().timeout()
    }

    /// [`poll_close`](Self::poll_close), and [`poll_timeout`](Self::poll_timeout) of a link that goes on.
    pub fn rest(&self) -> Rest {
        self.lock().rest()
    }

    /// Server: the client's hello, to be answered by [`welcome`](Self::welcome) or [`close`](Self::close).
    pub fn poll_hello(&self, cx: &mut Context<'_>) -> Poll<Hello> {
        self.poll_mailbox(cx, |state| &mut state.hello).map(|hello| *hello)
    }

    /// Server: begins a new session with the client that said hello. It is live.
    pub fn welcome(&self, welcoming: Welcoming) {
        self.command(|state, now, _| state.session.welcome(now, welcoming));
    }

    /// Server: whether this session can go on for a client that asks for it so.
    ///
    /// # Errors
    ///
    /// The reason of the gap that the client is to be told of.
    pub fn can_resume(&self, resume: &Resume) -> Result<(), GapReason> {
        self.lock().session.can_resume(resume)
    }

    /// Server: goes on with this session on the link that `hello` came on. What still comes on an older link must not
    /// be given to this peer any more.
    pub fn attach(&self, hello: &Hello, welcoming: Welcoming) {
        self.command(|state, now, _| {
            self.0.links.fetch_add(1, Ordering::Release);
            // What an older link proved is about an older token.
            state.proved.value = None;
            state.session.attach(now, hello, welcoming);
        });
    }

    /// Server: nobody continues the session. Its handlers are dropped, its calls fail, nothing is left of it.
    pub fn end(&self) {
        self.command(|state, now, _| state.session.end(now));
    }

    /// Server: whether the session has ended: because the link was closed for good, or by [`end`](Self::end).
    pub fn is_over(&self) -> bool {
        self.lock().session.is_over()
    }

    /// Server: tells the client to move to another session within `spread`.
    pub fn go_away(&self, spread: Duration) {
        self.command(|state, now, _| state.session.go_away(now, spread));
    }

    /// Server: which table of `once` calls there is, and how old it is.
    pub fn set_once_table(&self, table: OnceTable) {
        self.lock().session.set_once_table(table);
    }

    /// Server: bounds the large payloads that this end takes in together with the other sessions of the node.
    pub fn share_assembly(&self, pool: AssemblyPool) {
        self.lock().session.share_assembly(pool);
    }

    /// Client: what the next hello shows to say who is calling.
    pub fn set_credentials(&self, credentials: Secret) {
        self.lock().session.set_credentials(credentials);
    }

    /// How long the last ping took to be answered; `None` without a link.
    pub fn round_trip(&self) -> Option<Duration> {
        self.lock().session.round_trip()
    }

    /// Bytes that the session holds, for whoever bounds the sum of all.
    pub fn held_bytes(&self) -> usize {
        self.lock().session.held_bytes()
    }

    /// The last sequence number of the other end that was processed, and the last one that this end gave.
    pub fn progress(&self) -> (u64, u64) {
        let state = self.lock();
        (state.session.last_processed(), state.session.head())
    }

    /// Server: the client showed that it has the token of the last welcome, since this was last asked.
    pub fn poll_proved(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_mailbox(cx, |state| &mut state.proved)
    }

    /// Client: the server asked it to move to another session within that time, since this was last asked.
    pub fn poll_go_away(&self, cx: &mut Context<'_>) -> Poll<Duration> {
        self.poll_mailbox(cx, |state| &mut state.go_away)
    }

    /// Closes the link: what is left of control is written, then [`poll_close`](Self::poll_close) says so.
    pub fn close(&self, code: CloseCode, reason: &str) {
        self.command(|state, now, _| state.session.close(now, code, reason));
    }

    /// The next time that the session becomes live, since this was last asked.
    pub fn poll_live(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.poll_mailbox(cx, |state| &mut state.live)
    }

    /// Whether the session is live now.
    pub fn is_live(&self) -> bool {
        self.lock().session.is_live()
    }

    /// The id of the session that is or was last live; logs may show it.
    pub fn session_id(&self) -> Option<u128> {
        self.lock().session_id
    }

    /// Client: gives up. Every call of this end fails with `failure`, and so does every later one, until the next
    /// [`handle_connected`](Self::handle_connected).
    pub fn fail_all(&self, failure: Failure) {
        self.command(|state, now, _| {
            state.failed = Some(failure.clone());
            state.session.fail_all(now, failure);
        });
    }

    fn poll_mailbox<T>(
        &self,
        cx: &mut Context<'_>,
        mailbox: impl FnOnce(&mut State) -> &mut Mailbox<T>,
    ) -> Poll<T> {
        self.look(|state, wakes| {
            let mailbox = mailbox(state);
            match mailbox.value.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    wakes.park(&mut mailbox.waker, cx);
                    Poll::Pending
                }
            }
        })
    }
}
