//! What happens in one turn of the loop, and when others get theirs.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_ready_is_handled_before_the_answers_leave_together() {
    let (_faults, ours, mut theirs) = links();
    for message in ["a", "b", "c"] {
        theirs.start_send(message.into()).unwrap();
    }
    let script = Script::default();
    // Answers each message once, as a dispatcher would.
    let mut answered = 0;
    let background = poll_fn(|_| -> Poll<Infallible> {
        let mut state = script.0.borrow_mut();
        while answered < state.received.len() {
            let answer = state.received[answered].clone();
            state.outgoing.push_back(answer);
            answered += 1;
        }
        state.diary.push("background");
        Poll::Pending
    });
    let mut driving = pin!(run(ours, &script, background));
    let once = poll_fn(|cx| Poll::Ready(driving.as_mut().poll(cx).is_pending())).await;
    assert!(once);
    assert_eq!(
        script.diary(),
        ["connected", "message", "message", "message", "background", "transmit", "transmit", "transmit"]
    );
    assert_eq!(receive(&mut theirs).await.unwrap(), Received::Binary("a".into()));
}

#[tokio::test(start_paused = true)]
async fn writing_gets_its_turn_while_messages_pour_in() {
    let (_faults, ours, mut theirs) = links();
    for _ in 0..READS + 1 {
        theirs.start_send("x".into()).unwrap();
    }
    let script = Script::default();
    script.0.borrow_mut().outgoing.push_back("answer".into());
    let mut driving = pin!(run(ours, &script, pending()));
    let _ = poll_fn(|cx| Poll::Ready(driving.as_mut().poll(cx).is_pending())).await;
    let diary = script.diary();
    let at = diary.iter().position(|noted| *noted == "transmit").unwrap();
    assert_eq!(at, 1 + READS, "{diary:?}");
    assert_eq!(script.count("message"), READS + 1);
}

#[tokio::test(start_paused = true)]
async fn an_endless_writer_leaves_turns_to_others() {
    let (_faults, ours, mut theirs) = links();
    let script = Script::default();
    script.0.borrow_mut().endless = Some(Bytes::new());
    let (ended, ()) = beside(ours, &script, async || {
        // Empty messages never fill the link, and this task is polled all the same.
        for _ in 0..3 {
            assert!(matches!(receive(&mut theirs).await, Ok(Received::Binary(_))));
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(ended, None);
}

#[tokio::test(start_paused = true)]
async fn what_others_add_in_their_turn_leaves_with_what_was_ready() {
    let (_faults, ours, mut theirs) = links();
    let script = Script::default();
    script.command(|state| {
        state.company = true;
        state.outgoing.push_back("first".into());
    });
    let mut driving = pin!(run(ours, &script, pending()));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut poll = || assert!(driving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    poll();
    assert_eq!(script.count("transmit"), 0);
    assert!(woken.0.swap(false, Ordering::Relaxed), "others had their turn, then it goes on by itself");
    script.command(|state| state.outgoing.push_back("second".into()));
    poll();
    assert_eq!(script.count("transmit"), 2, "others get one turn, not two");
    // What came may be what others wait for, too.
    theirs.start_send("answer".into()).unwrap();
    woken.0.store(false, Ordering::Relaxed);
    poll();
    assert!(woken.0.swap(false, Ordering::Relaxed));
    poll();
    assert!(!woken.0.load(Ordering::Relaxed));
    assert_eq!(receive(&mut theirs).await.unwrap(), Received::Binary("first".into()));
    assert_eq!(receive(&mut theirs).await.unwrap(), Received::Binary("second".into()));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_adds_to_is_written_and_flushed_at_once() {
    let (_faults, ours, mut theirs) = links();
    let script = Script::default();
    script.command(|state| state.outgoing.push_back("alone".into()));
    let mut driving = pin!(run(ours, &script, pending()));
    assert!(driving.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(receive(&mut theirs).await.unwrap(), Received::Binary("alone".into()));
}

#[tokio::test(start_paused = true)]
async fn who_left_a_turn_to_others_comes_back_by_itself() {
    let (_faults, ours, _theirs) = links();
    let script = Script::default();
    script.0.borrow_mut().endless = Some(Bytes::new());
    let mut driving = pin!(run(ours, &script, pending()));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    assert!(driving.as_mut().poll(&mut Context::from_waker(&woken.clone().into())).is_pending());
    assert!(woken.0.load(Ordering::Relaxed));
}

/// Where it runs is where it stays: whoever has it prefetched is told so once.
#[tokio::test(start_paused = true)]
async fn what_its_turns_ask_for_is_told_at_the_first() {
    let (_, ours, mut theirs) = links();
    let script = Script::default();
    beside(ours, &script, async || {
        for _ in 0..3 {
            theirs.start_send(Bytes::from_static(b"hello")).unwrap();
            settle().await;
        }
    })
    .await;
    assert_eq!(script.count("message"), 3);
    let state = script.0.borrow();
    let [[place, link, rope]] = state.foreseen[..] else { panic!("{:?}", state.foreseen) };
    assert_eq!(link, Lines::default(), "nobody has many of this kind");
    assert!(![place, rope].contains(&Lines::default()));
}
