//! How a link ends, and who is told.

use super::*;

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
