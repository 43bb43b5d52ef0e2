//! Types that can be keys of maps: their archives have to be comparable, too.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Attribute, Data, DeriveInput, Fields, Meta, Type};

use super::attr;

/// The traits that the archive gets because the type derives them.
///
/// Only for what a key is made of: enums without fields, and structs of plain values. There the derives can't fail,
/// and elsewhere nobody needs them.
pub(crate) fn mirrored(input: &DeriveInput) -> Vec<TokenStream> {
    let plain = match &input.data {
        Data::Struct(data) => !data.fields.is_empty() && plain(&data.fields),
        Data::Enum(data) => data.variants.iter().all(|variant| variant.fields.is_empty()),
        Data::Union(_) => false,
    };
    if !plain || input.attrs.iter().any(derives_on_the_archive) {
        return Vec::new();
    }
    let derived = input.attrs.iter().filter_map(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("derive") => Some(attr::parse_paths(&list.tokens)),
        _ => None,
    });
    let mut traits = Vec::new();
    for path in derived.flatten() {
        let Some(last) = path.segments.last() else { continue };
        match last.ident.to_string().as_str() {
            "PartialEq" => traits.push(quote!(::core::cmp::PartialEq)),
            "Eq" => traits.push(quote!(::core::cmp::Eq)),
            "PartialOrd" => traits.push(quote!(::core::cmp::PartialOrd)),
            "Ord" => traits.push(quote!(::core::cmp::Ord)),
            "Hash" => traits.push(quote!(::core::hash::Hash)),
            _ => {}
        }
    }
    traits
}

fn plain(fields: &Fields) -> bool {
    const PLAIN: &[&str] = &[
        "bool", "char", "String", "Uuid", "u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64",
        "i128",
    ];
    fields.iter().all(|field| match &field.ty {
        Type::Path(ty) => {
            let ours = field.attrs.iter().any(|attribute| attribute.path().is_ident("message"));
            let last = ty.path.segments.last();
            !ours && last.is_some_and(|last| PLAIN.iter().any(|name| last.ident == name))
        }
        _ => false,
    })
}

fn derives_on_the_archive(attribute: &Attribute) -> bool {
    attribute.path().is_ident("rkyv") && attribute.to_token_stream().to_string().contains("derive")
}
