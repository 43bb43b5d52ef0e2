//! The pages of the examples and of tests, as a browser loads them.
//!
//! Each is a plain `trunk` project. Here its `index.html` is read as trunk would: the `rust` link becomes
//! the module that wasm-bindgen made, the `css` link a style sheet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::step::{cargo, execute, root, step, target};

/// The pages that the demo shows.
pub(crate) const EXAMPLES: [Page; 2] =
    [Page::new("counter", "examples/counter"), Page::new("chat", "examples/chat")];

/// What the benchmark of the browser loads.
pub(crate) const BENCH: Page = Page::new("bench-page", "benches/page");

/// What tests load: also the pages that are for them and for the benchmark.
pub(crate) const PAGES: [Page; 4] =
    [EXAMPLES[0], EXAMPLES[1], Page::new("test-page", "test-support/page"), BENCH];

/// The counter, and its page with other sockets or none.
pub(crate) const WEIGHED: [Page; 4] =
    [EXAMPLES[0], small("small-web-sys"), small("small-leptos-use"), small("small-leptos")];

const fn small(name: &'static str) -> Page {
    Page { name, ..BENCH }
}

/// A program that runs in a browser, and the package it belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    /// Has the `index.html`.
    folder: &'static str,
}

impl Page {
    /// The program that has the name of its package.
    const fn new(name: &'static str, folder: &'static str) -> Self {
        Self { name, package: name, folder }
    }
}

/// How pages are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// Small to load.
    Release,
}

impl Profile {
    /// Cargo's name of it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "wasm-dev",
            Self::Release => "wasm-release",
        }
    }
}

/// Builds `pages`; the result is the folder that holds one folder for each.
pub(crate) fn build(tools: &Path, profile: Profile, pages: &[Page]) -> Outcome<PathBuf> {
    let name = profile.name();
    step("building the pages for the browser (some minutes the first time)", || {
        let mut command = cargo();
        command.args(["build", "--locked", "--target", "wasm32-unknown-unknown", "--profile", name]);
        for page in pages {
            command.args(["--package", page.package, "--bin", page.name]);
        }
        execute(&mut command)
    })?;
    let site = target().join("site").join(name);
    for page in pages {
        assemble(tools, *page, profile, &site.join(page.name))?;
    }
    Ok(site)
}

fn assemble(tools: &Path, page: Page, profile: Profile, out: &Path) -> Outcome<()> {
    let Page { name: page, folder, .. } = page;
    let wasm = target().join("wasm32-unknown-unknown").join(profile.name()).join(format!("{page}.wasm"));
    let mut bindgen = Command::new(tools.join("wasm-bindgen"));
    bindgen.args(["--target", "web", "--no-typescript", "--out-dir"]).arg(out).arg(wasm);
    if profile == Profile::Release {
        // Names of functions are a fifth of the download, and for developers only.
        bindgen.args(["--remove-name-section", "--remove-producers-section"]);
    }
    execute(&mut bindgen)?;
    let folder = root().join(folder);
    let index = read(&folder.join("index.html"))?;
    for line in index.lines() {
        if let Some(css) = trunk_link(line, "css") {
            let text = read(&folder.join(&css))?;
            let name = Path::new(&css).file_name().ok_or_else(|| format!("{page}: `{css}` is no file"))?;
            write(&out.join(name), &text)?;
        }
    }
    write(&out.join("index.html"), &as_loaded(&index, page))
}

/// What trunk makes of an `index.html`.
fn as_loaded(index: &str, page: &str) -> String {
    let mut loaded = String::new();
    for line in index.lines() {
        if trunk_link(line, "rust").is_some() {
            loaded.push_str(&format!(
                "<link rel=\"modulepreload\" href=\"{page}.js\">\n\
                 <script type=\"module\">import init from \"./{page}.js\"; await init({{ module_or_path: \"./{page}_bg.wasm\" }});</script>"
            ));
        } else if let Some(css) = trunk_link(line, "css") {
            let name = css.rsplit('/').next().unwrap_or(&css);
            loaded.push_str(&format!("<link rel=\"stylesheet\" href=\"{name}\">"));
        } else {
            loaded.push_str(line);
        }
        loaded.push('\n');
    }
    loaded
}

/// The `href` of a line with `<link data-trunk rel="kind" ..>`; empty when it has none.
fn trunk_link(line: &str, kind: &str) -> Option<String> {
    let line = line.trim();
    if !(line.starts_with("<link")
        && line.contains("data-trunk")
        && line.contains(&format!("rel=\"{kind}\"")))
    {
        return None;
    }
    let href = line.split("href=\"").nth(1).and_then(|rest| rest.split('"').next());
    Some(href.unwrap_or_default().to_owned())
}

fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_page_becomes_one_that_loads_itself() {
        let index = "<head>\n  <link data-trunk rel=\"rust\" data-wasm-opt=\"0\" />\n  <link data-trunk rel=\"css\" href=\"../style.css\" />\n</head>";
        let loaded = as_loaded(index, "counter");
        assert!(loaded.contains("import init from \"./counter.js\""));
        assert!(loaded.contains("<link rel=\"stylesheet\" href=\"style.css\">"));
        assert!(!loaded.contains("data-trunk"));
        assert!(loaded.starts_with("<head>\n") && loaded.ends_with("</head>\n"));
    }
}
