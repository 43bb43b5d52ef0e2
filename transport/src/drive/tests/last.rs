//! The last message, which says what the session waits for.

use super::*;

/// Takes messages and never says that they have left.
struct Stuck(MemoryLink);

impl Link for Stuck {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_ready(cx)
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.0.start_send(message)
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        Poll::Pending
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        self.0.poll_receive(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        self.0.poll_close(cx, frame)
    }

    fn written(&self) -> u64 {
        self.0.written()
    }
}

fn script(message: impl Into<Bytes>) -> Script {
    let script = Script::default();
    let mut state = script.0.borrow_mut();
    state.says_last = true;
    state.outgoing.push_back(message.into());
    drop(state);
    script
}

#[tokio::test(start_paused = true)]
async fn the_loop_waits_for_what_came_with_the_last_message_and_does_not_ask_again() {
    let (_faults, ours, mut theirs) = links();
    let script = script("all there is");
    script.0.borrow_mut().due = Some(now() + Duration::from_secs(2));
    let (ended, ()) = beside(ours, &script, async || {
        assert_eq!(receive(&mut theirs).await.unwrap(), Received::Binary("all there is".into()));
        settle().await;
        assert_eq!((script.count("timeout"), script.asked()), (0, 0));
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(script.count("timeout"), 1);
    })
    .await;
    assert_eq!(ended, None);
}

/// A session has other things to wait for while its bytes wait.
#[tokio::test(start_paused = true)]
async fn a_session_is_asked_again_what_it_waits_for_once_it_was_told_that_the_link_is_stuck() {
    let (_faults, ours, _theirs) = links();
    let script = Rc::new(script("the last"));
    let tasks = tokio::task::LocalSet::new();
    // A task of its own: only what wakes the loop polls it.
    let driven = script.clone();
    tasks.spawn_local(async move { run(Stuck(ours), &*driven, pending()).await });
    tasks.run_until(settle()).await;
    assert_eq!((script.count("blocked"), script.asked()), (1, 1));
}

/// A session says once that the link is to be closed.
#[tokio::test(start_paused = true)]
async fn an_end_that_came_with_the_last_message_closes_the_link_also_where_it_is_stuck() {
    for is_stuck in [false, true] {
        let (_faults, ours, mut theirs) = links();
        let script = script("last words");
        script.close(CloseCode::VERSION);
        let frame = CloseFrame::new(CloseCode::VERSION, "why");
        let driving = async {
            if is_stuck {
                run(Stuck(ours), &script, pending()).await
            } else {
                run(ours, &script, pending()).await
            }
        };
        let reading = async {
            assert_eq!(receive(&mut theirs).await.unwrap(), Received::Binary("last words".into()));
            assert_eq!(receive(&mut theirs).await.unwrap(), Received::Closed(frame.clone()));
        };
        let both = async { tokio::join!(driving, reading) };
        let (ended, ()) = timeout(Duration::from_secs(60), both).await.expect("it was closed");
        assert_eq!(ended, Ended { by: EndedBy::Local, frame: Some(frame.clone()) });
        assert_eq!((script.count("transmit"), script.asked()), (1, 0));
    }
}
