//! Rules that are broken on purpose, to show that the simulator would notice: messages are read, altered and written
//! anew on their way out of a machine or into it, and calls of the registry are altered. The product has no such
//! switches.

use std::collections::{BTreeMap, VecDeque};

use bowline_protocol::envelope::{
    Control, Credit, Decoder, Encoder, Envelope, OnceTable, Outcome, Sequenced, WireLimits,
};
use bytes::Bytes;

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// Acknowledged is what was read from the socket, not what was processed.
    AckOnRead,
    /// Credit travels as what is added, not as a total.
    DeltaCredit,
    /// What is kept for a replay is thrown away at the bound, oldest first, instead of making the writer wait.
    DiscardAtTheBound,
    /// The older link of a session is read on after a newer one was attached.
    NoFencing,
    /// The one older token that is valid is that of the last attach, whether the client ever had it or not.
    PreviousIsCurrent,
    /// A `once` call that is sent again carries the table of today, not the one that it saw first.
    OnceWithoutTable,
}

/// Stands between a machine and its links.
#[derive(Debug)]
pub(crate) struct Rewriter {
    broken: Option<Broken>,
    /// What this end states about itself, and what the other one did.
    limits: [WireLimits; 2],
    /// The highest number that was read.
    read: u64,
    /// Totals as this end stated them, and as it understood the other's.
    stated: BTreeMap<u8, u64>,
    understood: BTreeMap<u8, u64>,
    /// What was written, for the end that throws away.
    kept: VecDeque<(u64, usize)>,
    kept_bytes: usize,
    bound: usize,
    written: u64,
    thrown_away: u64,
    table: Option<OnceTable>,
}

impl Rewriter {
    pub(crate) fn new(broken: Option<Broken>, replay_bytes: usize) -> Self {
        Self {
            broken,
            limits: [WireLimits::default(); 2],
            read: 0,
            stated: BTreeMap::new(),
            understood: BTreeMap::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            bound: replay_bytes / 2,
            written: 0,
            thrown_away: 0,
            table: None,
        }
    }

    pub(crate) fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// What this end writes instead.
    pub(crate) fn outgoing(&mut self, message: Bytes) -> Option<Bytes> {
        self.each(message, Self::write)
    }

    /// What this end reads instead.
    pub(crate) fn incoming(&mut self, message: Bytes) -> Option<Bytes> {
        self.each(message, Self::receive)
    }

    /// A message arrived, and waits to be processed.
    pub(crate) fn arrived(&mut self, message: &Bytes) {
        for envelope in Decoder::new(message.clone()) {
            if let Ok(Envelope::Sequenced(seq, _)) = envelope {
                self.read = self.read.max(seq);
            }
        }
    }

    fn each(&mut self, message: Bytes, alter: fn(&mut Self, Envelope) -> Option<Envelope>) -> Option<Bytes> {
        if self.broken.is_none() {
            return Some(message);
        }
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        for envelope in Decoder::new(message) {
            if let Some(envelope) = alter(self, envelope.expect("a session writes what can be read")) {
                encoder.push(&envelope);
            }
        }
        (!out.is_empty()).then(|| out.into())
    }

    fn write(&mut self, mut envelope: Envelope) -> Option<Envelope> {
        match &envelope {
            Envelope::Control(Control::Hello(hello)) => self.limits[0] = hello.limits,
            Envelope::Control(Control::Welcome(welcome)) if welcome.outcome != Outcome::Resumed => {
                self.limits[0] = welcome.limits;
                self.begin();
            }
            _ => {}
        }
        match self.broken {
            Some(Broken::AckOnRead) => {
                let read = self.read;
                match &mut envelope {
                    Envelope::Control(Control::Ack(ack) | Control::Pong { ack, .. }) => {
                        ack.seq = ack.seq.max(read)
                    }
                    Envelope::Control(Control::Hello(hello)) => {
                        if let Some(resume) = &mut hello.resume {
                            resume.last_processed = resume.last_processed.max(read);
                        }
                    }
                    Envelope::Control(Control::Welcome(welcome)) if welcome.outcome == Outcome::Resumed => {
                        welcome.peer_last_processed = welcome.peer_last_processed.map(|seq| seq.max(read));
                    }
                    _ => {}
                }
            }
            Some(Broken::DeltaCredit) => {
                if let Some((key, total)) = total(&mut envelope) {
                    let before = self.stated.insert(key, *total).unwrap_or(0);
                    *total = total.saturating_sub(before);
                }
            }
            Some(Broken::DiscardAtTheBound) => return self.keep(envelope),
            Some(Broken::OnceWithoutTable) => {
                if let Envelope::Sequenced(_, Sequenced::Call(open)) = &mut envelope
                    && let (Some(once), Some(table)) = (&mut open.once, self.table)
                {
                    once.table = table;
                }
            }
            Some(Broken::NoFencing | Broken::PreviousIsCurrent) | None => {}
        }
        Some(envelope)
    }

    fn receive(&mut self, mut envelope: Envelope) -> Option<Envelope> {
        match &mut envelope {
            Envelope::Control(Control::Welcome(welcome)) => {
                self.table = welcome.once;
                if welcome.outcome != Outcome::Resumed {
                    self.limits[1] = welcome.limits;
                    self.begin();
                }
            }
            Envelope::Control(Control::Hello(hello)) => self.limits[1] = hello.limits,
            Envelope::Control(Control::Ack(ack)) => self.forget(ack.seq),
            Envelope::Control(Control::Pong { ack, once_tick, .. }) => {
                let seq = ack.seq;
                if let Some(table) = &mut self.table {
                    table.tick = table.tick.max(*once_tick);
                }
                self.forget(seq);
            }
            _ => {}
        }
        if self.broken == Some(Broken::DeltaCredit)
            && let Some((key, total)) = total(&mut envelope)
        {
            let sum = self.understood.entry(key).or_default();
            *sum += *total;
            *total = *sum;
        }
        Some(envelope)
    }

    /// A new session: what was counted is of the old one. The limits that an end states are the first totals.
    fn begin(&mut self) {
        let totals = |limits: WireLimits| {
            BTreeMap::from([
                (0, u64::from(limits.calls)),
                (1, u64::from(limits.streams)),
                (2, limits.assembly),
            ])
        };
        self.stated = totals(self.limits[0]);
        self.understood = totals(self.limits[1]);
        (self.read, self.written, self.thrown_away, self.kept_bytes) = (0, 0, 0, 0);
        self.kept.clear();
    }

    fn keep(&mut self, envelope: Envelope) -> Option<Envelope> {
        let Envelope::Sequenced(seq, _) = &envelope else { return Some(envelope) };
        if *seq > self.written {
            self.written = *seq;
            let len = envelope.max_len();
            self.kept.push_back((*seq, len));
            self.kept_bytes += len;
            while self.kept_bytes > self.bound
                && let Some((seq, len)) = self.kept.pop_front()
            {
                self.kept_bytes -= len;
                self.thrown_away = seq;
            }
            return Some(envelope);
        }
        (*seq > self.thrown_away).then_some(envelope)
    }

    fn forget(&mut self, acked: u64) {
        while let Some(&(seq, len)) = self.kept.front()
            && seq <= acked
        {
            self.kept_bytes -= len;
            self.kept.pop_front();
        }
    }
}

/// The session's credit that an envelope states, and which it is.
fn total(envelope: &mut Envelope) -> Option<(u8, &mut u64)> {
    match envelope {
        Envelope::Control(Control::Credit(credit)) => match credit {
            Credit::Calls { total } => Some((0, total)),
            Credit::Streams { total } => Some((1, total)),
            Credit::Assembly { total } => Some((2, total)),
            Credit::Items { .. } => None,
        },
        _ => None,
    }
}
