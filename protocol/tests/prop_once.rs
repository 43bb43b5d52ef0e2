//! The table of `once` calls against a list that is searched from end to end, and against the promise itself: what an
//! oracle outside of both saw run is never run again.

#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_protocol::Instant;
use bowline_protocol::envelope::{OnceKey, OnceTable};
use bowline_protocol::once::{Begin, OnceLimits, Record, Scope, Table, Ticket};
use bowline_test_support::{Random, origin};
use proptest::prelude::*;

const ENTRY: usize = 512;
const TABLE: u128 = 5;

fn limits() -> OnceLimits {
    OnceLimits {
        bytes: 12 * ENTRY,
        identity_bytes: 8 * ENTRY,
        identity_entries: 4,
        keep: Duration::from_secs(300),
    }
}

/// One line of the list.
#[derive(Debug, Clone)]
struct Line {
    key: u128,
    scope: Scope,
    arguments: u128,
    ticket: Ticket,
    /// When it ended, and what is kept of it.
    ended: Option<(Instant, Option<usize>)>,
    is_acknowledged: bool,
}

impl Line {
    fn bytes(&self) -> usize {
        ENTRY + self.ended.and_then(|(_, kept)| kept).unwrap_or(0)
    }
}

/// The rules, written down without any index.
#[derive(Debug, Default)]
struct Model {
    lines: Vec<Line>,
    tick: u64,
}

#[derive(Debug, PartialEq)]
enum Verdict {
    Start,
    Wait(Ticket),
    Done(Ticket, usize),
    Unknown,
    Mismatch,
    Full,
}

impl Model {
    fn of(&self, identity: u128) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.scope.identity == identity)
    }

    fn begin(&mut self, now: Instant, key: &OnceKey, scope: Scope, arguments: u128) -> Verdict {
        if let Some(line) = self.lines.iter().find(|line| (line.key, line.scope) == (key.key, scope)) {
            return match line.ended {
                _ if line.arguments != arguments => Verdict::Mismatch,
                None => Verdict::Wait(line.ticket),
                Some((_, Some(len))) => Verdict::Done(line.ticket, len),
                Some((_, None)) => Verdict::Unknown,
            };
        }
        let same = |line: &Line| {
            (line.key, line.scope.service, line.scope.method) == (key.key, scope.service, scope.method)
        };
        if key.table.id != TABLE || self.tick > key.table.tick || self.lines.iter().any(same) {
            return Verdict::Unknown;
        }
        if self.make_room(now, scope.identity, 1, ENTRY) { Verdict::Start } else { Verdict::Full }
    }

    fn make_room(&mut self, now: Instant, identity: u128, entries: usize, bytes: usize) -> bool {
        let limits = limits();
        if bytes > limits.bytes || bytes > limits.identity_bytes {
            return false;
        }
        loop {
            let own: Vec<_> = self.of(identity).collect();
            let own_bytes: usize = own.iter().map(|line| line.bytes()).sum();
            let own_full =
                own.len() + entries > limits.identity_entries || own_bytes + bytes > limits.identity_bytes;
            let full = self.lines.iter().map(Line::bytes).sum::<usize>() + bytes > limits.bytes;
            if !own_full && !full {
                return true;
            }
            let may_go = |line: &&Line| {
                let Some((ended, _)) = line.ended else { return false };
                let old = now.saturating_duration_since(ended) > limits.keep;
                (line.is_acknowledged || old) && (!own_full || line.scope.identity == identity)
            };
            let order = |line: &&Line| (!line.is_acknowledged, line.ended.map(|it| it.0), line.ticket);
            let Some(first) = self.lines.iter().filter(may_go).min_by_key(order).map(|line| line.ticket)
            else {
                return false;
            };
            let place = self.lines.iter().position(|line| line.ticket == first).unwrap();
            let gone = self.lines.remove(place);
            self.tick += u64::from(!gone.is_acknowledged);
        }
    }

    fn line(&mut self, ticket: Ticket) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.ticket == ticket)
    }
}

fn digest(verdict: &Begin) -> Verdict {
    match verdict {
        Begin::Start(_) => Verdict::Start,
        Begin::Wait(ticket) => Verdict::Wait(*ticket),
        Begin::Done(ticket, record) => Verdict::Done(*ticket, record.as_ref().unwrap().len()),
        Begin::Unknown => Verdict::Unknown,
        Begin::Mismatch => Verdict::Mismatch,
        Begin::Full => Verdict::Full,
    }
}

/// A call as its caller knows it: the same key and table however often it asks.
#[derive(Debug, Clone)]
struct Caller {
    key: OnceKey,
    scope: Scope,
    arguments: u128,
    /// The answer arrived, so that it never asks again.
    has_answer: bool,
    runs: u32,
}

fn play(seed: u64) {
    let mut random = Random::new(seed);
    let mut table = Table::new(TABLE, limits());
    let mut model = Model { tick: 1, ..Model::default() };
    let mut now = origin();
    let mut callers: Vec<Caller> = Vec::new();
    let mut running: BTreeMap<Ticket, usize> = BTreeMap::new();
    let mut answered: Vec<(Ticket, usize)> = Vec::new();

    for _ in 0..300 {
        match random.below(8) {
            0 => now += Duration::from_secs(random.below(400)),
            // A new call, whose caller has just seen the table, or has not for a while.
            1 | 2 => {
                let seen = table.table();
                let behind = random.below(4).saturating_sub(2);
                let id = if random.below(12) == 0 { TABLE + 1 } else { TABLE };
                callers.push(Caller {
                    key: OnceKey {
                        key: u128::from(random.below(12)) << 64 | callers.len() as u128,
                        table: OnceTable { id, tick: seen.tick.saturating_sub(behind) },
                    },
                    scope: Scope {
                        identity: u128::from(random.below(4)),
                        service: "Chat",
                        method: ["post", "pin"][random.below(2) as usize],
                    },
                    arguments: u128::from(random.below(3)),
                    has_answer: false,
                    runs: 0,
                });
            }
            // A call arrives, for the first time or again.
            3 | 4 if !callers.is_empty() => {
                let place = random.below(callers.len() as u64) as usize;
                let caller = &mut callers[place];
                if caller.has_answer {
                    continue;
                }
                let other = random.below(15) == 0;
                let arguments = caller.arguments + u128::from(other) * 7;
                // It has logged in meanwhile, or has another address.
                let identity = caller.scope.identity + u128::from(random.below(12) == 0);
                let scope = Scope { identity, ..caller.scope };
                let verdict = table.begin(now, &caller.key, scope, arguments);
                let expected = model.begin(now, &caller.key, scope, arguments);
                assert_eq!(digest(&verdict), expected, "{caller:?}");
                match verdict {
                    Begin::Start(ticket) => {
                        assert_eq!(caller.runs, 0, "it ran already: {caller:?}");
                        running.insert(ticket, place);
                        model.lines.push(Line {
                            key: caller.key.key,
                            scope,
                            arguments,
                            ticket,
                            ended: None,
                            is_acknowledged: false,
                        });
                        (caller.arguments, caller.scope) = (arguments, scope);
                    }
                    Begin::Done(ticket, _) => answered.push((ticket, place)),
                    _ => {}
                }
            }
            // A handler ends, or its call is refused before it starts.
            5 | 6 if !running.is_empty() && random.below(5) > 0 => {
                let place = random.below(running.len() as u64) as usize;
                let (&ticket, &caller) = running.iter().nth(place).unwrap();
                running.remove(&ticket);
                if random.below(4) == 0 {
                    table.abandon(ticket);
                    model.lines.retain(|line| line.ticket != ticket);
                } else {
                    let len = random.below(3 * ENTRY as u64) as usize;
                    let record: Record = Ok(vec![0; len].into());
                    table.finish(now, ticket, record);
                    callers[caller].runs += 1;
                    let kept = model.make_room(now, callers[caller].scope.identity, 0, len);
                    model.line(ticket).unwrap().ended = Some((now, kept.then_some(len)));
                    answered.push((ticket, caller));
                }
            }
            // A caller gives up while its call runs.
            6 if random.below(4) == 0 && !running.is_empty() => {
                let (&ticket, &caller) = running.iter().next().unwrap();
                callers[caller].has_answer = true;
                table.acknowledged(ticket);
                model.line(ticket).unwrap().is_acknowledged = true;
            }
            // An answer arrives and is acknowledged.
            7 if !answered.is_empty() => {
                let place = random.below(answered.len() as u64) as usize;
                let (ticket, caller) = answered.swap_remove(place);
                callers[caller].has_answer = true;
                table.acknowledged(ticket);
                if let Some(line) = model.line(ticket) {
                    line.is_acknowledged = true;
                }
            }
            _ => {}
        }
        let stats = table.stats();
        assert_eq!(table.table(), OnceTable { id: TABLE, tick: model.tick });
        assert_eq!(stats.entries, model.lines.len());
        assert_eq!(stats.running, running.len());
        assert_eq!(stats.bytes, model.lines.iter().map(Line::bytes).sum::<usize>());
        assert!(stats.bytes <= limits().bytes);
        for identity in 0..8 {
            let own: Vec<_> = model.of(identity).collect();
            assert!(own.len() <= limits().identity_entries);
            assert!(own.iter().map(|line| line.bytes()).sum::<usize>() <= limits().identity_bytes);
        }
        for ticket in running.keys() {
            assert!(model.lines.iter().any(|line| line.ticket == *ticket), "a running call was forgotten");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_table_does_what_the_rules_say_and_runs_nothing_twice(seed: u64) {
        play(seed);
    }
}
