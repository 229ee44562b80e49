//! NDK_SRQ and queue pairs on one.
