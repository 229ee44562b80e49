//! NdisAllocateMdl and NdisFreeMdl: MDLs of nonpaged pool, built when allocated.

use super::making;
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use ndk_types::{MDL, NDIS_HANDLE};
use std::ffi::c_void;
use std::ptr;

ndk_types::abi! {
    unsafe extern "C" fn ndis_allocate_mdl(_handle: NDIS_HANDLE, address: *mut c_void, length: u32) -> *mut MDL {
        let (machine, call) = (Machine::current(), "NdisAllocateMdl");
        if !machine.nt.pool.holds(address.addr(), length as usize) {
            machine.violation("mdl", format!("{call}: {length} bytes at {:#x} are no nonpaged pool", address.addr()));
            return ptr::null_mut();
        }
        if machine.take_failure(call) {
            return ptr::null_mut();
        }
        let Some((block, mdl)) = making::new_mdl(&machine, address, length as usize) else { return ptr::null_mut() };
        machine.ndis.lists.state().mdls.insert(mdl.addr(), block);
        mdl
    }

    unsafe extern "C" fn ndis_free_mdl(mdl: *mut MDL) {
        let (machine, call) = (Machine::current(), "NdisFreeMdl");
        if machine.ndis.lists.is_in_flight(mdl) {
            let text = format!("{call}: a list with MDL {:#x} is in somebody else's hands", mdl.addr());
            machine.violation("mdl", text);
            return;
        }
        let block = machine.ndis.lists.state().mdls.remove(&mdl.addr());
        match block {
            Some(block) => block.free(&machine),
            None => machine.violation("mdl", format!("{call}: {:#x} is not of NdisAllocateMdl", mdl.addr())),
        }
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "NDIS.SYS" in ndk_types::prototype;
        NdisAllocateMdl <= Dispatch = ndis_allocate_mdl,
        NdisFreeMdl <= Dispatch = ndis_free_mdl,
    }
}
