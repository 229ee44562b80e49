//! Stand-in for wdk-build: the link flags are in `.cargo/config.toml`, so there is nothing to configure.

/// What cannot go wrong here.
#[derive(Debug)]
pub enum ConfigError {}

impl std::fmt::Display for ConfigError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

impl std::error::Error for ConfigError {}

/// Does nothing.
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    Ok(())
}
