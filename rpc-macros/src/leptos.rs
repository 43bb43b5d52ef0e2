//! What a page gets beside the plain client: one method per form that fits a call's kind.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Ident, Type};

use crate::ast::{Kind, Method, Service};
use crate::client;
use crate::service::answer;

/// The methods, in a macro of the facade that leaves them out where nobody uses Leptos.
pub(crate) fn items(service: &Service) -> TokenStream {
    let krate = &service.krate;
    let ident = client::ident(service);
    let methods = service.methods.iter().flat_map(|method| {
        method.leptos_idents().into_iter().map(|(form, ident)| match form {
            "action" => action(method, &ident, service),
            _ => reading(method, form, &ident, service),
        })
    });
    quote_spanned! {Span::mixed_site()=>
        #krate::__private::leptos_items! {
            #[allow(dead_code, deprecated)]
            impl #ident {
                #(#methods)*
            }
        }
    }
}

/// A query or a signal: called again when what its arguments are read from has changed.
fn reading(method: &Method, form: &str, ident: &Ident, service: &Service) -> TokenStream {
    let Service { krate, vis, .. } = service;
    let Method { ident: method_ident, shared, .. } = method;
    let doc = format!(
        "[`{method_ident}`](Self::{method_ident}) as a {form}, with what `args` returns as its arguments."
    );
    let doc = if method.arguments.is_empty() {
        format!("[`{method_ident}`](Self::{method_ident}) as a {form}.")
    } else {
        doc
    };
    let (function, output) = match method.kind {
        Kind::Watch => ("watch", quote!(Watch)),
        Kind::ServerStream => ("stream", quote!(StreamSignal)),
        _ => ("query", quote!(Query)),
    };
    let function = Ident::new(function, Span::mixed_site());
    let (ok, err) = parts(method, service);

    let inputs = Inputs::of(method);
    let args = inputs.ty.as_ref().map(|ty| {
        quote_spanned! {Span::mixed_site()=>
            , args: impl ::core::ops::Fn() -> #ty + ::core::marker::Send + ::core::marker::Sync + 'static
        }
    });
    let (pattern, values) = (&inputs.pattern, &inputs.values);
    let read = inputs.ty.as_ref().map(|_| quote_spanned!(Span::mixed_site()=> let #pattern = args();));
    quote_spanned! {Span::mixed_site()=>
        #[doc = #doc]
        #[doc = ""]
        #(#shared)*
        #vis fn #ident(&self #args) -> #krate::leptos::#output<#ok, #err> {
            let client = ::core::clone::Clone::clone(self);
            #krate::leptos::#function(move || {
                #read
                client.#method_ident(#(#values),*)
            })
        }
    }
}

/// An action: called when it is dispatched.
fn action(method: &Method, ident: &Ident, service: &Service) -> TokenStream {
    let Service { krate, vis, .. } = service;
    let Method { ident: method_ident, shared, .. } = method;
    let doc = format!("[`{method_ident}`](Self::{method_ident}) as an action.");
    let (ok, err) = parts(method, service);
    let Inputs { ty, pattern, values } = Inputs::of(method);
    let ty = ty.unwrap_or_else(|| quote!(()));
    quote_spanned! {Span::mixed_site()=>
        #[doc = #doc]
        #[doc = ""]
        #(#shared)*
        #vis fn #ident(&self) -> #krate::leptos::Action<#ty, #ok, #err> {
            let client = ::core::clone::Clone::clone(self);
            #krate::leptos::action(move |#pattern: #ty| client.#method_ident(#(#values),*))
        }
    }
}

/// What a call ends with, or what its items are and how they can end.
fn parts(method: &Method, service: &Service) -> (TokenStream, TokenStream) {
    match method.kind {
        Kind::Notify => (quote!(()), quote!(::core::convert::Infallible)),
        _ => answer(method, &service.krate),
    }
}

/// Arguments as one value: none, the argument itself, or a tuple.
struct Inputs<'a> {
    /// None where there are no arguments.
    ty: Option<TokenStream>,
    pattern: TokenStream,
    values: Vec<&'a Ident>,
}

impl<'a> Inputs<'a> {
    fn of(method: &'a Method) -> Self {
        let values: Vec<&Ident> = method.arguments.iter().map(|argument| &argument.ident).collect();
        let types: Vec<&Type> = method.arguments.iter().map(|argument| &argument.wire).collect();
        let (ty, pattern) = match (types.as_slice(), values.as_slice()) {
            ([], _) => (None, quote!(())),
            ([ty], [value]) => (Some(quote!(#ty)), quote!(#value)),
            _ => (Some(quote!((#(#types),*))), quote!((#(#values),*))),
        };
        Self { ty, pattern, values }
    }
}
