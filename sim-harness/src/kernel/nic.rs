//! The simulated NIC.
