//! Each rule of the contract, broken on purpose over a natively built provider; and a consumer that keeps them all.

use super::{closing, gone, opened};
use crate::consumer::{Adapter, Cq, Pd, Qp};
use crate::kernel::Machine;
use crate::kernel::irql::{self, Irql};
use crate::memory::Buffer;
use crate::wire::Manners;
use crate::world::World;
use ndk_provider::limits::Limits;
use ndk_types::{NDK_OBJECT_HEADER, STATUS_SUCCESS};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A machine, and the adapter of a provider that is watched on it.
fn with_adapter(test: impl FnOnce(&Arc<Machine>, &Adapter)) {
    let machine = Machine::new("one", Arc::new(AtomicU64::new(0)), 1);
    let mut world = World::new(1, 1500, Manners::GOOD);
    let node = world.add(vec![[10, 9, 0, 1].into()], Limits::DEFAULT);
    let adapter = Adapter::open(world.port(node)).unwrap();
    machine.enter(|| {
        opened(&machine, adapter.raw());
        test(&machine, &adapter);
        closing(&machine, adapter.raw());
        let raw = adapter.raw();
        adapter.close();
        gone(&machine, raw);
    });
    assert!(machine.contract.state().objects.is_empty());
}

/// The rules that were broken.
fn rules(machine: &Machine) -> Vec<&'static str> {
    machine.verifier.take().iter().map(|violation| violation.rule).collect()
}

fn objects(adapter: &Adapter) -> (Cq, Pd, Qp) {
    let (cq, _) = adapter.create_cq(16).unwrap();
    let pd = adapter.create_pd().unwrap();
    let qp = pd.create_qp(&cq, 8, 1, 0).unwrap();
    (cq, pd, qp)
}

/// COM-16: what is watched works as before.
#[test]
fn a_consumer_that_keeps_the_contract_hears_nothing_of_it() {
    with_adapter(|machine, adapter| {
        assert!(adapter.info().unwrap().MaxCqDepth > 0);
        let (cq, pd, qp) = objects(adapter);
        let buffer = Buffer::new(8192, 0);
        let lam = adapter.build_lam(&buffer).unwrap();
        let token = pd.privileged_token();
        assert_ne!(token, 0);
        qp.receive(1, &[crate::consumer::sge(token, lam.address(0), 64)]).unwrap();
        qp.flush();
        assert_eq!(cq.poll().len(), 1);
        cq.arm();
        adapter.release_lam(lam);
        let mr = pd.create_fast_mr(1).unwrap();
        let connector = adapter.create_connector().unwrap();
        let listener = adapter.listen("10.9.0.1:445".parse().unwrap()).unwrap();
        listener.close();
        connector.close();
        mr.close();
        qp.close();
        pd.close();
        cq.close();
        assert_eq!(machine.verifier.take(), []);
    });
}

/// COM-05
#[test]
fn a_function_above_its_irql_is_caught() {
    with_adapter(|machine, adapter| {
        let (info, _) = irql::at(Irql::High, || adapter.create_pd());
        info.unwrap().close();
        assert_eq!(rules(machine), ["COM-05"]);
    });
}

/// LT-20
#[test]
fn an_object_that_is_closed_twice_is_caught_and_closed_once() {
    with_adapter(|machine, adapter| {
        let (cq, pd, qp) = objects(adapter);
        // The queue pair is open: the close of its CQ stays pending, and with it the object.
        let raw = cq.raw();
        cq.close();
        // SAFETY: an object whose close is pending: it is there.
        let table = unsafe { (*raw).Dispatch };
        // SAFETY: as above.
        let close = unsafe { (*table).NdkCloseCq }.unwrap();
        // SAFETY: the mistake this test is about; the gate does not pass it on.
        let status = unsafe { close(raw.cast::<NDK_OBJECT_HEADER>(), None, ptr::null_mut()) };
        assert_eq!(status, STATUS_SUCCESS);
        // SAFETY: as above.
        let poll = unsafe { (*table).NdkGetCqResults }.unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { poll(raw, ptr::null_mut(), 0) }, 0);
        qp.close();
        pd.close();
        let broken = machine.verifier.take();
        assert_eq!(broken.iter().map(|violation| violation.rule).collect::<Vec<_>>(), ["LT-20"; 2]);
        assert!(broken[0].text.starts_with("NdkCloseCq on NDK_CQ"), "{}", broken[0]);
    });
}

/// ADP-14
#[test]
fn whatever_is_open_under_a_closed_adapter_is_a_leak_and_closed() {
    let machine = Machine::new("one", Arc::new(AtomicU64::new(0)), 1);
    let mut world = World::new(1, 1500, Manners::GOOD);
    let node = world.add(vec![[10, 9, 0, 1].into()], Limits::DEFAULT);
    let adapter = Adapter::open(world.port(node)).unwrap();
    let buffer = Buffer::new(8192, 100);
    machine.enter(|| {
        opened(&machine, adapter.raw());
        let left = objects(&adapter);
        let lam = adapter.build_lam(&buffer).unwrap();
        // The consumer's structure is gone, too.
        drop((left, lam));
        closing(&machine, adapter.raw());
        let raw = adapter.raw();
        // It would wait for ever if anything were open.
        adapter.close();
        gone(&machine, raw);
    });
    let broken = machine.verifier.take();
    assert_eq!(broken.iter().map(|violation| violation.rule).collect::<Vec<_>>(), ["leak"; 4]);
    for what in ["NDK_CQ", "NDK_PD", "NDK_QP", "NdkBuildLAM"] {
        assert!(broken.iter().any(|violation| violation.text.contains(what)), "{what}");
    }
}

/// A post that is refused: no pieces, and the queue pair is not connected.
fn post(qp: &Qp) {
    assert!(qp.send(1, &[], 0).is_err());
}

/// WR-50: as two processors would, but on one: while a post of the initiator queue is under way, another comes.
#[test]
fn a_post_within_a_post_of_the_same_queue_is_caught() {
    with_adapter(|machine, adapter| {
        let (cq, pd, qp) = objects(adapter);
        let at = qp.raw().addr();
        let me = super::UnderWay { call: "NdkWrite", thread: std::thread::current().id() };
        let busy = |queue: super::slots::Queue| {
            let mut state = machine.contract.state();
            state.objects.get_mut(&at).unwrap().under_way[queue as usize] = Some(me);
        };
        busy(super::slots::Queue::Receive);
        post(&qp);
        assert_eq!(rules(machine), Vec::<&str>::new(), "another queue");
        busy(super::slots::Queue::Initiator);
        post(&qp);
        let broken = machine.verifier.take();
        assert_eq!(broken.len(), 1);
        assert_eq!(broken[0].rule, "WR-50");
        assert!(broken[0].text.contains("NdkSend") && broken[0].text.contains("NdkWrite"), "{}", broken[0]);
        qp.close();
        pd.close();
        cq.close();
    });
}

/// CQ-28: a poll from within an arm of the same thread is a callback's; from another thread it is a race.
#[test]
fn two_threads_at_one_cq_are_caught() {
    with_adapter(|machine, adapter| {
        let (cq, pd, qp) = objects(adapter);
        let at = cq.raw().addr();
        let busy = |thread| {
            let mut state = machine.contract.state();
            let arming = super::UnderWay { call: "NdkArmCq", thread };
            state.objects.get_mut(&at).unwrap().under_way[super::slots::Queue::Completions as usize] = Some(arming);
        };
        busy(std::thread::current().id());
        assert!(cq.poll().is_empty());
        assert_eq!(rules(machine), Vec::<&str>::new());
        busy(std::thread::spawn(|| ()).thread().id());
        assert!(cq.poll().is_empty());
        assert_eq!(rules(machine), ["CQ-28"]);
        qp.close();
        pd.close();
        cq.close();
    });
}
