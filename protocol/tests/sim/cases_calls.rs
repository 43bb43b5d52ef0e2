//! Cases that broke others: what was under way when the link was lost.

use std::time::Duration;

use bowline_protocol::envelope::GapReason;
use bowline_protocol::limits::Limits;

use crate::app::Ask;
use crate::net::End;
use crate::oracle::{Ended, Party};
use crate::scene::{Scene, ms, secs};
use crate::service::{ASK, CHAT, LIST, LOOK, PAY, WATCH};

use Party::{Client, Server};

fn within(method: usize, time: Duration) -> Ask {
    Ask { method, len: 50, time: Some(time), queued: None, depth: 0 }
}

#[test]
fn once_over_a_resume_runs_once() {
    let (mut scene, pay) = Scene::asked(PAY);
    scene.cut();
    scene.pay();
    scene.reconnect();
    scene.assert_complete([pay]);
    scene.end();
}

/// The session is lost and the node is not: the table knows the key, and a repeat waits for the task that runs.
#[test]
fn once_over_a_lost_session_waits_for_the_task_that_runs() {
    let mut scene = Scene::with(|profile| profile.node.resume_window = secs(5));
    let pay = scene.ask(Client, PAY, 50);
    scene.advance(secs(1));
    scene.cut();
    scene.advance(secs(10));
    scene.reconnect();
    assert_eq!(scene.counts().gaps, 1);
    assert_eq!((scene.runs(pay), scene.ended(pay)), (1, None), "asked again, and not run again");
    scene.pay();
    scene.advance(secs(1));
    scene.assert_complete([pay]);
    scene.end();
}

/// Another node, or the same one without its memory: nobody knows whether it ran, and nothing runs.
#[test]
fn once_after_a_restart_and_after_a_fail_over() {
    for is_written in [true, false] {
        let mut scene = Scene::new();
        if !is_written {
            scene.cut();
        }
        let pay = scene.ask(Client, PAY, 50);
        scene.advance(secs(1));
        if is_written {
            scene.cut();
        }
        scene.restart();
        scene.reconnect();
        scene.pay();
        scene.advance(secs(1));
        let expected = if is_written { Ended::Failed } else { Ended::Complete };
        assert_eq!((scene.runs(pay), scene.ended(pay)), (1, Some(expected)), "{is_written}");
        scene.end();
    }
}

/// A call that was lost before anybody ran it is refused by the next node all the same: it can't know.
#[test]
fn once_that_never_arrived_is_of_unknown_outcome_at_another_node() {
    let (mut scene, first) = Scene::asked(PAY);
    scene.pay();
    scene.advance(secs(1));
    let pay = scene.ask(Client, PAY, 50);
    scene.cut();
    scene.restart();
    scene.reconnect();
    assert_eq!((scene.runs(first), scene.runs(pay), scene.ended(pay)), (1, 0, Some(Ended::Failed)));
    scene.end();
}

#[test]
fn once_that_is_cancelled_after_its_effect_runs_to_its_end() {
    let (mut scene, pay) = Scene::asked(PAY);
    assert_eq!(scene.runs(pay), 1);
    scene.cancel(Client, pay);
    scene.advance(secs(1));
    assert!(!scene.world.cx.once.is_idle(), "the task goes on");
    scene.pay();
    scene.advance(secs(1));
    assert!(scene.world.cx.once.is_idle());
    scene.end();
}

/// The client slept for longer than the session lives, and longer than the table keeps what nobody acknowledged. The
/// table forgets only what it needs room for: the answer is still there.
#[test]
fn once_at_301_s_after_a_sleep() {
    let (mut scene, pay) = Scene::asked(PAY);
    scene.cut();
    scene.pay();
    scene.advance(secs(301));
    scene.reconnect();
    scene.advance(secs(1));
    assert_eq!((scene.counts().gaps, scene.runs(pay)), (1, 1));
    assert_eq!(scene.ended(pay), Some(Ended::Complete));
    scene.end();
}

/// With room for one entry the table had to forget it meanwhile: the repeat runs nothing.
#[test]
fn once_at_301_s_with_a_full_table() {
    let mut scene = Scene::with(|profile| profile.once.identity_entries = 1);
    let pay = scene.ask(Client, PAY, 50);
    scene.advance(secs(1));
    scene.cut();
    scene.pay();
    scene.advance(secs(301));
    let other = scene.ask(Client, PAY, 50);
    scene.reconnect();
    scene.pay();
    scene.advance(secs(1));
    assert_eq!(scene.runs(pay), 1);
    // Both were asked in one breath: whichever came first has the room.
    assert!(scene.ended(pay).is_some() && scene.ended(other).is_some());
    scene.end();
}

/// Who has an answer never asks again: its entry makes room, and nothing becomes unknown by that. The answer that nobody
/// has yet stays, however full the table is.
#[test]
fn a_full_table_of_once_calls_forgets_first_what_was_acknowledged() {
    let mut scene = Scene::with(|profile| profile.once.identity_entries = 2);
    let before = scene.world.cx.once.table();
    let known = scene.ask(Client, PAY, 50);
    scene.advance(secs(1));
    scene.pay();
    scene.advance(secs(2));
    let waits = scene.ask(Client, PAY, 50);
    scene.advance(secs(1));
    scene.cut();
    scene.pay();
    let third = scene.ask(Client, PAY, 50);
    scene.reconnect();
    scene.advance(secs(1));
    scene.pay();
    scene.advance(secs(1));
    for call in [known, waits, third] {
        // Some handlers fail by chance; one that was refused would not have run.
        assert!(scene.ended(call).is_some() && scene.runs(call) == 1);
    }
    assert_eq!(scene.world.cx.once.table(), before, "what was forgotten can't be asked for");
    scene.end();
}

/// Its caller hears of it in time, and what is known: the other end may still get to it, and then drops it.
#[test]
fn a_deadline_passes_while_detached() {
    let mut scene = Scene::new();
    let ran = scene.ask_for(Client, within(ASK, secs(5)));
    scene.advance(secs(1));
    assert_eq!(scene.runs(ran), 1);
    let lost = scene.ask_for(Client, within(ASK, secs(5)));
    scene.cut();
    let unsent = scene.ask_for(Client, within(ASK, secs(5)));
    scene.advance(secs(6));
    assert_eq!(scene.ended(ran), Some(Ended::Failed), "its outcome is unknown");
    assert!(scene.ended(lost).is_some());
    assert_eq!(scene.ended(unsent), Some(Ended::NotRun));
    scene.reconnect();
    assert_eq!((scene.runs(lost), scene.runs(unsent)), (0, 0), "nothing starts that nobody waits for");
    scene.answer_all(Server);
    scene.advance(secs(3));
    assert_eq!(scene.held(Client), scene.held(Server), "and nothing is left of any of them");
    scene.end();
}

/// A call that is written again states what is left of its time, not what was left when it was written first.
#[test]
fn a_call_that_is_written_again_states_its_time_anew() {
    let mut scene = Scene::new();
    let call = scene.ask_for(Client, within(ASK, secs(60)));
    scene.cut();
    scene.advance(secs(50));
    scene.reconnect();
    assert_eq!(scene.runs(call), 1);
    scene.cut();
    scene.advance(secs(5));
    assert!(!scene.is_stopped(call));
    scene.advance(secs(5));
    assert!(scene.is_stopped(call), "by the deadline at the callee: no cancel can arrive");
    scene.reconnect();
    assert_eq!(scene.ended(call), Some(Ended::Failed));
    scene.end();
}

#[test]
fn a_cancel_of_an_undelivered_call() {
    let (mut scene, delivered) = Scene::asked(ASK);
    let small = scene.ask(Client, ASK, 50);
    let large = scene.ask(Client, ASK, 500_000);
    let stream = scene.ask(Client, CHAT, 50);
    scene.cut();
    for call in [delivered, small, large, stream] {
        scene.cancel(Client, call);
    }
    let next = scene.ask(Client, ASK, 50);
    scene.reconnect();
    assert_eq!([small, large, stream].map(|call| scene.runs(call)), [0; 3], "void in the place of the call");
    assert_eq!(scene.runs(next), 1);
    scene.answer_all(Server);
    scene.advance(secs(3));
    assert_eq!(scene.end().gaps, 0);
}

/// The id is free when the terminal was read, not when the cancel was written; and when the call went as a void.
#[test]
fn an_id_is_used_again_right_after_a_cancel() {
    let limits = Limits { calls: 1, streams: 1, nested: 0, ..Limits::default() };
    let mut scene = Scene::with(|profile| profile.limits = limits);
    for round in 0..12 {
        let call = scene.ask(Client, if round % 2 == 0 { ASK } else { CHAT }, 50);
        match round % 4 {
            0 => scene.advance(ms(100)),
            1 => scene.advance(ms(5)),
            _ => {}
        }
        scene.cancel(Client, call);
        let next = scene.ask(Client, if round % 2 == 0 { LOOK } else { LIST }, 50);
        if round % 3 == 0 {
            scene.relink();
        }
        scene.advance(ms(200));
        for _ in 0..2 {
            scene.answer_all(Server);
            scene.advance(ms(200));
        }
        scene.read_all(Client);
        assert_eq!((scene.runs(next), scene.ended(next)), (1, Some(Ended::Complete)), "round {round}");
    }
    assert_eq!(scene.end().gaps, 0);
}

#[test]
fn a_gap_item_in_a_cut() {
    let (mut scene, stream) = Scene::asked(LIST);
    scene.send(Server, stream, 50);
    scene.leave_out(Server, stream, 300);
    scene.send(Server, stream, 50);
    scene.relink();
    scene.send(Server, stream, 50);
    scene.answer(Server, stream, 0);
    scene.advance(secs(1));
    scene.read_all(Client);
    // The oracle wants each item in its place: 0, then 301 and 302.
    assert_eq!((scene.world.cx.oracle.read(stream), scene.ended(stream)), (303, Some(Ended::Complete)));
    scene.end();
}

/// Small and large: the end carries the value, or waits until it arrived.
#[test]
fn the_last_value_of_a_watch_comes_before_its_end() {
    for len in [50, 20_000, 300_000] {
        for after in [0, 10, 21, 60, 200] {
            let (mut scene, watch) = Scene::asked(WATCH);
            scene.send(Server, watch, len);
            scene.advance(secs(1));
            scene.read_all(Client);
            scene.send(Server, watch, len);
            scene.advance(ms(after / 2));
            scene.answer(Server, watch, 0);
            scene.advance(ms(after / 2));
            scene.relink();
            scene.advance(secs(5));
            scene.read_all(Client);
            let shown = (scene.world.cx.oracle.read(watch), scene.ended(watch));
            assert_eq!(shown, (2, Some(Ended::Complete)), "{len} B, {after} ms");
            scene.end();
        }
    }
}

#[test]
fn a_watch_to_a_reader_that_stalls() {
    let (mut scene, watch) = Scene::asked(WATCH);
    let link = scene.link();
    scene.world.net.stall(&mut scene.world.cx, link, End::Server, secs(8));
    for _ in 0..500 {
        scene.send(Server, watch, 10_000);
        scene.advance(ms(10));
    }
    let held = scene.held(Server);
    assert!(held.queued <= 1, "one value waits, not 500: {held:?}");
    scene.advance(secs(10));
    scene.read_all(Client);
    assert_eq!(scene.world.cx.oracle.read(watch), 500, "the newest value arrives");
    assert!(scene.counts().items < 100, "and most others never travelled");
    scene.end();
}

/// A call made inside a handler never waits: it is refused where there is no place, and 32 places are kept for such.
#[test]
fn nested_calls_at_depth_3_with_full_pools() {
    let mut scene = Scene::new();
    let outer: Vec<_> = (0..300).map(|_| scene.ask(Client, ASK, 50)).collect();
    let back: Vec<_> = (0..300).map(|_| scene.ask(Server, ASK, 50)).collect();
    scene.advance(secs(2));
    let nested = |method, depth| Ask { method, len: 50, time: None, queued: None, depth };
    let mut inner = Vec::new();
    for depth in 1..=3 {
        for party in [Client, Server] {
            for _ in 0..10 {
                inner.push(scene.try_ask(party, nested(ASK, depth)).expect("places are kept for it"));
            }
            scene.advance(ms(100));
        }
    }
    assert!(scene.try_ask(Client, nested(ASK, 5)).is_none(), "too deep");
    let mut refused = 0;
    for _ in 0..10 {
        refused += u32::from(scene.try_ask(Client, nested(ASK, 3)).is_none());
    }
    assert!(refused > 0, "the kept places are full too");
    scene.relink();
    for _ in 0..10 {
        scene.answer_all(Server);
        scene.answer_all(Client);
        scene.advance(secs(1));
    }
    scene.assert_complete(outer.into_iter().chain(back).chain(inner));
    scene.end();
}

/// Everything that is pending ends; nothing of it is sent as somebody else. The session stays its owner's.
#[test]
fn an_identity_changes_with_a_full_outbox() {
    let (mut scene, ran) = Scene::asked(LOOK);
    scene.cut();
    let queue = |method| Ask { method, len: 50, time: Some(secs(10)), queued: Some(secs(3600)), depth: 0 };
    let mut waiting: Vec<_> = (0..500).map(|_| scene.ask_for(Client, queue(ASK))).collect();
    waiting.extend((0..400).map(|_| scene.ask(Client, LOOK, 50)));
    let watch = scene.ask(Client, WATCH, 50);
    scene.world.clients[0].next_identity = Some(2000);
    scene.reconnect();
    scene.read_all(Client);
    for call in waiting {
        assert_eq!((scene.runs(call), scene.ended(call)), (0, Some(Ended::NotRun)));
    }
    assert_eq!((scene.runs(watch), scene.runs(ran)), (0, 1));
    assert_eq!(scene.ended(ran), Some(Ended::Failed));
    let held = scene.world.node.registry.stats().held;
    assert_eq!((held.attached, held.detached), (1, 1), "the older session waits for its owner");
    let new = scene.ask(Client, ASK, 50);
    scene.advance(secs(1));
    assert_eq!(scene.runs(new), 1);
    assert_eq!(scene.end().gaps, 1);
}

/// The node was restarted too, and can't know that the session was somebody else's: the client knows by the welcome.
#[test]
fn an_identity_changes_while_the_node_is_restarted() {
    let mut scene = Scene::new();
    let ran: Vec<_> = [ASK, LOOK, PAY].into_iter().map(|method| scene.ask(Client, method, 50)).collect();
    let (watch, list) = (scene.ask(Client, WATCH, 50), scene.ask(Client, LIST, 50));
    scene.advance(secs(1));
    let before: Vec<_> = [watch, list].into_iter().map(|call| scene.runs(call)).collect();
    scene.cut();
    let queue = |method| Ask { method, len: 50, time: Some(secs(10)), queued: Some(secs(3600)), depth: 0 };
    let mut waiting: Vec<_> = (0..50).map(|_| scene.ask_for(Client, queue(ASK))).collect();
    waiting.extend([LOOK, PAY, LIST, WATCH].into_iter().map(|method| scene.ask(Client, method, 50)));
    scene.restart();
    scene.world.clients[0].next_identity = Some(2000);
    scene.reconnect();
    scene.read_all(Client);
    for call in waiting {
        assert_eq!((scene.runs(call), scene.ended(call)), (0, Some(Ended::NotRun)));
    }
    for call in ran {
        assert_eq!((scene.runs(call), scene.ended(call)), (1, Some(Ended::Failed)));
    }
    assert_eq!([watch, list].map(|call| scene.runs(call)).to_vec(), before, "nobody subscribed again");
    let new = scene.ask(Client, ASK, 50);
    scene.advance(secs(1));
    assert_eq!(scene.runs(new), 1);
    assert_eq!(scene.end().gaps, 1);
}

/// Nobody heard of who it was meanwhile, so what waits is still its own; also where the node was restarted.
#[test]
fn who_is_themselves_again_before_any_welcome_goes_on() {
    for restarts in [false, true] {
        let mut scene = Scene::new();
        let again = scene.ask(Client, LOOK, 50);
        scene.advance(secs(1));
        scene.cut();
        let waits = scene.ask(Client, ASK, 50);
        scene.world.clients[0].next_identity = Some(2000);
        scene.lose_welcome();
        assert_eq!(scene.runs(waits), 0, "the welcome was lost, and nothing was sent");
        if restarts {
            scene.restart();
        }
        scene.world.clients[0].next_identity = Some(1000);
        scene.reconnect();
        assert_eq!((scene.runs(waits), scene.runs(again)), (1, if restarts { 2 } else { 1 }));
        let counts = scene.end();
        assert_eq!((counts.resumed, counts.gaps), if restarts { (0, 1) } else { (1, 0) });
    }
}

/// The node is drained: sessions that it has go on, also over a cut; nobody new is taken in.
#[test]
fn a_draining_node_takes_resumes_and_no_new_sessions() {
    let (mut scene, call) = Scene::asked(ASK);
    scene.world.node.registry.drain();
    scene.relink();
    scene.advance(secs(10));
    scene.complete(call);
    assert_eq!(scene.sessions(), (1, 0));
    scene.end();
}

/// A device slept while its link died and its session expired: what had a deadline ends first, then the rest goes on.
#[test]
fn a_device_sleeps_past_deadlines_and_window() {
    let mut scene = Scene::new();
    let due = scene.ask_for(Client, within(ASK, secs(60)));
    let again = scene.ask(Client, LOOK, 50);
    scene.advance(secs(1));
    scene.expect_gap(GapReason::Expired);
    let now = scene.world.cx.now;
    scene.world.clients[0].asleep_until = now + secs(600);
    scene.world.cx.queue.at(now + secs(600), crate::world::Happening::Wake(0));
    scene.advance(secs(599));
    assert_eq!(scene.ended(due), None, "who sleeps hears nothing");
    scene.advance(secs(1));
    assert_eq!(scene.ended(due), Some(Ended::Failed), "deadlines are checked first");
    scene.advance(secs(20));
    assert!(scene.is_live());
    assert_eq!(scene.runs(again), 2);
    scene.end();
}
