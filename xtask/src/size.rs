//! What a browser downloads.

use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::site::{self, Profile};

/// Prints the size of the counter, and of its page over other sockets: wasm and glue, plain and as a server with brotli sends them.
pub(crate) fn run() -> Outcome<()> {
    crate::setup::wasm_target()?;
    let tools = crate::setup::wasm_tools()?;
    let site = site::build(&tools, Profile::Release, &site::WEIGHED)?;
    println!("release, optimised for size, in bytes:\n");
    println!("{:<36}{:>10}{:>10}{:>10}", "", "wasm", "script", "brotli");
    let of = ["counter (bowline)", "by hand, web-sys and serde_json", "leptos-use and codee", "leptos alone"];
    for (page, what) in site::WEIGHED.iter().zip(of) {
        let folder = site.join(page.name);
        let (wasm, packed_wasm) = sizes(&folder.join(format!("{}_bg.wasm", page.name)))?;
        let (script, packed_script) = sizes(&folder.join(format!("{}.js", page.name)))?;
        println!("{what:<36}{wasm:>10}{script:>10}{:>10}", packed_wasm + packed_script);
    }
    Ok(())
}

fn sizes(path: &Path) -> Outcome<(usize, usize)> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok((bytes.len(), packed(&bytes)?))
}

fn packed(bytes: &[u8]) -> Outcome<usize> {
    let mut packed = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 11, ..Default::default() };
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &params).map_err(|error| error.to_string())?;
    Ok(packed.len())
}

#[cfg(test)]
mod tests {
    #[test]
    fn repetition_packs_well_and_noise_does_not() {
        let mut state = 0x9e37_79b9_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1]
        };
        let noise: Vec<u8> = (0..4096).map(|_| next()).collect();
        assert!(super::packed(&[7; 4096]).unwrap() < 64);
        assert!(super::packed(&noise).unwrap() > 1024);
    }
}
