//! Frames of a connection: the one place where the roles hand headers and a payload to the outbox.

use super::Attributes;
use crate::crc::Crc32;
use crate::memory::Fault;
use crate::outbox::Outbox;
use crate::turn::{Environment, Turn};
use crate::wire::headers::{Bth, Ext};
use crate::wire::template::EmitError;

/// Sends a packet whose payload `fill` writes in place. `None`: no frame can be had, and nothing was done.
#[inline]
pub(super) fn send_filled<O: Outbox, C: Crc32>(
    attributes: &Attributes,
    outbox: &mut O,
    crc: C,
    bth: &Bth,
    ext: &Ext,
    payload_len: usize,
    fill: impl FnOnce(&mut [u8]) -> Result<(), Fault>,
) -> Option<Result<(), Fault>> {
    let len = attributes.template.frame_len(ext, payload_len);
    outbox.frame(len, |frame| {
        attributes.template.emit(crc, frame, bth, ext, payload_len, fill).map_err(|error| match error {
            EmitError::Fill(fault) => fault,
            // The outbox lent a frame of another size than asked: nothing can be sent in it.
            EmitError::Shape => Fault::OutOfBounds,
        })
    })
}

/// Sends a packet without payload; false when no frame can be had.
#[inline]
pub(super) fn send_reply<E: Environment>(
    attributes: &Attributes,
    turn: &mut Turn<'_, E>,
    bth: &Bth,
    ext: &Ext,
) -> bool {
    send_filled(attributes, turn.outbox, turn.crc, bth, ext, 0, |_| Ok(())).is_some()
}
