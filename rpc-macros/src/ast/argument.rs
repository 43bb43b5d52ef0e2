//! What stands between the brackets of a method.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;

use syn::{Attribute, FnArg, Ident, Pat, PatType, Token, Type};

use super::types::{check_owned, check_sent, last_segment, type_arguments};
use crate::diag::Diagnostics;

/// All arguments of a method but `self`.
#[derive(Default)]
pub(super) struct Arguments {
    pub(super) context: Option<Context>,
    pub(super) wire: Vec<Argument>,
    pub(super) upload: Option<Upload>,
    /// Whether something was wrong enough to be left out.
    pub(super) incomplete: bool,
}

/// `cx: &Context`, which clients never see.
pub(crate) struct Context {
    /// None for `_`.
    pub(crate) ident: Option<Ident>,
    pub(crate) ty: Type,
}

/// An argument that is a field on the wire.
pub(crate) struct Argument {
    pub(crate) ident: Ident,
    /// As the trait has it.
    pub(crate) ty: Type,
    /// As the wire has it: `T` for a `View<T>`.
    pub(crate) wire: Type,
    pub(crate) is_view: bool,
    /// `#[serde(..)]`, `#[message(..)]` and docs, which move to the field.
    pub(crate) attributes: Vec<Attribute>,
}

/// The argument `Streaming<T>`.
pub(crate) struct Upload {
    pub(crate) ident: Ident,
    /// As the trait has it.
    pub(crate) ty: Type,
    pub(crate) item: Type,
    /// How many of the arguments on the wire stand before it.
    place: usize,
}

impl Arguments {
    /// `function` is where a missing receiver is reported.
    pub(super) fn from_syn(
        inputs: Punctuated<FnArg, Token![,]>,
        function: Span,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut arguments = Self::default();

        let mut has_receiver = false;
        for (place, input) in inputs.into_iter().enumerate() {
            match input {
                FnArg::Receiver(receiver) => {
                    has_receiver = true;
                    let is_shared = receiver.reference.is_some() && receiver.mutability.is_none();
                    if !is_shared || receiver.colon_token.is_some() {
                        let message = "expected `&self`: many calls use the service at the same time";
                        diagnostics.report(&receiver, message);
                    }
                    for attribute in &receiver.attrs {
                        diagnostics.report(attribute, "an attribute has no meaning here");
                    }
                }
                FnArg::Typed(input) => {
                    let is_first = place == usize::from(has_receiver);
                    arguments.incomplete |= arguments.take(input, is_first, diagnostics).is_none();
                }
            }
        }
        if let Some(upload) = &arguments.upload
            && upload.place < arguments.wire.len()
        {
            diagnostics.report(&upload.ty, "a stream is the last argument");
        }
        if !has_receiver {
            diagnostics.report_at(function, "expected `&self` as the first argument");
        }
        arguments
    }

    /// `None` if the argument had to be left out, which was reported.
    fn take(&mut self, input: PatType, is_first: bool, diagnostics: &mut Diagnostics) -> Option<()> {
        if let Type::Reference(reference) = &*input.ty
            && last_segment(&reference.elem).is_some_and(|segment| segment.ident == "Context")
        {
            for attribute in &input.attrs {
                diagnostics.report(attribute, "an attribute has no meaning here: the context never travels");
            }
            if !is_first {
                diagnostics.report(&input.ty, "the context is the first argument behind `&self`");
            }
            if let Some(token) = &reference.mutability {
                diagnostics.report(token, "expected `&Context`");
            }
            if let Some(lifetime) = &reference.lifetime {
                diagnostics.report(lifetime, "expected `&Context`");
            }
            let ident = match &*input.pat {
                Pat::Wild(_) => None,
                _ => name(&input.pat, diagnostics),
            };
            self.context = Some(Context { ident, ty: *input.ty });
            return Some(());
        }

        let ident = name(&input.pat, diagnostics);
        let ty = *input.ty;
        match last_segment(&ty) {
            Some(segment) if segment.ident == "Streaming" => {
                for attribute in &input.attrs {
                    diagnostics
                        .report(attribute, "an attribute has no meaning here: a stream is not a field");
                }
                let &[item] = type_arguments(segment).as_slice() else {
                    diagnostics.report(&ty, "expected `Streaming<T>`, `T` being the type of an item");
                    return None;
                };
                let item = check_sent(item, "an item", diagnostics).then(|| item.clone())?;
                if self.upload.is_some() {
                    diagnostics.report(&ty, "a method takes one stream at most");
                    return None;
                }
                let ident = self.unused(ident?, diagnostics)?;
                self.upload = Some(Upload { ident, ty, item, place: self.wire.len() });
            }
            Some(segment) if segment.ident == "View" => {
                let &[wire] = type_arguments(segment).as_slice() else {
                    diagnostics.report(&ty, "expected `View<T>`, `T` being the type that travels");
                    return None;
                };
                let wire = check_owned(wire, "an argument", diagnostics).then(|| wire.clone())?;
                let attributes = field_attributes(input.attrs, diagnostics);
                let ident = self.unused(ident?, diagnostics)?;
                self.wire.push(Argument { ident, ty, wire, is_view: true, attributes });
            }
            _ => {
                let wire = check_owned(&ty, "an argument", diagnostics).then(|| ty.clone())?;
                let attributes = field_attributes(input.attrs, diagnostics);
                let ident = self.unused(ident?, diagnostics)?;
                self.wire.push(Argument { ident, ty, wire, is_view: false, attributes });
            }
        }
        Some(())
    }

    /// Reports `ident` if an argument is called so already.
    fn unused(&self, ident: Ident, diagnostics: &mut Diagnostics) -> Option<Ident> {
        let is_used = self.names().any(|other| other.unraw() == ident.unraw());
        if is_used {
            diagnostics.report(&ident, format!("there is an argument `{}` already", ident.unraw()));
        }
        (!is_used).then_some(ident)
    }

    fn names(&self) -> impl Iterator<Item = &Ident> {
        let context = self.context.iter().filter_map(|context| context.ident.as_ref());
        let upload = self.upload.iter().map(|upload| &upload.ident);
        context.chain(self.wire.iter().map(|argument| &argument.ident)).chain(upload)
    }
}

fn name(pattern: &Pat, diagnostics: &mut Diagnostics) -> Option<Ident> {
    match pattern {
        Pat::Ident(pattern) => {
            if let Some(token) = &pattern.by_ref {
                diagnostics.report(token, "expected a plain name");
            }
            if let Some(token) = &pattern.mutability {
                diagnostics.report(token, "`mut` belongs in the impl");
            }
            if let Some((_, pattern)) = &pattern.subpat {
                diagnostics.report(pattern, "expected a plain name");
            }
            Some(pattern.ident.clone())
        }
        other => {
            diagnostics.report(other, "expected a name: arguments are named fields on the wire");
            None
        }
    }
}

fn field_attributes(attributes: Vec<Attribute>, diagnostics: &mut Diagnostics) -> Vec<Attribute> {
    let (fields, others): (Vec<_>, Vec<_>) = attributes.into_iter().partition(|attribute| {
        ["serde", "message", "doc"].iter().any(|name| attribute.path().is_ident(name))
    });
    for attribute in others {
        let message = if super::is_cfg(&attribute) {
            "an argument can't be conditional; put the `#[cfg]` on the method"
        } else {
            "expected `#[serde(..)]` or `#[message(..)]`: an argument is a field on the wire"
        };
        diagnostics.report(&attribute, message);
    }
    fields
}
