//! The rules of lists, each kept once and broken once on purpose, by a driver that calls NDIS as an image would.

use super::clones::USE_ORIGINAL_MDLS;
use super::{Holder, Nbl};
use crate::kernel::Machine;
use crate::kernel::irql::{self, Irql};
use crate::kernel::verifier;
use ndk_types::*;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

const TAG: u32 = u32::from_le_bytes(*b"Test");

/// Calls `$name` as an image does.
macro_rules! ndis {
    ($name:ident $(, $argument:expr)*) => {{
        let name = stringify!($name);
        let (place, address) = $crate::kernel::Machine::current().export_place("ndis.sys", name).expect(name);
        let hook = $crate::kernel::machine::on_import;
        hook($crate::kernel::stack::Gate::new(name.to_owned(), place, address, hook).import());
        // SAFETY: the table's entry has this type: `exports!` checked it.
        let function: ndk_types::prototype::$name = unsafe { std::mem::transmute(address) };
        // SAFETY: the arguments are memory that is there; what they break is what the test is about.
        unsafe { function($($argument),*) }
    }};
}

pub(in crate::kernel::ndis) use ndis;

/// The rules that `driver` breaks, with the calls it breaks them in.
fn broken(driver: impl FnOnce(&Arc<Machine>)) -> Vec<(&'static str, &'static str)> {
    let machine = Machine::new("lists", Arc::new(AtomicU64::new(0)), 1);
    verifier::set_call("");
    machine.enter(|| driver(&machine));
    irql::set(Irql::Passive);
    rules(&machine)
}

/// The violations since the last look.
fn rules(machine: &Machine) -> Vec<(&'static str, &'static str)> {
    machine.verifier.take().into_iter().map(|violation| (violation.rule, violation.call)).collect()
}

mod clones;
mod data;
mod passing;
mod pools;

const NULL: NDIS_HANDLE = ptr::null_mut();

fn list_parameters(net_buffer: bool) -> NET_BUFFER_LIST_POOL_PARAMETERS {
    NET_BUFFER_LIST_POOL_PARAMETERS {
        Header: NDIS_OBJECT_HEADER {
            Type: NDIS_OBJECT_TYPE_DEFAULT,
            Revision: NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
            Size: NDIS_SIZEOF_NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_1,
        },
        ProtocolId: NDIS_PROTOCOL_ID_DEFAULT,
        fAllocateNetBuffer: u8::from(net_buffer),
        ContextSize: 0,
        PoolTag: TAG,
        DataSize: 0,
        Flags: 0,
    }
}

fn list_pool(net_buffer: bool) -> NDIS_HANDLE {
    let parameters = list_parameters(net_buffer);
    ndis!(NdisAllocateNetBufferListPool, NULL, &raw const parameters)
}

fn buffer_parameters() -> NET_BUFFER_POOL_PARAMETERS {
    let header = NDIS_OBJECT_HEADER {
        Type: NDIS_OBJECT_TYPE_DEFAULT,
        Revision: NET_BUFFER_POOL_PARAMETERS_REVISION_1,
        Size: NDIS_SIZEOF_NET_BUFFER_POOL_PARAMETERS_REVISION_1,
    };
    NET_BUFFER_POOL_PARAMETERS { Header: header, PoolTag: TAG, DataSize: 0, Flags: 0 }
}

fn buffer_pool() -> NDIS_HANDLE {
    let parameters = buffer_parameters();
    ndis!(NdisAllocateNetBufferPool, NULL, &raw const parameters)
}

fn block(machine: &Machine, bytes: usize) -> *mut u8 {
    machine.nt.pool.allocate(&machine.nt.memory, bytes, TAG, true).unwrap()
}

fn release(machine: &Machine, block: *mut u8) {
    machine.nt.pool.free(&machine.nt.memory, block, TAG).unwrap();
}

fn copied(list: Nbl) -> NET_BUFFER_LIST {
    // SAFETY: a list that is alive.
    unsafe { list.0.read() }
}

fn first_buffer(list: Nbl) -> *mut NET_BUFFER {
    copied(list).FirstNetBuffer
}

fn clone_of(list: Nbl) -> Nbl {
    Nbl(ndis!(NdisAllocateCloneNetBufferList, list.0, NULL, NULL, USE_ORIGINAL_MDLS))
}

fn received(machine: &Machine) -> Nbl {
    let lists = &machine.ndis.lists;
    let list = lists.build(machine, Holder::Nic, &[b"head", b"", b"body"], 7).unwrap();
    assert_eq!(lists.hand_over(machine, lists.link(&[list]), Holder::Nic, Holder::Driver, "indicate"), [list]);
    list
}

/// A list that the driver sends for the protocol above.
fn to_send(machine: &Machine) -> Nbl {
    let lists = &machine.ndis.lists;
    let list = lists.build(machine, Holder::Above, &[b"from above"], 9).unwrap();
    assert_eq!(lists.hand_over(machine, list.0, Holder::Above, Holder::Driver, "send"), [list]);
    list
}

/// A list of the driver's own with data in one block; the block and the MDL are freed by `drop_own`.
pub(in crate::kernel::ndis) struct Own {
    pool: NDIS_HANDLE,
    bytes: *mut u8,
    mdl: *mut MDL,
    pub(in crate::kernel::ndis) list: Nbl,
}

pub(in crate::kernel::ndis) fn own(machine: &Machine, bytes: &[u8]) -> Own {
    let pool = list_pool(true);
    let at = block(machine, bytes.len());
    // SAFETY: a block of that size.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
    let mdl = ndis!(NdisAllocateMdl, NULL, at.cast(), bytes.len() as u32);
    let list = Nbl(ndis!(NdisAllocateNetBufferAndNetBufferList, pool, 0, 0, mdl, 0, bytes.len()));
    assert!(!list.0.is_null());
    Own { pool, bytes: at, mdl, list }
}

pub(in crate::kernel::ndis) fn drop_own(machine: &Machine, own: &Own) {
    ndis!(NdisFreeNetBufferList, own.list.0);
    ndis!(NdisFreeMdl, own.mdl);
    release(machine, own.bytes);
    ndis!(NdisFreeNetBufferListPool, own.pool);
}

/// Every function of lists is for DISPATCH_LEVEL and below.
#[test]
fn no_function_of_lists_is_for_levels_above_dispatch() {
    let rules = broken(|_| {
        irql::set(Irql::Dispatch);
        let pool = list_pool(false);
        irql::set(Irql::High);
        ndis!(NdisFreeNetBufferListPool, pool);
    });
    assert_eq!(rules, [("irql", "NdisFreeNetBufferListPool")]);
}
