//! Messages that were written here and are on their way.

use std::collections::HashSet;

use crate::Message;

/// A message that was written here.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    pub(crate) room: String,
    pub(crate) author: String,
    pub(crate) text: String,
    /// The id of the newest message that was there.
    pub(crate) after: u64,
}

/// Which of `drafts` stand among `messages` already, so that none is shown twice. Beside each draft is its id, once
/// the server has said it; `messages` are in order.
///
/// A message comes by the stream and its id as the answer to the call, in any order, and the answer may be lost for good. So
/// a draft without an id is looked for by what it says, behind what was there when it was written.
pub(crate) fn arrived<'a>(
    drafts: impl Iterator<Item = (&'a Draft, Option<u64>)>,
    messages: &[Message],
) -> Vec<bool> {
    let drafts: Vec<_> = drafts.collect();
    let newest = messages.last().map_or(0, |message| message.id);
    let mut known: HashSet<u64> = drafts.iter().filter_map(|(_, id)| *id).collect();
    let mut has_arrived = |(draft, id): &(&Draft, Option<u64>)| match id {
        Some(id) => *id <= newest,
        None => {
            let same =
                messages.iter().rev().take_while(|message| message.id > draft.after).filter(|message| {
                    !known.contains(&message.id)
                        && message.author == draft.author
                        && message.text == draft.text
                });
            // The oldest: drafts are sent in order.
            same.last().is_some_and(|message| known.insert(message.id))
        }
    };
    drafts.iter().map(&mut has_arrived).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u64, author: &str, text: &str) -> Message {
        Message { id, author: author.into(), text: text.into(), at: 0 }
    }

    fn draft(text: &str, after: u64) -> Draft {
        Draft { room: "general".into(), author: "Ada".into(), text: text.into(), after }
    }

    fn check(drafts: &[(Draft, Option<u64>)], messages: &[Message], expected: &[bool]) {
        assert_eq!(arrived(drafts.iter().map(|(draft, id)| (draft, *id)), messages), expected);
    }

    #[test]
    fn a_draft_with_an_id_has_arrived_when_the_stream_has_come_that_far() {
        let messages = [message(3, "Bob", "hi"), message(5, "Ada", "hello")];
        check(&[(draft("hello", 3), Some(5)), (draft("hello", 3), Some(7))], &messages, &[true, false]);
        // It has scrolled out of what the page keeps.
        check(&[(draft("old", 0), Some(1))], &messages, &[true]);
        check(&[(draft("first", 0), Some(1))], &[], &[false]);
    }

    #[test]
    fn a_message_that_comes_before_its_answer_is_not_shown_twice() {
        let messages = [message(3, "Ada", "hello"), message(4, "Bob", "again"), message(5, "Ada", "again")];
        check(&[(draft("again", 3), None)], &messages, &[true]);
        check(&[(draft("hello", 3), None)], &messages, &[false]);
        check(&[(draft("other", 3), None)], &messages, &[false]);
    }

    #[test]
    fn a_message_stands_for_one_draft_only() {
        let messages = [message(4, "Ada", "again")];
        check(&[(draft("again", 3), None), (draft("again", 3), None)], &messages, &[true, false]);
        check(&[(draft("again", 3), None), (draft("again", 3), Some(4))], &messages, &[false, true]);
    }
}
