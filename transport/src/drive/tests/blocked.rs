//! A link that takes no more for now.

use super::*;

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
