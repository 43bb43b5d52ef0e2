//! The server's half: what turns an implementation of the trait into a service.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;

use crate::ast::{Argument, Kind, Method, Output, Service};
use crate::service::number;

/// `ChatServer` for `Chat`.
pub(crate) fn ident(service: &Service) -> Ident {
    format_ident!("{}Server", service.ident)
}

/// The struct that holds the implementation.
pub(crate) fn definition(service: &Service) -> TokenStream {
    let Service { ident: service_ident, vis, krate, cfgs, .. } = service;
    let ident = ident(service);
    let doc = format!("Serves an implementation of [`{service_ident}`].");
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        #[doc = #doc]
        #[allow(dead_code)]
        #vis struct #ident<S> {
            service: #krate::__private::Arc<S>,
        }

        #(#cfgs)*
        #[allow(dead_code)]
        impl<S> #ident<S> {
            /// Serves `service`.
            #vis fn new(service: S) -> Self {
                Self::from_arc(#krate::__private::Arc::new(service))
            }

            /// Serves `service`, which the application may hold as well.
            #vis fn from_arc(service: #krate::__private::Arc<S>) -> Self {
                Self { service }
            }
        }

        #(#cfgs)*
        impl<S> ::core::fmt::Debug for #ident<S> {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.debug_struct(::core::stringify!(#ident)).finish_non_exhaustive()
            }
        }
    }
}

/// The dispatch from numbers to methods.
pub(crate) fn implementation(service: &Service) -> TokenStream {
    let Service { ident: service_ident, krate, methods, .. } = service;
    let ident = ident(service);
    let arms = methods.iter().map(|method| arm(method, service));
    quote_spanned! {Span::mixed_site()=>
        #[allow(deprecated, unused_variables)]
        impl<__S: #service_ident> #krate::__private::Service for #ident<__S> {
            fn descriptor(&self) -> &'static #krate::__private::ServiceDescriptor {
                &__SERVICE
            }

            fn dispatch(&self, call: #krate::__private::Call) -> #krate::__private::ReplyFuture {
                let service = ::core::clone::Clone::clone(&self.service);
                match call.method_index() {
                    #(#arms)*
                    _ => #krate::__private::unimplemented(call),
                }
            }
        }
    }
}

fn arm(method: &Method, service: &Service) -> TokenStream {
    let krate = &service.krate;
    let Method { cfgs, kind, context, upload, .. } = method;
    let (function, reads, sinks) = match kind {
        Kind::Unary => ("unary", false, false),
        Kind::Notify => ("notify", false, false),
        Kind::ServerStream | Kind::Watch => ("streaming", false, true),
        Kind::ClientStream => ("client_streaming", true, false),
        Kind::Bidirectional => ("bidirectional", true, true),
    };
    debug_assert_eq!(reads, upload.is_some());
    let number = number(&method.ident);

    let cx = match context {
        Some(_) => quote_spanned!(Span::mixed_site()=> cx),
        None => quote!(_),
    };
    let upload = upload.iter().map(|upload| {
        let (ident, ty) = (&upload.ident, &upload.ty);
        quote!(, #ident: #ty)
    });
    let out = sinks.then(|| quote_spanned!(Span::mixed_site()=> , out: #krate::__private::Sink));
    let body = body(method, service);
    let (function, read, arguments) = if method.has_views() {
        let idents = method.arguments.iter().map(|argument| &argument.ident);
        (format!("{function}_view"), Some(read(method, service)), quote!((#(#idents,)*)))
    } else {
        let idents = method.arguments.iter().map(|argument| &argument.ident);
        let arguments = method.arguments_ident();
        (function.to_owned(), None, quote!(#arguments { #(#idents),* }))
    };
    let span = method.output.span();
    let function = Ident::new(&function, span);
    let located = krate.at(span);
    let function = quote_spanned!(span=> #located::__private::#function);
    quote_spanned! {Span::mixed_site()=>
        #(#cfgs)*
        number if number == #number => #function(
            call,
            #read
            move |#cx: #krate::__private::Context, #arguments #(#upload)* #out| async move { #body },
        ),
    }
}

/// Takes each argument out of the view of all of them: a `View` shares its buffer, the others are made owned.
fn read(method: &Method, service: &Service) -> TokenStream {
    let krate = &service.krate;
    let arguments = method.arguments_ident();
    let fields = method.arguments.iter().map(|Argument { ident, wire, is_view, .. }| {
        let owned = (!is_view).then(|| quote!(.to_owned()?));
        quote_spanned!(Span::mixed_site()=> args.project::<#wire>(|args| &args.#ident) #owned)
    });
    quote_spanned! {Span::mixed_site()=>
        |args: #krate::__private::View<#arguments>| ::core::result::Result::Ok((#(#fields,)*)),
    }
}

fn body(method: &Method, service: &Service) -> TokenStream {
    let service_ident = &service.ident;
    let ident = &method.ident;
    let context = method.context.iter().map(|_| quote_spanned!(Span::mixed_site()=> , &cx));
    let arguments = method.arguments.iter().map(|argument| &argument.ident);
    let upload = method.upload.iter().map(|upload| &upload.ident);
    let call = quote_spanned! {Span::mixed_site()=>
        <__S as #service_ident>::#ident(&service #(#context)* #(, #arguments)* #(, #upload)*)
    };
    let span = method.output.span();
    match &method.output {
        Output::Value { .. } => quote_spanned!(span=> #call.await),
        Output::Stream { may_refuse: false, .. } => {
            quote_spanned!(span=> out.drive(#call).await)
        }
        Output::Stream { may_refuse: true, .. } => quote_spanned! {span=>
            match #call.await {
                ::core::result::Result::Ok(stream) => out.drive(stream).await,
                ::core::result::Result::Err(error) => out.refuse(error).await,
            }
        },
    }
}
