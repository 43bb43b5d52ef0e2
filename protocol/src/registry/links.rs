//! Sessions come, get a link, lose it and get another.

use std::collections::VecDeque;

use super::accounts::Turn;
use super::token::{Digest, Tokens};
use super::types::{Attached, New, Verdict, Who};
use super::verdict::Obstacle;
use super::{Entry, Place, Registry};
use crate::Instant;
use crate::envelope::{Hello, Refusal};
use crate::status::CloseCode;

impl Registry {
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
}
