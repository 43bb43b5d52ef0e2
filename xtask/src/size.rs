//! What a browser downloads.

use std::fs;
use std::path::Path;

use crate::Outcome;
use crate::site::{self, Profile};

/// Prints the size of the counter: wasm and glue, plain and as a server with brotli sends them.
pub(crate) fn run() -> Outcome<()> {
    crate::setup::wasm_target()?;
    let tools = crate::setup::wasm_tools()?;
    let folder = site::build(&tools, Profile::Release, &site::EXAMPLES)?.join("counter");
    println!("counter, release, optimised for size:");
    let mut total = 0;
    for name in ["counter_bg.wasm", "counter.js"] {
        let (plain, packed) = sizes(&folder.join(name))?;
        total += packed;
        println!("  {name:<16} {plain:>9} bytes, {packed:>8} bytes brotli");
    }
    println!("  {:<16} {:>9}        {total:>8} bytes brotli", "together", "");
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
