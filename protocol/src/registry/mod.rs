//! A server's book of sessions: who may continue which, for how long, and who goes when there are too many.
//!
//! The registry decides and remembers; it holds no session. Whoever drives it keeps the sessions themselves, asks it
//! about every hello ([`Registry::look`]), tells it what became of them, and ends those that
//! [`Registry::poll_evicted`] names. It reads no clock and makes no random numbers; equal inputs give equal outputs.
//!
//! # A resume
//!
//! 1. Authentication says [`Who`] it is, as for any other link.
//! 2. [`Registry::look`] checks token, owner and attempt. Whoever presents a wrong token learns nothing and changes
//!    nothing, so that knowing a session's id, which logs may show, is no power over it.
//! 3. The session's own state is asked whether it can go on from there.
//! 4. [`Registry::attach`] checks once more, in one step with fencing the older link, and rotates the token. Between
//!    2 and 4 another link may have been quicker.

mod accounts;
mod limits;
mod token;
mod tombstones;
mod types;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::Instant;
use crate::envelope::{GapReason, Hello, Refusal, Resume};
use crate::status::CloseCode;

use accounts::{Accounts, Measure, Turn};
use token::{Digest, Tokens};
use tombstones::{Epitaph, Tombstones};
use types::Owner;

pub use limits::NodeLimits;
pub use types::{Attached, Gap, New, RegistryCounted, RegistryHeld, RegistryStats, Remains, Verdict, Who};

/// The sessions of one server. See the [module](self) for the order of a resume.
#[derive(Debug)]
pub struct Registry {
    limits: NodeLimits,
    entries: HashMap<u128, Entry>,
    accounts: Accounts,
    /// All sessions that have not ended, by what they hold.
    by_bytes: BTreeSet<(usize, u128)>,
    bytes: usize,
    attached: usize,
    /// Sessions without a link, by the end of their window.
    windows: BTreeSet<(Instant, u128)>,
    /// Sessions to end, until they are asked for.
    evicted: VecDeque<u128>,
    tombstones: Tombstones,
    /// Counts detachments: two at the same instant still have an order.
    detachments: u64,
    is_draining: bool,
    counted: RegistryCounted,
}

#[derive(Debug)]
struct Entry {
    tokens: Tokens,
    /// Whether the client ever showed that it has a token.
    proved: bool,
    epoch: u128,
    identity: Option<u128>,
    owner: Owner,
    instance: u128,
    attempt: u64,
    generation: u64,
    held: usize,
    /// When it was resumed within the last period; at most as many as are allowed.
    resumes: VecDeque<Instant>,
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    Attached,
    Detached {
        order: u64,
        due: Instant,
    },
    /// Told to end: no resume is possible any more.
    Ending(GapReason),
}

impl Registry {
    /// Makes one without sessions.
    pub fn new(limits: NodeLimits) -> Self {
        Self {
            limits,
            entries: HashMap::new(),
            accounts: Accounts::default(),
            by_bytes: BTreeSet::new(),
            bytes: 0,
            attached: 0,
            windows: BTreeSet::new(),
            evicted: VecDeque::new(),
            tombstones: Tombstones::default(),
            detachments: 0,
            is_draining: false,
            counted: RegistryCounted::default(),
        }
    }

    /// Judges a hello of an authenticated link. A refused one never changes the session that it names.
    pub fn look(&mut self, now: Instant, hello: &Hello, who: &Who) -> Verdict {
        self.handle_timeout(now);
        let Some(resume) = &hello.resume else { return self.admit(None) };
        match self.judge(now, hello, resume, who) {
            Ok(()) => Verdict::Resume { session: resume.session },
            Err(Obstacle::Refused(refusal)) => Verdict::Refuse(refusal),
            Err(Obstacle::Gone(gap)) => self.admit(Some(gap)),
        }
    }

    /// Enters a session that begins, with its first link.
    ///
    /// # Errors
    ///
    /// A refusal to close the link with: the last room was taken since [`look`](Self::look), or the session's id was
    /// there already.
    pub fn insert(&mut self, now: Instant, new: New<'_>) -> Result<(), Refusal> {
        self.handle_timeout(now);
        if let Some(refusal) = self.turn_away() {
            return Err(refusal);
        }
        if self.entries.contains_key(&new.session) {
            return Err(Refusal { code: CloseCode::TRY_AGAIN, reason: "this id is taken".into() });
        }
        let owner = new.who.owner();
        self.accounts.insert(owner, new.session);
        self.by_bytes.insert((0, new.session));
        self.attached += 1;
        self.counted.begun += 1;
        let entry = Entry {
            tokens: Tokens::new(new.token),
            proved: false,
            epoch: new.epoch,
            identity: new.who.identity,
            owner,
            instance: new.hello.instance,
            attempt: new.hello.attempt,
            generation: 1,
            held: 0,
            resumes: VecDeque::new(),
            place: Place::Attached,
        };
        self.entries.insert(new.session, entry);
        Ok(())
    }

    /// Puts a session on the link that said `hello`, whose verdict was [`Verdict::Resume`], and gives it a new token.
    ///
    /// From here on no older link belongs to the session. The token that the hello presented counts as proved.
    ///
    /// # Errors
    ///
    /// What to do instead, when since [`look`](Self::look) a newer attach came or the session ended. Nothing has changed
    /// then.
    pub fn attach(
        &mut self,
        now: Instant,
        hello: &Hello,
        who: &Who,
        token: &[u8; 32],
    ) -> Result<Attached, Verdict> {
        self.handle_timeout(now);
        let Some(resume) = &hello.resume else { return Err(self.admit(None)) };
        let presented = Digest::of(resume.token.expose());
        match self.recognise(hello, resume, who, &presented) {
            Ok(()) => {}
            Err(Obstacle::Refused(refusal)) => return Err(Verdict::Refuse(refusal)),
            Err(Obstacle::Gone(gap)) => return Err(self.admit(Some(gap))),
        }
        let session = resume.session;
        let entry = self.entries.get_mut(&session).expect("what was recognised is there");
        match entry.place {
            Place::Detached { order, due } => {
                self.windows.remove(&(due, session));
                let turn = Turn { proved: entry.proved, order, session };
                self.accounts.attach(entry.owner, turn, entry.held);
                self.attached += 1;
            }
            Place::Attached | Place::Ending(_) => {}
        }
        let owner = who.owner();
        if owner != entry.owner {
            // An anonymous client that moved is on the account of where it is now.
            self.accounts.remove(entry.owner, session);
            self.accounts.insert(owner, session);
            entry.owner = owner;
        }
        let superseded = entry.instance != hello.instance;
        entry.tokens.rotate(presented, token);
        entry.proved = true;
        entry.instance = hello.instance;
        entry.attempt = hello.attempt;
        entry.generation += 1;
        entry.place = Place::Attached;
        self.counted.resumed += 1;
        Ok(Attached { generation: entry.generation, superseded })
    }

    /// The client acknowledged something under the newest token: it has that token.
    pub fn prove(&mut self, session: u128) {
        let Some(entry) = self.entries.get_mut(&session) else { return };
        entry.tokens.prove();
        if !std::mem::replace(&mut entry.proved, true)
            && let Place::Detached { order, .. } = entry.place
        {
            let (owner, held) = (entry.owner, entry.held);
            self.accounts.attach(owner, Turn { proved: false, order, session }, held);
            self.accounts.detach(owner, Turn { proved: true, order, session }, held);
        }
    }

    /// The session's link is gone and it waits for another; it holds `held` bytes. Its window begins.
    pub fn detach(&mut self, now: Instant, session: u128, held: usize) {
        let Some(entry) = self.entries.get_mut(&session) else { return };
        if !matches!(entry.place, Place::Attached) {
            return;
        }
        let (order, due) = (self.detachments, now + self.limits.resume_window);
        self.detachments += 1;
        entry.place = Place::Detached { order, due };
        let (owner, proved, before) = (entry.owner, entry.proved, entry.held);
        self.attached -= 1;
        self.windows.insert((due, session));
        self.accounts.detach(owner, Turn { proved, order, session }, before);
        self.account(session, held);
        // Its own bound first: what its owner loses by that, nobody else has to.
        self.evict_of(owner);
        self.evict();
    }

    /// The session holds `held` bytes now.
    pub fn set_held(&mut self, session: u128, held: usize) {
        self.account(session, held);
        self.evict();
    }

    /// The session has ended, and its client may ask what became of it.
    pub fn remove(&mut self, now: Instant, session: u128, reason: GapReason, remains: Remains) {
        if let Some(entry) = self.take(session) {
            let owner = (&entry.tokens, entry.identity);
            self.tombstones.insert(now, session, owner, (reason, remains), self.limits.tombstones);
        }
    }

    /// The session has ended on purpose, and its client won't ask for it again.
    pub fn forget(&mut self, session: u128) {
        self.take(session);
    }

    /// The next session that is to be ended, and what its client is told if it asks. It can't be resumed any more.
    ///
    /// One that has a link held most when all held too much: that link is closed with 4002. Answer with
    /// [`remove`](Self::remove).
    pub fn poll_evicted(&mut self) -> Option<(u128, GapReason)> {
        while let Some(session) = self.evicted.pop_front() {
            // It may have ended by itself meanwhile.
            if let Some(Entry { place: Place::Ending(reason), .. }) = self.entries.get(&session) {
                return Some((session, *reason));
            }
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: a window or a memory ends. May change with every input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let window = self.windows.first().map(|(due, _)| *due);
        let tombstone = self.tombstones.due(self.limits.tombstone_age);
        window.into_iter().chain(tombstone).min()
    }

    /// Time has passed. A session is resumable up to the end of its window and not at it.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((due, session)) = self.windows.first().copied()
            && due <= now
        {
            self.doom(session, GapReason::Expired);
            self.counted.expired += 1;
        }
        self.tombstones.forget(now, self.limits.tombstone_age);
    }

    /// The server is being stopped: from now on resumes are taken and new sessions are refused with 1013.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Ends all sessions of an identity, with a link or without, and returns them.
    ///
    /// They can't be resumed from here on; who tries is told that the identity changed, so that nothing of theirs is
    /// sent again as somebody else. Answer each with [`remove`](Self::remove).
    pub fn revoke(&mut self, identity: u128) -> Vec<u128> {
        let sessions = self.accounts.sessions_of(Owner::Identity(identity));
        for session in &sessions {
            self.mark(*session, GapReason::IdentityChanged);
        }
        sessions
    }

    /// Numbers for tests, gauges and metrics.
    pub fn stats(&self) -> RegistryStats {
        let detached = self.accounts.detached();
        let held = RegistryHeld {
            attached: self.attached,
            detached,
            ending: self.entries.len() - self.attached - detached,
            detached_bytes: self.accounts.bytes(),
            bytes: self.bytes,
            owners: self.accounts.owners(),
            tombstones: self.tombstones.len(),
        };
        RegistryStats { held, counted: self.counted }
    }

    /// A new session, if there is room for one.
    fn admit(&mut self, gap: Option<Gap>) -> Verdict {
        match self.turn_away() {
            Some(refusal) => Verdict::Refuse(refusal),
            None => Verdict::New { gap },
        }
    }

    fn turn_away(&mut self) -> Option<Refusal> {
        let why = if self.is_draining {
            "the server is being stopped"
        } else if self.attached >= self.limits.attached {
            "full"
        } else {
            return None;
        };
        self.counted.turned_away += 1;
        Some(wait(CloseCode::TRY_AGAIN, why, self.limits.refusal_wait))
    }

    /// Whether `hello` may continue the session that it names; counts the resume if so.
    fn judge(&mut self, now: Instant, hello: &Hello, resume: &Resume, who: &Who) -> Result<(), Obstacle> {
        let presented = Digest::of(resume.token.expose());
        self.recognise(hello, resume, who, &presented)?;
        let Some(entry) = self.entries.get_mut(&resume.session) else { return Ok(()) };
        let NodeLimits { resumes, resumes_period: period, .. } = self.limits;
        while entry.resumes.front().is_some_and(|at| *at + period <= now) {
            entry.resumes.pop_front();
        }
        // Only what was let through counts: who keeps trying gets in when the period has passed.
        if entry.resumes.len() >= resumes {
            self.counted.floods += 1;
            let left = entry.resumes.front().map_or(period, |at| (*at + period).duration_since(now));
            return Err(Obstacle::Refused(wait(CloseCode::RATE_LIMITED, "too many resumes", left)));
        }
        entry.resumes.push_back(now);
        Ok(())
    }

    /// Whether the token is valid, its bearer the owner, and the attempt the newest; in this order, because what is
    /// said about a session is for its owner only.
    fn recognise(
        &mut self,
        hello: &Hello,
        resume: &Resume,
        who: &Who,
        presented: &Digest,
    ) -> Result<(), Obstacle> {
        let gone = |reason| Err(Obstacle::Gone(Gap { reason, remains: None }));
        let counted = &mut self.counted;
        let Some(entry) = self.entries.get(&resume.session) else {
            return match self.tombstones.read(resume.session, who.identity, presented) {
                Epitaph::Of(reason, remains) => Err(Obstacle::Gone(Gap { reason, remains: Some(remains) })),
                Epitaph::Foreign => {
                    counted.identities_refused += 1;
                    gone(GapReason::IdentityChanged)
                }
                Epitaph::Unknown => {
                    counted.tokens_refused += 1;
                    gone(GapReason::Unknown)
                }
            };
        };
        if !entry.tokens.admit(presented) {
            counted.tokens_refused += 1;
            return gone(GapReason::Unknown);
        }
        if entry.identity != who.identity {
            counted.identities_refused += 1;
            return gone(GapReason::IdentityChanged);
        }
        if let Place::Ending(reason) = entry.place {
            return gone(reason);
        }
        if entry.epoch != resume.epoch {
            return gone(GapReason::StateLost);
        }
        if entry.instance == hello.instance && hello.attempt <= entry.attempt {
            counted.fenced += 1;
            let reason = "a newer link has the session".into();
            return Err(Obstacle::Refused(Refusal { code: CloseCode::FENCED, reason }));
        }
        Ok(())
    }

    fn account(&mut self, session: u128, held: usize) {
        let Some(entry) = self.entries.get_mut(&session) else { return };
        if matches!(entry.place, Place::Ending(_)) || entry.held == held {
            return;
        }
        let before = std::mem::replace(&mut entry.held, held);
        if let Place::Detached { order, .. } = entry.place {
            let (owner, turn) = (entry.owner, Turn { proved: entry.proved, order, session });
            self.accounts.attach(owner, turn, before);
            self.accounts.detach(owner, turn, held);
        }
        self.by_bytes.remove(&(before, session));
        self.by_bytes.insert((held, session));
        self.bytes = self.bytes - before + held;
    }

    /// Ends sessions of one owner until its own bound holds.
    fn evict_of(&mut self, owner: Owner) {
        let limit = match owner {
            Owner::Identity(_) => self.limits.detached_per_identity,
            Owner::Address(_) => self.limits.detached_per_address,
            Owner::Nobody => return,
        };
        while self.accounts.detached_of(owner) > limit
            && let Some(session) = self.accounts.first_of(owner)
        {
            self.evict_one(session);
        }
    }

    /// Ends sessions until the bounds of the node hold.
    fn evict(&mut self) {
        let NodeLimits { detached, detached_bytes, bytes, .. } = self.limits;
        while self.accounts.detached() > detached
            && let Some(session) = self.accounts.first(Measure::Sessions)
        {
            self.evict_one(session);
        }
        while self.accounts.bytes() > detached_bytes
            && let Some(session) = self.accounts.first(Measure::Bytes)
        {
            self.evict_one(session);
        }
        while self.bytes > bytes
            && let Some((_, session)) = self.by_bytes.last().copied()
        {
            self.evict_one(session);
        }
    }

    fn evict_one(&mut self, session: u128) {
        self.doom(session, GapReason::Evicted);
        self.counted.evicted += 1;
    }

    fn doom(&mut self, session: u128, reason: GapReason) {
        self.mark(session, reason);
        self.evicted.push_back(session);
    }

    /// Takes the session off every account; its entry stays until it has ended.
    fn mark(&mut self, session: u128, reason: GapReason) {
        let Some(entry) = self.entries.get_mut(&session) else { return };
        match std::mem::replace(&mut entry.place, Place::Ending(reason)) {
            Place::Ending(_) => return,
            Place::Attached => self.attached -= 1,
            Place::Detached { order, due } => {
                self.windows.remove(&(due, session));
                let turn = Turn { proved: entry.proved, order, session };
                self.accounts.attach(entry.owner, turn, entry.held);
            }
        }
        self.by_bytes.remove(&(entry.held, session));
        self.bytes -= entry.held;
        self.accounts.remove(entry.owner, session);
    }

    fn take(&mut self, session: u128) -> Option<Entry> {
        // The reason is read by nobody: the entry goes with it.
        self.mark(session, GapReason::Unknown);
        self.entries.remove(&session)
    }
}

/// Why a hello can't continue its session.
enum Obstacle {
    Gone(Gap),
    Refused(Refusal),
}

/// A refusal that says how long to wait, in words that clients read the number from.
fn wait(code: CloseCode, why: &str, left: Duration) -> Refusal {
    let seconds = left.as_millis().div_ceil(1000);
    Refusal { code, reason: format!("{why}, retry after {seconds} s") }
}
