//! Messages that are local to a function, two of them in one scope.
fn main() {
    #[bowline::message]
    struct First {
        second: Vec<Second>,
    }

    #[bowline::message]
    enum Second {
        Nothing,
    }

    let first = First { second: vec![Second::Nothing] };
    assert_eq!(first.second.len(), 1);
}
