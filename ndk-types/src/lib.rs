//! The NDK, NDIS, WSK and NMR C ABI as Rust data.
//!
//! Names and fields are C's, verbatim, re-exported at the crate root; sizes and offsets are asserted at compile time
//! against the figures of WDK 10.0.26100 for x64. There is no logic here, and no dependency.
//!
//! Callbacks have one calling convention, the platform's. Everything is written `extern "C"` inside [`abi!`], which off
//! Windows on x86_64 emits `extern "win64"`, so that a Windows image loaded elsewhere and natively built code call each
//! other in the same way (DESIGN D5).

#![no_std]
#![expect(non_camel_case_types, non_snake_case, non_upper_case_globals, reason = "C names verbatim")]

mod abi;
mod base;
mod layout;
mod ndisndk;
mod ndkinfo;
mod ndkpi;
mod status;

pub use base::*;
pub use ndisndk::*;
pub use ndkinfo::*;
pub use ndkpi::*;
pub use status::*;

use layout::layout;
