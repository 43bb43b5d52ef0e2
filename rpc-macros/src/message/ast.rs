//! A message that was found to be right.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Fields, GenericParam, LitStr, Meta, Type};

use super::attr::{self, ContainerArgs, FieldArgs, Place};
use super::key;
use super::types::Reader;
use crate::diag::Diagnostics;

/// The type, and all that its expansion needs to know.
pub(crate) struct Message {
    /// The facade's hidden module.
    pub(crate) private: TokenStream,
    pub(crate) body: Body,
    /// Traits that its archive has to have as well, so that it can be a key in an archived map.
    pub(crate) mirrored: Vec<TokenStream>,
}

/// What crosses the wire.
pub(crate) enum Body {
    Struct(Shape),
    Enum {
        variants: Vec<Variant>,
        tagged: bool,
    },
    /// Another type, from which this one is made.
    Converted(Box<Type>),
}

pub(crate) struct Variant {
    pub(crate) name: String,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) shape: Shape,
}

/// The fields of a struct or a variant.
pub(crate) struct Shape {
    pub(crate) style: Style,
    pub(crate) fields: Vec<Field>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Style {
    Unit,
    /// One field without a name, or `#[serde(transparent)]`: its JSON is that of the field.
    Newtype,
    Fields,
}

pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) cfgs: Vec<Attribute>,
    pub(crate) ty: Type,
    pub(crate) wire: Wire,
}

/// How a field is written.
pub(crate) enum Wire {
    /// Not at all.
    Skip,
    /// By itself, with the schema of this type.
    Plain { schema: Box<Type> },
    /// By itself, closing a circle of types.
    Marked,
    /// As another type.
    With { wrapper: Box<Type>, schema: LitStr },
}

impl Message {
    /// Validates a type, takes our attributes off it and puts on those that the derives need.
    pub(crate) fn from_syn(
        args: ContainerArgs,
        input: &mut DeriveInput,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let krate = &args.krate;
        let private = quote!(#krate::__private);
        for parameter in &input.generics.params {
            if let GenericParam::Lifetime(lifetime) = parameter {
                diagnostics.report(lifetime, "a message owns what it holds, so it has no lifetimes");
            }
        }
        attr::check_foreign(&input.attrs, Place::Type, diagnostics);
        let mirrored = key::mirrored(input);
        let body = match args.try_from {
            Some(wire) => {
                check_converted(input, diagnostics);
                Body::Converted(Box::new(wire))
            }
            None => body(&private, input, diagnostics),
        };
        Self { private, body, mirrored }
    }
}

fn body(private: &TokenStream, input: &mut DeriveInput, diagnostics: &mut Diagnostics) -> Body {
    let reader = Reader { private, ident: &input.ident, generics: &input.generics };
    match &mut input.data {
        Data::Struct(data) => {
            let mut shape = shape(&reader, &mut data.fields, diagnostics);
            if has_serde(&input.attrs, &["transparent"]) {
                shape.style = Style::Newtype;
            }
            Body::Struct(shape)
        }
        Data::Enum(data) => {
            if data.variants.is_empty() {
                diagnostics.report(&input.ident, "an enum without variants has no values to send");
            }
            let variants = data.variants.iter_mut();
            let variants = variants
                .map(|variant| {
                    attr::check_foreign(&variant.attrs, Place::Variant, diagnostics);
                    for meta in attr::take_metas(&mut variant.attrs, diagnostics) {
                        diagnostics.report(meta, "variants have no arguments of ours; fields have");
                    }
                    Variant {
                        name: variant.ident.unraw().to_string(),
                        cfgs: cfgs(&variant.attrs),
                        shape: shape(&reader, &mut variant.fields, diagnostics),
                    }
                })
                .collect();
            Body::Enum { variants, tagged: has_serde(&input.attrs, &["tag", "content"]) }
        }
        // `parse` lets no unions through.
        Data::Union(_) => Body::Struct(Shape { style: Style::Unit, fields: Vec::new() }),
    }
}

fn shape(reader: &Reader<'_>, fields: &mut Fields, diagnostics: &mut Diagnostics) -> Shape {
    let style = match &*fields {
        Fields::Unit => Style::Unit,
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Style::Newtype,
        _ => Style::Fields,
    };
    let fields = fields.iter_mut().enumerate();
    let fields = fields
        .map(|(index, field)| {
            attr::check_foreign(&field.attrs, Place::Field, diagnostics);
            let args = FieldArgs::take(&mut field.attrs, diagnostics);
            if style == Style::Newtype
                && let Some(skip) = args.skip
            {
                diagnostics.report_at(skip, "without its only field nothing is left to write");
            }
            wire_field(reader, index, field, args, diagnostics)
        })
        .collect();
    Shape { style, fields }
}

fn wire_field(
    reader: &Reader<'_>,
    index: usize,
    field: &mut syn::Field,
    args: FieldArgs,
    diagnostics: &mut Diagnostics,
) -> Field {
    let private = reader.private;
    let name = field.ident.as_ref().map_or_else(|| index.to_string(), |ident| ident.unraw().to_string());
    let (cfgs, ty) = (cfgs(&field.attrs), field.ty.clone());
    if args.skip.is_some() {
        field.attrs.push(syn::parse_quote!(#[rkyv(with = #private::rkyv::with::Skip)]));
        field.attrs.push(syn::parse_quote!(#[serde(skip)]));
        return Field { name, cfgs, ty, wire: Wire::Skip };
    }
    if let Some(attr::With { wrapper, schema }) = args.with {
        field.attrs.push(syn::parse_quote!(#[rkyv(with = #private::with::Via<#wrapper>)]));
        let path = |function: &str| {
            let function = quote::format_ident!("{function}");
            let path = quote!(#private::with::#function::<#wrapper, _, _>).to_string();
            LitStr::new(&path, syn::spanned::Spanned::span(&wrapper))
        };
        let (serialize, deserialize) = (path("serialize"), path("deserialize"));
        field
            .attrs
            .push(syn::parse_quote!(#[serde(serialize_with = #serialize, deserialize_with = #deserialize)]));
        return Field { name, cfgs, ty, wire: Wire::With { wrapper: Box::new(wrapper), schema } };
    }

    let reading = reader.read(&field.ty, diagnostics);
    if let Some(wrapper) = &reading.wrapper {
        field.attrs.push(syn::parse_quote!(#[rkyv(with = #wrapper)]));
    }
    if reading.recursive || args.recursive.is_some() {
        field.attrs.push(syn::parse_quote!(#[rkyv(omit_bounds)]));
    }
    let wire = match args.recursive {
        Some(_) => Wire::Marked,
        None => Wire::Plain { schema: Box::new(reading.schema) },
    };
    Field { name, cfgs, ty, wire }
}

/// A type that is made from another has no say in its own fields.
fn check_converted(input: &mut DeriveInput, diagnostics: &mut Diagnostics) {
    const NO_EFFECT: &str = "this has no effect: the type named by `try_from` crosses the wire in its place";
    let mut check = |attributes: &mut Vec<Attribute>| {
        for attribute in &*attributes {
            if attribute.path().is_ident("serde") || attribute.path().is_ident("rkyv") {
                diagnostics.report(attribute, NO_EFFECT);
            }
        }
        for meta in attr::take_metas(attributes, diagnostics) {
            diagnostics.report(meta, NO_EFFECT);
        }
    };
    check(&mut input.attrs);
    match &mut input.data {
        Data::Struct(data) => data.fields.iter_mut().for_each(|field| check(&mut field.attrs)),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                check(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| check(&mut field.attrs));
            }
        }
        Data::Union(_) => {}
    }
}

fn cfgs(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

fn has_serde(attributes: &[Attribute], names: &[&str]) -> bool {
    let mut found = false;
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        if let Ok(metas) =
            attribute.parse_args_with(syn::punctuated::Punctuated::<Meta, syn::Token![,]>::parse_terminated)
        {
            found |= metas.iter().any(|meta| names.iter().any(|name| meta.path().is_ident(name)));
        }
    }
    found
}
