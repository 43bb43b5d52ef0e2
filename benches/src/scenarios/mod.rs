//! The kinds of work that are compared.

pub mod calls;
