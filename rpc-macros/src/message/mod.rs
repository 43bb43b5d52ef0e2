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

pub(crate) use types::machine_word;

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that a renamed dependency would break on.
    #[test]
    fn under_another_name_the_facade_is_not_named_by_its_own() {
        let types = [
            (
                quote!(),
                quote!(
                    struct Page<T> {
                        items: Vec<T>,
                        #[message(skip)]
                        cache: u8,
                        next: Option<Box<Page<T>>>,
                    }
                ),
            ),
            (
                quote!(),
                quote!(
                    struct Event {
                        at: Vec<DateTime<Utc>>,
                        #[message(with = W, schema = "w/1")]
                        w: Foreign,
                    }
                ),
            ),
            (
                quote!(),
                quote!(
                    enum Kind {
                        A(#[message(recursive)] Box<Other>),
                        B { id: u64 },
                    }
                ),
            ),
            (
                quote!(try_from = String),
                quote!(
                    struct Email(String);
                ),
            ),
            (
                quote!(),
                quote!(
                    struct Wrong {
                        #[serde(skip)]
                        field: u8,
                    }
                ),
            ),
        ];
        for (args, item) in types {
            let args =
                if args.is_empty() { quote!(crate = ::renamed) } else { quote!(crate = ::renamed, #args) };
            let expansion = expand(args, item).to_string();
            assert!(expansion.contains("renamed"), "{expansion}");
            assert!(!expansion.contains("bowline"), "{expansion}");
        }
    }
}
