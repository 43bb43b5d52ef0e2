//! Large messages, and who waits for them.

use super::*;

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
