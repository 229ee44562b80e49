//! Cross-crate conformance, interop and golden tests.
