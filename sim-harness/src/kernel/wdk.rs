//! The types and prototypes of ntoskrnl.exe as the driver sees them: the very files of the stand-in wdk-sys, with the functions as
//! types, so that what the simulated kernel implements is checked against what the image calls.

#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals, missing_docs, clippy::pedantic)]

/// Callback types, with the image's calling convention.
macro_rules! callbacks {
    ($($(#[$meta:meta])* type $name:ident = fn($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        $($(#[$meta])* pub type $name = Option<unsafe extern "win64" fn($($arg: $type),*) $(-> $ret)?>;)*
    };
}

/// Functions as types.
macro_rules! imports {
    ($library:literal; $($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        $($(#[$meta])* pub type $name = unsafe extern "win64" fn($($arg: $type),*) $(-> $ret)?;)*
    };
}

#[path = "../../image/wdk-sys/src/ntddk.rs"]
pub mod ntddk;
#[path = "../../image/wdk-sys/src/types.rs"]
pub mod types;

#[path = "nt/c_only.rs"]
pub mod c_only;

pub use types::*;
