//! What a field's type says by its spelling: foreign types, and the type itself.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    GenericArgument, Generics, Ident, Path, PathArguments, PathSegment, Type, TypeArray, TypePath, TypeTuple,
    parse_quote,
};

use super::text;
use crate::diag::Diagnostics;

/// What was found in a type.
pub(crate) struct Reading {
    /// The type whose schema stands for the field: foreign types and the type itself are replaced.
    pub(crate) schema: Type,
    /// What rkyv needs in `with = ..`, if anything.
    pub(crate) wrapper: Option<TokenStream>,
    /// Whether the type contains the message that it is a field of.
    pub(crate) recursive: bool,
}

/// Reads the types of one message's fields.
pub(crate) struct Reader<'a> {
    pub(crate) private: &'a TokenStream,
    pub(crate) ident: &'a Ident,
    pub(crate) generics: &'a Generics,
}

impl Reader<'_> {
    /// Reads one type; what can't be a field is reported.
    pub(crate) fn read(&self, ty: &Type, diagnostics: &mut Diagnostics) -> Reading {
        match ty {
            Type::Path(path) if path.qself.is_none() => self.read_path(path, diagnostics),
            Type::Array(array) => {
                let element = self.read(&array.elem, diagnostics);
                let private = self.private;
                Reading {
                    schema: Type::Array(TypeArray { elem: Box::new(element.schema), ..array.clone() }),
                    wrapper: element.wrapper.map(|inner| quote!(#private::rkyv::with::Map<#inner>)),
                    recursive: element.recursive,
                }
            }
            Type::Tuple(tuple) => {
                let mut schema = TypeTuple { elems: Default::default(), ..tuple.clone() };
                let mut recursive = false;
                for element in &tuple.elems {
                    let reading = self.read(element, diagnostics);
                    self.refuse_foreign(&reading, element, diagnostics);
                    recursive |= reading.recursive;
                    schema.elems.push(reading.schema);
                }
                if schema.elems.len() == 1 {
                    schema.elems.push_punct(Default::default());
                }
                Reading { schema: Type::Tuple(schema), wrapper: None, recursive }
            }
            Type::Paren(inner) => self.read(&inner.elem, diagnostics),
            Type::Group(inner) => self.read(&inner.elem, diagnostics),
            Type::Slice(slice) => {
                let element = self.read(&slice.elem, diagnostics);
                let inner = &element.schema;
                Reading { schema: parse_quote!([#inner]), ..element }
            }
            Type::Reference(reference) => {
                let owned = match &*reference.elem {
                    Type::Path(path) if path.path.is_ident("str") => "`String`".to_owned(),
                    Type::Slice(slice) => format!("`Vec<{}>`", text(&slice.elem)),
                    other => format!("`{}`", text(other)),
                };
                diagnostics.report(ty, format!("a message owns what it holds: use {owned}"));
                Reading { schema: ty.clone(), wrapper: None, recursive: false }
            }
            other => Reading { schema: other.clone(), wrapper: None, recursive: false },
        }
    }

    fn read_path(&self, ty: &TypePath, diagnostics: &mut Diagnostics) -> Reading {
        let private = self.private;
        if self.is_itself(&ty.path) {
            return Reading { schema: parse_quote!(#private::Itself), wrapper: None, recursive: true };
        }
        if let Some(foreign) = foreign(&ty.path) {
            let wrapper = quote!(#private::with::#foreign);
            return Reading {
                schema: parse_quote!(#wrapper),
                wrapper: Some(quote!(#private::with::Via<#wrapper>)),
                recursive: false,
            };
        }
        if let Some(message) = machine_word(&ty.path) {
            diagnostics.report(ty, message);
        }

        let mut schema = ty.clone();
        let (mut wrappers, mut recursive) = (Vec::new(), false);
        let container = schema.path.segments.last_mut();
        let name = container.as_ref().map(|segment| segment.ident.to_string()).unwrap_or_default();
        let mut inner = Vec::new();
        for argument in container.into_iter().flat_map(type_arguments) {
            let reading = self.read(argument, diagnostics);
            inner.push((argument.clone(), reading.wrapper.is_some()));
            wrappers.push(reading.wrapper);
            recursive |= reading.recursive;
            *argument = reading.schema;
        }
        Reading {
            schema: Type::Path(schema),
            wrapper: self.wrap(&name, wrappers, &inner, diagnostics),
            recursive,
        }
    }

    /// What rkyv needs around the wrappers of a container's content.
    fn wrap(
        &self,
        container: &str,
        wrappers: Vec<Option<TokenStream>>,
        inner: &[(Type, bool)],
        diagnostics: &mut Diagnostics,
    ) -> Option<TokenStream> {
        let private = self.private;
        if wrappers.iter().all(Option::is_none) {
            return None;
        }
        match (container, &*wrappers) {
            ("Option" | "Vec", [Some(content)]) => Some(quote!(#private::rkyv::with::Map<#content>)),
            ("HashMap" | "BTreeMap", [key, value]) => {
                let identity = quote!(#private::rkyv::with::Identity);
                let (key, value) = (key.as_ref().unwrap_or(&identity), value.as_ref().unwrap_or(&identity));
                Some(quote!(#private::rkyv::with::MapKV<#key, #value>))
            }
            _ => {
                for (ty, _) in inner.iter().filter(|(_, foreign)| *foreign) {
                    diagnostics.report(ty, misplaced(ty));
                }
                None
            }
        }
    }

    fn refuse_foreign(&self, reading: &Reading, ty: &Type, diagnostics: &mut Diagnostics) {
        if reading.wrapper.is_some() {
            diagnostics.report(ty, misplaced(ty));
        }
    }

    /// Whether a path is the message's own name, with its own parameters if there are any.
    fn is_itself(&self, path: &Path) -> bool {
        let Some(segment) = path.segments.first().filter(|_| path.segments.len() == 1) else { return false };
        if segment.ident == "Self" {
            return true;
        }
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
            return segment.ident == *self.ident;
        };
        let own = self.generics.params.iter().map(|parameter| match parameter {
            syn::GenericParam::Type(parameter) => &parameter.ident,
            syn::GenericParam::Const(parameter) => &parameter.ident,
            syn::GenericParam::Lifetime(parameter) => &parameter.lifetime.ident,
        });
        segment.ident == *self.ident
            && arguments.args.len() == self.generics.params.len()
            && arguments.args.iter().zip(own).all(|(argument, own)| match argument {
                GenericArgument::Type(Type::Path(path)) => path.path.is_ident(own),
                _ => false,
            })
    }
}

/// What is wrong with a number that is as long as the machine has it.
pub(crate) fn machine_word(path: &Path) -> Option<String> {
    let words = [("usize", "`u64` or `u32`"), ("isize", "`i64` or `i32`")];
    let (name, instead) = words.iter().find(|(name, _)| path.is_ident(name))?;
    Some(format!("`{name}` differs between machines: use {instead}"))
}

/// The wrapper of a foreign type that both codecs are taught about by us.
///
/// By spelling, since a macro sees no types: `serde_json::Value` only with its crate's name, because `Value` alone is
/// a name that applications use for types of their own.
fn foreign(path: &Path) -> Option<TokenStream> {
    let segments: Vec<&PathSegment> = path.segments.iter().collect();
    let (last, before) = segments.split_last()?;
    let parent = before.last().map(|segment| segment.ident.to_string());
    let from = |name: &str| parent.as_deref() == Some(name);
    let chrono = parent.is_none() || from("chrono");
    match last.ident.to_string().as_str() {
        "DateTime" if chrono && is_utc(last) => Some(quote!(UtcTime)),
        "NaiveDateTime" if chrono => Some(quote!(DateTime)),
        "NaiveDate" if chrono => Some(quote!(Date)),
        "NaiveTime" if chrono => Some(quote!(Time)),
        "Value" if from("serde_json") => Some(quote!(JsonText)),
        _ => None,
    }
}

fn is_utc(segment: &PathSegment) -> bool {
    let mut segment = segment.clone();
    let mut arguments = type_arguments(&mut segment);
    let first = arguments.next();
    let utc = matches!(first, Some(Type::Path(zone)) if zone.path.segments.last().is_some_and(|last| last.ident == "Utc"));
    utc && arguments.next().is_none()
}

fn type_arguments(segment: &mut PathSegment) -> impl Iterator<Item = &mut Type> {
    let arguments = match &mut segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(&mut arguments.args),
        _ => None,
    };
    arguments.into_iter().flatten().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn misplaced(ty: &Type) -> String {
    format!(
        "`{}` can stand by itself or in `Option`, `Vec`, `HashMap`, `BTreeMap` and arrays; put it into a message of its \
         own here",
        text(ty)
    )
}
