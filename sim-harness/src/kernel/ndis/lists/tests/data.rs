//! MDL chains, data starts, bytes.

use super::*;
use crate::kernel::nt::mdl;
use std::cell::Cell;
use std::ffi::c_void;

fn of(buffer: *mut NET_BUFFER) -> NET_BUFFER {
    // SAFETY: a NET_BUFFER of a list that is alive.
    unsafe { buffer.read() }
}

/// The bytes at a pointer that NDIS gave.
fn bytes(at: *mut c_void, count: usize) -> Vec<u8> {
    assert!(!at.is_null());
    // SAFETY: NDIS says that there are so many.
    unsafe { std::slice::from_raw_parts(at.cast::<u8>(), count) }.to_vec()
}

#[test]
fn data_in_one_piece_are_shown_in_place_and_others_in_the_storage() {
    let rules = broken(|machine| {
        let buffer = first_buffer(received(machine));
        let mut storage = [0_u8; 8];
        let room = storage.as_mut_ptr().cast();
        let get =
            |needed, storage, multiple, offset| ndis!(NdisGetDataBuffer, buffer, needed, storage, multiple, offset);
        let place = get(4, room, 1, 0);
        assert_ne!(place, room);
        assert_eq!(bytes(place, 4), b"head");
        assert_eq!(get(4, ptr::null_mut(), 1, 0), place);
        assert!(get(8, ptr::null_mut(), 1, 0).is_null(), "in three pieces");
        assert_eq!((get(8, room, 1, 0), bytes(room, 8)), (room, b"headbody".to_vec()));
        assert!(get(9, room, 1, 0).is_null(), "more than there is");
        let odd = (place.addr() % 16) as u32;
        assert_eq!(get(4, room, 16, odd), place);
        assert_eq!(get(4, room, 16, odd + 1), room, "aligned otherwise");
        assert_eq!(get(4, ptr::null_mut(), 16, odd + 1), ptr::null_mut());
        machine.fail_once("NdisGetDataBuffer");
        assert!(get(4, room, 1, 0).is_null(), "no resources");
        assert_eq!(rules(machine), []);
        assert!(get(4, room, 3, 0).is_null());
        let foreign = machine.ndis.lists.build(machine, Holder::Nic, &[b"x"], 0).unwrap();
        assert!(ndis!(NdisGetDataBuffer, first_buffer(foreign), 1, room, 1, 0).is_null());
        assert!(ndis!(NdisGetDataBuffer, ptr::null_mut(), 1, room, 1, 0).is_null());
    });
    assert_eq!(rules, [("nbl", "NdisGetDataBuffer"); 3]);
}

#[test]
fn the_data_start_moves_inside_the_chain() {
    let rules = broken(|machine| {
        let list = received(machine);
        let (buffer, before) = (first_buffer(list), of(first_buffer(list)));
        let advance = |delta| ndis!(NdisAdvanceNetBufferDataStart, buffer, delta, 0, ptr::null_mut());
        let retreat = |delta| ndis!(NdisRetreatNetBufferDataStart, buffer, delta, 0, ptr::null_mut());
        advance(5);
        assert_eq!(machine.ndis.lists.frames(list), [b"ody".to_vec()]);
        assert_eq!((of(buffer).CurrentMdlOffset, of(buffer).DataOffset), (1, before.DataOffset + 5));
        advance(3);
        assert_eq!(machine.ndis.lists.frames(list), [b"".to_vec()]);
        assert_eq!(retreat(8), NDIS_STATUS_SUCCESS);
        assert_eq!((of(buffer).CurrentMdl, of(buffer).DataLength), (before.CurrentMdl, 8));
        assert_eq!((machine.ndis.lists.frames(list), rules(machine)), (vec![b"headbody".to_vec()], vec![]));
        advance(9);
        assert_eq!(of(buffer).DataLength, 8);
        assert_eq!(ndis!(NdisRetreatNetBufferDataStart, ptr::null_mut(), 1, 0, ptr::null_mut()), NDIS_STATUS_FAILURE);
        assert_eq!(retreat(u32::MAX), NDIS_STATUS_FAILURE);
        machine.ndis.lists.hand_over(machine, list.0, Holder::Driver, Holder::Nic, "return");
        advance(1);
    });
    let advance = ("nbl", "NdisAdvanceNetBufferDataStart");
    assert_eq!(rules, [advance, ("nbl", "NdisRetreatNetBufferDataStart"), advance]);
}

#[test]
fn room_that_is_not_there_is_allocated_in_front_and_freed_again() {
    let rules = broken(|machine| {
        let own = own(machine, b"payload");
        let (buffer, live) = (first_buffer(own.list), machine.nt.pool.live().len());
        let retreat = |delta| ndis!(NdisRetreatNetBufferDataStart, buffer, delta, 10, ptr::null_mut());
        machine.fail_once("NdisRetreatNetBufferDataStart");
        assert_eq!(retreat(4), NDIS_STATUS_RESOURCES);
        for failed in 0..2 {
            machine.nt.pool.fail_after(failed);
            assert_eq!((retreat(4), machine.nt.pool.live().len()), (NDIS_STATUS_RESOURCES, live));
        }
        assert_eq!(retreat(4), NDIS_STATUS_SUCCESS);
        assert_eq!((of(buffer).DataOffset, of(buffer).DataLength), (10, 11));
        let place = ndis!(NdisGetDataBuffer, buffer, 4, ptr::null_mut(), 1, 0);
        // SAFETY: four bytes in one piece.
        unsafe { ptr::copy_nonoverlapping(b"head".as_ptr(), place.cast(), 4) };
        assert_eq!(machine.ndis.lists.frames(own.list), [b"headpayload".to_vec()]);
        assert_eq!(retreat(12), NDIS_STATUS_SUCCESS, "ten bytes of the old room, two of the new");
        assert_eq!((of(buffer).DataOffset, of(buffer).DataLength), (20, 23));
        ndis!(NdisAdvanceNetBufferDataStart, buffer, 2, 1, ptr::null_mut());
        ndis!(NdisAdvanceNetBufferDataStart, buffer, 10, 0, ptr::null_mut());
        assert_eq!(machine.ndis.lists.frames(own.list), [b"headpayload".to_vec()]);
        ndis!(NdisAdvanceNetBufferDataStart, buffer, 4, 1, ptr::null_mut());
        assert_eq!((of(buffer).MdlChain, of(buffer).DataOffset, of(buffer).DataLength), (own.mdl, 0, 7));
        assert_eq!(machine.nt.pool.live().len(), live);
        assert_eq!((retreat(1), rules(machine)), (NDIS_STATUS_SUCCESS, vec![]));
        drop_own(machine, &own);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, [("nbl", "NdisFreeNetBufferList")], "freed with an MDL of NDIS's in front");
}

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

ndk_types::abi! {
    /// NetAllocateMdl: ten bytes more than wanted.
    unsafe extern "C" fn net_allocate_mdl(size: *mut u32) -> *mut MDL {
        // SAFETY: a size.
        let size = unsafe { size.read() } + 10;
        ALLOCATED.set(ALLOCATED.get() + 1);
        ndis!(NdisAllocateMdl, NULL, block(&Machine::current(), size as usize).cast(), size)
    }

    /// NetAllocateMdl: one byte, whatever is wanted.
    unsafe extern "C" fn net_allocate_little(_size: *mut u32) -> *mut MDL {
        ndis!(NdisAllocateMdl, NULL, block(&Machine::current(), 1).cast(), 1)
    }

    /// NetFreeMdl.
    unsafe extern "C" fn net_free_mdl(mdl: *mut MDL) {
        // SAFETY: an MDL of the function above.
        let at = unsafe { (*mdl).MappedSystemVa };
        ndis!(NdisFreeMdl, mdl);
        release(&Machine::current(), at.cast());
        ALLOCATED.set(ALLOCATED.get() - 1);
    }
}

#[test]
fn a_driver_can_allocate_the_room_in_front_itself_and_frees_it_itself() {
    let rules = broken(|machine| {
        let own = own(machine, b"payload");
        let buffer = first_buffer(own.list);
        let (allocate, free) = (net_allocate_mdl as *const () as *mut c_void, net_free_mdl as *const () as *mut c_void);
        assert_eq!(ndis!(NdisRetreatNetBufferDataStart, buffer, 4, 2, allocate), NDIS_STATUS_SUCCESS);
        assert_eq!((ALLOCATED.get(), of(buffer).DataOffset), (1, 12), "what the driver gave more is unused too");
        ndis!(NdisAdvanceNetBufferDataStart, buffer, 4, 1, free);
        assert_eq!((ALLOCATED.get(), of(buffer).MdlChain, of(buffer).DataOffset), (0, own.mdl, 0));
        assert_eq!(rules(machine), []);
        assert_eq!(ndis!(NdisRetreatNetBufferDataStart, buffer, 4, 2, allocate), NDIS_STATUS_SUCCESS);
        ndis!(NdisAdvanceNetBufferDataStart, buffer, 4, 1, ptr::null_mut());
        let little = net_allocate_little as *const () as *mut c_void;
        assert_eq!(ndis!(NdisRetreatNetBufferDataStart, buffer, 4, 0, little), NDIS_STATUS_RESOURCES);
    });
    let names: Vec<_> = rules.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(names, ["nbl"; 2]);
}

#[test]
fn frames_that_do_not_fit_together_are_caught() {
    let with = |change: &dyn Fn(&Arc<Machine>, &mut NET_BUFFER)| {
        broken(|machine| {
            let list = received(machine);
            // SAFETY: a NET_BUFFER of a list that is alive.
            change(machine, unsafe { &mut *first_buffer(list) });
            machine.ndis.lists.frames(list);
        })
    };
    assert_eq!(with(&|_, _| {}), []);
    assert_eq!(with(&|_, buffer| buffer.DataLength += 100), [("nbl", "")]);
    assert_eq!(with(&|_, buffer| buffer.DataOffset += 1), [("nbl", "")]);
    assert_eq!(with(&|_, buffer| buffer.CurrentMdl = ptr::null_mut()), [("nbl", "")]);
    assert_eq!(with(&|_, buffer| buffer.MdlChain = ptr::without_provenance_mut(64)), [("mdl", ""), ("nbl", "")]);
    let back = |_: &Arc<Machine>, buffer: &mut NET_BUFFER| {
        // SAFETY: an MDL of a list that is alive.
        let second = unsafe { (*buffer.MdlChain).Next };
        // SAFETY: as above.
        unsafe { (*second).Next = buffer.MdlChain };
    };
    assert_eq!(with(&back), [("mdl", ""), ("nbl", "")]);
    let rules = broken(|machine| {
        assert_eq!(machine.ndis.lists.frames(Nbl(ptr::null_mut())), [] as [Vec<u8>; 0]);
    });
    assert_eq!(rules, [("nbl", "")]);
}

#[test]
fn data_freed_while_they_are_sent_are_caught() {
    let rules = broken(|machine| {
        let own = own(machine, b"gone");
        machine.ndis.lists.hand_over(machine, own.list.0, Holder::Driver, Holder::Nic, "send");
        release(machine, own.bytes);
        assert_eq!(machine.ndis.lists.frames(own.list), [b"".to_vec()]);
    });
    assert_eq!(rules.iter().map(|(rule, _)| *rule).collect::<Vec<_>>(), ["mdl", "nbl"]);
}

/// The data may be in pages that have no system address: hardware does not need one.
#[test]
fn locked_pages_are_read_by_number() {
    let rules = broken(|machine| {
        let at = block(machine, 5000);
        // SAFETY: a block of that size.
        unsafe { ptr::write_bytes(at, 7, 5000) };
        let described = mdl::allocate(machine, at.addr() + 10, 4900).unwrap();
        assert!(mdl::describe(machine, described, at.addr() + 10));
        // SAFETY: an MDL that is alive.
        unsafe { (*described).MdlFlags = MDL_PAGES_LOCKED };
        let chain = described.cast();
        let list = Nbl(ndis!(NdisAllocateNetBufferAndNetBufferList, list_pool(true), 0, 0, chain, 20, 4880));
        assert_eq!(machine.ndis.lists.frames(list), [vec![7; 4880]]);
        assert_eq!(machine.nt.memory.mappings(), 0);
        assert!(ndis!(NdisAllocateCloneNetBufferList, list.0, NULL, NULL, 0).is_null());
        let place = ndis!(NdisGetDataBuffer, first_buffer(list), 1, ptr::null_mut(), 1, 0);
        assert!(place.is_null());
    });
    assert_eq!(rules, []);
}

#[test]
fn an_mdl_of_ndis_is_of_pool_and_freed_once_when_nobody_has_it() {
    let rules = broken(|machine| {
        let own = own(machine, b"data");
        let local = [0_u8; 4];
        assert!(ndis!(NdisAllocateMdl, NULL, local.as_ptr().cast_mut().cast(), 4).is_null());
        assert!(ndis!(NdisAllocateMdl, NULL, own.bytes.cast(), 5).is_null());
        assert_eq!(rules(machine), [("mdl", "NdisAllocateMdl"); 2]);
        machine.ndis.lists.hand_over(machine, own.list.0, Holder::Driver, Holder::Nic, "send");
        ndis!(NdisFreeMdl, own.mdl);
        machine.ndis.lists.hand_over(machine, own.list.0, Holder::Nic, Holder::Driver, "done");
        drop_own(machine, &own);
        ndis!(NdisFreeMdl, own.mdl);
        let other = mdl::allocate(machine, block(machine, 4).addr(), 4).unwrap();
        ndis!(NdisFreeMdl, other.cast());
    });
    assert_eq!(rules, [("mdl", "NdisFreeMdl"); 3]);
}
