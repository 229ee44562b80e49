//! CNG.SYS: the system's random number generator, whose numbers here are the machine's, from its seed.

use super::Machine;
use super::export::Export;
use super::irql::{self, Irql};
use crate::exports;
use ndk_types::{
    BCRYPT_ALG_HANDLE, BCRYPT_USE_SYSTEM_PREFERRED_RNG, NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};

ndk_types::abi! {
    unsafe extern "C" fn bcrypt_gen_random(
        algorithm: BCRYPT_ALG_HANDLE,
        buffer: *mut u8,
        bytes: u32,
        flags: u32,
    ) -> NTSTATUS {
        let machine = Machine::current();
        if !algorithm.is_null() || flags != BCRYPT_USE_SYSTEM_PREFERRED_RNG || buffer.is_null() {
            let text = format!("BCryptGenRandom with algorithm {:#x}, flags {flags:#x}", algorithm.addr());
            machine.violation("random", text);
            return STATUS_INVALID_PARAMETER;
        }
        if irql::current() > Irql::Passive {
            machine.violation("irql", "the system's generator is asked above PASSIVE_LEVEL");
        }
        if machine.take_failure("BCryptGenRandom") {
            return STATUS_INVALID_PARAMETER;
        }
        let mut number = Vec::new();
        while number.len() < bytes as usize {
            number.extend(machine.nt.random_u64().to_le_bytes());
        }
        // SAFETY: the page: room for so many bytes.
        unsafe { std::ptr::copy_nonoverlapping(number.as_ptr(), buffer, bytes as usize) };
        STATUS_SUCCESS
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "CNG.SYS" in ndk_types::prototype;
        // At DISPATCH_LEVEL with a provider, which is not simulated.
        BCryptGenRandom <= Dispatch = bcrypt_gen_random,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;

    fn machine(seed: u64) -> Arc<Machine> {
        Machine::new("random", Arc::new(AtomicU64::new(0)), seed)
    }

    fn draw(algorithm: usize, flags: u32) -> (NTSTATUS, [u8; 20]) {
        let mut bytes = [0; 20];
        // SAFETY: room for so many bytes.
        let status =
            unsafe { bcrypt_gen_random(ptr::without_provenance_mut(algorithm), bytes.as_mut_ptr(), 20, flags) };
        (status, bytes)
    }

    /// DESIGN D8
    #[test]
    fn numbers_come_from_the_machines_seed_and_differ_from_draw_to_draw() {
        let [one, same, other] = [1, 1, 2].map(|seed| {
            let machine = machine(seed);
            let drawn = machine.enter(|| [draw(0, 2), draw(0, 2)]);
            assert_eq!(machine.verifier.take(), []);
            drawn
        });
        assert!(one == same && one != other && one[0] != one[1]);
        assert!(one.iter().all(|&(status, bytes)| status == STATUS_SUCCESS && bytes[16..] != [0; 4]));
    }

    #[test]
    fn a_provider_that_is_none_other_flags_and_a_draw_above_passive_level_are_told() {
        let machine = machine(1);
        machine.enter(|| {
            assert_eq!(draw(16, 2).0, STATUS_INVALID_PARAMETER);
            assert_eq!(draw(0, 0).0, STATUS_INVALID_PARAMETER);
            irql::at(Irql::Dispatch, || draw(0, 2));
            machine.fail_once("BCryptGenRandom");
            assert!(draw(0, 2).0 == STATUS_INVALID_PARAMETER && draw(0, 2).0 == STATUS_SUCCESS);
        });
        let rules: Vec<_> = machine.verifier.take().into_iter().map(|violation| violation.rule).collect();
        assert_eq!(rules, ["random", "random", "irql"]);
    }
}
