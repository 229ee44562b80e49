//! NDK_LISTENER and NDK_SHARED_ENDPOINT: what the demo does not need.
