//! What a client does inside its lane: posts the operations of a course, takes times, looks at what came.

use crate::client::RECEIVES;
use crate::course::{Course, Kind};
use crate::endpoint::{Core, Queue};
use crate::hello::{Credit, LENGTH};
use crate::kernel::nanoseconds;
use crate::ndk::{Piece, Remote};
use crate::number::Number;
use crate::pattern::{MEMORY, STREAM, UNTOUCHED, WRITTEN};
use crate::samples::Samples;
use core::num::Wrapping;
use ndk_types::{NTSTATUS, STATUS_DATA_ERROR, STATUS_INSUFFICIENT_RESOURCES, STATUS_INTERNAL_ERROR};
use wdk_sys::NT_SUCCESS;

/// How a client works.
#[derive(Clone, Copy)]
pub struct Setup {
    /// Bytes of an operation.
    pub size: u32,
    /// Operations under way at once.
    pub depth: u32,
    /// Bytes of a receive.
    pub room: u32,
    /// Whether what comes is compared.
    pub verify: bool,
    /// Samples of a run.
    pub samples: u32,
}

/// See the module's text.
pub struct ClientCore {
    setup: Setup,
    course: Course,
    reading_back: bool,
    /// The other side's memory.
    pub remote: Remote,
    /// The times of the run.
    pub samples: Samples,
    /// Operations whose bytes were not what they should be.
    pub mismatches: u64,
    started: Option<u64>,
    ended: u64,
    stamp: u64,
}

impl ClientCore {
    /// Without a course.
    pub fn try_new(setup: Setup) -> Result<Self, NTSTATUS> {
        Ok(Self {
            setup,
            course: Course::new(Kind::Write, 0, 1),
            reading_back: false,
            remote: Remote { address: 0, token: 0 },
            samples: Samples::try_new(setup.samples).ok_or(STATUS_INSUFFICIENT_RESOURCES)?,
            mismatches: 0,
            started: None,
            ended: 0,
            stamp: 0,
        })
    }

    /// The next course: its operations are posted from the next turn on.
    pub fn start(&mut self, kind: Kind, count: u64) {
        self.course = Course::new(kind, count, self.setup.depth);
        self.samples.clear();
        (self.started, self.ended) = (None, 0);
    }

    /// READs what was written, and compares.
    pub fn start_reading_back(&mut self, count: u64) {
        self.start(Kind::Read, count);
        self.reading_back = true;
    }

    /// How long the course took.
    pub fn nanoseconds(&self) -> u64 {
        self.ended.saturating_sub(self.started.unwrap_or(self.ended))
    }

    /// Operations that are done.
    pub fn done(&self) -> u64 {
        self.course.done()
    }

    /// Posts all receives; before connecting.
    pub fn post_receives(&mut self, queue: &Queue) -> Result<(), NTSTATUS> {
        (0..RECEIVES).try_for_each(|place| self.post_receive(queue, place))
    }

    /// Fills what will be sent and written.
    pub fn fill(&mut self, queue: &Queue) -> Result<(), NTSTATUS> {
        if self.setup.verify {
            for place in 0..self.setup.depth {
                let piece = self.data(queue, place)?;
                // A stream and WRITEs never meet in one connection; each compares its own pattern.
                queue.data.fill(piece, salt(STREAM, place));
            }
        }
        Ok(())
    }

    fn post_receive(&self, queue: &Queue, place: u32) -> Result<(), NTSTATUS> {
        let piece = self.message(queue, place)?;
        check(queue.qp.receive(Number::Receive(place).to_context(), piece))
    }

    fn message(&self, queue: &Queue, place: u32) -> Result<Piece, NTSTATUS> {
        queue.messages.piece(place.saturating_mul(self.setup.room), self.setup.room)
    }

    fn data(&self, queue: &Queue, place: u32) -> Result<Piece, NTSTATUS> {
        queue.data.piece(place.saturating_mul(self.setup.size), self.setup.size)
    }

    /// Posts the operation at `place`.
    fn post(&mut self, queue: &Queue, place: u32) -> Result<(), NTSTATUS> {
        let piece = self.data(queue, place)?;
        let number = Number::Initiator(place).to_context();
        let offset = u64::from(place) * u64::from(self.setup.size);
        let there = Remote { address: (Wrapping(self.remote.address) + Wrapping(offset)).0, ..self.remote };
        if self.setup.verify {
            match self.course.kind {
                Kind::Read => queue.data.fill(piece, UNTOUCHED),
                Kind::Write => queue.data.fill(piece, salt(WRITTEN, place)),
                Kind::Echo | Kind::Stream => {}
            }
        }
        self.stamp = nanoseconds();
        self.started.get_or_insert(self.stamp);
        check(match self.course.kind {
            Kind::Echo | Kind::Stream => queue.qp.send(number, piece),
            Kind::Read => queue.qp.read(number, piece, there),
            Kind::Write => queue.qp.write(number, piece, there),
        })
    }

    fn take_sample(&mut self) {
        self.samples.push(nanoseconds().saturating_sub(self.stamp));
    }

    /// A send, READ or WRITE completed.
    fn operation_completed(&mut self, queue: &Queue) -> Result<(), NTSTATUS> {
        if matches!(self.course.kind, Kind::Read | Kind::Write) && self.setup.samples != 0 {
            self.take_sample();
        }
        let place = self.course.completed().ok_or(STATUS_INTERNAL_ERROR)?;
        if self.setup.verify && self.course.kind == Kind::Read {
            let expected = salt(if self.reading_back { WRITTEN } else { MEMORY }, place);
            let is_right = queue.data.matches(self.data(queue, place)?, expected);
            self.mismatches = self.mismatches.saturating_add(u64::from(!is_right));
        }
        Ok(())
    }

    /// A message came: an echo, or credits.
    fn message_came(&mut self, queue: &Queue, place: u32, bytes: u32) -> Result<(), NTSTATUS> {
        match self.course.kind {
            Kind::Echo => {
                self.take_sample();
                if !self.course.echoed() || bytes != self.setup.size {
                    return Err(STATUS_DATA_ERROR);
                }
            }
            Kind::Stream => {
                let message = queue.messages.read::<LENGTH>(self.message(queue, place)?);
                let credit = Credit::from_bytes(&message).ok_or(STATUS_DATA_ERROR)?;
                if !self.course.credited(credit.credits) {
                    return Err(STATUS_DATA_ERROR);
                }
                self.mismatches = credit.mismatches;
            }
            Kind::Read | Kind::Write => return Err(STATUS_DATA_ERROR),
        }
        self.post_receive(queue, place)
    }
}

/// The salt of the pattern at a place.
pub fn salt(of: u64, place: u32) -> u64 {
    of + u64::from(place)
}

/// A post that was refused is the outcome.
pub fn check(status: NTSTATUS) -> Result<(), NTSTATUS> {
    if NT_SUCCESS(status) { Ok(()) } else { Err(status) }
}

impl Core for ClientCore {
    fn completed(&mut self, queue: &Queue, number: usize, bytes: u32) -> Result<(), NTSTATUS> {
        match Number::from_context(number) {
            Some(Number::Initiator(_)) => self.operation_completed(queue),
            Some(Number::Receive(place)) => self.message_came(queue, place, bytes),
            Some(Number::Credit(_)) | None => Err(STATUS_INTERNAL_ERROR),
        }
    }

    fn refill(&mut self, queue: &Queue) -> Result<bool, NTSTATUS> {
        while let Some(place) = self.course.next() {
            // Counted first: its completion may be there before the call returns.
            self.course.posted();
            self.post(queue, place)?;
        }
        if self.course.is_over() && self.ended == 0 {
            self.ended = nanoseconds();
        }
        Ok(self.course.is_over())
    }
}
