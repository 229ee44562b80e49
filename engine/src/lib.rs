//! RoCEv2 and the InfiniBand connection manager as pure state machines.

#![forbid(unsafe_code)]
#![no_std]
