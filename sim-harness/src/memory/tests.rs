//! Buffers as a driver sees them: mapped by the simulated ntoskrnl, as the driver does it.

use super::*;
use crate::kernel::Machine;
use crate::kernel::wdk::{PMDL, PVOID, ntddk, types};
use ndk_types::MDL_PARTIAL;

const WRITABLE: u32 = types::_MM_PAGE_PRIORITY::NormalPagePriority as u32;

#[test]
fn bytes_come_back_and_guards_stay_whole() {
    let buffer = Buffer::new(100, 4090);
    buffer.write(10, b"hello");
    assert_eq!(buffer.read(10, 5), b"hello");
    assert!(buffer.guards_are_whole());
    let mdl = buffer.mdl();
    assert_eq!(mdl.StartVa.addr() as u64 + u64::from(mdl.ByteOffset), buffer.va());
    assert_eq!((usize::try_from(mdl.Size), mdl.pages().len()), (Ok(size_of::<MDL>() + 16), 2));
}

/// Two machines with one memory.
fn machines() -> (Arc<Machine>, Arc<Machine>, Arc<PhysicalMemory>) {
    let memory = Arc::new(PhysicalMemory::new(1 << 24));
    let machine = |name| Machine::with_memory(name, Arc::default(), 1, memory.clone());
    (machine("one"), machine("other"), memory.clone())
}

/// A function of ntoskrnl.exe of the machine this thread is on.
macro_rules! nt {
    ($name:ident $(, $argument:expr)*) => {{
        let name = stringify!($name);
        let (_, address) = Machine::current().export_place("ntoskrnl.exe", name).expect(name);
        // SAFETY: the table's entry has this type: `exports!` checked it.
        let function: ntddk::$name = unsafe { std::mem::transmute(address) };
        // SAFETY: MDLs and mappings that are there.
        unsafe { function($($argument),*) }
    }};
}

fn map(mdl: PMDL) -> *mut u8 {
    nt!(MmMapLockedPagesSpecifyCache, mdl, 0, types::_MEMORY_CACHING_TYPE::MmCached, ptr::null_mut(), 0, WRITABLE)
        .cast()
}

/// A partial MDL of the driver's own over the pages of a consumer's, and its mapping (W-10, W-11).
fn map_as_a_driver_does(mdl: &Mdl) -> (PMDL, *mut u8) {
    let start: PVOID = mdl.StartVa.wrapping_byte_add(mdl.ByteOffset as usize);
    let ours = nt!(IoAllocateMdl, start, mdl.ByteCount, 0, 0, ptr::null_mut());
    for (place, page) in mdl.pages().into_iter().enumerate() {
        // SAFETY: the new MDL has room for as many numbers.
        unsafe { ours.wrapping_add(1).cast::<u64>().wrapping_add(place).write(page) };
    }
    // SAFETY: the new MDL is ours alone.
    unsafe { (*ours).MdlFlags |= MDL_PARTIAL };
    (ours, map(ours))
}

fn bytes_at(address: *const u8, length: usize) -> Vec<u8> {
    // SAFETY: mapped, or pool.
    (0..length).map(|at| unsafe { address.wrapping_add(at).read() }).collect()
}

/// W-10, W-11
#[test]
fn a_driver_maps_a_buffer_by_its_page_numbers_and_has_its_bytes_on_every_machine() {
    let (one, other, memory) = machines();
    within(memory.clone(), || {
        for (length, offset) in [(10_000, 100), (1, 0), (4096, 4095), (12_345, 0)] {
            let buffer = Buffer::new(length, offset);
            let text: Vec<u8> = (0..length).map(|at| at as u8).collect();
            buffer.write(0, &text);
            let mdl = buffer.mdl();
            assert_eq!((mdl.MdlFlags, mdl.MappedSystemVa), (MDL_PAGES_LOCKED, ptr::null_mut()));
            assert_eq!(mdl.pages().len(), (offset + length).div_ceil(PAGE));
            let (ours, view) = one.enter(|| map_as_a_driver_does(&mdl));
            drop(mdl);
            assert_eq!(bytes_at(view, length), text);
            let (theirs, again) = other.enter(|| map_as_a_driver_does(&buffer.mdl()));
            // SAFETY: the last byte of the mapping.
            unsafe { view.wrapping_add(length - 1).write(0xee) };
            assert_eq!(
                (buffer.read(length - 1, 1), bytes_at(again.wrapping_add(length - 1), 1)),
                (vec![0xee], vec![0xee])
            );
            assert!(buffer.guards_are_whole());
            // SAFETY: the page after the buffer's last byte has its guard.
            unsafe { view.wrapping_add(length).write(0) };
            assert!(!buffer.guards_are_whole(), "a byte after the buffer was written");
            other.enter(|| nt!(IoFreeMdl, theirs));
            assert_eq!(
                (one.check_leaks(), other.check_leaks()),
                (3, 0),
                "the MDL, its block and the mapping are one machine's"
            );
            one.enter(|| nt!(IoFreeMdl, ours));
            assert_eq!(one.verifier.take().len(), 3);
        }
    });
    assert_eq!((one.check_leaks(), memory.mappings()), (0, 0));
}

/// W-11
#[test]
fn a_buffer_of_nonpaged_pool_has_its_address_and_is_not_to_be_mapped_again() {
    let (one, _, memory) = machines();
    within(memory, || {
        let buffer = from_pool(|| Buffer::new(5000, 77));
        buffer.write(4000, b"there");
        let mut mdl = buffer.mdl_of(4000, 5);
        assert_eq!((mdl.MdlFlags, mdl.pages().len(), mdl.ByteOffset), (MDL_SOURCE_IS_NONPAGED_POOL, 1, 4077));
        assert_eq!(bytes_at(mdl.MappedSystemVa.cast(), 5), b"there");
        let view = one.enter(|| map(mdl.as_mut_ptr().cast()));
        assert_eq!(bytes_at(view, 5), b"there");
        let rules: Vec<_> = one.verifier.take().iter().map(|violation| violation.rule).collect();
        assert_eq!(rules, ["W-11", "W-11"], "it has an address, and its pages are not locked");
    });
}

#[test]
fn pages_that_are_still_mapped_when_their_buffer_goes_are_given_to_nobody_else() {
    let (one, _, memory) = machines();
    within(memory, || {
        let buffer = Buffer::new(100, 0);
        let pages = buffer.mdl().pages();
        let (ours, _) = one.enter(|| map_as_a_driver_does(&buffer.mdl()));
        drop(buffer);
        let taken: Vec<_> = (0..100).flat_map(|_| Buffer::new(100, 0).mdl().pages()).collect();
        assert!(!taken.contains(&pages[0]));
        one.enter(|| nt!(IoFreeMdl, ours));
    });
    assert_eq!(Buffer::new(1, 0).mdl().pages(), [0], "outside the scope it is on the heap");
}

#[test]
fn parts_of_a_buffer_are_parts_of_the_same_pages() {
    let (_, _, memory) = machines();
    within(memory, || {
        let buffer = Buffer::new(9000, 50);
        let whole = buffer.mdl().pages();
        let parts = [(0, 3000), (3000, 100), (3100, 5900)].map(|(at, length)| buffer.mdl_of(at, length).pages());
        assert_eq!(parts, [whole[..1].to_vec(), whole[..1].to_vec(), whole.clone()]);
        assert_eq!(whole.len(), 3);
    });
}
