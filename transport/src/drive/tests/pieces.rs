//! What came of messages that are not whole.

use super::*;

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
