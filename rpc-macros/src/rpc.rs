//! `#[rpc]`: parse, validate, expand.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Item, ItemTrait};

use crate::ast::Service;
use crate::client::{self, Body};
use crate::diag::Diagnostics;
use crate::{fallback, leptos, server, service};

/// The whole of what takes the place of an `#[rpc]` trait.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let item = match parse(item) {
        Ok(item) => item,
        Err(tokens) => return tokens,
    };
    let mut diagnostics = Diagnostics::default();
    let service = Service::from_syn(args, item.clone(), &mut diagnostics);
    if let Err(errors) = diagnostics.finish() {
        return fallback::expand(service, item, &errors);
    }

    let (definition, table) = (service::definition(&service), service::table(&service));
    let (server, dispatch) = (server::definition(&service), server::implementation(&service));
    let (client, methods) = (client::definition(&service), client::implementation(&service, Body::Live));
    let leptos = leptos::items(&service);
    // What has no name outside goes into a block, so that two traits of one module are not in each other's way.
    let cfgs = &service.cfgs;
    quote_spanned! {Span::mixed_site()=>
        #definition
        #server
        #client

        #(#cfgs)*
        const _: () = {
            #table
            #dispatch
            #methods
            #leptos
        };
    }
}

fn parse(item: TokenStream) -> Result<ItemTrait, TokenStream> {
    match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Trait(item)) => Ok(item),
        Ok(other) => {
            let error = syn::Error::new(Span::call_site(), "`#[rpc]` goes on a trait").into_compile_error();
            Err(quote_spanned!(Span::mixed_site()=> #error #other))
        }
        // The compiler would say the same about the tokens once more.
        Err(error) => Err(error.into_compile_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use quote::ToTokens;
    use syn::{File, Item};

    use super::*;

    /// Shows a reader what `#[rpc]` makes, and a reviewer what a change to it changes.
    ///
    /// After a change that is meant: `TRYBUILD=overwrite cargo test -p bowline-macros`, then read the difference.
    #[test]
    fn a_whole_expansion_is_as_recorded() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expansion");
        let input = std::fs::read_to_string(folder.join("chat.rs")).unwrap();
        let mut file = syn::parse_file(&input).unwrap();
        let Item::Trait(mut item) = file.items.remove(0) else { panic!("expected a trait") };
        item.attrs.retain(|attribute| !crate::attr::is_rpc(attribute));

        let expanded = expand(TokenStream::new(), item.into_token_stream());
        let expanded = prettyplease::unparse(&syn::parse2::<File>(expanded).unwrap());
        let path = folder.join("chat.expanded.rs");
        if std::env::var("TRYBUILD").is_ok_and(|value| value == "overwrite") {
            std::fs::write(&path, &expanded).unwrap();
        }
        let recorded = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expanded == recorded,
            "the expansion of {0}/chat.rs differs from {0}/chat.expanded.rs; if it is meant to, run \
             `TRYBUILD=overwrite cargo test -p bowline-macros` and read the difference. It is now:\n{expanded}",
            folder.display(),
        );
    }

    /// The mistakes in `item`, in their order.
    fn mistakes(item: &str) -> Vec<String> {
        let item: ItemTrait = syn::parse_str(item).unwrap();
        let mut diagnostics = Diagnostics::default();
        Service::from_syn(TokenStream::new(), item, &mut diagnostics);
        let errors = diagnostics.finish().err();
        errors.into_iter().flatten().map(|error| error.to_string()).collect()
    }

    #[test]
    fn a_service_has_as_many_methods_as_a_declaration_has_room_for() {
        let service = |methods: usize| {
            let methods: String = (0..methods).map(|number| format!("async fn m{number}(&self);")).collect();
            mistakes(&format!("trait Chat {{ {methods} }}"))
        };
        assert_eq!(service(1_024), Vec::<String>::new());
        assert_eq!(service(1_025), ["a service has at most 1024 methods"]);
    }

    #[test]
    fn names_fit_a_declaration() {
        let service =
            |length: usize| mistakes(&format!("trait Chat {{ async fn {}(&self); }}", "m".repeat(length)));
        assert_eq!(service(256), Vec::<String>::new());
        assert_eq!(service(257), ["a name on the wire has at most 256 bytes"]);
    }

    #[test]
    fn all_mistakes_are_told_at_once_in_their_order() {
        let told = mistakes(
            "trait Chat: Clone { #[rpc(nofity)] async fn post(&mut self, text: &str); fn count() -> u64; }",
        );
        let starts = [
            "an `#[rpc]` trait has no supertraits",
            "unknown argument `nofity`",
            "expected `&self`",
            "an argument can't borrow",
            "expected `async fn`",
            "expected `&self` as the first argument",
        ];
        assert_eq!(told.len(), starts.len(), "{told:?}");
        for (told, start) in told.iter().zip(starts) {
            assert!(told.starts_with(start), "{told}");
        }
    }
}
