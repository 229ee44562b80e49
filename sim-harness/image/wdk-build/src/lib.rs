//! Stand-in for wdk-build: the link flags are in `.cargo/config.toml`, but for the entry, which the driver's model decides.

use std::path::PathBuf;

/// What can go wrong here.
#[derive(Debug)]
pub enum ConfigError {
    /// The manifest of the package could not be read.
    Manifest(PathBuf, std::io::Error),
    /// It names no driver model that is known here.
    Model(PathBuf),
}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Manifest(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Model(path) => write!(f, "{}: no driver-type KMDF or WDM", path.display()),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Tells the linker the entry: the framework's stub, or the driver's own.
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    let path = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("Cargo.toml");
    let manifest = std::fs::read_to_string(&path).map_err(|error| ConfigError::Manifest(path.clone(), error))?;
    let has = |model: &str| manifest.lines().any(|line| line.trim() == format!("driver-type = \"{model}\""));
    let entry = match (has("KMDF"), has("WDM")) {
        (true, false) => "FxDriverEntry",
        (false, true) => "DriverEntry",
        _ => return Err(ConfigError::Model(path)),
    };
    println!("cargo::rerun-if-changed={}", path.display());
    println!("cargo::rustc-cdylib-link-arg=/ENTRY:{entry}");
    Ok(())
}
