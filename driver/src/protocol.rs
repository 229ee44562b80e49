//! The protocol edge: how NDIS talks to us about the NIC below.

pub mod oid_request;
pub mod pnp;
