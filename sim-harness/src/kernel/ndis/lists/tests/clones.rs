//! Clones.

use super::*;

/// The page: a clone starts where the used data start, not where the data space does.
#[test]
fn a_clone_describes_the_data_from_where_they_start() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let frames: &[&[&[u8]]] = &[&[b"a", b"bc"], &[b"def"]];
        let list = lists.build_many(machine, Holder::Nic, frames, 3).unwrap();
        lists.hand_over(machine, list.0, Holder::Nic, Holder::Driver, "indicate");
        // SAFETY: a NET_BUFFER of a list that is alive.
        let original = unsafe { first_buffer(list).read() };
        assert!(original.DataOffset > 0 && copied(list).SourceHandle.addr() == 3);
        for flags in [USE_ORIGINAL_MDLS, 0] {
            let clone = Nbl(ndis!(NdisAllocateCloneNetBufferList, list.0, NULL, NULL, flags));
            assert_eq!(lists.frames(clone), [b"abc".as_slice(), b"def"]);
            let list = copied(clone);
            assert!(list.Next.is_null() && list.Context.is_null() && list.SourceHandle.is_null());
            assert!(list.ParentNetBufferList.is_null(), "the parent pointer is for who clones");
            // SAFETY: a NET_BUFFER of a list that is alive.
            let buffer = unsafe { list.FirstNetBuffer.read() };
            let same = buffer.MdlChain == original.MdlChain;
            let offset = if flags == 0 { 0 } else { original.DataOffset };
            assert_eq!((same, buffer.DataOffset), (flags == USE_ORIGINAL_MDLS, offset));
            ndis!(NdisFreeCloneNetBufferList, clone.0, flags);
        }
        ndis!(NdisAdvanceNetBufferDataStart, first_buffer(list), 2, 0, ptr::null_mut());
        let clone = clone_of(list);
        // SAFETY: as above.
        let buffer = unsafe { first_buffer(clone).read() };
        assert_eq!((buffer.DataLength, buffer.DataOffset, lists.frames(clone)[0].as_slice()), (1, 1, b"c".as_slice()));
        assert_ne!(buffer.MdlChain, original.MdlChain, "the first MDL has none of the data any more");
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
    });
    assert_eq!(rules, []);
}

#[test]
fn only_what_the_driver_has_is_cloned_and_only_into_pools() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let list = received(machine);
        let (pool, buffers) = (list_pool(false), buffer_pool());
        let mut parameters = buffer_parameters();
        parameters.DataSize = 64;
        let with_data = ndis!(NdisAllocateNetBufferPool, NULL, &raw const parameters);
        let clone =
            |list: Nbl, pool, buffers, flags| ndis!(NdisAllocateCloneNetBufferList, list.0, pool, buffers, flags);
        assert!(clone(list, buffers, buffers, USE_ORIGINAL_MDLS).is_null());
        assert!(clone(list, pool, pool, USE_ORIGINAL_MDLS).is_null());
        assert!(clone(list, pool, with_data, USE_ORIGINAL_MDLS).is_null());
        assert!(clone(list, pool, buffers, USE_ORIGINAL_MDLS | 1).is_null());
        let empty = Nbl(ndis!(NdisAllocateNetBufferList, pool, 0, 0));
        assert!(clone(empty, pool, buffers, USE_ORIGINAL_MDLS).is_null());
        lists.hand_over(machine, list.0, Holder::Driver, Holder::Nic, "return");
        assert!(clone(list, pool, buffers, USE_ORIGINAL_MDLS).is_null());
        assert!(clone(Nbl(ptr::null_mut()), pool, buffers, USE_ORIGINAL_MDLS).is_null());
    });
    assert_eq!(rules, [("nbl", "NdisAllocateCloneNetBufferList"); 7]);
}

#[test]
fn clones_and_lists_are_freed_each_by_their_function_and_with_their_flags() {
    let rules = broken(|machine| {
        let list = received(machine);
        let (one, two) = (clone_of(list), clone_of(list));
        ndis!(NdisFreeNetBufferList, one.0);
        ndis!(NdisFreeCloneNetBufferList, two.0, 0);
        let plain = ndis!(NdisAllocateNetBufferList, list_pool(false), 0, 0);
        ndis!(NdisFreeCloneNetBufferList, plain, USE_ORIGINAL_MDLS);
        let clone = clone_of(list);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        let clone = clone_of(list);
        let clone_of_it = clone_of(clone);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        ndis!(NdisFreeCloneNetBufferList, clone_of_it.0, USE_ORIGINAL_MDLS);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
    });
    let clone = ("nbl", "NdisFreeCloneNetBufferList");
    assert_eq!(rules, [("nbl", "NdisFreeNetBufferList"), clone, clone, clone, clone]);
}

/// W-20: each page's list of what is copied.
#[test]
fn the_information_of_each_way_is_copied_and_no_more() {
    let rules = broken(|machine| {
        let list = received(machine);
        for entry in 0..super::super::making::INFO {
            // SAFETY: a list that is alive.
            unsafe { (*list.0).NetBufferListInfo[entry] = ptr::without_provenance_mut(entry + 1) };
        }
        let entries = |copy: &dyn Fn(Nbl)| {
            let clone = clone_of(list);
            copy(clone);
            let info = copied(clone).NetBufferListInfo;
            ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
            let entries = info.iter().take(super::super::making::INFO).enumerate();
            let there = entries.filter(|(entry, value)| value.addr() == entry + 1);
            there.map(|(entry, _)| entry).collect::<Vec<_>>()
        };
        let sent = entries(&|clone| ndis!(NdisCopySendNetBufferListInfo, clone.0, list.0));
        assert_eq!(sent, [0, 1, 2, 4, 5, 6, 7, 11, 12, 14, 20]);
        let received = entries(&|clone| ndis!(NdisCopyReceiveNetBufferListInfo, clone.0, list.0));
        assert_eq!(received, [0, 1, 2, 4, 6, 7, 8, 9, 11, 12, 14, 20]);
    });
    assert_eq!(rules, []);
}

#[test]
fn information_is_not_copied_to_or_from_what_others_have() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let (mine, nics) = (received(machine), lists.build(machine, Holder::Nic, &[b"x"], 0).unwrap());
        ndis!(NdisCopySendNetBufferListInfo, mine.0, nics.0);
        ndis!(NdisCopyReceiveNetBufferListInfo, nics.0, mine.0);
        ndis!(NdisCopyReceiveNetBufferListInfo, mine.0, ptr::null_mut());
    });
    let receive = ("nbl", "NdisCopyReceiveNetBufferListInfo");
    assert_eq!(rules, [("nbl", "NdisCopySendNetBufferListInfo"), receive, receive]);
}
