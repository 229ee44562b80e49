//! Numbers a stranger must not guess. The secret is the system's (BCryptGenRandom), drawn once when the generator is made;
//! what is drawn from it later costs no call, so that it may happen at DISPATCH_LEVEL and cannot fail.
//!
//! Nothing is asked of the processor directly: what the driver draws depends on what the kernel answered and on the
//! performance counter alone, and a simulated kernel can play it again.

mod generator;

use super::{Guarded, performance_counter};
use core::ptr::null_mut;
use generator::{Generator, SECRET};
use ndk_types::{BCRYPT_USE_SYSTEM_PREFERRED_RNG, BCryptGenRandom};

/// A source of random numbers.
pub struct Random(Guarded<Generator>);

impl Random {
    /// `None` if the system has no secret to give. PASSIVE_LEVEL.
    pub fn try_new() -> Option<Self> {
        let mut secret = [0; SECRET];
        // SAFETY: BCryptGenRandom: the system's generator without a provider, a buffer of this size, PASSIVE_LEVEL.
        let status =
            unsafe { BCryptGenRandom(null_mut(), secret.as_mut_ptr(), SECRET as u32, BCRYPT_USE_SYSTEM_PREFERRED_RNG) };
        (status >= 0).then(|| Self(Guarded::new(Generator::new(secret))))
    }

    /// Fills `bytes`. At or below DISPATCH_LEVEL.
    pub fn fill(&self, bytes: &mut [u8]) {
        let (now, _) = performance_counter();
        self.0.with(|generator| generator.fill(now, bytes));
    }
}
