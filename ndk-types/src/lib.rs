//! The NDK, NDIS, WSK and NMR C ABI as Rust data.

#![no_std]
