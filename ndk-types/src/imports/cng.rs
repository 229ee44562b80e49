//! CNG.SYS: cryptography of the system (pages nf-bcrypt-<name>).

#![expect(missing_docs, reason = "C names verbatim; Microsoft documents the functions")]

use crate::*;

super::imports! {
    "CNG.SYS";

    // With BCRYPT_USE_SYSTEM_PREFERRED_RNG and no handle: PASSIVE_LEVEL.
    fn BCryptGenRandom(hAlgorithm: BCRYPT_ALG_HANDLE, pbBuffer: *mut u8, cbBuffer: u32, dwFlags: u32) -> NTSTATUS;
}
