//! A peer that sends anything at all: nothing panics, no byte outside what was granted changes, every request of ours
//! completes once.

extern crate std;

use super::conversation::*;
use super::environment::{request, sge};
use super::lossy::Dice;
use crate::completion::CompletionStatus;
use crate::key::RKey;
use crate::memory::Access;
use crate::psn::Msn;
use crate::qp::state::State;
use crate::time::Duration;
use crate::wire::headers::{Aeth, AtomicEth, Ext, Syndrome};
use crate::wire::opcode::{Extension, Opcode};
use crate::work::Operation;
use std::vec::Vec;

/// A region that was registered for reading only.
const READABLE: u32 = 0x2000;

/// Mostly plausible: close to `around`, now and then anywhere.
fn near(dice: &mut Dice, around: u32) -> u32 {
    match dice.below(10) {
        0 => dice.roll() as u32 & 0xff_ffff,
        1..4 => around.wrapping_add(dice.below(8) as u32).wrapping_sub(4) & 0xff_ffff,
        _ => around & 0xff_ffff,
    }
}

fn some_reth(dice: &mut Dice) -> Ext {
    let key = [KEY, READABLE, 0, 0xdead][dice.below(4) as usize];
    let va = [BASE, BASE + dice.below(9000), 0, dice.roll()][dice.below(4) as usize];
    let len = [dice.below(1000) as u32, 256, 0, dice.roll() as u32][dice.below(4) as usize];
    reth(va, key, len)
}

fn some_ext(dice: &mut Dice, extension: Extension) -> Ext {
    let aeth = Aeth { syndrome: Syndrome::from_wire(dice.roll() as u8), msn: Msn::new(dice.below(9) as u32) };
    match extension {
        Extension::Reth => some_reth(dice),
        Extension::RethImm => match some_reth(dice) {
            Ext::Reth(header) => Ext::RethImm(header, 1),
            other => other,
        },
        Extension::Aeth if dice.per_mille(700) => acked(dice.below(9) as u32),
        Extension::Aeth => Ext::Aeth(aeth),
        Extension::AtomicAck => Ext::AtomicAck(aeth, 0),
        Extension::Imm => Ext::Imm(1),
        Extension::Ieth => Ext::Ieth(RKey([READABLE, 0xbad][dice.below(2) as usize])),
        Extension::Atomic => Ext::Atomic(AtomicEth { va: BASE, r_key: RKey(KEY), swap_add: 1, compare: 1 }),
        Extension::Reserved => Ext::Reserved([0; 16]),
        Extension::None | Extension::Deth | Extension::DethImm => Ext::None,
    }
}

/// What the queue pair expects and what it awaits an answer to, as a well-informed attacker would know.
struct Target {
    expected: u32,
    awaited: u32,
}

fn attack(seed: u64) -> Side {
    let mut dice = Dice::new(seed);
    let mut side = Side::new();
    if dice.per_mille(500) {
        side.qp.repair_selectively();
    }
    side.memory.register(READABLE, 0, &[7; 512], Access::REMOTE_READ);
    for wr_id in 0..20 {
        side.receives.post(wr_id, &[sge(KEY, BASE, 100), sge(KEY, BASE + 500, dice.below(600) as u32)]);
        let operation = match dice.below(3) {
            0 => Operation::Send,
            1 => Operation::RdmaWrite { va: 0, r_key: RKey(1) },
            _ => Operation::RdmaRead { va: 0, r_key: RKey(1), invalidate: false },
        };
        side.sends.post(request(wr_id, operation), &[sge(KEY, BASE + 4096, dice.below(1000) as u32)]);
    }
    side.turn();
    let mut target = Target { expected: THEIRS, awaited: OURS };
    let opcodes: Vec<_> = Opcode::ALL.iter().filter(|opcode| (**opcode as u8) < 0x20).collect();
    for _ in 0..dice.below(60) {
        let plausible = dice.per_mille(850);
        let (opcode, ext, len) = if plausible {
            let len = dice.below(100) as usize;
            let header = reth(BASE + dice.below(4000), KEY, len as u32);
            match dice.below(4) {
                0 => (Opcode::RdmaWriteOnly, header, len),
                1 => (Opcode::RdmaReadRequest, header, 0),
                2 => (Opcode::SendOnly, Ext::None, len),
                _ => (Opcode::Acknowledge, acked(1), 0),
            }
        } else {
            let opcode = *opcodes[dice.below(opcodes.len() as u64) as usize];
            let len = [256, dice.below(257) as usize, 0, 1][dice.below(4) as usize];
            (opcode, some_ext(&mut dice, opcode.extension()), len)
        };
        let psn = near(&mut dice, if opcode.is_request() { target.expected } else { target.awaited });
        side.hears_only(opcode, psn, ext, &pattern(9, len));
        side.egress.available = dice.below(30) as usize;
        side.turn_of(1 + dice.below(30) as u32);
        for said in side.says_all() {
            match said.ext {
                Ext::Aeth(Aeth { syndrome: Syndrome::Ack { .. }, .. }) => target.expected = said.psn + 1,
                _ if said.opcode.is_request() && dice.per_mille(200) => target.awaited = said.psn,
                _ => (),
            }
        }
        side.memory.check_canaries();
        if dice.per_mille(100) {
            side.wait(Duration::from_millis(dice.below(300)));
        }
    }
    side
}

#[test]
fn whatever_a_peer_sends_nothing_but_what_it_was_granted_changes() {
    let (mut failed, mut survived) = (0, 0);
    for seed in 0..3_000 {
        let mut side = attack(seed);
        assert_eq!(side.memory.bytes(READABLE), &[7; 512], "seed {seed}");
        if side.qp.state() == State::Err {
            failed += 1;
        } else {
            survived += 1;
        }
        side.egress.available = usize::MAX;
        side.qp.flush();
        side.turn();
        let ended: Vec<_> = side.completed.sends.iter().map(|send| send.wr_id).collect();
        assert_eq!(ended, (0..20).collect::<Vec<_>>(), "seed {seed}");
        let received: Vec<_> = side.completed.receives.iter().map(|receive| receive.wr_id).collect();
        assert_eq!(received, (0..20).collect::<Vec<_>>(), "seed {seed}");
        let first_flushed = side.completed.sends.iter().position(|send| send.status != CompletionStatus::Success);
        let rest = side.completed.sends.iter().skip(first_flushed.map_or(20, |at| at + 1));
        assert!(rest.into_iter().all(|send| send.status == CompletionStatus::Flushed), "seed {seed}");
    }
    assert!(failed > 100 && survived > 100, "{failed} {survived}");
}
