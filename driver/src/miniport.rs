//! The upper edge: what NDIS calls for the virtual miniport.

pub mod oid_table;
