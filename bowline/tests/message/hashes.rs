use bowline_protocol::schema::Schema;

/// The same type in two versions of a program, each in a module of its own.
macro_rules! versions {
    ($($name:ident { $($item:item)* })*) => {
        $(mod $name {
            #![allow(dead_code)]
            $(#[bowline::message] $item)*
        })*
    };
}

versions! {
    base { pub struct Page { id: u64, name: String } }
    docs {
        /// Docs that the other end does not have.
        #[derive(Debug, Clone)]
        pub struct Page {
            /// Its id.
            #[serde(default, alias = "number")]
            id: u64,
            name: String,
        }
    }
    renamed_type { pub struct Sheet { id: u64, name: String } }
    renamed_field { pub struct Page { id: u64, title: String } }
    other_order { pub struct Page { name: String, id: u64 } }
    other_type { pub struct Page { id: u32, name: String } }
    more { pub struct Page { id: u64, name: String, more: bool } }
    fewer { pub struct Page { id: u64 } }
    tuple { pub struct Page(u64, String); }
    skipped { pub struct Page { id: u64, #[message(skip)] cache: Option<u8>, name: String } }
    raw { pub struct Page { r#id: u64, name: String } }
    unit { pub struct Page; }
    enumeration { pub enum Page { A { id: u64, name: String } } }
}

#[test]
fn a_hash_changes_with_what_is_archived() {
    let hashes = [
        base::Page::HASH,
        renamed_field::Page::HASH,
        other_order::Page::HASH,
        other_type::Page::HASH,
        more::Page::HASH,
        fewer::Page::HASH,
        tuple::Page::HASH,
        unit::Page::HASH,
        enumeration::Page::HASH,
    ];
    let distinct: std::collections::HashSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len());
}

#[test]
fn a_hash_ignores_what_is_not_archived() {
    assert_eq!(base::Page::HASH, docs::Page::HASH);
    assert_eq!(base::Page::HASH, renamed_type::Sheet::HASH);
    assert_eq!(base::Page::HASH, skipped::Page::HASH);
    assert_eq!(base::Page::HASH, raw::Page::HASH);
}

versions! {
    variants { pub enum Change { Added(u8), Removed } }
    variant_renamed { pub enum Change { Put(u8), Removed } }
    variant_order { pub enum Change { Removed, Added(u8) } }
    variant_type { pub enum Change { Added(u16), Removed } }
    variant_form { pub enum Change { Added { x: u8 }, Removed } }
    variant_more { pub enum Change { Added(u8), Removed, Moved } }
    variant_moved_field { pub enum Change { Added, Removed(u8) } }
}

#[test]
fn a_hash_changes_with_variants() {
    let hashes = [
        variants::Change::HASH,
        variant_renamed::Change::HASH,
        variant_order::Change::HASH,
        variant_type::Change::HASH,
        variant_form::Change::HASH,
        variant_more::Change::HASH,
        variant_moved_field::Change::HASH,
    ];
    let distinct: std::collections::HashSet<_> = hashes.iter().collect();
    assert_eq!(distinct.len(), hashes.len());
}

versions! {
    tree { pub struct Meta { a: u8 } pub struct Tree { children: Vec<(Meta, Tree)> } }
    tree_by_self { pub struct Meta { a: u8 } pub struct Tree { children: Vec<(Meta, Self)> } }
    tree_renamed { pub struct Meta { a: u8 } pub struct Bush { children: Vec<(Meta, Bush)> } }
    tree_other_meta { pub struct Meta { a: u16 } pub struct Tree { children: Vec<(Meta, Tree)> } }
    tree_other_circle { pub struct Meta { a: u8 } pub struct Tree { children: Option<Box<(Meta, Tree)>> } }
}

#[test]
fn a_type_that_contains_itself_is_hashed_with_all_that_stands_beside_it() {
    assert_eq!(tree::Tree::HASH, tree_by_self::Tree::HASH);
    assert_eq!(tree::Tree::HASH, tree_renamed::Bush::HASH);
    assert_ne!(tree::Tree::HASH, tree_other_meta::Tree::HASH);
    assert_ne!(tree::Tree::HASH, tree_other_circle::Tree::HASH);
}

versions! {
    circle {
        pub struct Folder { name: String, entries: Vec<Entry> }
        pub struct Entry { #[message(recursive)] folder: Option<Box<Folder>> }
    }
    circle_other_folder {
        pub struct Folder { name: u8, entries: Vec<Entry> }
        pub struct Entry { #[message(recursive)] folder: Option<Box<Folder>> }
    }
    circle_other_entry {
        pub struct Folder { name: String, entries: Vec<Entry> }
        pub struct Entry { #[message(recursive)] folder: Option<Box<Folder>>, more: u8 }
    }
    two_circles {
        pub struct A { #[message(recursive)] b: Option<Box<B>> }
        pub struct B { #[message(recursive)] a: Vec<A>, value: u8 }
    }
    two_circles_other_value {
        pub struct A { #[message(recursive)] b: Option<Box<B>> }
        pub struct B { #[message(recursive)] a: Vec<A>, value: u16 }
    }
}

#[test]
fn past_a_mark_the_types_of_the_circle_still_count() {
    assert_ne!(circle::Folder::HASH, circle_other_folder::Folder::HASH);
    assert_ne!(circle::Folder::HASH, circle_other_entry::Folder::HASH);
    // Seen from the marked type, all that differs is behind the mark.
    assert_ne!(circle::Entry::HASH, circle_other_folder::Entry::HASH);
    assert_ne!(two_circles::A::HASH, two_circles_other_value::A::HASH);
}

versions! {
    generic { pub struct Page<T> { items: Vec<T> } }
    concrete { pub struct Page { items: Vec<u8> } }
}

#[test]
fn a_generic_type_is_hashed_as_what_it_becomes() {
    assert_eq!(generic::Page::<u8>::HASH, concrete::Page::HASH);
    assert_ne!(generic::Page::<u8>::HASH, generic::Page::<u16>::HASH);
}

mod with {
    #![allow(dead_code)]

    pub struct Foreign;
    pub struct Narrow;
    pub struct Wide;

    impl bowline::With<Foreign> for Narrow {
        type Wire = u8;
        type Error = String;
        fn to_wire(_: &Foreign) -> u8 {
            0
        }
        fn from_wire(_: u8) -> Result<Foreign, String> {
            Ok(Foreign)
        }
    }

    impl bowline::With<Foreign> for Wide {
        type Wire = u16;
        type Error = String;
        fn to_wire(_: &Foreign) -> u16 {
            0
        }
        fn from_wire(_: u16) -> Result<Foreign, String> {
            Ok(Foreign)
        }
    }

    #[bowline::message]
    pub struct First {
        #[message(with = Narrow, schema = "foreign/1")]
        field: Foreign,
    }

    #[bowline::message]
    pub struct Second {
        #[message(with = Narrow, schema = "foreign/2")]
        field: Foreign,
    }

    #[bowline::message]
    pub struct Widened {
        #[message(with = Wide, schema = "foreign/1")]
        field: Foreign,
    }

    #[bowline::message]
    pub struct Plain {
        field: u8,
    }
}

#[test]
fn a_wrapped_field_is_hashed_by_its_name_and_what_it_writes() {
    assert_ne!(with::First::HASH, with::Second::HASH);
    assert_ne!(with::First::HASH, with::Widened::HASH);
    assert_ne!(with::First::HASH, with::Plain::HASH);
}

#[test]
fn a_hash_is_a_constant() {
    const HASH: u128 = <generic::Page<tree::Tree> as Schema>::HASH;
    assert_eq!(HASH, generic::Page::<tree::Tree>::HASH);
}
