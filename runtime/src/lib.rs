//! Sleep, timeout, spawn and the clock for native targets and the browser.
