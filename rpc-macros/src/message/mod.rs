//! `#[message]`: parse, validate, expand.

mod ast;
mod attr;
mod expand;
mod fallback;
mod key;
mod types;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{DeriveInput, Item};

use crate::diag::Diagnostics;
use ast::Message;
use attr::ContainerArgs;

/// The whole of what takes the place of a `#[message]` type.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut diagnostics = Diagnostics::default();
    let mut input = match parse(item) {
        Ok(input) => input,
        Err(tokens) => return tokens,
    };
    let args = ContainerArgs::parse(args, &mut input.attrs, &mut diagnostics);
    let krate = args.krate.clone();
    let message = Message::from_syn(args, &mut input, &mut diagnostics);
    match diagnostics.finish() {
        Ok(()) => expand::expand(&message, &input),
        Err(error) => {
            let errors = error.into_compile_error();
            let inert = fallback::expand(&krate, &mut input);
            quote!(#errors #inert)
        }
    }
}

fn parse(item: TokenStream) -> Result<DeriveInput, TokenStream> {
    const WHERE: &str = "`#[message]` goes on a struct or an enum";
    match syn::parse2::<Item>(item) {
        Ok(Item::Struct(item)) => Ok(item.into()),
        Ok(Item::Enum(item)) => Ok(item.into()),
        Ok(other) => {
            let place = match &other {
                Item::Union(item) => item.union_token.span,
                Item::Type(item) => item.type_token.span,
                _ => Span::call_site(),
            };
            let error = syn::Error::new(place, WHERE).into_compile_error();
            Err(quote!(#error #other))
        }
        Err(error) => Err(error.into_compile_error()),
    }
}

/// Code as a person would write it, for messages.
fn text(tokens: impl ToTokens) -> String {
    let spaced = tokens.to_token_stream().to_string();
    [(" :: ", "::"), (" <", "<"), ("< ", "<"), (" >", ">"), (" ,", ","), (":: ", "::"), ("& ", "&")]
        .into_iter()
        .fold(spaced, |text, (from, to)| text.replace(from, to))
}
