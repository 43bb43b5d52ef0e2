use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use bowline_protocol::envelope::Refusal;
use bowline_protocol::limits::Limits;
use bowline_runtime::Instant;
use bytes::Bytes;

use super::*;
use crate::memory::{Faults, MemoryLink, pair};

/// An end of a session that follows a script and keeps a diary.
#[derive(Default)]
struct Script(RefCell<State>);

#[derive(Default)]
struct State {
    diary: Vec<&'static str>,
    received: Vec<Bytes>,
    arriving: Vec<Arriving>,
    outgoing: VecDeque<Bytes>,
    /// `outgoing` never runs dry.
    endless: Option<Bytes>,
    refusal: Option<Refusal>,
    due: Option<Instant>,
    waker: Option<Waker>,
    /// Others may add to what is written next.
    company: bool,
}

impl Script {
    fn note(&self, what: &'static str) {
        self.0.borrow_mut().diary.push(what);
    }

    fn diary(&self) -> Vec<&'static str> {
        self.0.borrow().diary.clone()
    }

    fn count(&self, what: &str) -> usize {
        self.0.borrow().diary.iter().filter(|noted| **noted == what).count()
    }

    fn command(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.0.borrow_mut();
        change(&mut state);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn close(&self, code: CloseCode) {
        self.command(|state| state.refusal = Some(Refusal { code, reason: "why".to_owned() }));
    }
}

impl Core for Script {
    fn handle_connected(&self) {
        self.note("connected");
    }

    fn attend(&self) {}

    fn handle_disconnect(&self, _code: Option<CloseCode>) {
        self.note("disconnect");
    }

    fn handle_message(&self, message: Bytes) {
        self.note("message");
        self.0.borrow_mut().received.push(message);
    }

    fn handle_received(&self, arriving: Arriving) {
        self.note("received");
        self.0.borrow_mut().arriving.push(arriving);
    }

    fn handle_text(&self) {
        self.note("text");
    }

    fn handle_timeout(&self) {
        self.note("timeout");
        self.0.borrow_mut().due = None;
    }

    fn handle_blocked(&self) {
        self.note("blocked");
    }

    fn handle_progress(&self) {
        self.note("progress");
    }

    fn gathers(&self, heard: bool) -> bool {
        let state = self.0.borrow();
        state.company && (heard || !state.outgoing.is_empty())
    }

    fn poll_transmit(&self, cx: &mut Context<'_>) -> Poll<Bytes> {
        let mut state = self.0.borrow_mut();
        let endless = state.endless.clone();
        match state.outgoing.pop_front().or(endless) {
            Some(message) => {
                state.diary.push("transmit");
                Poll::Ready(message)
            }
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_close(&self) -> Option<Refusal> {
        self.0.borrow_mut().refusal.take()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.0.borrow().due
    }

    fn park(&self, cx: &mut Context<'_>) {
        self.0.borrow_mut().waker = Some(cx.waker().clone());
    }
}

fn links() -> (Faults, MemoryLink, MemoryLink) {
    let faults = Faults::default();
    let (ours, theirs) = pair(&faults);
    (faults, ours, theirs)
}

async fn receive(link: &mut MemoryLink) -> Result<Received, LinkError> {
    poll_fn(|cx| link.poll_receive(cx)).await
}

/// Lets the loop run until it waits.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Runs the loop beside `test`, which has to outlive it or to end it.
async fn beside<T>(link: MemoryLink, script: &Script, test: impl AsyncFnOnce() -> T) -> (Option<Ended>, T) {
    let mut ended = None;
    let mut driving = pin!(run(link, script, pending()));
    let mut test = pin!(test());
    let result = poll_fn(|cx| {
        if ended.is_none()
            && let Poll::Ready(end) = driving.as_mut().poll(cx)
        {
            ended = Some(end);
        }
        test.as_mut().poll(cx)
    })
    .await;
    (ended, result)
}

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

/// A link that counts how often it is asked what came.
struct Asked {
    link: MemoryLink,
    times: Arc<AtomicUsize>,
}

impl Link for Asked {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.link.poll_ready(cx)
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.link.start_send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.link.poll_flush(cx)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        self.times.fetch_add(1, Ordering::SeqCst);
        self.link.poll_receive(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        self.link.poll_close(cx, frame)
    }

    fn written(&self) -> u64 {
        self.link.written()
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_is_asked_what_came_when_it_calls_and_not_whenever_the_task_runs() {
    let (_faults, link, mut theirs) = links();
    let times = Arc::<AtomicUsize>::default();
    let script = Script::default();
    let mut driving = pin!(run(Asked { link, times: times.clone() }, &script, pending()));
    let mut asked = async || {
        for _ in 0..3 {
            assert!(poll_fn(|cx| Poll::Ready(driving.as_mut().poll(cx).is_pending())).await);
        }
        times.swap(0, Ordering::SeqCst)
    };
    assert_eq!(asked().await, 1);
    script.command(|state| state.outgoing.push_back("out".into()));
    assert_eq!(asked().await, 0);
    assert_eq!(receive(&mut theirs).await.unwrap(), Received::Binary("out".into()));
    theirs.start_send("in".into()).unwrap();
    poll_fn(|cx| theirs.poll_flush(cx)).await.unwrap();
    // What came, and that there is no more.
    assert_eq!(asked().await, 2);
    assert_eq!(script.count("message"), 1);
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

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
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

#[tokio::test(start_paused = true)]
async fn reading_goes_on_while_nothing_can_be_written() {
    let (_faults, ours, mut theirs) = links();
    let script = Script::default();
    script.0.borrow_mut().endless = Some(Bytes::from(vec![0; 10_000]));
    let (ended, ()) = beside(ours, &script, async || {
        settle().await;
        assert_eq!((script.count("transmit"), script.count("blocked")), (7, 1), "64 KiB and what crosses it");
        for _ in 0..3 {
            theirs.start_send("still heard".into()).unwrap();
            settle().await;
        }
        assert_eq!(script.count("message"), 3);
        assert_eq!((script.count("transmit"), script.count("blocked")), (7, 1));
        // The other end reads one: there is room for another, and that is progress.
        receive(&mut theirs).await.unwrap();
        settle().await;
        assert_eq!((script.count("transmit"), script.count("progress"), script.count("blocked")), (8, 1, 2));
        // All of it: then nothing waits any more.
        script.0.borrow_mut().endless = None;
        for _ in 0..7 {
            receive(&mut theirs).await.unwrap();
        }
        settle().await;
        assert_eq!((script.count("progress"), script.count("blocked")), (2, 2));
    })
    .await;
    assert_eq!(ended, None);
}

#[tokio::test(start_paused = true)]
async fn a_blocked_loop_still_hears_commands() {
    let (_faults, ours, _theirs) = links();
    let script = Rc::new(Script::default());
    script.0.borrow_mut().endless = Some(Bytes::from(vec![0; 100_000]));
    let tasks = tokio::task::LocalSet::new();
    // A task of its own: only what wakes the loop polls it.
    let driven = script.clone();
    tasks.spawn_local(async move { run(ours, &*driven, pending()).await });
    let testing = async {
        settle().await;
        assert_eq!(script.count("blocked"), 1);
        let due = now() + Duration::from_secs(2);
        script.command(|state| state.due = Some(due));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(script.count("timeout"), 1);
    };
    tasks.run_until(testing).await;
}

#[tokio::test(start_paused = true)]
async fn one_timer_follows_the_session() {
    let (_faults, ours, _theirs) = links();
    let script = Script::default();
    let start = now();
    let at = |seconds| start + Duration::from_secs(seconds);
    script.0.borrow_mut().due = Some(at(60));
    let (_, ()) = beside(ours, &script, async || {
        settle().await;
        script.command(|state| state.due = Some(at(5)));
        tokio::time::sleep(Duration::from_millis(4999)).await;
        assert_eq!(script.count("timeout"), 0);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(script.count("timeout"), 1);
        // An instant that has passed is due at once; and none at all is never.
        script.command(|state| state.due = Some(at(1)));
        settle().await;
        assert_eq!(script.count("timeout"), 2);
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(script.count("timeout"), 2);
    })
    .await;
}

/// What is due moves away with every message; setting a timer each time costs more than one that comes in vain.
#[tokio::test(start_paused = true)]
async fn a_later_instant_is_looked_at_when_the_timer_comes() {
    let (_faults, ours, _theirs) = links();
    let (script, runs) = (Script::default(), RefCell::new(Vec::new()));
    let start = now();
    let at = |seconds| start + Duration::from_secs(seconds);
    script.0.borrow_mut().due = Some(at(5));
    let background = poll_fn(|_| -> Poll<Infallible> {
        runs.borrow_mut().push((now() - start).as_secs());
        Poll::Pending
    });
    let mut driving = pin!(run(ours, &script, background));
    let testing = async {
        settle().await;
        script.command(|state| state.due = Some(at(60)));
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(script.count("timeout"), 0);
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(script.count("timeout"), 1);
    };
    // The loop is polled only when something wakes it.
    futures_util::future::select(driving.as_mut(), pin!(testing)).await;
    let runs = runs.borrow();
    assert!(runs.contains(&5) && runs.contains(&60), "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_closes_the_link_behind_what_was_written() {
    let (_faults, ours, mut theirs) = links();
    let script = Script::default();
    script.0.borrow_mut().outgoing.push_back("last words".into());
    script.close(CloseCode::VERSION);
    let frame = CloseFrame::new(CloseCode::VERSION, "why");
    let (ended, ()) = beside(ours, &script, async || {
        assert_eq!(receive(&mut theirs).await.unwrap(), Received::Binary("last words".into()));
        assert_eq!(receive(&mut theirs).await.unwrap(), Received::Closed(frame.clone()));
        settle().await;
    })
    .await;
    assert_eq!(ended, Some(Ended { by: EndedBy::Local, frame: Some(frame) }));
    assert_eq!(script.count("disconnect"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_close_that_nobody_answers_takes_five_seconds_and_the_session_ends_before() {
    let (_faults, ours, _theirs) = links();
    let script = Script::default();
    script.close(CloseCode::SLOW);
    let start = now();
    let (ended, ()) = beside(ours, &script, async || {
        settle().await;
        assert_eq!(script.count("disconnect"), 1);
        tokio::time::sleep(Duration::from_secs(6)).await;
    })
    .await;
    assert_eq!(ended.unwrap().by, EndedBy::Local);
    assert!(now() - start < Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn handlers_run_on_while_the_close_waits_so_that_they_learn_of_it() {
    let (_faults, ours, _theirs) = links();
    let script = Script::default();
    script.close(CloseCode::DRAIN);
    let background = poll_fn(|_| -> Poll<Infallible> {
        script.note("background");
        Poll::Pending
    });
    run(ours, &script, background).await;
    let diary = script.diary();
    let disconnected = diary.iter().position(|noted| *noted == "disconnect").unwrap();
    assert!(diary[disconnected..].contains(&"background"), "{diary:?}");
}

#[tokio::test(start_paused = true)]
async fn the_other_ends_close_is_answered_and_reported() {
    let (_faults, ours, mut theirs) = links();
    let script = Script::default();
    let frame = CloseFrame::new(CloseCode::AWAY, "gone fishing");
    let (ended, ()) = beside(ours, &script, async || {
        poll_fn(|cx| theirs.poll_close(cx, &frame)).await;
        settle().await;
    })
    .await;
    assert_eq!(ended, Some(Ended { by: EndedBy::Remote, frame: Some(frame) }));
    assert_eq!(script.diary(), ["connected", "disconnect"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_link_is_reported_once() {
    let (faults, ours, _theirs) = links();
    let script = Script::default();
    let (ended, ()) = beside(ours, &script, async || {
        settle().await;
        faults.cut();
        settle().await;
    })
    .await;
    assert_eq!(ended, Some(Ended { by: EndedBy::Lost, frame: None }));
    assert_eq!(script.diary(), ["connected", "disconnect"]);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_loop_tells_the_session_and_loses_the_link() {
    let (_faults, ours, mut theirs) = links();
    let script = Script::default();
    {
        let mut driving = pin!(run(ours, &script, pending()));
        let _ = poll_fn(|cx| Poll::Ready(driving.as_mut().poll(cx).is_pending())).await;
    }
    assert_eq!(script.diary(), ["connected", "disconnect"]);
    assert!(matches!(receive(&mut theirs).await, Err(LinkError::Lost(_))));
}

#[tokio::test(start_paused = true)]
async fn a_violation_closes_with_its_frame() {
    let frame = CloseFrame::new(CloseCode::TOO_BIG, "too big");
    let script = Script::default();
    let ended = run(Violating { closed_with: None }, &script, pending()).await;
    assert_eq!(ended, Ended { by: EndedBy::Local, frame: Some(frame) });
}

/// A session hears of each piece of a message, and of the rest with it.
#[tokio::test(start_paused = true)]
async fn pieces_of_messages_are_told() {
    use tokio::io::AsyncWriteExt;

    let (ours, mut theirs) = tokio::io::duplex(1000);
    let limits = bowline_protocol::limits::Limits::default();
    let link = crate::native::SocketLink::from_upgraded(ours, crate::native::Role::Client, &limits);
    let script = Script::default();
    let mut driving = pin!(run(link, &script, pending()));
    for piece in [&[0x82, 3][..], b"ab", b"c", &[0x82, 1, b'x'], &[0x82, 1, b'y', 0x89]] {
        theirs.write_all(piece).await.unwrap();
        let _ = poll_fn(|cx| Poll::Ready(driving.as_mut().poll(cx).is_pending())).await;
    }
    let said = |bytes, messages, unfinished, is_partial| Arriving { bytes, messages, unfinished, is_partial };
    assert_eq!(
        script.0.borrow().arriving,
        [said(2, 0, 2, true), said(4, 0, 4, true), said(5, 1, 0, false), said(11, 3, 1, false)],
        "whole messages alone are nothing new"
    );
    assert_eq!(script.0.borrow().received, ["abc", "x", "y"]);
}

/// What was read together with the upgrade is a part of what came.
#[tokio::test]
async fn a_piece_that_came_with_the_upgrade_counts() {
    let (ours, _theirs) = tokio::io::duplex(1000);
    let limits = bowline_protocol::limits::Limits::default();
    let read = vec![0x82, 3, b'a'];
    let link = crate::native::SocketLink::from_partly_read(ours, read, crate::native::Role::Client, &limits);
    let link: crate::BoxLink = Box::new(link);
    assert_eq!(link.arriving(), Arriving { bytes: 3, messages: 0, unfinished: 3, is_partial: true });
}

/// A link that takes everything at once, and on which this much has come.
#[derive(Default)]
struct Wide {
    incoming: VecDeque<Bytes>,
    outgoing: Arc<Mutex<Vec<Bytes>>>,
    flushed: Arc<AtomicUsize>,
}

impl Link for Wide {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.outgoing.lock().expect("no test panicked with it").push(message);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.flushed.store(self.outgoing.lock().expect("no test panicked with it").len(), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, _: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        match self.incoming.pop_front() {
            Some(message) => Poll::Ready(Ok(Received::Binary(message))),
            None => Poll::Pending,
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &CloseFrame) -> Poll<()> {
        Poll::Ready(())
    }

    fn written(&self) -> u64 {
        0
    }
}

/// A quarter of what is handled at once, and a little.
fn bulk() -> Bytes {
    Bytes::from(vec![0; BULK / 4 + 1])
}

/// Else others get their turn after two of them.
#[test]
fn a_piece_of_a_large_payload_is_all_the_bulk_of_a_turn() {
    assert!(BULK <= Limits::default().message_out);
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_more_bulk_than_one_message_holds() {
    let link = Wide { incoming: (0..20).map(|_| bulk()).collect(), ..Wide::default() };
    let (outgoing, flushed) = (link.outgoing.clone(), link.flushed.clone());
    let script = Script::default();
    script.0.borrow_mut().outgoing.push_back("answer".into());
    let mut driving = pin!(run(link, &script, pending()));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    for turn in 1..=5 {
        assert!(driving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(script.count("message"), 4 * turn, "others get their turn");
        assert_eq!((outgoing.lock().unwrap().len(), flushed.load(Ordering::Relaxed)), (1, 1));
        tokio::task::yield_now().await;
        assert!(woken.0.swap(false, Ordering::Relaxed), "then it goes on by itself");
    }
    assert!(driving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    tokio::task::yield_now().await;
    assert!(!woken.0.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_others_make_beside_bulk_leaves_behind_one_message_of_it() {
    let link = Wide::default();
    let (outgoing, flushed) = (link.outgoing.clone(), link.flushed.clone());
    let script = Script::default();
    script.0.borrow_mut().outgoing.extend((0..12).map(|_| bulk()));
    let mut driving = pin!(run(link, &script, pending()));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    assert!(driving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(
        (outgoing.lock().unwrap().len(), flushed.load(Ordering::Relaxed)),
        (4, 4),
        "what was written lies nowhere"
    );
    tokio::task::yield_now().await;
    assert!(woken.0.swap(false, Ordering::Relaxed), "it goes on by itself");
    script.command(|state| state.outgoing.push_front("call".into()));
    assert!(driving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(outgoing.lock().unwrap()[4], "call");
}

#[tokio::test(start_paused = true)]
async fn who_gathers_behind_bulk_gathers_once() {
    let link = Wide { incoming: (0..8).map(|_| bulk()).collect(), ..Wide::default() };
    let outgoing = link.outgoing.clone();
    let script = Script::default();
    script.command(|state| {
        state.company = true;
        state.outgoing.push_back("answer".into());
    });
    let mut driving = pin!(run(link, &script, pending()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(driving.as_mut().poll(&mut cx).is_pending());
    assert_eq!((script.count("message"), outgoing.lock().unwrap().len()), (4, 0));
    assert!(driving.as_mut().poll(&mut cx).is_pending());
    assert_eq!((script.count("message"), outgoing.lock().unwrap().len()), (8, 1));
}

/// A link whose other end breaks a rule at once.
struct Violating {
    closed_with: Option<CloseFrame>,
}

impl Link for Violating {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(&mut self, _: Bytes) -> Result<(), LinkError> {
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Ready(Ok(()))
    }

    fn poll_receive(&mut self, _: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        Poll::Ready(Err(LinkError::Violation(CloseFrame::new(CloseCode::TOO_BIG, "too big"))))
    }

    fn poll_close(&mut self, _: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        assert_eq!(frame.code, CloseCode::TOO_BIG);
        self.closed_with = Some(frame.clone());
        Poll::Ready(())
    }

    fn written(&self) -> u64 {
        0
    }
}
