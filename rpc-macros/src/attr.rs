//! The arguments of `#[rpc]`, on the trait and on its methods.

use std::time::Duration;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{
    Attribute, Expr, ExprLit, Ident, Lit, LitStr, Member, Meta, MetaNameValue, Path, Token, parse_quote,
};

use crate::diag::Diagnostics;

const ON_A_TRAIT: &str = "`crate = path`";
const ON_A_METHOD: &str =
    "`idempotent`, `once`, `notify`, `watch`, `deadline = \"..\"`, `lag = \"..\"` or `resume = \"..\"`";

/// What stands in the brackets behind the trait's `#[rpc]`.
pub(crate) struct ServiceArgs {
    /// The facade, from wherever the trait stands.
    pub(crate) krate: Path,
}

/// What stands in the brackets behind a method's `#[rpc(..)]`; each with the place where it was said.
#[derive(Default)]
pub(crate) struct MethodArgs {
    pub(crate) notify: Option<Span>,
    pub(crate) watch: Option<Span>,
    pub(crate) deadline: Option<(Span, Duration)>,
    pub(crate) lag: Option<(Span, Lag)>,
    pub(crate) idempotent: Option<Span>,
    pub(crate) once: Option<Span>,
    pub(crate) resume: Option<(Span, Resume)>,
}

/// Where a stream goes on that was lost: the argument that says so, and the field of an item that it is set to.
///
/// Both carry the place of the text that names them.
pub(crate) struct Resume {
    pub(crate) argument: Ident,
    pub(crate) field: Member,
}

/// What a stream over a source that can't wait does with a slow reader.
#[derive(Clone, Copy)]
pub(crate) enum Lag {
    Close,
    Latest,
    DropOldest,
}

impl ServiceArgs {
    pub(crate) fn parse(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Self {
        let mut krate = None;
        for meta in metas(tokens, diagnostics) {
            match &meta {
                Meta::NameValue(MetaNameValue { path, value, .. }) if path.is_ident("crate") => {
                    let Expr::Path(value) = value else {
                        diagnostics.report(value, "expected a path, as in `crate = my_bowline`");
                        continue;
                    };
                    if krate.replace(value.path.clone()).is_some() {
                        diagnostics.report(path, "`crate` is given twice");
                    }
                }
                Meta::Path(path) if path.is_ident("crate") => {
                    diagnostics.report(path, "expected `crate = path`");
                }
                other if is_method_argument(other.path()) => {
                    let message = format!("`{}` belongs on a method", text(other.path()));
                    diagnostics.report(other.path(), message);
                }
                other => unknown(other.path(), ON_A_TRAIT, diagnostics),
            }
        }
        Self { krate: krate.unwrap_or_else(|| parse_quote!(::bowline)) }
    }
}

impl MethodArgs {
    /// Reads all `#[rpc(..)]` among `attributes`.
    pub(crate) fn parse(attributes: &[Attribute], diagnostics: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        for attribute in attributes {
            if mentions_rpc(attribute) {
                let message =
                    "`#[rpc(..)]` can't be conditional; write the method twice, each with its own `#[cfg]`";
                diagnostics.report(attribute, message);
            }
            if !is_rpc(attribute) {
                continue;
            }
            match &attribute.meta {
                Meta::List(list) => {
                    for meta in metas(list.tokens.clone(), diagnostics) {
                        args.take(&meta, diagnostics);
                    }
                }
                other => diagnostics.report(other, format!("expected {ON_A_METHOD} in brackets")),
            }
        }
        args
    }

    fn take(&mut self, meta: &Meta, diagnostics: &mut Diagnostics) {
        let path = meta.path();
        let (span, name) = (path.span(), text(path));
        let repeated = match name.as_str() {
            "notify" => flag(meta, diagnostics) && self.notify.replace(span).is_some(),
            "watch" => flag(meta, diagnostics) && self.watch.replace(span).is_some(),
            "deadline" => value(meta, "2s", diagnostics)
                .and_then(|literal| match parse_duration(&literal.value()) {
                    Ok(duration) => Some(duration),
                    Err(message) => {
                        diagnostics.report(literal, message);
                        None
                    }
                })
                .is_some_and(|duration| self.deadline.replace((span, duration)).is_some()),
            "lag" => value(meta, "latest", diagnostics)
                .and_then(|literal| match literal.value().as_str() {
                    "close" => Some(Lag::Close),
                    "latest" => Some(Lag::Latest),
                    "drop_oldest" => Some(Lag::DropOldest),
                    _ => {
                        diagnostics
                            .report(literal, "expected `\"close\"`, `\"latest\"` or `\"drop_oldest\"`");
                        None
                    }
                })
                .is_some_and(|lag| self.lag.replace((span, lag)).is_some()),
            "idempotent" => flag(meta, diagnostics) && self.idempotent.replace(span).is_some(),
            "once" => flag(meta, diagnostics) && self.once.replace(span).is_some(),
            "resume" => value(meta, Resume::EXAMPLE, diagnostics)
                .and_then(|text| diagnostics.take(Resume::parse(text)))
                .is_some_and(|resume| self.resume.replace((span, resume)).is_some()),
            "crate" => {
                diagnostics.report(path, "`crate` belongs on the trait");
                false
            }
            _ => {
                unknown(path, ON_A_METHOD, diagnostics);
                false
            }
        };
        if repeated {
            diagnostics.report(path, format!("`{name}` is given twice"));
        }
    }
}

impl Resume {
    const EXAMPLE: &str = "after: id";

    fn parse(text: &LitStr) -> syn::Result<Self> {
        let parser = |input: ParseStream<'_>| {
            let argument = input.call(Ident::parse_any)?;
            input.parse::<Token![:]>()?;
            Ok(Self { argument, field: input.parse()? })
        };
        text.parse_with(parser).map_err(|_| {
            let message =
                format!("expected an argument and a field of the item, as in `\"{}\"`", Self::EXAMPLE);
            syn::Error::new_spanned(text, message)
        })
    }
}

/// Whether this is our own attribute, under whatever path the user named it.
pub(crate) fn is_rpc(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "rpc")
}

fn is_method_argument(path: &Path) -> bool {
    ["notify", "watch", "deadline", "lag", "idempotent", "once", "resume"]
        .iter()
        .any(|name| path.is_ident(name))
}

/// Whether this is a `#[cfg_attr(.., rpc(..))]`, which we can't know the outcome of.
pub(crate) fn mentions_rpc(attribute: &Attribute) -> bool {
    let Meta::List(list) = &attribute.meta else { return false };
    if !list.path.is_ident("cfg_attr") {
        return false;
    }
    let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
    parser.parse2(list.tokens.clone()).is_ok_and(|metas| {
        metas.iter().skip(1).any(|meta| meta.path().segments.last().is_some_and(|last| last.ident == "rpc"))
    })
}

fn metas(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Vec<Meta> {
    match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens) {
        Ok(metas) => metas.into_iter().collect(),
        Err(error) => {
            diagnostics.push(error);
            Vec::new()
        }
    }
}

fn flag(meta: &Meta, diagnostics: &mut Diagnostics) -> bool {
    let is_flag = matches!(meta, Meta::Path(_));
    if !is_flag {
        diagnostics.report(meta, format!("`{}` takes no value", text(meta.path())));
    }
    is_flag
}

fn value<'a>(meta: &'a Meta, example: &str, diagnostics: &mut Diagnostics) -> Option<&'a LitStr> {
    if let Meta::NameValue(MetaNameValue { value, .. }) = meta {
        if let Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) = value {
            return Some(literal);
        }
        diagnostics.report(value, format!("expected a string, as in `\"{example}\"`"));
    } else {
        let message = format!("expected a value, as in `{} = \"{example}\"`", text(meta.path()));
        diagnostics.report(meta, message);
    }
    None
}

fn unknown(path: &Path, expected: &str, diagnostics: &mut Diagnostics) {
    diagnostics.report(path, format!("unknown argument `{}`; expected {expected}", text(path)));
}

fn text(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

/// A whole number with a unit. No fractions: `1500ms` reads as well as `1.5s` and rounds nothing.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || String::from("expected a number and a unit (`ms`, `s`, `m`, `h`), as in `\"2s\"`");
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(expected());
    }
    let unit = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)) {
        Some(0) => Err(String::from("a deadline of zero would fail every call")),
        // The wire carries milliseconds; a year is beyond what any call waits for.
        Some(millis) if millis <= 365 * 24 * 3_600_000 => Ok(Duration::from_millis(millis)),
        _ => Err(String::from("a deadline is at most a year")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_a_unit() {
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3_600)));
        for wrong in ["", "s", "2", "2 days", "1.5s", "-1s", "0s", "99999999999999999999h", "9000h"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
    }
}
