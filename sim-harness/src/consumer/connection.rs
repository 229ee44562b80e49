//! NDK_CONNECTOR: what the demo does not need.
