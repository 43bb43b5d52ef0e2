//! The tables of `WIRE.md`, held against the code: whoever reads the page alone must know what we know.

use bowline_protocol::envelope::{SUBPROTOCOL, VERSION, bounds};
use bowline_protocol::schema::{MethodKind, Retry};
use bowline_protocol::status::{CloseCode, Code};

const PAGE: &str = include_str!("../WIRE.md");

/// The text from one heading to the next of the same depth.
fn section(title: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n## {title}\n")).expect("the page has the section");
    rest.split("\n## ").next().expect("a split has a first part")
}

/// Rows of the tables in `text`, cell by cell, without heads and rules.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

#[test]
fn the_page_names_the_subprotocol_and_the_version() {
    assert!(PAGE.starts_with(&format!("# The wire: `{SUBPROTOCOL}`\n")));
    assert!(PAGE.contains(&format!("this page is {VERSION} |")));
}

#[test]
fn the_page_lists_every_close_code_as_it_is() {
    let listed: Vec<_> = rows(section("13. Close codes"))
        .filter_map(|row| Some((row[0].parse().ok()?, row[1], row[2])))
        .collect();
    let known: Vec<_> = (0..=u16::MAX)
        .filter_map(|number| {
            let code = CloseCode::new(number);
            Some((number, code.name()?, if code.stops() { "stop" } else { "connect again" }))
        })
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn the_page_lists_every_status_as_it_is() {
    let listed: Vec<(u8, &str)> =
        rows(section("12. Statuses")).filter_map(|row| Some((row[0].parse().ok()?, row[1]))).collect();
    // What has no row of its own reads as internal.
    let known: Vec<_> = (0..=u8::MAX)
        .map(|number| (number, Code::from_wire(number)))
        .filter(|(number, code)| code.to_wire() == *number)
        .map(|(number, code)| (number, code.as_str()))
        .collect();
    assert_eq!(listed, known);
}

#[test]
fn the_page_numbers_the_kinds_of_methods_as_we_do() {
    let kinds = "Kinds: 0 unary, 1 server stream, 2 client stream, 3 bidirectional, 4 notify, 5 watch.";
    let page: Vec<_> = PAGE.split_whitespace().collect();
    assert!(page.join(" ").contains(kinds));
    let ours = [
        MethodKind::Unary,
        MethodKind::ServerStream,
        MethodKind::ClientStream,
        MethodKind::Bidirectional,
        MethodKind::Notify,
        MethodKind::Watch,
    ];
    assert_eq!(ours.map(MethodKind::to_wire), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn the_page_numbers_the_retry_classes_as_we_do() {
    let classes = "Retry classes: 0 never, 1 idempotent, 2 once.";
    let page: Vec<_> = PAGE.split_whitespace().collect();
    assert!(page.join(" ").contains(classes));
    assert_eq!([Retry::Never, Retry::Idempotent, Retry::Once].map(Retry::to_wire), [0, 1, 2]);
}

#[test]
fn the_page_says_which_class_holds_where_the_ends_differ() {
    let classes = [("never", Retry::Never), ("idempotent", Retry::Idempotent), ("once", Retry::Once)];
    let name = |class| classes.iter().find(|it| it.1 == class).unwrap().0;
    let listed: Vec<_> = rows(section("5. Services and declarations"))
        .filter(|row| row.len() == 4 && classes.iter().any(|it| it.0 == row[0]))
        .collect();
    let known = classes.map(|(caller, says)| {
        let of = classes.map(|(_, callee)| name(says.with_callee(callee)));
        vec![caller, of[0], of[1], of[2]]
    });
    assert_eq!(listed, known);
}

#[test]
fn the_page_states_every_bound_as_it_is() {
    let stated: Vec<usize> = rows(section("14. Bounds"))
        .skip(1)
        .flat_map(|row| {
            let numbers = row[1].replace(',', "");
            let numbers = numbers.split(|c: char| !c.is_ascii_digit()).filter_map(|it| it.parse().ok());
            // Least counts stand beside the name, or after "at least".
            if row[1].starts_with("at least") { Vec::new() } else { numbers.collect::<Vec<_>>() }
        })
        .collect();
    let bounds = [
        bounds::MAX_HELLO,
        bounds::MAX_WELCOME,
        bounds::MAX_VERSIONS,
        1,
        bounds::MAX_CREDENTIALS,
        bounds::MAX_TOKEN,
        bounds::MAX_SERVICES,
        bounds::MAX_NAME,
        bounds::MAX_METHODS,
        bounds::MAX_ANSWER,
        bounds::MAX_METADATA_ENTRIES,
        bounds::MAX_METADATA,
        bounds::MAX_REASON,
        bounds::MAX_STATUS_MESSAGE,
    ];
    assert_eq!(stated, bounds);
}
