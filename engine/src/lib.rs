//! RoCEv2 and the InfiniBand connection manager as pure state machines.
//!
//! Three rules hold for the whole crate: no I/O, no clock, no unsafe. The engine is given `now`, memory access, a CRC,
//! work queues and an outbox for one turn ([`turn::Turn`]); it never owns a socket, a lock or a buffer pool. It speaks
//! IBTA's language: requester, responder, completer, PSN, MSN, AETH, NAK.

#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;

pub mod cm;
pub mod completion;
pub mod crc;
pub mod gid;
pub mod key;
pub mod memory;
pub mod outbox;
pub mod psn;
pub mod qp;
pub mod time;
pub mod turn;
pub mod wire;
pub mod work;
