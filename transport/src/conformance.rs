//! The suite that every kind of link passes.
