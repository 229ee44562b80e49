//! Functions that a driver imports from NDIS.SYS, NETIO.SYS and CNG.SYS, each prototype written once.
//!
//! On Windows targets an entry is an `extern` declaration, bound by `raw-dylib` (W-40), so no import library is needed.
//! Elsewhere it is a function-pointer type of the same name in [`prototype`], against which the simulated kernel's own
//! implementation is type-checked.

mod cng;
mod ndis;
mod netio;

#[cfg(windows)]
pub use cng::*;
#[cfg(windows)]
pub use ndis::*;
#[cfg(windows)]
pub use netio::*;

/// The type of each import, by its name.
#[cfg(not(windows))]
pub mod prototype {
    pub use super::cng::prototype::*;
    pub use super::ndis::prototype::*;
    pub use super::netio::prototype::*;
}

/// Declares the functions of one library.
macro_rules! imports {
    ($library:literal; $($(#[$meta:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        #[cfg(windows)]
        #[link(name = $library, kind = "raw-dylib", modifiers = "+verbatim")]
        unsafe extern "C" {
            $($(#[$meta])* pub fn $name($($arg: $type),*) $(-> $ret)?;)*
        }

        /// The type of each import, by its name.
        #[cfg(not(windows))]
        pub(super) mod prototype {
            use super::*;
            $(
                $(#[$meta])*
                #[cfg(target_arch = "x86_64")]
                pub type $name = unsafe extern "win64" fn($($arg: $type),*) $(-> $ret)?;
                $(#[$meta])*
                #[cfg(not(target_arch = "x86_64"))]
                pub type $name = unsafe extern "C" fn($($arg: $type),*) $(-> $ret)?;
            )*
        }
    };
}
use imports;
