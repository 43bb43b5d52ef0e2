//! What goes up: calls and client streams.

use std::collections::HashMap;

use super::sequence::{Sequence, Step};
use super::{Bench, Journals, Rules};
use crate::journal::{End, Lane, Record, What};
use crate::service::is_large;

#[derive(Default)]
struct Call {
    intended: bool,
    /// How often a handler ran.
    ran: u64,
    end: Option<End>,
}

/// Judges calls: each runs at most once, in order, ends, and ran or not as its caller was told.
pub(super) fn judge(bench: &mut Bench<'_>, journals: &Journals, rules: Rules) {
    let mut calls: HashMap<(u32, u64), Call> = HashMap::new();
    for record in journals.swarm.iter().filter(|record| record.lane == bench.lane) {
        let call = calls.entry((record.client, record.number)).or_default();
        match record.what {
            What::Intent => call.intended = true,
            What::Ended => call.end = Some(record.end),
            What::Delivered | What::Gap => {}
        }
    }
    let mut newest: HashMap<(u64, u32), u64> = HashMap::new();
    let delivered: Vec<_> = bench.delivered(journals).collect();
    for (life, Record { client, number, .. }) in delivered {
        bench.count.delivered += 1;
        calls.entry((client, number)).or_default().ran += 1;
        // What travels in chunks takes its place with the last of them, behind calls that were made later.
        if bench.lane == Lane::Call && is_large(number) {
            continue;
        }
        match newest.insert((life, client), number) {
            Some(before) if before > number => {
                newest.insert((life, client), before);
                bench.reordered(1, || format!("client {client}: {number} started after {before}"));
            }
            _ => {}
        }
    }
    let mut calls: Vec<_> = calls.into_iter().collect();
    calls.sort_by_key(|&(key, _)| key);
    for ((client, number), call) in &calls {
        let who = || format!("client {client}: call {number}");
        bench.count.intended += u64::from(call.intended);
        if !call.intended {
            bench.untrue(|| format!("{} ran and was never made", who()));
        }
        bench.doubled(call.ran.saturating_sub(1), || format!("{} ran {} times", who(), call.ran));
        match call.end {
            None => bench.hanging(|| format!("{} has not ended", who())),
            Some(end) => {
                bench.end(end, rules, &who);
                if end == End::Done && call.ran == 0 {
                    bench.lost(1, || format!("{} was answered and never ran", who()));
                }
                if matches!(end, End::NotSent | End::NotExecuted) && call.ran > 0 {
                    bench.untrue(|| format!("{} ran, and its caller was told {end:?}", who()));
                }
            }
        }
    }
    if let Rules::Whole { clients, work } = rules {
        let wanted = clients * if bench.lane == Lane::Call { work.calls } else { work.effects };
        let made = bench.count.intended;
        bench.lost(wanted.saturating_sub(made), || format!("{made} of {wanted} were made"));
    }
}

#[derive(Default)]
struct Upload {
    intended: u64,
    arrived: Sequence,
    end: Option<(End, u64)>,
}

/// Judges client streams: items arrive in order and once, all of them where the call was answered.
pub(super) fn judge_uploads(bench: &mut Bench<'_>, journals: &Journals, rules: Rules) {
    let mut uploads: HashMap<(u32, u64), Upload> = HashMap::new();
    for record in journals.swarm.iter().filter(|record| record.lane == Lane::Upload) {
        let upload = uploads.entry((record.client, record.part)).or_default();
        match record.what {
            What::Intent => upload.intended += 1,
            What::Ended => upload.end = Some((record.end, record.number)),
            What::Delivered | What::Gap => {}
        }
    }
    let delivered: Vec<_> = bench.delivered(journals).collect();
    for (_, Record { client, part, number, .. }) in delivered {
        bench.count.delivered += 1;
        let upload = uploads.entry((client, part)).or_default();
        let who = || format!("client {client}: item {number} of upload {part}");
        if number >= upload.intended {
            bench.untrue(|| format!("{} was never sent", who()));
            continue;
        }
        match upload.arrived.step(number) {
            Step::Next | Step::Ahead | Step::Nonsense => {}
            Step::Late => bench.reordered(1, || format!("{} came late", who())),
            Step::Again => bench.doubled(1, || format!("{} came again", who())),
        }
    }
    let mut uploads: Vec<_> = uploads.into_iter().collect();
    uploads.sort_by_key(|&(key, _)| key);
    for ((client, part), upload) in &uploads {
        let who = || format!("client {client}: upload {part}");
        bench.count.intended += upload.intended;
        let missing = upload.arrived.missing();
        bench.lost(missing, || format!("{} lacks {missing} items between others", who()));
        let Some((end, answer)) = upload.end else {
            bench.hanging(|| format!("{} has not ended", who()));
            continue;
        };
        bench.end(end, rules, &who);
        let arrived = upload.arrived.next();
        if end == End::Done && (arrived < upload.intended || answer != upload.intended) {
            let lost = (upload.intended - arrived).max(1);
            bench.lost(lost, || {
                format!("{} sent {}, {arrived} arrived, the answer says {answer}", who(), upload.intended)
            });
        }
        if matches!(end, End::NotSent | End::NotExecuted) && arrived > 0 {
            bench.untrue(|| format!("{} ran, and its caller was told {end:?}", who()));
        }
    }
    if let Rules::Whole { clients, work } = rules {
        let (wanted, made) = (clients * work.uploaded, bench.count.intended);
        bench.lost(wanted.saturating_sub(made), || format!("{made} of {wanted} were sent"));
    }
}
