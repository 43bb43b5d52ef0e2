//! What both ends share: the trait itself, its arguments as structs, its table.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type};

use crate::ast::{Argument, Crate, Kind, Method, Output, Retry, Service};
use crate::attr::Lag;

/// The trait that the application implements.
pub(crate) fn definition(service: &Service) -> TokenStream {
    let Service { ident, vis, krate, attributes, methods, .. } = service;
    let methods = methods.iter().map(|method| signature(method, krate));
    quote_spanned! {Span::mixed_site()=>
        #(#attributes)*
        #vis trait #ident: #krate::__private::MaybeSend + #krate::__private::MaybeSync + 'static {
            #(#methods)*
        }
    }
}

fn signature(method: &Method, krate: &Crate) -> TokenStream {
    let Method { ident, attributes, context, arguments, upload, output, .. } = method;
    let context = context.iter().map(|context| {
        let ty = &context.ty;
        match &context.ident {
            Some(ident) => quote!(, #ident: #ty),
            None => quote!(, _: #ty),
        }
    });
    let arguments = arguments.iter().map(|Argument { ident, ty, .. }| quote!(, #ident: #ty));
    let upload = upload.iter().map(|upload| {
        let (ident, ty) = (&upload.ident, &upload.ty);
        quote!(, #ident: #ty)
    });
    let output = match output {
        Output::Value { ty } => future_of(ty, krate),
        Output::Stream { bounded, may_refuse: true, .. } => future_of(bounded, krate),
        Output::Stream { bounded, .. } => quote!(#bounded),
    };
    quote_spanned! {Span::mixed_site()=>
        #(#attributes)*
        fn #ident(&self #(#context)* #(#arguments)* #(#upload)*) -> #output;
    }
}

fn future_of(ty: &Type, krate: &Crate) -> TokenStream {
    let krate = krate.at(ty.span());
    quote_spanned! {ty.span()=>
        impl ::core::future::Future<Output = #ty> + #krate::__private::MaybeSend
    }
}

/// Argument structs, numbers and descriptor.
pub(crate) fn table(service: &Service) -> TokenStream {
    let Service { krate, methods, .. } = service;
    let arguments = methods.iter().map(|method| arguments(method, krate));
    let numbers = methods.iter().map(|Method { ident, cfgs, .. }| quote!(#(#cfgs)* #ident));
    let rows = methods.iter().map(|method| row(method, krate));
    let name = service.name();
    let checks = methods.iter().filter_map(|method| check(method, krate));
    quote_spanned! {Span::mixed_site()=>
        #(#checks)*

        #(#arguments)*

        #[allow(dead_code, non_camel_case_types)]
        enum __Method { #(#numbers,)* }

        static __SERVICE: #krate::__private::ServiceDescriptor = #krate::__private::ServiceDescriptor {
            name: #name,
            methods: &[#(#rows,)*],
        };
    }
}

/// The number of `method` in the table: a place among those that were compiled in.
pub(crate) fn number(method: &Ident) -> TokenStream {
    quote_spanned!(Span::mixed_site()=> __Method::#method as usize)
}

/// Asks first whether the parts of a `Result` can cross, so that the one that can't is named, and where it stands.
fn check(method: &Method, krate: &Crate) -> Option<TokenStream> {
    let cfgs = &method.cfgs;
    let ident = format_ident!("__{}_answers", method.name(), span = Span::mixed_site());
    let parts = method.output.spelled_result()?;
    let parts = parts.map(|ty| {
        let krate = krate.at(ty.span());
        quote_spanned!(ty.span()=> #ty: #krate::__private::Payload)
    });
    Some(quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[allow(dead_code)]
        fn #ident() where #(#parts),* {}
    })
}

fn arguments(method: &Method, krate: &Crate) -> TokenStream {
    let Method { cfgs, arguments, .. } = method;
    let ident = method.arguments_ident();
    let fields = arguments
        .iter()
        .map(|Argument { ident, wire, attributes, .. }| quote!(#(#attributes)* #ident: #wire));
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[#krate::message(crate = #krate)]
        #[allow(dead_code)]
        struct #ident { #(#fields,)* }
    }
}

fn row(method: &Method, krate: &Crate) -> TokenStream {
    let (cfgs, name, hash) = (&method.cfgs, method.name(), hash(method, krate));
    let kind = Ident::new(kind(method.kind), Span::mixed_site());
    let lag = match method.lag {
        Lag::Close => quote!(Close),
        Lag::Latest => quote!(Latest),
        Lag::DropOldest => quote!(DropOldest),
    };
    let retry = match method.retry {
        Retry::Never => quote!(Never),
        Retry::Idempotent => quote!(Idempotent),
        Retry::Once => quote!(Once),
    };
    let deadline = match method.deadline.map(|deadline| deadline.as_millis() as u64) {
        Some(millis) => quote!(::core::option::Option::Some(::core::time::Duration::from_millis(#millis))),
        None => quote!(::core::option::Option::None),
    };
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #krate::__private::MethodDescriptor {
            name: #name,
            kind: #krate::__private::MethodKind::#kind,
            retry: #krate::__private::Retry::#retry,
            hash: #hash,
            deadline: #deadline,
            lag: #krate::__private::Lag::#lag,
        }
    }
}

/// Folds what crosses the wire for `method`: rkyv's format, arguments, result or items, error, uploaded items.
fn hash(method: &Method, krate: &Crate) -> TokenStream {
    let (arguments, tag, span) = (method.arguments_ident(), kind(method.kind), method.output.span());
    let answered = match &method.output {
        Output::Value { ty } => quote_spanned!(span=> hash_of_value::<#arguments, #ty>),
        Output::Stream { asked, .. } => quote_spanned!(span=> hash_of_stream::<#arguments, #asked>),
    };
    let uploaded = method.upload.iter().map(|upload| {
        let item = &upload.item;
        let krate = krate.at(item.span());
        quote_spanned!(item.span()=> .hash(<#item as #krate::__private::Payload>::HASH))
    });
    let krate = krate.at(span);
    quote_spanned!(span=> #krate::__private::#answered(#tag) #(#uploaded)* .finish())
}

/// What a value and an error are, or an item and an error: the types that the answer of `method` is made of.
pub(crate) fn answer(method: &Method, krate: &Crate) -> (TokenStream, TokenStream) {
    let (ty, ok, err) = match &method.output {
        Output::Value { ty } => (ty, "OkOf", "ErrOf"),
        Output::Stream { asked, .. } => (asked, "ItemOf", "StreamErrOf"),
    };
    let span = method.output.span();
    let krate = krate.at(span);
    let part = |alias| {
        let alias = Ident::new(alias, span);
        quote_spanned!(span=> #krate::__private::#alias<#ty>)
    };
    (part(ok), part(err))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Unary => "Unary",
        Kind::ServerStream => "ServerStream",
        Kind::ClientStream => "ClientStream",
        Kind::Bidirectional => "Bidirectional",
        Kind::Notify => "Notify",
        Kind::Watch => "Watch",
    }
}
