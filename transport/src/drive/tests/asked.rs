//! When a link is asked what came.

use super::*;

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
