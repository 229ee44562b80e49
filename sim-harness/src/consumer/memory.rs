//! NDK_PD, NDK_MR, NDK_MW and logical addresses: what the demo does not need.
