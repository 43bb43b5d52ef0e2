//! What a type must not contain to cross the wire.

use syn::visit::{self, Visit};
use syn::{
    GenericArgument, Ident, Lifetime, PathArguments, PathSegment, Type, TypeImplTrait, TypePath,
    TypeReference,
};

use crate::diag::Diagnostics;
use crate::message::machine_word;

/// The last segment of a path type: what the user calls it, wherever it comes from.
pub(super) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// The types in the angle brackets of `segment`.
pub(super) fn type_arguments(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return Vec::new() };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// Reports what keeps `ty` from being sent: borrows, `impl Trait`, `Self`. True if there was nothing.
pub(super) fn check_owned(ty: &Type, what: &'static str, diagnostics: &mut Diagnostics) -> bool {
    check(ty, what, Place::Field, diagnostics)
}

/// The same for what is sent by itself, and `usize`: of a field `#[message]` says so, unless it is `with` something.
pub(super) fn check_sent(ty: &Type, what: &'static str, diagnostics: &mut Diagnostics) -> bool {
    check(ty, what, Place::Alone, diagnostics)
}

fn check(ty: &Type, what: &'static str, place: Place, diagnostics: &mut Diagnostics) -> bool {
    let mut check = Check { what, place, diagnostics, clean: true };
    check.visit_type(ty);
    check.clean
}

#[derive(PartialEq)]
enum Place {
    Field,
    Alone,
}

struct Check<'a> {
    what: &'static str,
    place: Place,
    diagnostics: &'a mut Diagnostics,
    clean: bool,
}

impl<'ast> Visit<'ast> for Check<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        let owned = match &*reference.elem {
            Type::Slice(_) => "; use `Vec`",
            elem if last_segment(elem).is_some_and(|segment| segment.ident == "str") => "; use `String`",
            _ => "",
        };
        let message = format!("{} can't borrow: it crosses the wire{owned}", self.what);
        self.diagnostics.report(reference, message);
        self.clean = false;
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        let message = format!("{} can't borrow: it crosses the wire", self.what);
        self.diagnostics.report(lifetime, message);
        self.clean = false;
    }

    fn visit_type_impl_trait(&mut self, item: &'ast TypeImplTrait) {
        self.diagnostics.report(item, format!("{} can't be `impl Trait` here; name the type", self.what));
        self.clean = false;
    }

    fn visit_type_path(&mut self, path: &'ast TypePath) {
        let starts_with_self = path.path.segments.first().is_some_and(|segment| is_self(&segment.ident));
        if starts_with_self {
            let message = format!("{} can't be named through `Self`; name the type itself", self.what);
            self.diagnostics.report(path, message);
            self.clean = false;
        } else if self.place == Place::Alone
            && let Some(message) = machine_word(&path.path)
        {
            self.diagnostics.report(path, message);
            self.clean = false;
        } else {
            visit::visit_type_path(self, path);
        }
    }
}

fn is_self(ident: &Ident) -> bool {
    ident == "Self"
}
