use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use proptest::prelude::*;

use super::{decode, encode, json, never_panics_on_damage, survives};
use bowline_protocol::codec::Codec;

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Flat {
    id: u64,
    name: String,
    tags: Vec<String>,
    counts: HashMap<String, u32>,
    ordered: BTreeMap<u8, bool>,
    ratio: Option<f64>,
    big: u128,
    bytes: [u8; 4],
    pair: (u8, i64),
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Unit;

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Empty {}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Newtype(u64);

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Pair(String, Newtype);

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Nothing,
    Newtype(Newtype),
    Tuple(u8, String),
    Struct { x: f32, inner: Option<Box<Flat>> },
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
enum Numbered {
    Five = 5,
    Three = 3,
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Page<T, const N: usize = 1> {
    items: Vec<T>,
    next: Option<Box<(T, u8)>>,
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Bounded<T>
where
    T: Clone + PartialEq,
{
    value: T,
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Tree {
    value: u32,
    children: Vec<Tree>,
    named: HashMap<String, (Newtype, Tree)>,
    next: Option<Box<Self>>,
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
enum List<T> {
    Nil,
    Cons(T, Box<List<T>>),
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Folder {
    entries: Vec<Entry>,
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
enum Entry {
    File(String),
    Folder(#[message(recursive)] Box<Folder>),
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Colour {
    Red,
    Green,
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct RoomId(u64);

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Keyed {
    hashed: HashMap<Colour, u8>,
    ordered: BTreeMap<RoomId, u8>,
    set: HashSet<RoomId>,
    ordered_set: BTreeSet<Colour>,
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
struct Raw {
    r#type: String,
    #[cfg(any())]
    never: NotEvenAType,
    #[cfg(not(any()))]
    always: u8,
}

fn flat() -> impl Strategy<Value = Flat> {
    (
        any::<(u64, String, Vec<String>, HashMap<String, u32>, BTreeMap<u8, bool>)>(),
        prop::option::of(prop::num::f64::NORMAL),
        any::<(u128, [u8; 4], (u8, i64))>(),
    )
        .prop_map(|((id, name, tags, counts, ordered), ratio, (big, bytes, pair))| Flat {
            id,
            name,
            tags,
            counts,
            ordered,
            ratio,
            big,
            bytes,
            pair,
        })
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = any::<u32>().prop_map(|value| Tree {
        value,
        children: Vec::new(),
        named: HashMap::new(),
        next: None,
    });
    leaf.prop_recursive(5, 24, 3, |inner| {
        let named = prop::collection::hash_map(any::<String>(), (any::<u64>(), inner.clone()), 0..2);
        (any::<u32>(), prop::collection::vec(inner.clone(), 0..3), named, prop::option::of(inner)).prop_map(
            |(value, children, named, next)| Tree {
                value,
                children,
                named: named.into_iter().map(|(key, (id, tree))| (key, (Newtype(id), tree))).collect(),
                next: next.map(Box::new),
            },
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn structs_survive(value in flat()) {
        survives(value);
    }

    #[test]
    fn types_that_contain_themselves_survive(value in tree()) {
        survives(value);
    }

    #[test]
    fn enums_survive(value in prop_oneof![
        Just(Shape::Nothing),
        any::<u64>().prop_map(|id| Shape::Newtype(Newtype(id))),
        any::<(u8, String)>().prop_map(|(a, b)| Shape::Tuple(a, b)),
        (prop::num::f32::NORMAL, prop::option::of(flat()))
            .prop_map(|(x, inner)| Shape::Struct { x, inner: inner.map(Box::new) }),
    ]) {
        survives(value);
    }
}

#[test]
fn every_form_of_struct_survives() {
    survives(Unit);
    survives(Empty {});
    survives(Newtype(u64::MAX));
    survives(Pair("left".into(), Newtype(1)));
    survives(Numbered::Five);
    survives(Numbered::Three);
    survives(Raw { r#type: "raw".into(), always: 1 });
    assert_eq!(json(&Raw { r#type: String::new(), always: 1 }), r#"{"type":"","always":1}"#);
}

#[test]
fn generic_types_survive() {
    survives(Page::<Newtype> { items: vec![Newtype(1)], next: None });
    survives(Page::<Page<String>, 7> {
        items: Vec::new(),
        next: Some(Box::new((Page { items: vec!["inner".into()], next: None }, 1))),
    });
    survives(Bounded { value: Shape::Nothing });
    survives(List::Cons("a".to_owned(), Box::new(List::Cons("b".to_owned(), Box::new(List::Nil)))));
}

#[test]
fn circles_through_other_types_survive() {
    let inner = Folder { entries: vec![Entry::File("a".into())] };
    survives(Folder { entries: vec![Entry::File("b".into()), Entry::Folder(Box::new(inner))] });
    survives(Entry::Folder(Box::new(Folder { entries: Vec::new() })));
}

#[test]
fn own_types_are_keys_without_further_attributes() {
    survives(Keyed {
        hashed: [(Colour::Red, 1), (Colour::Green, 2)].into(),
        ordered: [(RoomId(2), 1), (RoomId(1), 2)].into(),
        set: [RoomId(7)].into(),
        ordered_set: [Colour::Green, Colour::Red].into(),
    });
}

#[test]
fn a_view_finds_the_keys_that_were_written() {
    let keyed = Keyed {
        hashed: [(Colour::Green, 2)].into(),
        ordered: [(RoomId(1), 9)].into(),
        set: HashSet::new(),
        ordered_set: BTreeSet::new(),
    };
    let view = bowline::View::<Keyed>::decode(Codec::Rkyv, encode(Codec::Rkyv, &keyed).into()).unwrap();
    assert_eq!(view.hashed.get(&ArchivedColour::Green), Some(&2));
    assert_eq!(view.hashed.get(&ArchivedColour::Red), None);
    assert_eq!(view.ordered.len(), 1);
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    never_panics_on_damage(&Shape::Tuple(1, "a text that is stored apart".into()));
    never_panics_on_damage(&List::Cons(1u8, Box::new(List::Cons(2, Box::new(List::Nil)))));
    never_panics_on_damage(&Folder {
        entries: vec![Entry::Folder(Box::new(Folder { entries: vec![Entry::File("x".repeat(20))] }))],
    });
    assert!(decode::<Shape>(Codec::Json, br#"{"Tuple":[1]}"#).is_err());
    assert!(decode::<Colour>(Codec::Rkyv, &[9]).is_err());
}
