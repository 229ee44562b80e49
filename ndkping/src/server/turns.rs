//! What a server does inside a connection's lane: sends messages back, or counts them and gives credits; reads and writes of its
//! memory need nothing of it.
//!
//! A receive is posted again before the client can know that its message arrived: so a client that keeps to its credits, or to one
//! ping at a time, always finds one posted.

use crate::client::{check, salt};
use crate::course::Debt;
use crate::endpoint::{Core, Queue};
use crate::hello::{Credit, Hello, LENGTH, Mode};
use crate::ndk::Piece;
use crate::number::Number;
use crate::pattern::{MEMORY, STREAM, UNTOUCHED};
use ndk_types::{NTSTATUS, STATUS_INTERNAL_ERROR};

/// Requests a server posts at once, besides receives.
pub const INITIATOR_DEPTH: u32 = 12;
/// Buffers of an echo, and receives posted among them: the others are under way back.
const ECHO_BUFFERS: u32 = 12;
const ECHO_RECEIVES: u32 = 4;
/// Credit messages under way at once.
const CREDIT_BUFFERS: u32 = 4;

/// How a server's memory is divided.
#[derive(Clone, Copy)]
pub struct Layout {
    /// Receives posted at once.
    pub receives: u32,
    /// Message buffers, and bytes of each; credit buffers follow them.
    buffers: u32,
    room: u32,
    /// Bytes that can be read and written.
    pub data: u32,
}

impl Layout {
    /// For a client's wish that is within bounds.
    pub fn new(hello: Hello) -> Self {
        let (least, data) = (LENGTH as u32, hello.size.saturating_mul(hello.depth));
        match hello.mode {
            Mode::Echo => Self { receives: ECHO_RECEIVES, buffers: ECHO_BUFFERS, room: hello.size, data },
            Mode::Sink => Self { receives: hello.depth, buffers: hello.depth, room: hello.size, data: least },
            Mode::Memory => Self { receives: 0, buffers: 0, room: least, data },
        }
    }

    /// Bytes for messages.
    pub fn messages(self) -> u32 {
        self.buffers.saturating_mul(self.room).saturating_add(CREDIT_BUFFERS * LENGTH as u32)
    }

    fn message(self, queue: &Queue, place: u32) -> Result<Piece, NTSTATUS> {
        queue.messages.piece(place.saturating_mul(self.room), self.room)
    }

    fn credit(self, queue: &Queue, place: u32) -> Result<Piece, NTSTATUS> {
        let length = LENGTH as u32;
        let first = self.buffers.saturating_mul(self.room);
        queue.messages.piece(first.saturating_add(place.saturating_mul(length)), length)
    }
}

/// See the module's text.
pub struct ServerCore {
    hello: Hello,
    layout: Layout,
    debt: Debt,
    /// Bits of message buffers that are neither posted nor under way.
    free: u32,
    /// Receives that wait for a free buffer.
    owed_receives: u32,
    /// Bits of credit buffers that are not under way.
    free_credits: u32,
    received: u64,
    mismatches: u64,
}

impl ServerCore {
    /// For a client's wish that is within bounds.
    pub fn new(hello: Hello) -> Self {
        let echoes = (1u32 << ECHO_BUFFERS) - (1 << ECHO_RECEIVES);
        Self {
            hello,
            layout: Layout::new(hello),
            debt: Debt::new(hello.depth, hello.count),
            free: if hello.mode == Mode::Echo { echoes } else { 0 },
            owed_receives: 0,
            free_credits: (1 << CREDIT_BUFFERS) - 1,
            received: 0,
            mismatches: 0,
        }
    }

    /// Bytes that can be read and written.
    pub fn data_length(&self) -> u32 {
        self.layout.data
    }

    /// Posts all receives and shows the pattern; before accepting.
    pub fn prepare(&mut self, queue: &Queue) -> Result<(), NTSTATUS> {
        if self.hello.verify && self.hello.mode == Mode::Memory {
            for place in 0..self.hello.depth {
                let piece = queue.data.piece(place.saturating_mul(self.hello.size), self.hello.size)?;
                queue.data.fill(piece, salt(MEMORY, place));
            }
        }
        (0..self.layout.receives).try_for_each(|place| self.post_receive(queue, place))
    }

    fn post_receive(&self, queue: &Queue, place: u32) -> Result<(), NTSTATUS> {
        let piece = self.layout.message(queue, place)?;
        if self.hello.verify && self.hello.mode == Mode::Sink {
            queue.messages.fill(piece, UNTOUCHED);
        }
        check(queue.qp.receive(Number::Receive(place).to_context(), piece))
    }

    /// A message to be sent back, from the buffer it came in.
    fn echo(&mut self, queue: &Queue, place: u32, bytes: u32) -> Result<(), NTSTATUS> {
        match take_bit(&mut self.free) {
            Some(free) => self.post_receive(queue, free)?,
            None => self.owed_receives = self.owed_receives.saturating_add(1),
        }
        let piece = Piece { length: bytes.min(self.layout.room), ..self.layout.message(queue, place)? };
        check(queue.qp.send(Number::Initiator(place).to_context(), piece))
    }

    /// An echo is away: its buffer is free.
    fn echoed(&mut self, queue: &Queue, place: u32) -> Result<(), NTSTATUS> {
        if self.owed_receives == 0 {
            self.free |= bit(place);
            return Ok(());
        }
        self.owed_receives -= 1;
        self.post_receive(queue, place)
    }

    /// A message of a stream.
    fn swallow(&mut self, queue: &Queue, place: u32, bytes: u32) -> Result<(), NTSTATUS> {
        // Messages come in the order they were sent, and the client sends from its places in turn.
        let from = self.received.checked_rem(u64::from(self.hello.depth)).unwrap_or(0);
        self.received = self.received.saturating_add(1);
        let piece = self.layout.message(queue, place)?;
        let is_right = bytes == self.hello.size
            && (!self.hello.verify || queue.messages.matches(piece, salt(STREAM, from as u32)));
        self.mismatches = self.mismatches.saturating_add(u64::from(!is_right));
        self.post_receive(queue, place)?;
        self.debt.received();
        Ok(())
    }

    /// Gives back what is due, as far as there are buffers for it.
    fn pay(&mut self, queue: &Queue) -> Result<(), NTSTATUS> {
        let Some(credits) = self.debt.due() else { return Ok(()) };
        let Some(place) = take_bit(&mut self.free_credits) else { return Ok(()) };
        let piece = self.layout.credit(queue, place)?;
        queue.messages.write(piece, &Credit { credits, mismatches: self.mismatches }.to_bytes());
        self.debt.paid();
        check(queue.qp.send(Number::Credit(place).to_context(), piece))
    }
}

impl Core for ServerCore {
    fn completed(&mut self, queue: &Queue, number: usize, bytes: u32) -> Result<(), NTSTATUS> {
        match (Number::from_context(number), self.hello.mode) {
            (Some(Number::Receive(place)), Mode::Echo) => self.echo(queue, place, bytes),
            (Some(Number::Receive(place)), Mode::Sink) => self.swallow(queue, place, bytes),
            (Some(Number::Initiator(place)), Mode::Echo) => self.echoed(queue, place),
            (Some(Number::Credit(place)), Mode::Sink) => {
                self.free_credits |= bit(place);
                Ok(())
            }
            _ => Err(STATUS_INTERNAL_ERROR),
        }
    }

    fn refill(&mut self, queue: &Queue) -> Result<bool, NTSTATUS> {
        if self.hello.mode == Mode::Sink {
            self.pay(queue)?;
        }
        Ok(false)
    }
}

fn bit(place: u32) -> u32 {
    1u32.checked_shl(place).unwrap_or(0)
}

/// Takes the lowest bit out.
fn take_bit(bits: &mut u32) -> Option<u32> {
    let place = bits.trailing_zeros();
    let taken = *bits != 0;
    *bits &= !bit(place);
    taken.then_some(place)
}
