//! Random sequences of everything at once, against sums made the slow way.

use super::*;

/// A small generator, so that a failure is the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn accounts_add_up_after_any_sequence_of_moves() {
    for seed in 0..20 {
        let limits = NodeLimits {
            attached: 30,
            detached: 20,
            detached_bytes: 2000,
            bytes: 4000,
            detached_per_identity: 4,
            detached_per_address: 8,
            tombstones: 25,
            ..NodeLimits::default()
        };
        let mut book = Book::new(limits.clone());
        let mut dice = Dice(seed);
        let who = |session: u128| {
            if session.is_multiple_of(2) { user(session % 5) } else { address((session % 3) as u8) }
        };
        let (mut seconds, mut next, mut attempt) = (0.0, 1, 1);
        for _ in 0..3000 {
            seconds += dice.below(4) as f64;
            attempt += 1;
            let now = book.at(seconds);
            let session = u128::from(dice.below(next)) + 1;
            let held = dice.below(400) as usize;
            match dice.below(8) {
                0 | 1 => {
                    let (hello, session) = (Hello { instance: 1, ..Hello::default() }, u128::from(next));
                    let new = New {
                        session,
                        token: &token(session),
                        epoch: EPOCH,
                        who: who(session),
                        hello: &hello,
                    };
                    next += u64::from(book.registry.insert(now, new).is_ok());
                }
                2 | 3 => book.registry.detach(now, session, held),
                4 => {
                    let who = if dice.below(3) == 0 { address(9) } else { who(session) };
                    let hello = hello(session, token(session), attempt);
                    if book.registry.look(now, &hello, &who) == (Verdict::Resume { session }) {
                        book.registry.attach(now, &hello, &who, &token(session)).unwrap();
                    }
                }
                5 => book.registry.set_held(session, held),
                6 => book.registry.prove(session),
                _ => match dice.below(30) {
                    0 => {
                        for session in book.registry.revoke(u128::from(dice.below(5))) {
                            book.registry.forget(session);
                        }
                    }
                    1..5 => book.registry.forget(session),
                    _ => {}
                },
            }
            check(&book, &limits);
            if dice.below(3) == 0 {
                book.evicted(seconds);
            }
        }
        book.registry.handle_timeout(book.at(seconds + 120.0));
        for session in 1..=next {
            book.registry.detach(book.at(seconds + 120.0), session.into(), 0);
        }
        book.registry.handle_timeout(book.at(seconds + 240.0));
        book.evicted(seconds + 240.0);
        book.registry.handle_timeout(book.at(seconds + 840.0));
        assert_eq!((book.held(), book.registry.poll_timeout()), (RegistryHeld::default(), None));
        assert!(book.registry.windows.is_empty() && book.registry.by_bytes.is_empty());
    }
}

fn check(book: &Book, limits: &NodeLimits) {
    let registry = &book.registry;
    let held = registry.stats().held;
    let sum = |wanted: fn(&Place) -> bool| {
        let entries = registry.entries.values().filter(|entry| wanted(&entry.place));
        entries.fold((0, 0), |(count, bytes), entry| (count + 1, bytes + entry.held))
    };
    let attached = sum(|place| matches!(place, Place::Attached));
    let detached = sum(|place| matches!(place, Place::Detached { .. }));
    let ending = sum(|place| matches!(place, Place::Ending(_)));
    assert_eq!((held.attached, held.detached, held.ending), (attached.0, detached.0, ending.0));
    assert_eq!((held.detached_bytes, held.bytes), (detached.1, attached.1 + detached.1));
    assert_eq!(registry.windows.len(), detached.0);
    assert_eq!(registry.by_bytes.len(), attached.0 + detached.0);
    assert!(held.detached <= limits.detached && held.detached_bytes <= limits.detached_bytes);
    assert!(held.bytes <= limits.bytes && held.tombstones <= limits.tombstones);
    for entry in registry.entries.values() {
        let limit = match entry.owner {
            Owner::Identity(_) => limits.detached_per_identity,
            _ => limits.detached_per_address,
        };
        // The parking of a session checks its owner; one that moved with a link is checked when it is parked.
        assert!(registry.accounts.detached_of(entry.owner) <= limit);
    }
}
