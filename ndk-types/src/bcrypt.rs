//! bcrypt.h: what kernel code needs of the system's random number generator.

use core::ffi::c_void;

/// A cryptographic provider.
pub type BCRYPT_ALG_HANDLE = *mut c_void;

/// The system's own generator, without a provider; PASSIVE_LEVEL.
pub const BCRYPT_USE_SYSTEM_PREFERRED_RNG: u32 = 2;
