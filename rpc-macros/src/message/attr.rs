//! What users write in `#[message(..)]`, and what they must not write in other attributes.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta, MetaNameValue, Path, Token, Type, parse_quote};

use super::text;
use crate::diag::Diagnostics;

const ON_A_TYPE: &str = "expected `crate = path` or `try_from = Type`";
const ON_A_FIELD: &str = "expected `skip`, `recursive` or `with = Type, schema = \"name/1\"`";

/// The arguments on the type itself.
pub(crate) struct ContainerArgs {
    /// The facade.
    pub(crate) krate: Path,
    /// What crosses the wire in place of the type.
    pub(crate) try_from: Option<Type>,
}

/// The arguments on a field.
#[derive(Default)]
pub(crate) struct FieldArgs {
    pub(crate) skip: Option<Span>,
    pub(crate) recursive: Option<Span>,
    pub(crate) with: Option<With>,
}

/// `with = .., schema = ".."`.
pub(crate) struct With {
    pub(crate) wrapper: Type,
    pub(crate) schema: LitStr,
}

/// Where an attribute of serde's or rkyv's stands.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Place {
    Type,
    Variant,
    Field,
}

impl ContainerArgs {
    /// Reads the macro's own arguments and takes further `#[message(..)]` off the type.
    pub(crate) fn parse(
        args: TokenStream,
        attributes: &mut Vec<Attribute>,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let (mut krate, mut try_from) = (None, None);
        let mut metas = parse_metas(args, diagnostics);
        metas.extend(take_metas(attributes, diagnostics));
        for meta in metas {
            let path = meta.path();
            if path.is_ident("crate") {
                if let Some(value) = value_of(&meta, "`crate = path`", diagnostics) {
                    set(&mut krate, value, path, diagnostics);
                }
            } else if path.is_ident("try_from") {
                if let Some(value) = value_of(&meta, "`try_from = Type`", diagnostics) {
                    set(&mut try_from, value, path, diagnostics);
                }
            } else if ["skip", "recursive", "with", "schema"].iter().any(|name| path.is_ident(name)) {
                diagnostics.report(path, format!("`{}` belongs on a field", text(path)));
            } else {
                diagnostics.report(path, format!("unknown argument `{}`: {ON_A_TYPE}", text(path)));
            }
        }
        Self { krate: krate.unwrap_or_else(|| parse_quote!(::bowline)), try_from }
    }
}

impl FieldArgs {
    /// Takes `#[message(..)]` off a field and reads it.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, diagnostics: &mut Diagnostics) -> Self {
        let mut args = Self::default();
        let (mut wrapper, mut schema) = (None, None);
        let mut names_schema = false;
        for meta in take_metas(attributes, diagnostics) {
            let path = meta.path();
            if path.is_ident("skip") {
                flag(&mut args.skip, &meta, diagnostics);
            } else if path.is_ident("recursive") {
                flag(&mut args.recursive, &meta, diagnostics);
            } else if path.is_ident("with") {
                if let Some(value) = value_of(&meta, "`with = Type`", diagnostics) {
                    set(&mut wrapper, (path.span(), value), path, diagnostics);
                }
            } else if path.is_ident("schema") {
                names_schema = true;
                if let Some(value) = schema_of(&meta, diagnostics) {
                    set(&mut schema, value, path, diagnostics);
                }
            } else if path.is_ident("crate") || path.is_ident("try_from") {
                diagnostics.report(path, format!("`{}` belongs on the type", text(path)));
            } else {
                diagnostics.report(path, format!("unknown argument `{}`: {ON_A_FIELD}", text(path)));
            }
        }
        match (wrapper, schema) {
            (Some((_, wrapper)), Some(schema)) => args.with = Some(With { wrapper, schema }),
            // What is wrong with the name was reported.
            (Some(_), None) if names_schema => {}
            (Some((span, _)), None) => diagnostics.report_at(
                span,
                "`with` needs a name for what it writes: `with = .., schema = \"name/1\"`; raise the number when the \
                 meaning changes",
            ),
            (None, Some(schema)) => {
                diagnostics.report(schema, "`schema` names what `with = ..` writes, which is missing");
            }
            (None, None) => {}
        }
        args.check(diagnostics);
        args
    }

    fn check(&self, diagnostics: &mut Diagnostics) {
        let alone = "a skipped field is not written, so nothing else can be said about it";
        match self {
            Self { skip: Some(_), recursive: Some(other), .. } => diagnostics.report_at(*other, alone),
            Self { skip: Some(_), with: Some(with), .. } => diagnostics.report(&with.wrapper, alone),
            Self { recursive: Some(mark), with: Some(_), .. } => {
                diagnostics.report_at(*mark, "what `with = ..` writes is not recursive");
            }
            _ => {}
        }
    }
}

/// Reports attributes that would make the two codecs mean different things, and those that do nothing here.
pub(crate) fn check_foreign(attributes: &[Attribute], place: Place, diagnostics: &mut Diagnostics) {
    for attribute in attributes {
        check_meta(&attribute.meta, place, diagnostics);
    }
}

fn check_meta(meta: &Meta, place: Place, diagnostics: &mut Diagnostics) {
    let Meta::List(list) = meta else { return };
    let parse = |diagnostics: &mut Diagnostics| {
        let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
        diagnostics.take(parser.parse2(list.tokens.clone())).unwrap_or_default()
    };
    if list.path.is_ident("serde") {
        for inner in parse(diagnostics) {
            check_serde(&inner, place, diagnostics);
        }
    } else if list.path.is_ident("rkyv") {
        for inner in parse(diagnostics) {
            check_rkyv(&inner, place, diagnostics);
        }
    } else if list.path.is_ident("derive") {
        for path in parse_paths(&list.tokens) {
            check_derive(&path, diagnostics);
        }
    } else if list.path.is_ident("cfg_attr") {
        // The first part is the condition; what follows are attributes as they would stand by themselves.
        for inner in parse(diagnostics).into_iter().skip(1) {
            if inner.path().is_ident("message") {
                diagnostics.report(&inner, "`#[message(..)]` can't be conditional");
            }
            check_meta(&inner, place, diagnostics);
        }
    }
}

fn check_serde(meta: &Meta, place: Place, diagnostics: &mut Diagnostics) {
    const SKIP: &str =
        "rkyv would still write the field; use `#[message(skip)]`, which leaves it out of both codecs";
    const WITH: &str = "rkyv would not follow; use `#[message(with = .., schema = \"name/1\")]`, which holds for both codecs";
    const CONVERT: &str =
        "rkyv would not follow; use `#[message(try_from = ..)]`, which holds for both codecs";

    let path = meta.path();
    let is = |names: &[&str]| names.iter().any(|name| path.is_ident(name));
    let (skips, withs, conversions) = (
        is(&["skip", "skip_serializing", "skip_deserializing", "skip_serializing_if"]),
        is(&["with", "serialize_with", "deserialize_with"]),
        is(&["from", "try_from", "into"]),
    );
    if skips && place == Place::Field {
        diagnostics.report(path, SKIP);
    } else if skips {
        diagnostics.report(
            path,
            "rkyv would still write the variant; `#[message(skip)]` leaves single fields out of both codecs",
        );
    } else if withs {
        diagnostics.report(path, WITH);
    } else if conversions {
        diagnostics.report(path, CONVERT);
    } else if is(&["remote", "getter"]) {
        diagnostics.report(
            path,
            "rkyv would not follow; put `#[message(with = .., schema = \"name/1\")]` on the field that has the foreign \
             type",
        );
    } else if is(&["untagged"]) {
        diagnostics.report(
            path,
            "rkyv always writes which variant it is, and so must JSON; for another form use `#[message(try_from = ..)]`",
        );
    } else if is(&["crate"]) {
        diagnostics.report(path, "`#[message]` sets this; its own argument is `#[message(crate = ..)]`");
    }
}

fn check_rkyv(meta: &Meta, place: Place, diagnostics: &mut Diagnostics) {
    let path = meta.path();
    let allowed: &[&str] =
        if place == Place::Type { &["derive", "compare", "attr", "archived"] } else { &["attr"] };
    if !allowed.iter().any(|name| path.is_ident(name)) {
        diagnostics.report(
            path,
            "`#[message]` writes what rkyv does, since JSON and the schema have to follow; see its own arguments",
        );
    }
}

fn check_derive(path: &Path, diagnostics: &mut Diagnostics) {
    let Some(last) = path.segments.last() else { return };
    if ["Archive", "Serialize", "Deserialize"].iter().any(|name| last.ident == name) {
        diagnostics.report(path, format!("`#[message]` derives `{}` by itself", last.ident));
    }
}

/// The paths of a `derive`; none where it is malformed, which the compiler reports.
pub(crate) fn parse_paths(tokens: &TokenStream) -> Vec<Path> {
    let parser = Punctuated::<Path, Token![,]>::parse_terminated;
    parser.parse2(tokens.clone()).map(|paths| paths.into_iter().collect()).unwrap_or_default()
}

/// Takes all `#[message(..)]` off and returns what stood in them.
pub(crate) fn take_metas(attributes: &mut Vec<Attribute>, diagnostics: &mut Diagnostics) -> Vec<Meta> {
    let mut metas = Vec::new();
    for attribute in attributes.extract_if(.., |attribute| attribute.path().is_ident("message")) {
        match &attribute.meta {
            Meta::List(list) => metas.extend(parse_metas(list.tokens.clone(), diagnostics)),
            other => diagnostics.report(other, "expected arguments, as in `#[message(skip)]`"),
        }
    }
    metas
}

fn parse_metas(tokens: TokenStream, diagnostics: &mut Diagnostics) -> Vec<Meta> {
    // Types stand on the right side, which are no expressions: `try_from = Vec<u8>`.
    let parser = Punctuated::<Argument, Token![,]>::parse_terminated;
    let arguments = diagnostics.take(parser.parse2(tokens)).unwrap_or_default();
    arguments.into_iter().map(|argument| argument.0).collect()
}

/// A [`Meta`] whose value may be a type.
struct Argument(Meta);

impl syn::parse::Parse for Argument {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let path = input.call(Path::parse_mod_style)?;
        if !input.peek(Token![=]) {
            if input.is_empty() || input.peek(Token![,]) {
                return Ok(Self(Meta::Path(path)));
            }
            return Err(input.error("expected `=` or `,`"));
        }
        let eq_token = input.parse()?;
        let value = match input.fork().parse::<Type>() {
            Ok(_) => Expr::Verbatim(input.parse::<TypeTokens>()?.0),
            Err(_) => input.parse()?,
        };
        Ok(Self(Meta::NameValue(MetaNameValue { path, eq_token, value })))
    }
}

struct TypeTokens(TokenStream);

impl syn::parse::Parse for TypeTokens {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let parsed: Type = input.parse()?;
        Ok(Self(quote::ToTokens::into_token_stream(parsed)))
    }
}

/// The right side of `name = value`, given as it is or as a string.
fn value_of<T: syn::parse::Parse>(meta: &Meta, expected: &str, diagnostics: &mut Diagnostics) -> Option<T> {
    let Meta::NameValue(MetaNameValue { value, .. }) = meta else {
        diagnostics.report(meta, format!("expected {expected}"));
        return None;
    };
    let parsed = match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.parse(),
        other => syn::parse2(quote::ToTokens::to_token_stream(other)),
    };
    parsed.map_err(|_| diagnostics.report(value, format!("expected {expected}"))).ok()
}

fn schema_of(meta: &Meta, diagnostics: &mut Diagnostics) -> Option<LitStr> {
    let expected = "expected a name and a number, as in `schema = \"celsius/1\"`";
    let Meta::NameValue(MetaNameValue { value: Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), .. }) = meta
    else {
        diagnostics.report(meta, expected);
        return None;
    };
    let value = text.value();
    let well_formed = value.rsplit_once('/').is_some_and(|(name, number)| {
        !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    if !well_formed {
        diagnostics.report(text, expected);
        return None;
    }
    Some(text.clone())
}

fn flag(slot: &mut Option<Span>, meta: &Meta, diagnostics: &mut Diagnostics) {
    let name = text(meta.path());
    match meta {
        Meta::Path(path) => set(slot, path.span(), path, diagnostics),
        other => diagnostics.report(other, format!("`{name}` takes no value")),
    }
}

fn set<T>(slot: &mut Option<T>, value: T, path: &Path, diagnostics: &mut Diagnostics) {
    if slot.replace(value).is_some() {
        diagnostics.report(path, format!("`{}` is given twice", text(path)));
    }
}
