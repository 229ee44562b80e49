//! Pools, and the lists that come from them.

use super::*;

#[test]
fn a_pool_is_made_as_its_page_says_or_not_at_all() {
    let with = |change: fn(&mut NET_BUFFER_LIST_POOL_PARAMETERS)| {
        broken(|_| {
            let mut parameters = list_parameters(false);
            change(&mut parameters);
            assert!(ndis!(NdisAllocateNetBufferListPool, NULL, &raw const parameters).is_null());
        })
    };
    let call = "NdisAllocateNetBufferListPool";
    let headers: [fn(&mut NET_BUFFER_LIST_POOL_PARAMETERS); 4] = [
        |parameters| parameters.Header.Type = 0,
        |parameters| parameters.Header.Revision = 0,
        |parameters| parameters.Header.Revision = NET_BUFFER_LIST_POOL_PARAMETERS_REVISION_2,
        |parameters| parameters.Header.Size -= 1,
    ];
    for change in headers {
        assert_eq!(with(change), [("header", call)]);
    }
    let members: [fn(&mut NET_BUFFER_LIST_POOL_PARAMETERS); 4] = [
        |parameters| parameters.ProtocolId = NDIS_PROTOCOL_ID_TCP_IP,
        |parameters| parameters.ContextSize = 8,
        |parameters| parameters.PoolTag = 0,
        |parameters| parameters.DataSize = 1500,
    ];
    for change in members {
        assert_eq!(with(change), [("nbl", call)]);
    }
    let buffers = |change: fn(&mut NET_BUFFER_POOL_PARAMETERS)| {
        broken(|_| {
            let mut parameters = buffer_parameters();
            change(&mut parameters);
            assert!(ndis!(NdisAllocateNetBufferPool, NULL, &raw const parameters).is_null());
        })
    };
    let call = "NdisAllocateNetBufferPool";
    assert_eq!(buffers(|parameters| parameters.PoolTag = 0), [("nbl", call)]);
    assert_eq!(buffers(|parameters| parameters.Header.Size = 4), [("header", call)]);
}

#[test]
fn pools_outlive_what_comes_from_them() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let (pool, buffers) = (list_pool(false), buffer_pool());
        let list = ndis!(NdisAllocateNetBufferList, pool, 0, 0);
        ndis!(NdisFreeNetBufferListPool, pool);
        assert_eq!(rules(machine), [("nbl", "NdisFreeNetBufferListPool")]);
        ndis!(NdisFreeNetBufferList, list);
        assert_eq!(rules(machine), []);
        let original = received(machine);
        let pool = list_pool(false);
        let clone = ndis!(NdisAllocateCloneNetBufferList, original.0, pool, buffers, USE_ORIGINAL_MDLS);
        ndis!(NdisFreeNetBufferPool, buffers);
        ndis!(NdisFreeNetBufferListPool, pool);
        ndis!(NdisFreeNetBufferPool, buffers);
        ndis!(NdisFreeNetBufferListPool, NULL);
        ndis!(NdisFreeCloneNetBufferList, clone, USE_ORIGINAL_MDLS);
        assert_eq!(lists.held_by(Holder::Driver), 1);
    });
    let (buffers, lists) = (("nbl", "NdisFreeNetBufferPool"), ("nbl", "NdisFreeNetBufferListPool"));
    assert_eq!(rules, [buffers, lists, buffers, lists]);
}

#[test]
fn a_list_has_the_context_area_that_was_asked_for() {
    let rules = broken(|_| {
        let list = Nbl(ndis!(NdisAllocateNetBufferList, list_pool(false), 32, 16));
        let context = copied(list).Context;
        // SAFETY: a list's context area, which is alive.
        let head = unsafe { context.read() };
        assert_eq!((head.Size, head.Offset, context.addr() % 16), (48, 16, 0));
        assert!(copied(list).FirstNetBuffer.is_null() && copied(list).ParentNetBufferList.is_null());
        let mut parameters = list_parameters(false);
        parameters.ContextSize = 64;
        let pool = ndis!(NdisAllocateNetBufferListPool, NULL, &raw const parameters);
        let list = Nbl(ndis!(NdisAllocateNetBufferList, pool, 16, 0));
        // SAFETY: as above.
        let head = unsafe { copied(list).Context.read() };
        assert_eq!((head.Size, head.Offset, copied(list).NdisPoolHandle), (64, 48, pool));
        assert!(ndis!(NdisAllocateNetBufferList, pool, 8, 0).is_null());
        assert!(ndis!(NdisAllocateNetBufferList, pool, 0, 24).is_null());
        assert!(ndis!(NdisAllocateNetBufferList, ptr::without_provenance_mut(4), 0, 0).is_null());
    });
    assert_eq!(rules, [("nbl", "NdisAllocateNetBufferList"); 3]);
}

#[test]
fn a_pool_with_data_gives_lists_with_a_buffer() {
    let rules = broken(|machine| {
        let mut parameters = list_parameters(true);
        parameters.DataSize = 100;
        let pool = ndis!(NdisAllocateNetBufferListPool, NULL, &raw const parameters);
        let list = Nbl(ndis!(NdisAllocateNetBufferList, pool, 0, 0));
        // SAFETY: a NET_BUFFER of a list that is alive.
        let buffer = unsafe { &mut *first_buffer(list) };
        buffer.DataLength = 100;
        assert_eq!(machine.ndis.lists.frames(list), [vec![0; 100]]);
        assert!(ndis!(NdisAllocateNetBufferAndNetBufferList, pool, 0, 0, ptr::null_mut(), 0, 0).is_null());
        ndis!(NdisFreeNetBufferList, list.0);
    });
    assert_eq!(rules, [("nbl", "NdisAllocateNetBufferAndNetBufferList")]);
}

#[test]
fn a_list_with_a_frame_wants_a_pool_with_net_buffers_and_a_chain_that_is_long_enough() {
    let rules = broken(|machine| {
        let with = list_pool(true);
        let mdl = ndis!(NdisAllocateMdl, NULL, block(machine, 64).cast(), 64);
        let allocate =
            |pool, mdl, offset, length| ndis!(NdisAllocateNetBufferAndNetBufferList, pool, 0, 0, mdl, offset, length);
        let list = Nbl(allocate(with, mdl, 60, 4));
        // SAFETY: a NET_BUFFER of a list that is alive.
        let buffer = unsafe { first_buffer(list).read() };
        assert_eq!(
            (buffer.MdlChain, buffer.CurrentMdl, buffer.DataOffset, buffer.CurrentMdlOffset),
            (mdl, mdl, 60, 60)
        );
        assert!(!allocate(with, ptr::null_mut(), 0, 0).is_null());
        assert_eq!(rules(machine), []);
        assert!(allocate(list_pool(false), mdl, 0, 64).is_null());
        assert!(allocate(with, mdl, 60, 5).is_null());
        assert!(allocate(with, mdl, 0, usize::MAX).is_null());
        assert!(allocate(with, ptr::null_mut(), 0, 1).is_null());
    });
    assert_eq!(rules, [("nbl", "NdisAllocateNetBufferAndNetBufferList"); 4]);
}

#[test]
fn a_list_is_freed_once_by_who_has_it() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let (one, two) = (own(machine, b"one"), own(machine, b"two"));
        drop_own(machine, &one);
        ndis!(NdisFreeNetBufferList, one.list.0);
        lists.hand_over(machine, two.list.0, Holder::Driver, Holder::Nic, "send");
        ndis!(NdisFreeNetBufferList, two.list.0);
        assert_eq!(lists.frames(two.list), [b"two".to_vec()], "the NIC still has it");
        lists.hand_over(machine, two.list.0, Holder::Nic, Holder::Driver, "done");
        let clone = clone_of(two.list);
        ndis!(NdisFreeNetBufferList, two.list.0);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        lists.lend(machine, &[two.list], Holder::Above);
        ndis!(NdisFreeNetBufferList, two.list.0);
        lists.take_back(machine, &[two.list], Holder::Above);
        drop_own(machine, &two);
        let foreign = received(machine);
        ndis!(NdisFreeNetBufferList, foreign.0);
    });
    assert_eq!(rules, [("nbl", "NdisFreeNetBufferList"); 5]);
}

#[test]
fn each_allocation_can_fail_and_says_so_once() {
    let rules = broken(|machine| {
        let original = received(machine);
        let at = block(machine, 8);
        let (pool, mdl) = (list_pool(true), ndis!(NdisAllocateMdl, NULL, at.cast(), 8));
        let calls: [(&str, &dyn Fn() -> bool); 6] = [
            ("NdisAllocateNetBufferListPool", &|| list_pool(false).is_null()),
            ("NdisAllocateNetBufferPool", &|| buffer_pool().is_null()),
            ("NdisAllocateNetBufferList", &|| ndis!(NdisAllocateNetBufferList, pool, 0, 0).is_null()),
            ("NdisAllocateNetBufferAndNetBufferList", &|| {
                ndis!(NdisAllocateNetBufferAndNetBufferList, pool, 0, 0, mdl, 0, 8).is_null()
            }),
            ("NdisAllocateCloneNetBufferList", &|| clone_of(original).0.is_null()),
            ("NdisAllocateMdl", &|| ndis!(NdisAllocateMdl, NULL, at.cast(), 8).is_null()),
        ];
        for (name, call) in calls {
            machine.fail_once(name);
            assert_eq!((call(), call()), (true, false), "{name}");
        }
    });
    assert_eq!(rules, []);
}

#[test]
fn without_memory_nothing_of_a_list_stays_behind() {
    let rules = broken(|machine| {
        let frame: &[&[u8]] = &[b"one", b"two"];
        let pool = &machine.nt.pool;
        let live = pool.live().len();
        let mut failed = 0;
        let list = loop {
            pool.fail_after(failed);
            if let Some(list) = machine.ndis.lists.build_many(machine, Holder::Nic, &[frame, frame], 1) {
                break list;
            }
            assert_eq!(pool.live().len(), live);
            failed += 1;
        };
        assert_eq!(failed, 10, "a list with a NET_BUFFER, another one, and a block and an MDL for each piece");
        assert_eq!(machine.ndis.lists.frames(list), [b"onetwo"; 2]);
    });
    assert_eq!(rules, []);
}
