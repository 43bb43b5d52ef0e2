//! What is emitted where the input is wrong: the type as it was meant, and impls that keep one mistake at one message.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Attribute, Data, DeriveInput, GenericParam, Path};

/// The type without attributes that nobody would know, and inert impls of what its users ask for.
pub(crate) fn expand(krate: &Path, input: &mut DeriveInput) -> TokenStream {
    let private = quote!(#krate::__private);
    strip(input);
    let ident = &input.ident;
    let (parameters, arguments, bounds) = input.generics.split_for_impl();
    let inert = quote!(::core::unreachable!("does not compile"));
    let schema = quote! {
        #[automatically_derived]
        impl #parameters #private::Schema for #ident #arguments #bounds {
            const HASH: u128 = 0;
        }
    };
    // With lifetimes or parameters of its own more impls would bring errors of their own.
    if input.generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Const(_))) {
        return quote!(#input #schema);
    }
    let rkyv = quote!(#private::rkyv);
    quote! {
        #input
        #schema

        #[automatically_derived]
        impl #parameters #rkyv::Archive for #ident #arguments #bounds {
            type Archived = ();
            type Resolver = ();
            fn resolve(&self, _: (), _: #rkyv::Place<()>) {}
        }

        #[automatically_derived]
        impl<__S: #rkyv::rancor::Fallible + ?::core::marker::Sized> #rkyv::Serialize<__S> for #ident {
            fn serialize(&self, _: &mut __S) -> ::core::result::Result<(), __S::Error> {
                #inert
            }
        }

        #[automatically_derived]
        impl<__D: #rkyv::rancor::Fallible + ?::core::marker::Sized> #rkyv::Deserialize<#ident, __D> for () {
            fn deserialize(&self, _: &mut __D) -> ::core::result::Result<#ident, __D::Error> {
                #inert
            }
        }

        #[automatically_derived]
        impl #private::serde::Serialize for #ident {
            fn serialize<__S: #private::serde::Serializer>(
                &self,
                _: __S,
            ) -> ::core::result::Result<__S::Ok, __S::Error> {
                #inert
            }
        }

        #[automatically_derived]
        impl<'__de> #private::serde::Deserialize<'__de> for #ident {
            fn deserialize<__D: #private::serde::Deserializer<'__de>>(
                _: __D,
            ) -> ::core::result::Result<Self, __D::Error> {
                #inert
            }
        }
    }
}

fn strip(input: &mut DeriveInput) {
    let clean = |attributes: &mut Vec<Attribute>| {
        attributes.retain(|attribute| {
            let path = attribute.path();
            !["message", "serde", "rkyv", "derive", "cfg_attr"].iter().any(|name| path.is_ident(name))
        });
    };
    let derives: Vec<Attribute> =
        input.attrs.iter().filter(|attribute| attribute.path().is_ident("derive")).cloned().collect();
    clean(&mut input.attrs);
    // A derive that names ours as well is the mistake itself.
    input.attrs.extend(derives.into_iter().filter(|derive| {
        let text = quote!(#derive).to_string();
        !["Archive", "Serialize", "Deserialize"].iter().any(|name| text.contains(name))
    }));
    match &mut input.data {
        Data::Struct(data) => data.fields.iter_mut().for_each(|field| clean(&mut field.attrs)),
        Data::Enum(data) => {
            for variant in &mut data.variants {
                clean(&mut variant.attrs);
                variant.fields.iter_mut().for_each(|field| clean(&mut field.attrs));
            }
        }
        Data::Union(_) => {}
    }
}
