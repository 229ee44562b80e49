//! NDK objects, dispatch tables, rings and lanes over roce-engine.
//!
//! This crate is the portable half of the driver: what a consumer calls through NDK's dispatch tables, and what turns
//! frames into turns of the engine. It runs unchanged in the Windows kernel and in the simulator, which differ in the
//! `Platform` they lend it. Unsafe code lives here and is checked by Miri and loom.

#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod adapter;
pub mod bitmap;
mod bounded;
mod connections;
pub mod connector;
pub mod counters;
pub mod cq;
pub mod cq_ring;
pub mod crc32;
pub mod endpoint;
pub mod held;
pub mod lam;
pub mod lane;
pub mod limits;
pub mod listener;
pub mod lock;
pub mod memory;
pub mod mr;
pub mod mw;
pub mod object;
pub mod oid;
mod opened;
pub mod pd;
pub mod platform;
pub mod port;
pub mod qp;
pub mod receive;
pub mod ring;
pub mod shared;
pub mod slots;
pub mod srq;
pub mod status;
pub mod sync;
pub mod timers;
pub mod translate;
