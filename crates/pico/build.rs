//! Finds the two English voices inside the `ttspico-sys` package and copies them to `OUT_DIR`,
//! where `src/resources.rs` embeds them.
//!
//! The package publishes no path to them (its build script emits no metadata), so cargo is asked
//! where it lies. That works for the registry cache, for vendored sources and for `[patch]`, and
//! without the network. `PICO_LANG_DIR` overrides it for builds that do not use cargo's own
//! layout.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The package with the voices, and where in it they are.
const PACKAGE: &str = "ttspico-sys";
const LANG: &str = "build/pico/lang";

/// Text analysis and signal generation of both accents.
const FILES: [&str; 4] = ["en-US_ta.bin", "en-US_lh0_sg.bin", "en-GB_ta.bin", "en-GB_kh0_sg.bin"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PICO_LANG_DIR");
    let lang = match env::var_os("PICO_LANG_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => package_dir()?.join(LANG),
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    for file in FILES {
        let from = lang.join(file);
        println!("cargo::rerun-if-changed={}", from.display());
        let voice = fs::read(&from).map_err(|e| {
            format!("cannot read {}: {e}; set PICO_LANG_DIR to Pico's lang folder", from.display())
        })?;
        // Written, not copied: a vendored file may be read-only, its copy must not be.
        fs::write(out.join(file), voice)?;
    }
    Ok(())
}

/// The folder of the `ttspico-sys` package that this build uses.
fn package_dir() -> Result<PathBuf, Box<dyn std::error::Error>> {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no manifest dir")?);
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["metadata", "--offline", "--format-version=1"]).current_dir(&manifest_dir);
    if let Some(target) = env::var_os("TARGET") {
        // Packages for other platforms need not be there.
        command.arg("--filter-platform").arg(target);
    }
    let asked = command.output()?;
    if asked.status.success() {
        let answer: serde_json::Value = serde_json::from_slice(&asked.stdout)?;
        let package = answer["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|package| package["name"] == PACKAGE);
        if let Some(manifest) = package.and_then(|package| package["manifest_path"].as_str()) {
            return Ok(Path::new(manifest).parent().ok_or("a manifest in no folder")?.into());
        }
    }
    Err(format!(
        "cargo metadata does not know where {PACKAGE} lies ({}); set PICO_LANG_DIR to Pico's \
         lang folder: {}",
        asked.status,
        String::from_utf8_lossy(&asked.stderr)
    )
    .into())
}
