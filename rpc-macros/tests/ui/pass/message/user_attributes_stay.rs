//! Derives, docs and attributes of the user's own are as they were, before and behind the macro.
use bowline::message;

#[derive(Debug)]
#[message]
#[derive(Clone, PartialEq)]
#[must_use]
#[non_exhaustive]
struct Page {
    id: u64,
    #[doc(alias = "title")]
    name: String,
}

#[message]
#[derive(Default, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Clone, Copy)]
enum Kind {
    #[default]
    Plain,
    #[allow(dead_code)]
    Bold,
}

fn main() {
    let page = Page { id: 1, name: "x".into() };
    assert_eq!(page.clone(), page);
    assert_eq!(format!("{:?} {}", Kind::default(), page.name), "Plain x");
}
