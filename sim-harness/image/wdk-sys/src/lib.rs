//! Stand-in for wdk-sys 0.5.2 as it is for a KMDF 1.33 driver, or, without the feature `kmdf`, for a WDM driver: what the drivers
//! use and no more, in the shapes bindgen gives.
//!
//! `types.rs` and `ntddk.rs` are also read by the simulated kernel, which implements the functions.

#![no_std]
#![allow(non_camel_case_types, non_snake_case, non_upper_case_globals, missing_docs)]

/// Callback types, as bindgen writes them.
macro_rules! callbacks {
    ($($(#[$meta:meta])* type $name:ident = fn($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        $($(#[$meta])* pub type $name = Option<unsafe extern "C" fn($($arg: $type),*) $(-> $ret)?>;)*
    };
}

/// Functions of one library.
macro_rules! imports {
    ($library:literal; $($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        #[link(name = $library, kind = "raw-dylib", modifiers = "+verbatim")]
        unsafe extern "C" {
            $($(#[$meta])* pub fn $name($($arg: $type),*) $(-> $ret)?;)*
        }
    };
}

mod constants;
mod guard;
pub mod ntddk;
mod stack_probe;
#[cfg(feature = "kmdf")]
mod start;
mod types;
#[cfg(feature = "kmdf")]
mod wdf;

pub use constants::*;
#[cfg(feature = "kmdf")]
pub use start::*;
pub use types::*;
#[cfg(feature = "kmdf")]
pub use wdf::*;

#[unsafe(no_mangle)]
pub static _fltused: () = ();

/// Nobody unwinds: a panic is a bug check.
#[unsafe(no_mangle)]
pub extern "system" fn __CxxFrameHandler3() -> i32 {
    0
}
