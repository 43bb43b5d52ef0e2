//! What stands behind the arrow of a method.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{
    GenericArgument, PathArguments, ReturnType, Signature, Type, TypeImplTrait, TypeParamBound, parse_quote,
    parse_quote_spanned,
};

use super::Crate;
use super::types::{check_sent, last_segment, type_arguments};
use crate::diag::Diagnostics;

const STREAM: &str = "a stream is `fn -> impl Stream<Item = T>`, or `async fn -> Result<impl Stream<Item = T>, E>` if it may refuse";

/// What people put streams into that is no `Result`. Any other name may be an alias of one.
const NO_RESULTS: [&str; 5] = ["Option", "Box", "Pin", "Arc", "Vec"];

/// What a method answers.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per method, and it lives as long as one expansion"
)]
pub(crate) enum Output {
    /// One value; whether its type is a `Result` is asked of the type, not of its spelling.
    Value {
        /// As the trait has it.
        ty: Type,
    },
    /// Items.
    Stream {
        /// As the trait has it, the stream bound to be `Send` where that is needed.
        bounded: Type,
        /// As the trait has it, with `Items<T>` in place of `impl Stream<Item = T>`: a type that can be asked.
        asked: Type,
        /// `Result<impl Stream, E>` rather than `impl Stream`.
        may_refuse: bool,
    },
}

impl Output {
    /// `None` if there is nothing to make of it, which was reported.
    pub(super) fn from_syn(
        signature: &Signature,
        krate: &Crate,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let ty = match &signature.output {
            ReturnType::Default => return Some(Self::value(parse_quote!(()), signature, diagnostics)),
            ReturnType::Type(_, ty) => &**ty,
        };
        if let Type::ImplTrait(stream) = ty {
            let item = item_of(stream, diagnostics)?;
            if let Some(token) = &signature.asyncness {
                diagnostics.report(token, STREAM);
            }
            let (bounded, asked) = (bound(stream, krate), marker(item, krate));
            return Some(Self::Stream { bounded, asked, may_refuse: false });
        }

        let arguments = last_segment(ty).map(type_arguments).unwrap_or_default();
        if let [Type::ImplTrait(stream), errors @ ..] = arguments.as_slice() {
            let item = item_of(stream, diagnostics)?;
            if last_segment(ty).is_some_and(|segment| NO_RESULTS.iter().any(|name| segment.ident == name)) {
                diagnostics.report(ty, STREAM);
                return None;
            }
            if !errors.iter().all(|error| check_sent(error, "an error", diagnostics)) {
                return None;
            }
            if signature.asyncness.is_none() {
                diagnostics.report(signature.fn_token, STREAM);
            }
            let bounded = with_first_argument(ty, &bound(stream, krate));
            let asked = with_first_argument(ty, &marker(item, krate));
            return Some(Self::Stream { bounded, asked, may_refuse: true });
        }

        if let Some(segment) = last_segment(ty)
            && ["BoxStream", "LocalBoxStream"].iter().any(|name| segment.ident == name)
        {
            diagnostics.report(ty, "expected `impl Stream<Item = T>`; an implementor may box inside");
            return None;
        }
        check_sent(ty, "a result", diagnostics).then(|| Self::value(ty.clone(), signature, diagnostics))
    }

    fn value(ty: Type, signature: &Signature, diagnostics: &mut Diagnostics) -> Self {
        if signature.asyncness.is_none() {
            let message = "expected `async fn`; only what returns `impl Stream<Item = T>` is a plain `fn`";
            diagnostics.report(signature.fn_token, message);
        }
        Self::Value { ty }
    }

    /// Whether it is a `Result` by its spelling: the two types in its brackets.
    pub(crate) fn spelled_result(&self) -> Option<[&Type; 2]> {
        let Self::Value { ty } = self else { return None };
        let segment = last_segment(ty).filter(|segment| segment.ident == "Result")?;
        type_arguments(segment).try_into().ok()
    }

    /// Where the user wrote it, for code of ours that the compiler may have to point at.
    pub(crate) fn span(&self) -> Span {
        let (Self::Value { ty } | Self::Stream { bounded: ty, .. }) = self;
        Span::mixed_site().located_at(ty.span())
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream { .. })
    }
}

/// The `T` of `impl Stream<Item = T>`, if that is all it says.
fn item_of<'a>(stream: &'a TypeImplTrait, diagnostics: &mut Diagnostics) -> Option<&'a Type> {
    let mut bounds = stream.bounds.iter();
    let segment = match bounds.next() {
        Some(TypeParamBound::Trait(bound)) => {
            bound.path.segments.last().filter(|last| last.ident == "Stream")
        }
        _ => None,
    };
    let Some(segment) = segment else {
        let is_future = matches!(stream.bounds.first(), Some(TypeParamBound::Trait(bound))
            if bound.path.segments.last().is_some_and(|last| last.ident == "Future"));
        let expected = if is_future {
            "expected `async fn`, and here what the future resolves to"
        } else {
            "expected a type that can be named, or `impl Stream<Item = T>`"
        };
        diagnostics.report(stream, expected);
        return None;
    };
    let item = match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => {
            arguments.args.iter().find_map(|argument| match argument {
                GenericArgument::AssocType(assoc) if assoc.ident == "Item" => Some(&assoc.ty),
                _ => None,
            })
        }
        _ => None,
    };
    let Some(item) = item else {
        diagnostics.report(segment, "expected `Stream<Item = T>`, `T` being the type of an item");
        return None;
    };
    for bound in bounds {
        diagnostics
            .report(bound, "expected `impl Stream<Item = T>` alone: `Send` is added where it is needed");
    }
    check_sent(item, "an item", diagnostics).then_some(item)
}

fn bound(stream: &TypeImplTrait, krate: &Crate) -> Type {
    let mut stream = stream.clone();
    let krate = krate.at(stream.span());
    stream.bounds.push(parse_quote_spanned!(stream.span()=> #krate::__private::MaybeSend));
    Type::ImplTrait(stream)
}

fn marker(item: &Type, krate: &Crate) -> Type {
    let krate = krate.at(item.span());
    parse_quote_spanned!(item.span()=> #krate::__private::Items<#item>)
}

/// `ty` with its first argument in angle brackets replaced.
fn with_first_argument(ty: &Type, argument: &Type) -> Type {
    let mut ty = ty.clone();
    if let Type::Path(path) = &mut ty
        && let Some(last) = path.path.segments.last_mut()
        && let PathArguments::AngleBracketed(arguments) = &mut last.arguments
        && let Some(first) =
            arguments.args.iter_mut().find(|argument| matches!(argument, GenericArgument::Type(_)))
    {
        *first = GenericArgument::Type(argument.clone());
    }
    ty
}
