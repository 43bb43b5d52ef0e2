//! A [`Message`] as tokens.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{DeriveInput, Ident, LitStr, Type, WherePredicate, parse_quote_spanned};

use super::ast::{Body, Field, Message, Shape, Style, Wire};
use super::text;

/// The three consts of a schema, and what each of them asks of a field that closes a circle.
const LEVELS: [(&str, Option<&str>); 3] =
    [("HASH", Some("PAST_ONE")), ("PAST_ONE", Some("PAST_TWO")), ("PAST_TWO", None)];

/// The type with its derives, and its schema.
pub(crate) fn expand(message: &Message, input: &DeriveInput) -> TokenStream {
    // The schema stands first, so that of all errors about a field that can't cross the wire ours is shown first.
    let schema = schema(message, input);
    match &message.body {
        Body::Converted(wire) => {
            let conversion = conversion(&message.private, wire, input);
            quote!(#schema #input #conversion)
        }
        _ => {
            let (derives, private) = (derives(message), &message.private);
            quote! {
                // rkyv's derives say `?Sized` by that name alone, which a module without prelude does not know. By
                // `*`, since two messages of one module may both bring it.
                #[allow(unused_imports)]
                use #private::sized::*;
                #schema
                #derives
                #input
            }
        }
    }
}

fn derives(message: &Message) -> TokenStream {
    let private = &message.private;
    let serde = LitStr::new(&text(quote!(#private::serde)), Span::call_site());
    let mirrored = &message.mirrored;
    let mirrored = (!mirrored.is_empty()).then(|| quote!(derive(#(#mirrored),*),));
    quote! {
        #[derive(
            #private::rkyv::Archive,
            #private::rkyv::Serialize,
            #private::rkyv::Deserialize,
            #private::serde::Serialize,
            #private::serde::Deserialize,
        )]
        #[rkyv(
            crate = #private::rkyv,
            #mirrored
            serialize_bounds(
                __S: #private::rkyv::ser::Writer + #private::rkyv::ser::Allocator,
                __S::Error: #private::rkyv::rancor::Source,
            ),
            deserialize_bounds(__D::Error: #private::rkyv::rancor::Source),
            bytecheck(bounds(
                __C: #private::rkyv::validation::ArchiveContext,
                __C::Error: #private::rkyv::rancor::Source,
            )),
        )]
        #[serde(crate = #serde)]
    }
}

fn schema(message: &Message, input: &DeriveInput) -> TokenStream {
    let private = &message.private;
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    let bounds = bounds(message);
    if !bounds.is_empty() {
        generics.make_where_clause().predicates.extend(bounds);
    }
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let hashes = LEVELS.iter().map(|(level, past)| {
        let name = Ident::new(level, Span::mixed_site());
        let value = hash(message, &name, past.map(|past| Ident::new(past, Span::mixed_site())));
        quote!(const #name: u128 = #value;)
    });
    let form = form(message);
    quote! {
        #[automatically_derived]
        impl #parameters #private::Schema for #ident #arguments #bounds {
            #(#hashes)*
            const FORM: #private::Form = #form;
        }
    }
}

/// What each field must be able to do, said where the field's type stands.
fn bounds(message: &Message) -> Vec<WherePredicate> {
    let mut bounds: Vec<WherePredicate> = Vec::new();
    let mut seen = Vec::new();
    for field in fields(&message.body).filter(|field| field.cfgs.is_empty()) {
        let ty = &field.ty;
        match &field.wire {
            Wire::Plain { schema } => {
                let key = schema.to_token_stream().to_string();
                if !seen.contains(&key) {
                    seen.push(key);
                    let (span, private) = at(ty, &message.private);
                    bounds.push(parse_quote_spanned!(span=> #schema: #private::Schema));
                }
            }
            Wire::With { wrapper, .. } => {
                let (span, private) = at(wrapper, &message.private);
                bounds.push(parse_quote_spanned!(span=> #wrapper: #private::with::With<#ty>));
                bounds.push(parse_quote_spanned!(span=>
                    <#wrapper as #private::with::With<#ty>>::Wire: #private::Schema
                ));
            }
            Wire::Skip => {
                let (span, _) = at(ty, &message.private);
                bounds.push(parse_quote_spanned!(span=> #ty: ::core::default::Default));
            }
            Wire::Marked => {}
        }
    }
    if let Body::Converted(wire) = &message.body {
        let (span, private) = at(wire, &message.private);
        bounds.push(parse_quote_spanned!(span=> #wire: #private::Schema));
    }
    bounds
}

/// Where a type stands, and our path as if it stood there: the compiler shows a bound from its first token to its last.
fn at(ty: &Type, private: &TokenStream) -> (Span, TokenStream) {
    let span = Span::call_site().located_at(ty.span());
    let moved = private.clone().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    (span, moved.collect())
}

fn hash(message: &Message, level: &Ident, past: Option<Ident>) -> TokenStream {
    let private = &message.private;
    let start = |tag: &str| quote!(let hasher = #private::Hasher::new(#tag););
    match &message.body {
        Body::Converted(wire) => quote!(<#wire as #private::Schema>::#level),
        Body::Struct(shape) => {
            let start = start("struct");
            let fields = hash_fields(private, shape, level, past.as_ref());
            quote!({ #start #fields hasher.finish() })
        }
        Body::Enum { variants, .. } => {
            let start = start("enum");
            let variants = variants.iter().map(|variant| {
                let (name, cfgs) = (&variant.name, &variant.cfgs);
                let fields = hash_fields(private, &variant.shape, level, past.as_ref());
                quote! {
                    #(#cfgs)*
                    let hasher = { let hasher = hasher.str("variant").str(#name); #fields hasher };
                }
            });
            quote!({ #start #(#variants)* hasher.finish() })
        }
    }
}

fn hash_fields(private: &TokenStream, shape: &Shape, level: &Ident, past: Option<&Ident>) -> TokenStream {
    let fields = shape.fields.iter().filter_map(|field| {
        let ty = &field.ty;
        let value = match &field.wire {
            Wire::Skip => return None,
            Wire::Plain { schema } => quote!(<#schema as #private::Schema>::#level),
            Wire::Marked => match past {
                Some(past) => quote!(<#ty as #private::Schema>::#past),
                None => {
                    let name = text(ty);
                    quote!(#private::Hasher::new("recursive").str(#name).finish())
                }
            },
            Wire::With { wrapper, schema } => quote! {
                #private::Hasher::new("with")
                    .str(#schema)
                    .hash(<<#wrapper as #private::with::With<#ty>>::Wire as #private::Schema>::#level)
                    .finish()
            },
        };
        let (name, cfgs) = (&field.name, &field.cfgs);
        Some(quote!(#(#cfgs)* let hasher = hasher.field(#name, #value);))
    });
    quote!(#(#fields)*)
}

fn form(message: &Message) -> TokenStream {
    let private = &message.private;
    match &message.body {
        Body::Converted(wire) => quote!(<#wire as #private::Schema>::FORM.checking()),
        Body::Struct(Shape { style: Style::Unit, .. }) => quote!(#private::Form::UNIT),
        Body::Struct(Shape { style: Style::Newtype, fields }) => {
            let mut fields = fields.iter().filter_map(|field| form_of(private, field));
            fields.next().unwrap_or_else(|| quote!(#private::Form::UNIT))
        }
        Body::Struct(shape) => {
            let fields = form_fields(private, shape, "and");
            quote!({ let form = #private::Form::PRODUCT; #fields form })
        }
        Body::Enum { variants, tagged } => {
            let units = variants.iter().all(|variant| variant.shape.style == Style::Unit);
            if units && !tagged {
                return quote!(#private::Form::KEY);
            }
            let variants = variants.iter().map(|variant| {
                let cfgs = &variant.cfgs;
                let fields = form_fields(private, &variant.shape, "or");
                quote!(#(#cfgs)* let form = { #fields form };)
            });
            quote!({ let form = #private::Form::PLAIN; #(#variants)* form })
        }
    }
}

fn form_fields(private: &TokenStream, shape: &Shape, join: &str) -> TokenStream {
    let join = Ident::new(join, Span::mixed_site());
    let fields = shape.fields.iter().filter_map(|field| {
        let cfgs = &field.cfgs;
        form_of(private, field).map(|form| quote!(#(#cfgs)* let form = form.#join(#form);))
    });
    quote!(#(#fields)*)
}

fn form_of(private: &TokenStream, field: &Field) -> Option<TokenStream> {
    let ty = &field.ty;
    match &field.wire {
        Wire::Skip => None,
        Wire::Plain { schema } => Some(quote!(<#schema as #private::Schema>::FORM)),
        Wire::Marked => Some(quote!(#private::Form::UNKNOWN)),
        Wire::With { wrapper, .. } => {
            Some(quote!(<<#wrapper as #private::with::With<#ty>>::Wire as #private::Schema>::FORM))
        }
    }
}

/// Both codecs of a type that is made from another.
fn conversion(private: &TokenStream, wire: &Type, input: &DeriveInput) -> TokenStream {
    let ident = &input.ident;
    let own = &input.generics;
    let (_, arguments, own_bounds) = own.split_for_impl();
    let itself = quote!(#ident #arguments);
    let own_bounds =
        own_bounds.map(|bounds| bounds.predicates.iter().collect::<Vec<_>>()).unwrap_or_default();
    let parameters = own.params.iter().map(|parameter| {
        // Defaults are not allowed in an impl.
        let mut parameter = parameter.clone();
        match &mut parameter {
            syn::GenericParam::Type(parameter) => parameter.default = None,
            syn::GenericParam::Const(parameter) => parameter.default = None,
            syn::GenericParam::Lifetime(_) => {}
        }
        parameter
    });
    let parameters: Vec<_> = parameters.collect();
    let rkyv = quote!(#private::rkyv);
    let archived = quote!(#private::with::ArchivedChecked<#itself>);
    let checked: Vec<TokenStream> = if parameters.is_empty() {
        Vec::new()
    } else {
        vec![
            quote!(#wire: #rkyv::Archive + for<'__a> ::core::convert::From<&'__a #itself>),
            quote!(#itself: ::core::convert::TryFrom<#wire>),
            quote!(<#itself as ::core::convert::TryFrom<#wire>>::Error: ::core::fmt::Display),
        ]
    };
    // Where the wire type is at fault, the compiler should point at it.
    quote_spanned! {wire.span()=>
        #[automatically_derived]
        impl<#(#parameters),*> #private::with::Checked for #itself where #(#own_bounds,)* #(#checked,)* {
            type Wire = #wire;

            fn to_wire(&self) -> #wire {
                <#wire as ::core::convert::From<&Self>>::from(self)
            }

            fn from_wire(wire: #wire) -> ::core::result::Result<Self, impl ::core::fmt::Display> {
                <Self as ::core::convert::TryFrom<#wire>>::try_from(wire)
            }
        }

        #[automatically_derived]
        impl<#(#parameters),*> #rkyv::Archive for #itself where #(#own_bounds,)* #(#checked,)* {
            type Archived = #archived;
            type Resolver = (#wire, <#wire as #rkyv::Archive>::Resolver);

            fn resolve(&self, resolver: Self::Resolver, out: #rkyv::Place<Self::Archived>) {
                <#archived>::resolve(resolver, out)
            }
        }

        #[automatically_derived]
        impl<#(#parameters,)* __S> #rkyv::Serialize<__S> for #itself
        where
            #(#own_bounds,)* #(#checked,)*
            __S: #rkyv::rancor::Fallible + ?::core::marker::Sized,
            #wire: #rkyv::Serialize<__S>,
        {
            fn serialize(
                &self,
                serializer: &mut __S,
            ) -> ::core::result::Result<Self::Resolver, <__S as #rkyv::rancor::Fallible>::Error> {
                <#archived>::serialize(self, serializer)
            }
        }

        #[automatically_derived]
        impl<#(#parameters),*> #private::serde::Serialize for #itself
        where
            #(#own_bounds,)* #(#checked,)*
            #wire: #private::serde::Serialize,
        {
            fn serialize<__S: #private::serde::Serializer>(
                &self,
                serializer: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #private::serde::Serialize::serialize(&#private::with::Checked::to_wire(self), serializer)
            }
        }

        #[automatically_derived]
        impl<'__de, #(#parameters),*> #private::serde::Deserialize<'__de> for #itself
        where
            #(#own_bounds,)* #(#checked,)*
            #wire: #private::serde::Deserialize<'__de>,
        {
            fn deserialize<__D: #private::serde::Deserializer<'__de>>(
                deserializer: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                let wire = <#wire as #private::serde::Deserialize>::deserialize(deserializer)?;
                <Self as #private::with::Checked>::from_wire(wire)
                    .map_err(<__D::Error as #private::serde::de::Error>::custom)
            }
        }
    }
}

fn fields(body: &Body) -> Box<dyn Iterator<Item = &Field> + '_> {
    match body {
        Body::Struct(shape) => Box::new(shape.fields.iter()),
        Body::Enum { variants, .. } => Box::new(
            variants
                .iter()
                .filter(|variant| variant.cfgs.is_empty())
                .flat_map(|variant| &variant.shape.fields),
        ),
        Body::Converted(_) => Box::new(std::iter::empty()),
    }
}
