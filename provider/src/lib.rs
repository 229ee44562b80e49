//! NDK objects, dispatch tables, rings and lanes over roce-engine.

#![no_std]
