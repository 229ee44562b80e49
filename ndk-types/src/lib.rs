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
mod bcrypt;
mod imports;
mod layout;
mod ndis;
mod ndisndk;
mod ndkinfo;
mod ndkpi;
mod ndkrss;
mod netif;
mod netioapi;
mod nmr;
mod ntddndis_ndk;
mod status;
mod wdm;
mod ws2;
mod wsk;
mod wskndk;

pub use base::*;
pub use bcrypt::*;
pub use imports::*;
pub use ndis::*;
pub use ndisndk::*;
pub use ndkinfo::*;
pub use ndkpi::*;
pub use ndkrss::*;
pub use netif::*;
pub use netioapi::*;
pub use nmr::*;
pub use ntddndis_ndk::*;
pub use status::*;
pub use wdm::*;
pub use ws2::*;
pub use wsk::*;
pub use wskndk::*;

use layout::layout;
