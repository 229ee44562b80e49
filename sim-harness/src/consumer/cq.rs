//! NDK_CQ: what the demo does not need.
