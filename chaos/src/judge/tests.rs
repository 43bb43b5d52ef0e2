use super::*;
use crate::journal::What;

const CALLS: Work = Work { calls: 3, effects: 0, numbers: 0, log: 0, uploaded: 0 };

fn up(lane: Lane, part: u64, number: u64) -> Record {
    Record::new(What::Intent, lane, 0, part, number)
}

fn delivered(lane: Lane, part: u64, number: u64) -> Record {
    Record::new(What::Delivered, lane, 0, part, number)
}

fn ended(lane: Lane, part: u64, number: u64, end: End) -> Record {
    Record::ended(lane, 0, part, number, end)
}

/// Three calls, as the ends wrote them.
fn calls(ran: &[u64], ends: [End; 3]) -> Journals {
    let mut swarm: Vec<_> = (0..3).map(|number| up(Lane::Call, 0, number)).collect();
    swarm.extend((0..).zip(ends).map(|(number, end)| ended(Lane::Call, 0, number, end)));
    Journals { servers: vec![ran.iter().map(|&number| delivered(Lane::Call, 1, number)).collect()], swarm }
}

fn whole(work: Work) -> Rules {
    Rules::Whole { clients: 1, work }
}

/// The one lane that has anything, and its verdict.
fn of(journals: &Journals, rules: Rules, lane: Lane) -> Count {
    let verdict = Verdict::of(journals, rules);
    assert_eq!(verdict.broken() > 0, !verdict.sentences.is_empty(), "{verdict:?}");
    verdict.lanes[lane as usize].clone()
}

#[test]
fn calls_that_ran_once_and_in_order_are_fine() {
    let count = of(&calls(&[0, 1, 2], [End::Done; 3]), whole(CALLS), Lane::Call);
    assert_eq!((count.broken(), count.intended, count.delivered, count.done), (0, 3, 3, 3));
}

#[test]
fn each_way_to_break_a_call_is_found() {
    let check = |ran: &[u64], ends| of(&calls(ran, ends), whole(CALLS), Lane::Call);
    let lost = check(&[0, 2], [End::Done; 3]);
    assert_eq!((lost.lost, lost.broken()), (1, 1), "answered and never ran");
    let doubled = check(&[0, 1, 1, 2], [End::Done; 3]);
    assert_eq!((doubled.doubled, doubled.broken()), (1, 1));
    let reordered = check(&[0, 2, 1], [End::Done; 3]);
    assert_eq!((reordered.reordered, reordered.broken()), (1, 1));
    let failed = check(&[0, 1, 2], [End::Done, End::Unknown, End::Done]);
    assert_eq!((failed.lost, failed.broken()), (1, 1), "no session may be lost");
    let hanging = check(&[0, 1, 2], [End::Done, End::Hanging, End::Done]);
    assert_eq!((hanging.hanging, hanging.broken()), (1, 1));
    let invented = check(&[0, 1, 2, 3], [End::Done; 3]);
    assert!(invented.untrue > 0);
    let mut endless = calls(&[0, 1, 2], [End::Done; 3]);
    endless.swarm.pop();
    assert_eq!(of(&endless, whole(CALLS), Lane::Call).hanging, 1);
    let short = of(&calls(&[0, 1, 2], [End::Done; 3]), whole(Work { calls: 5, ..CALLS }), Lane::Call);
    assert_eq!(short.lost, 2, "two were never made");
}

#[test]
fn after_a_kill_a_call_may_be_unknown_and_may_not_be_said_not_to_have_run() {
    let check = |ran: &[u64], end| of(&calls(ran, [End::Done, end, End::Done]), Rules::Honest, Lane::Call);
    assert_eq!(check(&[0, 1, 2], End::Unknown).broken(), 0);
    assert_eq!(check(&[0, 2], End::Unknown).broken(), 0);
    assert_eq!(check(&[0, 2], End::NotExecuted).broken(), 0);
    assert_eq!(check(&[0, 1, 2], End::NotExecuted).untrue, 1);
    assert_eq!(check(&[0, 1, 2], End::NotSent).untrue, 1);
    assert_eq!(check(&[0, 1, 2], End::Failed).untrue, 1);
    // Ran in one life and again in the next.
    let mut twice = calls(&[0, 1], [End::Done; 3]);
    twice.servers.push(vec![delivered(Lane::Call, 2, 1), delivered(Lane::Call, 2, 2)]);
    let count = of(&twice, Rules::Honest, Lane::Call);
    assert_eq!((count.doubled, count.broken()), (1, 1));
}

/// An upload of three items.
fn upload(arrived: &[u64], end: End, answer: u64) -> Journals {
    let mut swarm: Vec<_> = (0..3).map(|number| up(Lane::Upload, 7, number)).collect();
    swarm.push(ended(Lane::Upload, 7, answer, end));
    Journals {
        servers: vec![arrived.iter().map(|&number| delivered(Lane::Upload, 7, number)).collect()],
        swarm,
    }
}

#[test]
fn uploads_arrive_whole_or_as_a_beginning() {
    let check = |arrived: &[u64], end, answer| of(&upload(arrived, end, answer), Rules::Honest, Lane::Upload);
    assert_eq!(check(&[0, 1, 2], End::Done, 3).broken(), 0);
    assert_eq!(check(&[0, 1], End::Unknown, 0).broken(), 0, "a beginning, and its end says so");
    assert_eq!(check(&[0, 1], End::Done, 3).lost, 1);
    assert_eq!(check(&[0, 1, 2], End::Done, 2).lost, 1, "the answer counts too few");
    assert_eq!(check(&[0, 2], End::Unknown, 0).lost, 1, "a hole");
    assert_eq!(check(&[0, 1, 1, 2], End::Done, 3).doubled, 1);
    assert_eq!(check(&[0, 2, 1], End::Done, 3).reordered, 1);
    assert_eq!(check(&[0, 1, u64::MAX], End::Unknown, 0).untrue, 1, "damaged");
    assert_eq!(check(&[0], End::NotExecuted, 0).untrue, 1);
    assert_eq!(of(&upload(&[0, 1], End::Unknown, 0), whole(Work::default()), Lane::Upload).lost, 1);
}

/// Runs of items that a server gave out: (run, from, to).
fn stream(lane: Lane, given: &[(u64, u64, u64)], read: Vec<Record>) -> Journals {
    let given = given.iter().flat_map(|&(run, from, to)| (from..to).map(move |number| up(lane, run, number)));
    Journals { servers: vec![given.collect()], swarm: read }
}

#[test]
fn items_come_once_and_in_order_and_holes_are_found() {
    let check = |numbers: &[u64], end| {
        let mut read: Vec<_> = numbers.iter().map(|&number| delivered(Lane::Numbers, 5, number)).collect();
        read.push(ended(Lane::Numbers, 0, 0, end));
        of(&stream(Lane::Numbers, &[(5, 0, 3)], read), Rules::Honest, Lane::Numbers)
    };
    assert_eq!(check(&[0, 1, 2], End::Done).broken(), 0);
    assert_eq!(check(&[0, 1], End::Unknown).broken(), 0, "an end covers what did not come");
    assert_eq!(check(&[0, 1], End::Done).lost, 1, "ended well without its last item");
    assert_eq!(check(&[0, 2], End::Done).lost, 1);
    assert_eq!(check(&[0, 1, 1, 2], End::Done).doubled, 1);
    assert_eq!(check(&[0, 2, 1], End::Done).reordered, 1);
    assert_eq!(check(&[0, 1, 2, 3], End::Stopped).untrue, 1, "an item that nobody gave out");
}

#[test]
fn a_new_run_needs_a_gap_or_an_end_before_it() {
    let given = [(5, 0, 3), (6, 0, 3)];
    let check = |between: Option<Record>, rules| {
        let mut read = vec![delivered(Lane::Numbers, 5, 0)];
        read.extend(between);
        read.extend([delivered(Lane::Numbers, 6, 0), ended(Lane::Numbers, 0, 0, End::Stopped)]);
        of(&stream(Lane::Numbers, &given, read), rules, Lane::Numbers)
    };
    let gap = Record::new(What::Gap, Lane::Numbers, 0, 0, 0);
    let end = ended(Lane::Numbers, 0, 0, End::Unknown);
    assert_eq!(check(None, Rules::Honest).lost, 1);
    assert_eq!(check(Some(gap), Rules::Honest).broken(), 0);
    assert_eq!(check(Some(end), Rules::Honest).broken(), 0);
    assert!(check(Some(gap), whole(Work::default())).lost >= 1, "no session may be lost");
}

#[test]
fn a_log_goes_on_behind_its_last_item_whatever_happens() {
    let end = ended(Lane::Log, 0, 0, End::Unknown);
    let check_behind = |between: Option<Record>, second: u64| {
        let mut read = vec![delivered(Lane::Log, 5, 0), delivered(Lane::Log, 5, 1)];
        read.extend(between);
        read.extend([delivered(Lane::Log, 6, second), ended(Lane::Log, 0, 0, End::Stopped)]);
        of(&stream(Lane::Log, &[(5, 0, 3), (6, 0, 9)], read), Rules::Honest, Lane::Log)
    };
    assert_eq!(check_behind(None, 2).broken(), 0, "it goes on by itself, and nothing is missing");
    assert_eq!(check_behind(None, 3).lost, 1);
    let check = |second| check_behind(Some(end), second);
    assert_eq!(check(2).broken(), 0);
    assert_eq!((check(4).lost, check(4).broken()), (2, 2), "a gap may cover a stream, never a log");
    assert_eq!(check(1).doubled, 1);
}

#[test]
fn a_stream_without_an_end_hangs() {
    let journals = stream(Lane::Numbers, &[(5, 0, 3)], vec![delivered(Lane::Numbers, 5, 0)]);
    assert_eq!(of(&journals, Rules::Honest, Lane::Numbers).hanging, 1);
}
