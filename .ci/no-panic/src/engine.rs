//! The parser's and the queue pair's entry points, over an environment that the optimiser cannot see into.

use core::ffi::c_void;
use roce_engine::completion::{Completion, Completions, CqDead};
use roce_engine::crc::Crc32;
use roce_engine::key::{LKey, RKey};
use roce_engine::memory::{Access, Bind, Epoch, FastRegister, Fault, Regions, Revocation, Sge};
use roce_engine::outbox::Outbox;
use roce_engine::qp::{Attributes, Limits, QpEvent, QueuePair, Received};
use roce_engine::time::Time;
use roce_engine::turn::{Budget, Environment, Pause, Turn};
use roce_engine::wire::template::{AddressVector, FrameTemplate};
use roce_engine::wire::{Packet, parse};
use roce_engine::work::{ReceiveQueue, ReceiveWqe, SendQueue, Wqe};

unsafe extern "C" {
    /// Anything at all: `into` is filled with whatever the caller takes from it.
    fn opaque(what: u32, with: *const c_void, into: *mut c_void) -> u32;
    fn opaque_wqe(position: u32) -> *const Wqe;
    fn opaque_crc(state: u32, bytes: *const u8, len: usize) -> u32;
    fn opaque_frame(len: usize) -> *mut u8;
    fn opaque_len() -> usize;
    fn opaque_bytes() -> *const u8;
    fn opaque_sges() -> *const Sge;
}

fn ask<T>(what: u32, with: &T) -> u32 {
    // SAFETY: never run.
    unsafe { opaque(what, (&raw const *with).cast(), core::ptr::null_mut()) }
}

fn fault(code: u32) -> Result<(), Fault> {
    match code {
        0 => Ok(()),
        1 => Err(Fault::BadKey),
        2 => Err(Fault::WrongDomain),
        3 => Err(Fault::Revoked),
        4 => Err(Fault::OutOfBounds),
        _ => Err(Fault::NoAccess),
    }
}

fn revocation(code: u32) -> Result<Revocation, Fault> {
    match code {
        0 => Ok(Revocation::Done),
        1 => Ok(Revocation::Draining),
        other => fault(other).map(|()| Revocation::Done),
    }
}

#[derive(Clone, Copy)]
pub struct Opaque;

impl Regions for Opaque {
    fn gather(&mut self, sge: &Sge, offset: u32, dst: &mut [u8]) -> Result<(), Fault> {
        fault(ask(1, &(sge, offset, dst.as_mut_ptr(), dst.len())))
    }
    fn scatter(&mut self, sge: &Sge, offset: u32, src: &[u8]) -> Result<(), Fault> {
        fault(ask(2, &(sge, offset, src)))
    }
    fn grant(&mut self, key: RKey, va: u64, length: u32, access: Access) -> Result<Epoch, Fault> {
        let epoch = ask(3, &(key, va, length, access));
        fault(epoch & 7).map(|()| Epoch(epoch))
    }
    fn remote_write(&mut self, key: RKey, epoch: Epoch, va: u64, src: &[u8]) -> Result<(), Fault> {
        fault(ask(4, &(key, epoch, va, src)))
    }
    fn remote_read(&mut self, key: RKey, epoch: Epoch, va: u64, dst: &mut [u8]) -> Result<(), Fault> {
        fault(ask(5, &(key, epoch, va, dst.as_mut_ptr(), dst.len())))
    }
    fn fast_register(&mut self, request: &FastRegister) -> Result<(), Fault> {
        fault(ask(6, request))
    }
    fn bind(&mut self, request: &Bind) -> Result<(), Fault> {
        fault(ask(7, request))
    }
    fn invalidate(&mut self, key: LKey) -> Result<Revocation, Fault> {
        revocation(ask(8, &key))
    }
    fn remote_invalidate(&mut self, key: RKey) -> Result<Revocation, Fault> {
        revocation(ask(9, &key))
    }
}

impl SendQueue for Opaque {
    fn posted(&self) -> u32 {
        ask(10, self)
    }
    fn wqe(&self, position: u32) -> Option<&Wqe> {
        // SAFETY: never run.
        unsafe { opaque_wqe(position).as_ref() }
    }
    fn sges(&self, _position: u32) -> &[Sge] {
        // SAFETY: never run.
        unsafe { core::slice::from_raw_parts(opaque_sges(), opaque_len()) }
    }
    fn inline(&self, _position: u32) -> &[u8] {
        // SAFETY: never run.
        unsafe { core::slice::from_raw_parts(opaque_bytes(), opaque_len()) }
    }
    fn retire(&mut self, position: u32) {
        ask(11, &position);
    }
}

impl ReceiveQueue for Opaque {
    fn take(&mut self, into: &mut ReceiveWqe) -> bool {
        // SAFETY: never run.
        unsafe { opaque(12, core::ptr::null(), (&raw mut *into).cast()) != 0 }
    }
}

impl Completions for Opaque {
    fn send_complete(&mut self, completion: Completion) -> Result<(), CqDead> {
        if ask(13, &completion) == 0 { Ok(()) } else { Err(CqDead) }
    }
    fn receive_complete(&mut self, completion: Completion) -> Result<(), CqDead> {
        if ask(14, &completion) == 0 { Ok(()) } else { Err(CqDead) }
    }
}

impl Outbox for Opaque {
    fn frame<E>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Option<Result<(), E>> {
        // SAFETY: never run.
        let frame = core::ptr::NonNull::new(unsafe { opaque_frame(len) })?;
        // SAFETY: never run. The length is the callee's word, not ours: a frame of another size must not panic either.
        Some(fill(unsafe { core::slice::from_raw_parts_mut(frame.as_ptr(), opaque_len()) }))
    }
}

impl Crc32 for Opaque {
    fn update(self, state: u32, bytes: &[u8]) -> u32 {
        // SAFETY: never run.
        unsafe { opaque_crc(state, bytes.as_ptr(), bytes.len()) }
    }
}

impl Environment for Opaque {
    type Regions = Self;
    type SendQueue = Self;
    type ReceiveQueue = Self;
    type Completions = Self;
    type Outbox = Self;
    type Crc = Self;
}

#[unsafe(no_mangle)]
pub fn wire_parse(frame: &[u8]) -> Option<Packet<'_>> {
    parse(frame).ok().filter(|packet| packet.icrc_ok(roce_engine::crc::TableCrc32) || packet.icrc_ok(Opaque))
}

#[unsafe(no_mangle)]
pub fn wire_template(av: &AddressVector) -> Option<FrameTemplate> {
    FrameTemplate::new(av)
}

#[unsafe(no_mangle)]
pub fn wire_emit(packet: &Packet<'_>, frame: &mut [u8]) -> Option<usize> {
    packet.emit(frame)
}

#[unsafe(no_mangle)]
pub fn wire_way_back(packet: &Packet<'_>) -> AddressVector {
    roce_engine::cm::way_back(packet)
}

#[unsafe(no_mangle)]
pub fn qp_try_new(limits: Limits) -> Option<QueuePair> {
    QueuePair::try_new(limits)
}

#[unsafe(no_mangle)]
pub fn qp_states(qp: &mut QueuePair, attributes: &Attributes, which: u8) -> bool {
    match which {
        0 => qp.connect(*attributes),
        1 => qp.establish(),
        2 => {
            qp.repair_selectively();
            true
        }
        _ => {
            qp.flush();
            true
        }
    }
}

#[unsafe(no_mangle)]
pub fn qp_receive(qp: &mut QueuePair, packet: &Packet<'_>, turn: &mut Turn<'_, Opaque>) -> Received {
    qp.receive(packet, turn)
}

#[unsafe(no_mangle)]
pub fn qp_turn(qp: &mut QueuePair, turn: &mut Turn<'_, Opaque>, budget: Budget) -> Pause {
    qp.turn(turn, budget)
}

#[unsafe(no_mangle)]
pub fn qp_asks(qp: &mut QueuePair) -> (Option<QpEvent>, Option<Time>, bool) {
    (qp.take_event(), qp.deadline(), qp.is_drained(&Opaque))
}
