//! What an MDL chain describes (W-10): consecutive bytes of one virtual range, or nothing that can be registered.
//!
//! The address is an index, never a pointer: it is added and compared, not followed.

use ndk_types::MDL;

/// The bytes of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Described {
    /// Virtual address of the first byte (MmGetMdlVirtualAddress of the first MDL).
    pub va: u64,
    /// Offset of the first byte in its page.
    pub byte_offset: u32,
}

/// Walks a chain until `length` bytes are covered. `None`: the chain is shorter, has a gap, or would wrap (MR-03 to MR-06,
/// LAM-01).
///
/// # Safety
/// `mdl` is NULL or heads a chain of MDLs that stay valid during the call (NDKPI: Mdl of register_mr and build_lam).
pub unsafe fn describe(mdl: *const MDL, length: usize) -> Option<Described> {
    let mut next = mdl;
    let mut first = None;
    let mut end = 0u64;
    let mut covered = 0u64;
    loop {
        // SAFETY: the caller's contract: NULL, which gives None, or a valid MDL.
        let mdl = unsafe { next.as_ref() }?;
        let va = (mdl.StartVa.addr() as u64).checked_add(u64::from(mdl.ByteOffset))?;
        if first.is_some() && va != end {
            return None;
        }
        first = first.or(Some(Described { va, byte_offset: mdl.ByteOffset }));
        end = va.checked_add(u64::from(mdl.ByteCount))?;
        covered = covered.checked_add(u64::from(mdl.ByteCount))?;
        if covered >= length as u64 {
            return first;
        }
        next = mdl.Next;
    }
}
