//! The one timer of a session.

use super::*;

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
