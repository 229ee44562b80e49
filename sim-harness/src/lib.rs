//! The usermode harness: virtual world, consumers, checkers and command line.
