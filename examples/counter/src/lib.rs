//! The counter example.
