//! A turn: everything a queue pair is lent while it runs, and nothing it keeps.

use crate::completion::Completions;
use crate::crc::Crc32;
use crate::memory::Regions;
use crate::outbox::Outbox;
use crate::time::Time;
use crate::work::{ReceiveQueue, SendQueue};

/// The concrete types of a turn, chosen once by the platform side: no `dyn` per packet (T-13).
pub trait Environment {
    /// Local memory.
    type Regions: Regions;
    /// The queue pair's send queue.
    type SendQueue: SendQueue;
    /// Its receive queue, or the shared one.
    type ReceiveQueue: ReceiveQueue;
    /// Its completion queues.
    type Completions: Completions;
    /// Its way out.
    type Outbox: Outbox;
    /// The CRC.
    type Crc: Crc32;
}

/// What a turn may use. The fields are borrowed apart, so a frame can be filled from memory while a request is read.
pub struct Turn<'a, E: Environment> {
    /// The time, read once for the whole turn (T-13).
    pub now: Time,
    /// Local memory.
    pub regions: &'a mut E::Regions,
    /// The send queue.
    pub send_queue: &'a mut E::SendQueue,
    /// The receive queue.
    pub receive_queue: &'a mut E::ReceiveQueue,
    /// The completion queues.
    pub completions: &'a mut E::Completions,
    /// The way out.
    pub outbox: &'a mut E::Outbox,
    /// The CRC.
    pub crc: E::Crc,
}

/// How much a turn may do before it lets others (T-10): frames sent or processed. Time is the caller's to watch, who
/// splits a long turn by giving small budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget(pub u32);

/// Why a queue pair stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Nothing to do until something arrives or is posted (or the deadline passes).
    Idle,
    /// The budget is spent: go on from a deferred call.
    Budget,
    /// A frame was wanted and none could be had: go on when frames are back.
    NoFrame,
    /// An invalidation waits for other lanes' pins: the last unpinner kicks.
    Revoking,
    /// A message waits for a receive to be posted: posting one kicks (T-09, T-29).
    WantsReceive,
}
