//! Where Bowline is.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::Path;

/// The facade's path, from wherever the trait stands.
pub(crate) struct Crate(pub(crate) Path);

impl Crate {
    /// The path, located at `span`: where what it leads to is not fulfilled, the compiler points there, not at `#[rpc]`.
    pub(crate) fn at(&self, span: Span) -> TokenStream {
        locate(self.0.to_token_stream(), span)
    }
}

impl ToTokens for Crate {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

/// Locates all of `tokens` at `span` and leaves alone what their names mean.
fn locate(tokens: TokenStream, span: Span) -> TokenStream {
    let tokens = tokens.into_iter().map(|token| {
        let located = token.span().located_at(span);
        let mut token = match token {
            TokenTree::Group(group) => Group::new(group.delimiter(), locate(group.stream(), span)).into(),
            other => other,
        };
        token.set_span(located);
        token
    });
    tokens.collect()
}
