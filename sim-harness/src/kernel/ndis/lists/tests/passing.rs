//! Lists in somebody's hands.

use super::*;

/// W-20: up and down again, as an intermediate driver does it.
#[test]
fn a_received_list_goes_up_as_a_clone_and_back() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let original = received(machine);
        let (pool, buffers) = (list_pool(false), buffer_pool());
        let clone = Nbl(ndis!(NdisAllocateCloneNetBufferList, original.0, pool, buffers, USE_ORIGINAL_MDLS));
        ndis!(NdisCopyReceiveNetBufferListInfo, clone.0, original.0);
        assert_eq!(lists.frames(clone), [b"headbody".to_vec()]);
        assert_eq!(lists.hand_over(machine, clone.0, Holder::Driver, Holder::Above, "up"), [clone]);
        assert_eq!((lists.holder(clone), lists.held_by(Holder::Above)), (Some(Holder::Above), 1));
        assert_eq!(lists.hand_over(machine, clone.0, Holder::Above, Holder::Driver, "back"), [clone]);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        assert_eq!(lists.hand_over(machine, original.0, Holder::Driver, Holder::Nic, "return"), [original]);
        lists.destroy(machine, original);
        assert_eq!(lists.holder(original), None);
        ndis!(NdisFreeNetBufferListPool, pool);
        ndis!(NdisFreeNetBufferPool, buffers);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, []);
}

/// W-20: a send, as an intermediate driver does it.
#[test]
fn a_list_from_above_goes_down_as_a_clone_and_its_completion_up() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let original = to_send(machine);
        let clone = clone_of(original);
        ndis!(NdisCopySendNetBufferListInfo, clone.0, original.0);
        assert_eq!(lists.hand_over(machine, clone.0, Holder::Driver, Holder::Nic, "down"), [clone]);
        assert_eq!(lists.frames(clone), [b"from above".to_vec()]);
        assert_eq!(lists.hand_over(machine, clone.0, Holder::Nic, Holder::Driver, "done"), [clone]);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        assert_eq!(lists.hand_over(machine, original.0, Holder::Driver, Holder::Above, "complete"), [original]);
        lists.destroy(machine, original);
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, []);
}

#[test]
fn what_is_no_list_is_not_followed() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let list = received(machine);
        let none = block(machine, size_of::<NET_BUFFER_LIST>()).cast();
        assert_eq!(lists.hand_over(machine, none, Holder::Driver, Holder::Nic, "call"), []);
        let chain = lists.link(&[list, Nbl(none)]);
        assert_eq!(lists.hand_over(machine, chain, Holder::Driver, Holder::Nic, "call"), [list]);
        assert_eq!(lists.hand_over(machine, ptr::null_mut(), Holder::Driver, Holder::Nic, "call"), []);
    });
    assert_eq!(rules, [("nbl", ""); 2]);
}

#[test]
fn a_chain_that_leads_back_ends() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let (one, two) = (received(machine), received(machine));
        lists.link(&[one, two]);
        // SAFETY: a list that is alive.
        unsafe { (*two.0).Next = one.0 };
        assert_eq!(lists.hand_over(machine, one.0, Holder::Driver, Holder::Nic, "return"), [one, two]);
    });
    assert_eq!(rules, [("nbl", "")]);
}

#[test]
fn a_list_given_back_twice_or_by_another_stays_where_it_is() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let (one, two) = (received(machine), received(machine));
        assert_eq!(lists.hand_over(machine, one.0, Holder::Driver, Holder::Nic, "return"), [one]);
        let chain = lists.link(&[one, two]);
        assert_eq!(lists.hand_over(machine, chain, Holder::Driver, Holder::Nic, "return"), [two]);
        assert_eq!(lists.hand_over(machine, one.0, Holder::Above, Holder::Driver, "return"), []);
        assert_eq!(lists.holder(one), Some(Holder::Nic));
    });
    assert_eq!(rules, [("nbl", ""); 3], "the second is still linked to the first");
}

#[test]
fn a_list_is_not_given_back_while_a_clone_of_it_lives() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let original = received(machine);
        let clone = clone_of(original);
        assert_eq!(lists.hand_over(machine, original.0, Holder::Driver, Holder::Nic, "return"), [original]);
        lists.destroy(machine, original);
        assert_eq!(rules(machine).len(), 2, "given back, and freed by its maker");
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        lists.destroy(machine, original);
        assert_eq!(lists.held_by(Holder::Nic), 0);
    });
    assert_eq!(rules, []);
}

/// W-20: without the copy, VLAN tags, checksums and hashes are lost.
#[test]
fn a_clone_goes_nowhere_without_the_information_of_its_way() {
    let clone_to = |to, copy: fn(Nbl, Nbl)| {
        broken(|machine| {
            let original = received(machine);
            let clone = clone_of(original);
            copy(clone, original);
            machine.ndis.lists.hand_over(machine, clone.0, Holder::Driver, to, "call");
        })
    };
    let send: fn(Nbl, Nbl) = |clone, original| ndis!(NdisCopySendNetBufferListInfo, clone.0, original.0);
    let receive: fn(Nbl, Nbl) = |clone, original| ndis!(NdisCopyReceiveNetBufferListInfo, clone.0, original.0);
    for to in [Holder::Nic, Holder::Above] {
        assert_eq!(clone_to(to, |_, _| {}), [("W-20", "NdisAllocateCloneNetBufferList")]);
    }
    assert_eq!(clone_to(Holder::Above, send), [("W-20", "NdisCopySendNetBufferListInfo")]);
    assert_eq!(clone_to(Holder::Nic, receive), [("W-20", "NdisCopyReceiveNetBufferListInfo")]);
    assert_eq!(clone_to(Holder::Above, receive), []);
}

/// W-20: a copy from another list than the parent does not count, nor is a clone lent without one.
#[test]
fn a_clone_has_its_parents_information_and_parent_pointer() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let (original, other) = (received(machine), received(machine));
        let [one, two, three] = [(); 3].map(|()| clone_of(original));
        ndis!(NdisCopyReceiveNetBufferListInfo, one.0, other.0);
        lists.hand_over(machine, one.0, Holder::Driver, Holder::Above, "indicate");
        lists.lend(machine, &[two], Holder::Above);
        assert_eq!(rules(machine), [("W-20", "NdisCopyReceiveNetBufferListInfo"); 2]);
        ndis!(NdisCopyReceiveNetBufferListInfo, three.0, original.0);
        // SAFETY: a list that is alive and the driver's.
        unsafe { (*three.0).ParentNetBufferList = other.0 };
        lists.hand_over(machine, three.0, Holder::Driver, Holder::Above, "indicate");
    });
    assert_eq!(rules, [("nbl", "NdisCopyReceiveNetBufferListInfo")]);
}

#[test]
fn a_list_goes_back_as_it_came() {
    let with = |change: fn(Nbl)| {
        broken(|machine| {
            let list = received(machine);
            change(list);
            machine.ndis.lists.hand_over(machine, list.0, Holder::Driver, Holder::Nic, "return");
        })
    };
    assert_eq!(with(|_| {}), []);
    // SAFETY: a NET_BUFFER of a list that is alive and the driver's.
    let shorten: fn(Nbl) = |list| unsafe { (*first_buffer(list)).DataLength -= 1 };
    // SAFETY: a list that is alive and the driver's.
    let claim: fn(Nbl) = |list| unsafe { (*list.0).ParentNetBufferList = list.0 };
    for change in [shorten, claim] {
        assert_eq!(with(change), [("nbl", "")]);
    }
}

#[test]
fn a_list_without_frames_or_with_a_frame_of_another_is_not_sent() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let empty = Nbl(ndis!(NdisAllocateNetBufferList, list_pool(false), 0, 0));
        lists.hand_over(machine, empty.0, Holder::Driver, Holder::Nic, "send");
        let own = own(machine, b"data");
        let none = block(machine, size_of::<NET_BUFFER>()).cast();
        // SAFETY: a NET_BUFFER of a list that is alive.
        unsafe { (*first_buffer(own.list)).Next = none };
        lists.hand_over(machine, own.list.0, Holder::Driver, Holder::Nic, "send");
        assert_eq!(lists.frames(own.list), [] as [Vec<u8>; 0]);
    });
    assert_eq!(rules.iter().map(|(rule, _)| *rule).collect::<Vec<_>>(), ["nbl"; 3]);
}

/// Entries that NDIS on the oldest supported build does not have.
#[test]
fn information_past_the_end_of_a_list_is_caught() {
    let rules = broken(|machine| {
        let list = received(machine);
        // SAFETY: a list that is alive; the block is long enough for what the headers declare.
        unsafe { (*list.0).NetBufferListInfo[NetBufferListInfoReserved3 as usize] = ptr::null_mut() };
        machine.ndis.lists.hand_over(machine, list.0, Holder::Driver, Holder::Nic, "return");
        assert_eq!(rules(machine), [("nbl", "")]);
        let own = own(machine, b"data");
        // SAFETY: as above.
        unsafe { (*own.list.0).NetBufferListInfo.fill(ptr::null_mut()) };
        ndis!(NdisFreeNetBufferList, own.list.0);
    });
    assert_eq!(rules, [("nbl", "NdisFreeNetBufferList")]);
}

fn lent(machine: &Machine) -> [Nbl; 2] {
    let lists = &machine.ndis.lists;
    let both = [(); 2].map(|()| lists.build(machine, Holder::Nic, &[b"lent"], 7).unwrap());
    lists.link(&both);
    lists.lend(machine, &both, Holder::Driver);
    both
}

/// W-20: an indication with RESOURCES, as an intermediate driver passes it on.
#[test]
fn lent_lists_go_up_as_lent_clones() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let both = lent(machine);
        let clone = clone_of(both[1]);
        ndis!(NdisCopyReceiveNetBufferListInfo, clone.0, both[1].0);
        lists.lend(machine, &[clone], Holder::Above);
        assert_eq!((lists.frames(clone), lists.holder(clone)), (vec![b"lent".to_vec()], Some(Holder::Driver)));
        lists.take_back(machine, &[clone], Holder::Above);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        lists.take_back(machine, &both, Holder::Driver);
        for list in both {
            lists.destroy(machine, list);
        }
        assert_eq!(machine.check_leaks(), 0);
    });
    assert_eq!(rules, []);
}

/// W-20: only what the driver has goes up for the length of an indication.
#[test]
fn a_chain_is_lent_by_who_holds_it() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let [one, two] = lent(machine);
        let lend = |list: Nbl| lists.lend_chain(machine, list.0, Holder::Driver, Holder::Above, "indicate");
        let clone = clone_of(one);
        ndis!(NdisCopyReceiveNetBufferListInfo, clone.0, one.0);
        assert_eq!(lend(clone), [clone]);
        lists.take_back(machine, &[clone], Holder::Above);
        ndis!(NdisFreeCloneNetBufferList, clone.0, USE_ORIGINAL_MDLS);
        assert_eq!(rules(machine), []);
        assert_eq!(lend(two), [], "it is the NIC's");
        lists.take_back(machine, &[one, two], Holder::Driver);
        assert_eq!(lend(two), []);
        let none = block(machine, size_of::<NET_BUFFER_LIST>()).cast();
        assert_eq!(lend(Nbl(none)), []);
    });
    assert_eq!(rules.iter().map(|(rule, _)| *rule).collect::<Vec<_>>(), ["W-20", "nbl", "nbl"]);
}

/// W-20
#[test]
fn a_lent_list_is_neither_returned_nor_kept_by_a_clone_nor_linked_anew() {
    let with = |change: fn(&Arc<Machine>, [Nbl; 2])| {
        broken(|machine| {
            let both = lent(machine);
            change(machine, both);
            machine.ndis.lists.take_back(machine, &both, Holder::Driver);
        })
    };
    assert_eq!(with(|_, _| {}), []);
    let give_back: fn(&Arc<Machine>, [Nbl; 2]) = |machine, [one, _]| {
        let passed = machine.ndis.lists.hand_over(machine, one.0, Holder::Driver, Holder::Nic, "return");
        assert_eq!(passed, []);
    };
    assert_eq!(with(give_back), [("W-20", ""); 2], "the chain has two lists");
    let clone: fn(&Arc<Machine>, [Nbl; 2]) = |_, [one, _]| {
        clone_of(one);
    };
    assert_eq!(with(clone), [("W-20", "NdisAllocateCloneNetBufferList")]);
    let keep: fn(&Arc<Machine>, [Nbl; 2]) = |machine, [one, _]| {
        let clone = clone_of(one);
        ndis!(NdisCopyReceiveNetBufferListInfo, clone.0, one.0);
        let passed = machine.ndis.lists.hand_over(machine, clone.0, Holder::Driver, Holder::Above, "indicate");
        assert_eq!(passed, [], "without RESOURCES the protocol could keep it");
    };
    assert_eq!(with(keep), [("W-20", "NdisCopyReceiveNetBufferListInfo"); 2], "and the clone is still there");
    let link: fn(&Arc<Machine>, [Nbl; 2]) = |machine, [one, two]| {
        machine.ndis.lists.link(&[two, one]);
    };
    assert_eq!(with(link), [("W-20", ""); 2]);
    // SAFETY: a list that is alive.
    assert_eq!(with(|_, [one, _]| unsafe { (*first_buffer(one)).DataOffset += 1 }), [("nbl", "")]);
    assert_eq!(with(|machine, [one, _]| machine.ndis.lists.lend(machine, &[one], Holder::Driver)), [("W-20", "")]);
    assert_eq!(with(|machine, both| machine.ndis.lists.take_back(machine, &both, Holder::Driver)), [("W-20", ""); 2]);
}

#[test]
fn a_simulated_driver_frees_only_what_it_made_and_has() {
    let rules = broken(|machine| {
        let lists = &machine.ndis.lists;
        let list = received(machine);
        lists.destroy(machine, list);
        lists.hand_over(machine, list.0, Holder::Driver, Holder::Nic, "return");
        lists.lend(machine, &[list], Holder::Driver);
        lists.destroy(machine, list);
        lists.take_back(machine, &[list], Holder::Driver);
        lists.destroy(machine, list);
        lists.destroy(machine, list);
        lists.destroy(machine, own(machine, b"data").list);
        lists.take_back(machine, &[list], Holder::Driver);
        lists.lend(machine, &[list], Holder::Driver);
    });
    let names: Vec<_> = rules.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(names, ["nbl", "nbl", "nbl", "nbl", "W-20", "nbl"]);
}

#[test]
fn what_the_driver_left_is_named_and_what_others_have_is_not() {
    let machine = Machine::new("lists", Arc::new(AtomicU64::new(0)), 1);
    machine.enter(|| {
        let lists = &machine.ndis.lists;
        let ring = lists.build(&machine, Holder::Nic, &[b"ring"], 1).unwrap();
        assert_eq!(machine.check_leaks(), 0, "a NIC keeps lists");
        let kept = received(&machine);
        let own = own(&machine, b"data");
        buffer_pool();
        let leaks = lists.leaks();
        assert_eq!(leaks.len(), 5, "two pools, a list of each, an MDL: {leaks:?}");
        assert_eq!(machine.check_leaks(), 6, "and the block it describes");
        drop_own(&machine, &own);
        assert_eq!(
            (lists.leaks().len(), lists.holder(kept), lists.holder(ring)),
            (2, Some(Holder::Driver), Some(Holder::Nic))
        );
    });
}
