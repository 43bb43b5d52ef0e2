//! The command line of wasm-bindgen.
