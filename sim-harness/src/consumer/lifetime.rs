//! Creating and closing in every way NDK allows.
