//! What is emitted when the trait is wrong: the trait itself and stubs that do nothing, so that one mistake gives one
//! message and the rest of the program is still checked.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};

use syn::ext::IdentExt;
use syn::{FnArg, ItemTrait, Pat, TraitItem, TraitItemFn, Type, parse_quote};

use crate::ast::{Crate, Method, Service};
use crate::client::{self, Body};
use crate::{attr, leptos, server};

/// The mistakes, the trait and the stubs.
pub(crate) fn expand(mut service: Service, item: ItemTrait, errors: &syn::Error) -> TokenStream {
    let leptos_forms = service.methods.iter().flat_map(Method::leptos_idents);
    let mut seen: HashSet<String> = leptos_forms.map(|(_, ident)| ident.to_string()).collect();
    service.methods.retain(|method| seen.insert(method.name()));
    let service = &service;

    let errors = errors.to_compile_error();
    let item = harmless(item, &service.krate);
    let (server, client) = (server::definition(service), client::definition(service));
    let (krate, cfgs, name) = (&service.krate, &service.cfgs, service.name());
    let server_ident = server::ident(service);
    let (methods, leptos) = (client::implementation(service, Body::Inert), leptos::items(service));
    quote_spanned! {Span::mixed_site()=>
        #errors
        #item
        #server
        #client

        #(#cfgs)*
        const _: () = {
            static __SERVICE: #krate::__private::ServiceDescriptor =
                #krate::__private::ServiceDescriptor { name: #name, methods: &[] };

            // Whatever it holds: bounds on a trait that is wrong would only give more messages.
            impl<__S> #krate::__private::Service for #server_ident<__S>
            where
                __S: #krate::__private::MaybeSend + #krate::__private::MaybeSync + 'static,
            {
                fn descriptor(&self) -> &'static #krate::__private::ServiceDescriptor {
                    &__SERVICE
                }

                fn dispatch(&self, call: #krate::__private::Call) -> #krate::__private::ReplyFuture {
                    #krate::__private::unimplemented(call)
                }
            }

            #methods
            #leptos
        };
    }
}

/// The trait as the user wrote it, without what the compiler would complain about once more.
fn harmless(mut item: ItemTrait, krate: &Crate) -> TokenStream {
    item.auto_token = None;
    item.supertraits.push(parse_quote!(#krate::__private::MaybeSend));
    item.supertraits.push(parse_quote!(#krate::__private::MaybeSync));
    item.supertraits.push(parse_quote!('static));
    item.colon_token.get_or_insert_default();
    let mut seen = HashSet::new();
    item.items.retain(|item| match item {
        TraitItem::Fn(function) => seen.insert(function.sig.ident.unraw()),
        _ => true,
    });
    for item in &mut item.items {
        if let TraitItem::Fn(function) = item {
            tame(function);
        }
    }
    item.attrs.push(parse_quote!(#[allow(async_fn_in_trait)]));
    item.into_token_stream()
}

fn tame(function: &mut TraitItemFn) {
    function.attrs.retain(|attribute| !attr::is_rpc(attribute) && !attr::mentions_rpc(attribute));
    function.sig.constness = None;
    function.sig.variadic = None;
    let mut seen = HashSet::new();
    for input in &mut function.sig.inputs {
        match input {
            FnArg::Receiver(receiver) => receiver.attrs.clear(),
            FnArg::Typed(input) => {
                input.attrs.clear();
                let is_plain = match &*input.pat {
                    Pat::Ident(name) => {
                        name.by_ref.is_none() && name.mutability.is_none() && seen.insert(name.ident.unraw())
                    }
                    _ => false,
                };
                // The compiler would ask for what stands in the brackets, as we did.
                let names_no_type = matches!(&*input.ty, Type::Path(path) if path.path.segments.last().is_some_and(
                    |last| last.arguments.is_none() && (last.ident == "Streaming" || last.ident == "View"),
                ));
                if names_no_type {
                    *input.ty = parse_quote!(());
                }
                // A body uses its arguments' names; without one, only a plain name is allowed.
                if !is_plain && function.default.is_none() {
                    *input.pat = parse_quote!(_);
                }
            }
        }
    }
}
