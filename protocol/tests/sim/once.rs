//! The `once` calls of the node: its table, and the tasks that it owns. A task runs to its end, whatever becomes of the
//! sessions that asked for it; only a restart of the node ends it.

use std::collections::BTreeMap;

use bowline_protocol::envelope::OnceTable;
pub(crate) use bowline_protocol::once::Record;
use bowline_protocol::once::{Begin, OnceLimits, Scope, Table, Ticket};
use bowline_protocol::session::{CallId, IncomingCall, WireFailure};
use bowline_protocol::status::{Code, Status};
use bytes::Bytes;

use crate::note;
use crate::oracle::{Answer, Invariant, Oracle, Party};
use crate::service::{Label, Part, SIM};
use crate::trace::digest;
use crate::world::{Ctx, Place};

/// The table, what runs, and what is to be answered.
#[derive(Debug)]
pub(crate) struct Once {
    table: Table,
    tasks: BTreeMap<Ticket, Task>,
    answers: Vec<(Place, CallId, Record)>,
    /// Which entry answers which call, until its caller has the answer.
    answering: BTreeMap<(Place, CallId), Ticket>,
}

/// A handler that runs, and who waits for it.
#[derive(Debug)]
struct Task {
    number: u32,
    run: u32,
    waiting: Vec<(Place, CallId)>,
}

impl Once {
    pub(crate) fn new(id: u128, limits: OnceLimits) -> Self {
        Self {
            table: Table::new(id, limits),
            tasks: BTreeMap::new(),
            answers: Vec::new(),
            answering: BTreeMap::new(),
        }
    }

    pub(crate) fn table(&self) -> OnceTable {
        self.table.table()
    }

    /// Whether nothing runs and every caller is known to have its answer.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.answers.is_empty() && self.answering.is_empty()
    }

    /// Who waits no longer: the task goes on.
    pub(crate) fn leave(&mut self, place: Place, call: CallId) {
        for task in self.tasks.values_mut() {
            task.waiting.retain(|it| *it != (place, call));
        }
        self.answers.retain(|(of, it, _)| (*of, *it) != (place, call));
    }

    /// The caller has the end of its call, and never asks again.
    pub(crate) fn acknowledged(&mut self, place: Place, call: CallId) {
        if let Some(ticket) = self.answering.remove(&(place, call)) {
            self.table.acknowledged(ticket);
        }
    }

    /// The session is gone, with all its calls.
    pub(crate) fn leave_all(&mut self, place: Place) {
        self.answering.retain(|(of, _), _| *of != place);
        for task in self.tasks.values_mut() {
            task.waiting.retain(|it| it.0 != place);
        }
        self.answers.retain(|it| it.0 != place);
    }

    /// What is to be answered now.
    pub(crate) fn answer(&mut self) -> Option<(Place, CallId, Record)> {
        self.answers.pop()
    }

    /// The node forgets everything.
    pub(crate) fn vanish(&mut self, oracle: &mut Oracle) {
        for task in self.tasks.values() {
            oracle.gone(task.number, task.run);
        }
    }
}

/// A `once` call came in: it runs if it never did.
pub(crate) fn begin(cx: &mut Ctx, place: Place, identity: u128, incoming: &IncomingCall, session: u128) {
    let IncomingCall { call, method, buffer, once, .. } = incoming;
    let Some(number) = Label::read(buffer).map(|label| label.call) else {
        return cx.oracle.violate(Invariant::I1, "a once call with damaged arguments".into());
    };
    let Some(key) = once else {
        return cx.oracle.violate(Invariant::I4, format!("once call {number} has no key"));
    };
    cx.oracle.calls_as(number, Party::Server, identity);
    let scope = Scope { identity, service: SIM.name, method: SIM.methods[*method].name };
    let begun = cx.once.table.begin(cx.now, key, scope, u128::from(digest(buffer)));
    let failed = |code, sentence: &str| Err(WireFailure::Status(Status::new(code, sentence)));
    let record = match begun {
        Begin::Start(ticket) => {
            let run = cx.oracle.started(number, Party::Server, session, *method, buffer.len());
            note!(cx, "{place} starts once call {number} run {run}");
            cx.once.tasks.insert(ticket, Task { number, run, waiting: vec![(place, *call)] });
            cx.once.answering.insert((place, *call), ticket);
            return;
        }
        Begin::Wait(ticket) => {
            note!(cx, "{place} waits for once call {number}");
            if let Some(task) = cx.once.tasks.get_mut(&ticket) {
                task.waiting.push((place, *call));
            }
            cx.once.answering.insert((place, *call), ticket);
            return;
        }
        Begin::Done(ticket, record) => {
            cx.once.answering.insert((place, *call), ticket);
            record
        }
        Begin::Unknown => failed(Code::OutcomeUnknown, "the table does not know"),
        Begin::Mismatch => {
            cx.oracle.violate(Invariant::I2, format!("once call {number} shares its key with another"));
            failed(Code::InvalidArgument, "the key of another call")
        }
        Begin::Full => failed(Code::ResourceExhausted, "the table is full"),
    };
    note!(cx, "{place} has a record for once call {number}: {}", record.is_ok());
    cx.once.answers.push((place, *call, record));
}

/// Ends one task by chance, or all.
pub(crate) fn finish(cx: &mut Ctx, all: bool) {
    let tickets: Vec<_> = cx.once.tasks.keys().copied().collect();
    for ticket in tickets {
        if !all && cx.random.below(3) > 0 {
            continue;
        }
        let Some(Task { number, run, waiting }) = cx.once.tasks.remove(&ticket) else { continue };
        let record: Record = if cx.random.below(10) == 0 {
            cx.oracle.answers(number, run, Answer::Failed);
            Err(WireFailure::Status(Status::new(Code::InvalidArgument, "failed")))
        } else {
            let payload: Bytes = Label { part: Part::Response, call: number, run, index: 0 }.payload(40);
            cx.oracle.answers(number, run, Answer::Response(payload.len()));
            Ok(payload)
        };
        note!(cx, "once call {number} run {run} ends, {} wait", waiting.len());
        cx.once.table.finish(cx.now, ticket, record.clone());
        for (place, call) in waiting {
            cx.once.answers.push((place, call, record.clone()));
        }
    }
}
