//! The client's half: a struct with one method per method of the trait.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, Member};

use crate::ast::{Argument, Crate, Kind, Method, Output, Retry, Service};
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
        let promise = promise(method).into_iter().map(|promise| quote!(#[doc = ""] #[doc = #promise]));
        quote_spanned! {Span::mixed_site()=>
            #(#shared)*
            #(#promise)*
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

/// What the method's attribute means for its caller, where it says anything.
fn promise(method: &Method) -> Option<String> {
    if let Some((argument, field)) = &method.resume {
        let field = match field {
            Member::Named(field) => field.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        };
        return Some(format!(
            " Goes on by itself after a lost session, or after it lagged: behind the last item that was read, whose \
             `{field}` it sends as `{}`. A gap is shown only where there is no such item and no `{}` to begin with.",
            argument.unraw(),
            argument.unraw(),
        ));
    }
    let promise = match method.retry {
        Retry::Never => return None,
        Retry::Idempotent => {
            " This call is idempotent: it is sent again by itself when the session was lost before the answer came, and \
             when the other end was not available, all within its deadline. The handler may run more than once."
        }
        Retry::Once => {
            " This call runs once: it is sent again by itself when the session was lost before the answer came, and a \
             repeat gets the recorded answer of the first run. A handler that has started runs to its end, also when \
             the call is dropped or its deadline passes."
        }
    };
    Some(promise.to_owned())
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
    if let Some((argument, field)) = &method.resume {
        let (item, error) = answer(method, krate);
        let future = quote_spanned!(span=> #located::__private::StreamFuture::<#item, #error>::resuming);
        let place_of = quote_spanned!(argument.span()=> |arguments| &mut arguments.#argument);
        let field_of = quote_spanned!(field.span()=> |item| &item.#field);
        return quote_spanned! {Span::mixed_site()=>
            #future(
                &self.channel, &__SERVICE, #number, #arguments { #(#fields),* },
                #place_of,
                #field_of,
            )
        };
    }
    let future = quote_spanned!(span=> #located::__private::#future::#function);
    quote_spanned! {Span::mixed_site()=>
        #future(&self.channel, &__SERVICE, #number, &#arguments { #(#fields),* } #(, #upload)*)
    }
}
