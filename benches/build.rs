//! Makes tonic's client and server of `proto/echo.proto`, without an installed compiler of protocol buffers, and notes
//! which compiler of Rust is used.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let rustc = std::env::var_os("RUSTC").ok_or("cargo names the compiler")?;
    let output = std::process::Command::new(rustc).arg("--version").output()?;
    println!("cargo::rustc-env=BENCH_RUSTC={}", String::from_utf8_lossy(&output.stdout).trim());
    #[cfg(feature = "peers")]
    tonic_prost_build::configure().compile_fds(protox::compile(["proto/echo.proto"], ["proto"])?)?;
    Ok(())
}
