//! The client's half: a struct with one method per method of the trait.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;

use crate::ast::{Argument, Crate, Kind, Method, Output, Service};
use crate::service::{answer, number};

/// What the methods do.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    /// Make a call.
    Live,
    /// Nothing: the trait is wrong, and so nothing will run.
    Inert,
}

/// `ChatClient` for `Chat`.
pub(crate) fn ident(service: &Service) -> Ident {
    format_ident!("{}Client", service.ident)
}

/// The struct that holds the channel.
pub(crate) fn definition(service: &Service) -> TokenStream {
    let Service { ident: service_ident, vis, krate, cfgs, .. } = service;
    let ident = ident(service);
    let doc = format!("Calls a [`{service_ident}`] over a channel.");
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[doc = #doc]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[allow(dead_code)]
        #vis struct #ident {
            channel: #krate::__private::Channel,
        }
    }
}

/// Its methods.
pub(crate) fn implementation(service: &Service, body: Body) -> TokenStream {
    let Service { krate, methods, vis, .. } = service;
    let ident = ident(service);
    let methods = methods.iter().map(|method| {
        let signature = signature(method, krate);
        let body = match body {
            Body::Live => call(method, krate),
            Body::Inert => quote!(::core::unreachable!()),
        };
        let shared = &method.shared;
        quote_spanned! {Span::mixed_site()=>
            #(#shared)*
            #vis #signature { #body }
        }
    });
    quote_spanned! {Span::mixed_site()=>
        impl #krate::__private::ServiceClient for #ident {
            const SERVICE: &'static #krate::__private::ServiceDescriptor = &__SERVICE;

            fn from_channel(channel: #krate::__private::Channel) -> Self {
                Self { channel }
            }

            fn as_channel(&self) -> &#krate::__private::Channel {
                &self.channel
            }
        }

        #[allow(dead_code, missing_docs, unused_variables, clippy::too_many_arguments)]
        impl #ident {
            #(#methods)*
        }
    }
}

fn signature(method: &Method, krate: &Crate) -> TokenStream {
    let Method { ident, arguments, upload, .. } = method;
    let arguments = arguments.iter().map(|Argument { ident, wire, .. }| quote!(, #ident: #wire));
    let upload = upload.iter().map(|upload| {
        let (ident, item) = (&upload.ident, &upload.item);
        quote!(, #ident: impl #krate::__private::Stream<Item = #item> + ::core::marker::Send + 'static)
    });
    let future = future(method, krate);
    quote_spanned!(Span::mixed_site()=> fn #ident(&self #(#arguments)* #(#upload)*) -> #future)
}

/// The type that a method returns.
fn future(method: &Method, krate: &Crate) -> TokenStream {
    let span = method.output.span();
    let located = krate.at(span);
    match &method.output {
        Output::Value { .. } if method.kind == Kind::Notify => {
            quote_spanned!(span=> #located::__private::NotifyFuture)
        }
        Output::Value { ty } => quote_spanned!(span=> #located::__private::CallFuture<#ty>),
        Output::Stream { .. } => {
            let (item, error) = answer(method, krate);
            quote_spanned!(span=> #located::__private::StreamFuture<#item, #error>)
        }
    }
}

fn call(method: &Method, krate: &Crate) -> TokenStream {
    let (number, arguments) = (number(&method.ident), method.arguments_ident());
    let fields = method.arguments.iter().map(|argument| &argument.ident);
    let span = method.output.span();
    let future = Ident::new(
        match &method.output {
            Output::Value { .. } if method.kind == Kind::Notify => "NotifyFuture",
            Output::Value { .. } => "CallFuture",
            Output::Stream { .. } => "StreamFuture",
        },
        span,
    );
    let (function, upload) = match &method.upload {
        None => ("new", None),
        Some(upload) => ("with_upload", Some(&upload.ident)),
    };
    let function = Ident::new(function, span);
    let upload = upload.iter();
    let located = krate.at(span);
    let future = quote_spanned!(span=> #located::__private::#future::#function);
    quote_spanned! {Span::mixed_site()=>
        #future(&self.channel, &__SERVICE, #number, &#arguments { #(#fields),* } #(, #upload)*)
    }
}
