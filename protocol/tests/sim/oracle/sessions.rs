//! Sessions: none is lost without a reason, and each has one live link.

use bowline_protocol::envelope::{GapReason, Outcome};

use super::{Invariant, Oracle, Party};
use crate::net::LinkId;

impl Oracle {
    /// A client is live.
    pub(crate) fn live(&mut self, client: usize, outcome: Outcome, session: u128, identity: u128) {
        let it = self.clients.entry(client).or_default();
        let known = it.identity.replace(identity);
        let is_another = known.is_some_and(|known| known != identity);
        let is_told = matches!(outcome, Outcome::Gap { reason: GapReason::IdentityChanged, .. });
        let before = it.session.replace(session);
        it.links[Party::Client as usize] += 1;
        let what = match outcome {
            Outcome::Resumed => {
                self.counts.resumed += 1;
                (before != Some(session))
                    .then(|| format!("client {client} resumes {session}, not {before:?}"))
            }
            Outcome::Gap { reason, .. } => {
                self.counts.gaps += 1;
                let gone = before.and_then(|before| self.gone.get(&before));
                let is_excused = gone.is_some_and(|reasons| reasons.contains(&reason));
                (!is_excused).then(|| {
                    format!("client {client} loses its session without a reason: {reason:?}, it was {gone:?}")
                })
            }
            Outcome::New => {
                before.is_some().then(|| format!("client {client} has a new session and heard of no gap"))
            }
        };
        if let Some(what) = what {
            self.violate(Invariant::I1, what);
        }
        // A server that does not know the session can't know that it was somebody else's: the client does.
        if is_another && !is_told {
            let what = format!("client {client} was {known:?}, is {identity}, and hears of {outcome:?}");
            self.violate(Invariant::I4, what);
        }
    }

    /// A session has this link now.
    pub(crate) fn attached(&mut self, client: usize, session: u128, link: LinkId) {
        self.clients.entry(client).or_default().links[Party::Server as usize] += 1;
        self.attached.insert(session, link);
    }

    /// A session is given something that came on this link.
    pub(crate) fn processes(&mut self, session: u128, link: LinkId) {
        let attached = self.attached.get(&session);
        if attached != Some(&link) {
            let what = format!("session {session} reads l{link}, and {attached:?} is its link");
            self.violate(Invariant::I6, what);
        }
    }

    /// Something happened after which a session may be gone, for this reason.
    pub(crate) fn session_gone(&mut self, session: u128, reason: GapReason) {
        self.gone.entry(session).or_default().push(reason);
    }

    /// The node forgot whatever it knew of sessions that are gone.
    pub(crate) fn node_gone(&mut self) {
        self.gone.values_mut().for_each(|reasons| reasons.push(GapReason::Unknown));
    }

    /// A session is over at one end: its application hears of it next.
    pub(crate) fn session_lost(&mut self, client: usize, party: Party) {
        let it = self.clients.entry(client).or_default();
        it.lost[party as usize] += 1;
    }

    /// How many sessions this client, or the node with it, has lost.
    pub(crate) fn lost(&self, client: usize, party: Party) -> u32 {
        self.clients.get(&client).map_or(0, |it| it.lost[party as usize])
    }

    /// Sessions that ended in another way than by their client's leave, at most.
    pub(crate) fn sessions_lost(&self) -> u64 {
        let clients = self.clients.values().map(|it| u64::from(it.lost[Party::Client as usize]));
        clients.sum::<u64>() + self.gone.len() as u64
    }
}
