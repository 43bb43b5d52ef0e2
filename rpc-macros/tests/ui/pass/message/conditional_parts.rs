//! Fields and variants that are not there.
use bowline::__private::Schema;

#[bowline::message]
struct Page {
    id: u64,
    #[cfg(any())]
    gone: NoSuchType,
}

#[bowline::message]
struct Same {
    id: u64,
}

#[bowline::message]
enum Change {
    Added(u8),
    #[cfg(any())]
    Gone(NoSuchType),
}

#[bowline::message]
enum SameChange {
    Added(u8),
}

fn main() {
    assert_eq!(Page::HASH, Same::HASH);
    assert_eq!(Change::HASH, SameChange::HASH);
    let (page, same) = (Page { id: 1 }, Same { id: 1 });
    let (Change::Added(a), SameChange::Added(b)) = (Change::Added(1), SameChange::Added(1));
    assert_eq!((page.id, a), (same.id, b));
}
