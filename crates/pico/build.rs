//! Finds the two English voices inside the `ttspico-sys` package and copies them to `OUT_DIR`,
//! where `src/resources.rs` embeds them.
//!
//! The package publishes no path to them (its build script emits no metadata), so cargo is asked
//! where it lies. That works for the registry cache and for vendored sources, and without the
//! network. Cargo is asked about a package of one dependency and not about ours: to answer about
//! ours it wants every package of the workspace, also those of tests and benchmarks, and whoever
//! builds for the first time has only what the program needs. `PICO_LANG_DIR` overrides it for
//! builds that do not use cargo's own layout.

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
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let lang = match env::var_os("PICO_LANG_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => package_dir(&out)?.join(LANG),
    };
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
fn package_dir(out: &Path) -> Result<PathBuf, Box<dyn std::error::Error>> {
    let manifest_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no manifest dir")?);
    let question = asking_package(out, &manifest_dir)?;
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Cargo's settings, such as vendored sources, are looked for from the working directory on.
    command.args(["metadata", "--offline", "--format-version=1"]).current_dir(&manifest_dir);
    command.arg("--manifest-path").arg(question);
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

/// Makes a package that depends on nothing but the voices, in the version that the workspace has
/// locked; where its manifest is.
fn asking_package(out: &Path, ours: &Path) -> std::io::Result<PathBuf> {
    let package = out.join("where");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    let manifest = package.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"where\"\nedition = \"2024\"\n\n[dependencies]\n{PACKAGE} = \"*\"\n\n[workspace]\n"
    );
    fs::write(&manifest, text)?;
    // Cargo takes from it what it needs and forgets the rest.
    if let Some(lock) =
        ours.ancestors().map(|dir| dir.join("Cargo.lock")).find(|lock| lock.is_file())
    {
        fs::write(package.join("Cargo.lock"), fs::read(lock)?)?;
    }
    Ok(manifest)
}
