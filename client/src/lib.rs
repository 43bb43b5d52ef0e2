//! The client end of Bowline, native and in the browser.
