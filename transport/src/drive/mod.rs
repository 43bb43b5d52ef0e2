//! The loop that joins a link to one end of a session.

mod core;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bowline_protocol::envelope::{Hello, Refusal};
use bowline_protocol::session::Arriving;
use bowline_protocol::status::CloseCode;
use bowline_rpc::{Peer, Rest, Transmit};
use bowline_runtime::{Bell, Instant, Lines, Rope, Sleep, now, sleep_until, timeout, wake_last};

use self::core::Core;
use crate::{CloseFrame, Link, LinkError, Received};

/// Ready messages that are handled before writing gets its turn: enough for one wake-up to serve many calls.
const READS: usize = 64;
/// Messages that are written before reading gets its turn.
const WRITES: usize = 16;
/// Turns before other tasks get theirs.
const ROUNDS: usize = 8;
/// The same in bytes that were read, and in bytes that were written. Source: our choice; it is one message of bulk, and what
/// is small waits no longer for this end than for that one.
const BULK: usize = 63 * 1024;
/// How many lines around the loop are foreseen with it: the futures that it lies in say there how far they are. Source: our choice.
const AROUND: usize = 2;
/// How long the other end may take to answer a close. Source: our choice; a living one takes a round trip.
const CLOSING: Duration = Duration::from_secs(5);

/// How a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Who ended it.
    pub by: EndedBy,
    /// What it was closed with; `None` when it was lost.
    pub frame: Option<CloseFrame>,
}

/// Who ended a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndedBy {
    /// This end closed it.
    Local,
    /// The other end closed it.
    Remote,
    /// It broke.
    Lost,
}

/// Joins `link` to `peer` until the link is closed or lost.
///
/// `background` runs in the same task for as long as the link lives, after messages were handled and before anything
/// is written, so that quick answers leave in the same message: a server and a client that serves run their
/// dispatcher here; who has none passes [`std::future::pending`].
///
/// Reading never waits for writing: a peer that insists on being read before it reads can't deadlock with us. The
/// peer is told when the socket takes no more bytes and when it goes on. One timer runs for everything that waits in
/// the session. When either end closes, the answer gets 5 s, or no time after a ping that nobody answered; a peer that
/// is slower has been told nothing wrong, and the link is over for this end before that wait begins.
///
/// # Cancel safety
///
/// A dropped future loses the link; the session is told.
pub async fn drive<L, B>(link: L, peer: &Peer, background: B) -> Ended
where
    L: Link,
    B: Future<Output = Infallible>,
{
    run(link, peer, background).await
}

/// Reads the hello of a client from a link that is new to both, with a fresh peer of a server.
///
/// The link is not read any further: who may go on with which session is to be decided first. Then `peer` welcomes the
/// client and the link is driven, or the link is handed to the peer of the session that goes on.
///
/// # Errors
///
/// How the link ended without a hello; if this end closed it, the close has been answered or has had 5 s.
///
/// # Cancel safety
///
/// A dropped future loses the link.
pub async fn greet<L: Link>(link: L, peer: &Peer) -> Result<(L, Hello), Ended> {
    let hello = poll_fn(|cx| peer.poll_hello(cx));
    match drive_until(link, peer, Rope::default(), std::future::pending(), hello).await {
        (link, Left::Until(hello)) => Ok((link, hello)),
        (link, Left::Ended(ended)) => {
            if let Some(frame) = &ended.frame {
                close(link, frame).await;
            }
            Err(ended)
        }
    }
}

/// What [`drive_until`] stopped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left<T> {
    /// The link ended; the peer was told. If there is a frame, [`close`] says goodbye with it.
    Ended(Ended),
    /// What was waited for came. The peer still has the link.
    Until(T),
}

/// As [`drive`], until `until` is ready, and leaves the closing of the link to the caller.
///
/// Polls of `until` may use bells of `rope`, which is attended to before each of them.
///
/// Nothing is read from the link between the moment that `until` is ready and the return: a session that moves to
/// another link is frozen where it was.
///
/// # Cancel safety
///
/// A dropped future loses the link; the session is told.
pub fn drive_until<L, B, U>(
    link: L,
    peer: &Peer,
    rope: Rope,
    background: B,
    until: U,
) -> impl Future<Output = (L, Left<U::Output>)>
where
    L: Link,
    B: Future<Output = Infallible> + Unpin,
    U: Future + Unpin,
{
    Attending::new(link, peer, rope, background, until)
}

/// Closes a link with `frame`, or answers the close of the other end, and waits at most 5 s for the rest of it.
///
/// # Cancel safety
///
/// A dropped future loses the link; what of the close was written goes out.
pub async fn close(mut link: impl Link, frame: &CloseFrame) {
    // Who did not answer a ping is not waited for again.
    let patience = if frame.code == CloseCode::NO_PONG { Duration::ZERO } else { CLOSING };
    if timeout(patience, poll_fn(|cx| link.poll_close(cx, frame))).await.is_err() {
        tracing::debug!(code = frame.code.number(), "close not answered in time");
    }
}

async fn run<L: Link, C: Core, B: Future<Output = Infallible>>(link: L, core: &C, background: B) -> Ended {
    let mut background = pin!(background);
    let (link, ended) = match Attending::new(
        link,
        core,
        Rope::default(),
        background.as_mut(),
        std::future::pending::<Infallible>(),
    )
    .await
    {
        (link, Left::Ended(ended)) => (link, ended),
        (_, Left::Until(never)) => match never {},
    };
    if let Some(frame) = &ended.frame {
        let mut closing = pin!(close(link, frame));
        poll_fn(|cx| {
            // Handlers learn that the link is gone.
            let Poll::Pending = background.as_mut().poll(cx);
            closing.as_mut().poll(cx)
        })
        .await;
    }
    ended
}

/// A link that is driven until it ends or `until` is ready. One future and not several around each other: where there are
/// thousands, each layer keeps what it has reached in another line of memory.
// In this order, as `Joint`: what each turn asks for lies together.
#[repr(C)]
struct Attending<'a, L, C: Core, B, U> {
    rope: Rope,
    until: U,
    background: B,
    /// `None` once that is over.
    joint: Option<Joint<'a, L, C>>,
    /// It runs where it will stay.
    is_placed: bool,
    attached: Attached<'a, C>,
}

impl<'a, L: Link, C: Core, B, U> Attending<'a, L, C, B, U> {
    fn new(link: L, core: &'a C, mut rope: Rope, background: B, until: U) -> Self {
        let joint = Joint {
            link,
            core,
            readable: rope.bell(),
            timer: None,
            timed: rope.bell(),
            heard: false,
            gathered: false,
            unflushed: false,
            blocked_at: None,
            arriving: Arriving::default(),
        };
        Self { joint: Some(joint), rope, is_placed: false, attached: Attached::new(core), background, until }
    }
}

impl<L, C, B, U> Future for Attending<'_, L, C, B, U>
where
    L: Link,
    C: Core,
    B: Future<Output = Infallible> + Unpin,
    U: Future + Unpin,
{
    type Output = (L, Left<U::Output>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = Lines::of(&*self).with_around(AROUND, AROUND);
        let Self { joint, rope, is_placed, attached, background, until } = &mut *self;
        rope.attend(cx);
        let driven = joint.as_mut().expect("a link that was given back is not driven");
        let lines = driven.link.lines();
        if !std::mem::replace(is_placed, true) {
            driven.core.foresee([place, lines, rope.lines()]);
        }
        lines.prefetch();
        let left = match Pin::new(until).poll(cx) {
            Poll::Ready(value) => {
                attached.is_done = true;
                Left::Until(value)
            }
            Poll::Pending => {
                let ended = std::task::ready!(driven.poll(cx, Pin::new(background)));
                attached.end(ended.frame.as_ref().map(|frame| frame.code));
                Left::Ended(ended)
            }
        };
        let driven = joint.take().expect("it was there");
        Poll::Ready((driven.link, left))
    }
}

/// Tells the session when its link is gone, also when the loop is dropped.
struct Attached<'a, C: Core> {
    core: &'a C,
    /// It was told, or whoever drives on, with this link or another, tells it.
    is_done: bool,
}

impl<'a, C: Core> Attached<'a, C> {
    fn new(core: &'a C) -> Self {
        core.handle_connected();
        Self { core, is_done: false }
    }

    /// The link is gone; it was closed with `code`, if it was.
    fn end(&mut self, code: Option<CloseCode>) {
        if !std::mem::replace(&mut self.is_done, true) {
            self.core.handle_disconnect(code);
        }
    }
}

impl<C: Core> Drop for Attached<'_, C> {
    fn drop(&mut self) {
        self.end(None);
    }
}

/// A link and an end of a session, joined.
#[repr(C)]
struct Joint<'a, L, C> {
    core: &'a C,
    link: L,
    /// Rings when there may be something to read.
    readable: Bell,
    /// Messages were handled since others had their turn.
    heard: bool,
    /// Others had their turn.
    gathered: bool,
    unflushed: bool,
    /// While the link takes no more: how much it had taken by then.
    blocked_at: Option<u64>,
    /// Rings for the timer.
    timed: Bell,
    timer: Option<Sleep>,
    /// What the session knows of what came.
    arriving: Arriving,
}

/// Whether a step stopped before it had done everything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Done,
    Again,
    /// As soon as other tasks had their turn.
    Later,
    /// The same after [`BULK`]: others may wait for what their sockets got in the meantime.
    Bulk,
}

/// How far writing came.
enum Wrote {
    /// Everything was written, and this is what the session waits for.
    All(Rest),
    Part(Step),
    /// Others go first.
    None,
}

impl<L: Link, C: Core> Joint<'_, L, C> {
    fn poll<B>(&mut self, cx: &mut Context<'_>, mut background: Pin<&mut B>) -> Poll<Ended>
    where
        B: Future<Output = Infallible>,
    {
        self.core.attend();
        for _ in 0..ROUNDS {
            let mut round = || -> Result<Step, Ended> {
                let read = self.read()?;
                let Poll::Pending = background.as_mut().poll(cx);
                let (written, rest) = match self.write(cx)? {
                    Wrote::None => return Ok(if read == Step::Bulk { Step::Bulk } else { Step::Later }),
                    Wrote::Part(step) => (step, self.core.rest()),
                    Wrote::All(rest) => (Step::Done, rest),
                };
                let passed = rest.map_err(closed).map(|due| self.pass_time(due))?;
                let steps = [read, written, passed];
                Ok([Step::Bulk, Step::Again].into_iter().find(|it| steps.contains(it)).unwrap_or(Step::Done))
            };
            match round() {
                Ok(Step::Done) => return Poll::Pending,
                Ok(Step::Again) => {}
                Ok(Step::Later) => break,
                Ok(Step::Bulk) => {
                    wake_last(cx);
                    return Poll::Pending;
                }
                Err(ended) => return Poll::Ready(ended),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn read(&mut self) -> Result<Step, Ended> {
        if !self.readable.is_due() {
            return Ok(Step::Done);
        }
        let step = self.read_messages()?;
        let arriving = self.link.arriving();
        let before = std::mem::replace(&mut self.arriving, arriving);
        // Whole messages have been handled as such.
        if arriving != before && (arriving.unfinished > 0 || before.unfinished > 0) {
            self.core.handle_received(arriving);
        }
        Ok(step)
    }

    fn read_messages(&mut self) -> Result<Step, Ended> {
        let mut bytes = 0;
        for _ in 0..READS {
            let Self { readable, link, .. } = self;
            match readable.poll(|cx| link.poll_receive(cx)) {
                Poll::Pending => return Ok(Step::Done),
                Poll::Ready(Ok(Received::Binary(message))) => {
                    self.heard = true;
                    bytes += message.len();
                    self.core.handle_message(message);
                    if bytes >= BULK {
                        return Ok(Step::Bulk);
                    }
                }
                Poll::Ready(Ok(Received::Text)) => self.core.handle_text(),
                Poll::Ready(Ok(Received::Closed(frame))) => {
                    return Err(Ended { by: EndedBy::Remote, frame: Some(frame) });
                }
                Poll::Ready(Err(error)) => return Err(failed(error)),
            }
        }
        Ok(Step::Again)
    }

    /// Writes what there is. Others get their turn before anything is written if the session says so: of the calls that are
    /// under way, several may go on just now, and each of them would otherwise cost a write of its own. A task that wakes
    /// itself comes behind all that are ready. Only once, so that what is ready leaves at the next turn whatever they do.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<Wrote, Ended> {
        let heard = std::mem::take(&mut self.heard);
        let mut gathers = (!std::mem::take(&mut self.gathered)).then_some(heard);
        let mut bytes = 0;
        for _ in 0..WRITES {
            if bytes >= BULK {
                self.flush(cx)?;
                return Ok(Wrote::Part(Step::Bulk));
            }
            match self.link.poll_ready(cx) {
                Poll::Ready(ready) => ready.map_err(failed)?,
                Poll::Pending => {
                    self.core.park(cx);
                    self.handle_blocked();
                    return Ok(Wrote::Part(Step::Done));
                }
            }
            let (message, rest) = match self.core.transmit(cx, gathers.take()) {
                Transmit::Message(message) => (message, None),
                Transmit::Last(message, rest) => (message, Some(rest)),
                Transmit::Nothing(rest) => return self.write_out(cx, rest),
                Transmit::Later => {
                    self.gathered = true;
                    return Ok(Wrote::None);
                }
            };
            bytes += message.len();
            self.link.start_send(message).map_err(failed)?;
            self.unflushed = true;
            if let Some(rest) = rest {
                return self.write_out(cx, rest);
            }
        }
        Ok(Wrote::Part(Step::Again))
    }

    fn write_out(&mut self, cx: &mut Context<'_>, rest: Rest) -> Result<Wrote, Ended> {
        let has_told = self.flush(cx)?;
        // An end of the link is said once.
        Ok(Wrote::All(if has_told && rest.is_ok() { self.core.rest() } else { rest }))
    }

    /// Whether the session was told something.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<bool, Ended> {
        if !self.unflushed {
            return Ok(false);
        }
        match self.link.poll_flush(cx) {
            Poll::Ready(flushed) => {
                flushed.map_err(failed)?;
                self.unflushed = false;
                let was_blocked = self.blocked_at.take().is_some();
                if was_blocked {
                    self.core.handle_progress();
                }
                Ok(was_blocked)
            }
            Poll::Pending => Ok(self.handle_blocked()),
        }
    }

    /// Bytes wait. A link that still takes some of them now and then is slow; one that takes none is stuck. Says whether the
    /// session was told so.
    fn handle_blocked(&mut self) -> bool {
        let written = self.link.written();
        match self.blocked_at {
            Some(before) if before == written => return false,
            Some(_) => self.core.handle_progress(),
            None => {}
        }
        self.core.handle_blocked();
        self.blocked_at = Some(written);
        true
    }

    fn pass_time(&mut self, due: Option<Instant>) -> Step {
        let Some(due) = due else { return Step::Done };
        let Self { core, timer, timed, .. } = self;
        let timer = timer.get_or_insert_with(|| sleep_until(due));
        // It moves away with every message: a timer that comes too early is set again then, and not each time. And only it
        // looks at the clock.
        if timer.deadline() > due {
            timer.reset(due);
            timed.ring();
        }
        while timed.poll(|cx| Pin::new(&mut *timer).poll(cx)).is_ready() {
            if due <= now() {
                core.handle_timeout();
                return Step::Again;
            }
            timer.reset(due);
        }
        Step::Done
    }
}

/// By this end, on purpose.
fn closed(refusal: Refusal) -> Ended {
    Ended { by: EndedBy::Local, frame: Some(CloseFrame::new(refusal.code, refusal.reason)) }
}

fn failed(error: LinkError) -> Ended {
    match error {
        LinkError::Violation(frame) => Ended { by: EndedBy::Local, frame: Some(frame) },
        LinkError::TooLarge { size, limit } => {
            // The session cuts messages to size: it was given a link that is too small for its limits.
            tracing::error!(size, limit, "message larger than the link carries");
            let frame = CloseFrame::new(CloseCode::INTERNAL, "a message did not fit");
            Ended { by: EndedBy::Local, frame: Some(frame) }
        }
        LinkError::Lost(cause) => {
            if let Some(error) = cause {
                tracing::debug!(%error, "link lost");
            }
            Ended { by: EndedBy::Lost, frame: None }
        }
    }
}
