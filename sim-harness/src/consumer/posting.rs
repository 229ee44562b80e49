//! Posting requests to a queue pair.

use super::{Failed, Mr, Qp, call, check, context};
use ndk_types::*;
use std::ptr;

impl Qp {
    /// NdkReceive.
    pub fn receive(&self, number: usize, sges: &[NDK_SGE]) -> Result<(), Failed> {
        let status = call!(self.object, NdkReceive, context(number), sges.as_ptr(), sges.len() as u32);
        check("NdkReceive", status)
    }

    /// NdkSend.
    pub fn send(&self, number: usize, sges: &[NDK_SGE], flags: u32) -> Result<(), Failed> {
        let status = call!(self.object, NdkSend, context(number), sges.as_ptr(), sges.len() as u32, flags);
        check("NdkSend", status)
    }

    /// NdkSendAndInvalidate.
    pub fn send_and_invalidate(&self, number: usize, sges: &[NDK_SGE], flags: u32, token: u32) -> Result<(), Failed> {
        let count = sges.len() as u32;
        let status = call!(self.object, NdkSendAndInvalidate, context(number), sges.as_ptr(), count, flags, token);
        check("NdkSendAndInvalidate", status)
    }

    /// NdkRead.
    pub fn read(&self, number: usize, sges: &[NDK_SGE], address: u64, token: u32, flags: u32) -> Result<(), Failed> {
        let count = sges.len() as u32;
        let status = call!(self.object, NdkRead, context(number), sges.as_ptr(), count, address, token, flags);
        check("NdkRead", status)
    }

    /// NdkWrite.
    pub fn write(&self, number: usize, sges: &[NDK_SGE], address: u64, token: u32, flags: u32) -> Result<(), Failed> {
        let count = sges.len() as u32;
        let status = call!(self.object, NdkWrite, context(number), sges.as_ptr(), count, address, token, flags);
        check("NdkWrite", status)
    }

    /// NdkFastRegister of part of a LAM, in whole pages from `first_page`; the base address is `va`.
    pub fn fast_register(
        &self,
        number: usize,
        mr: &Mr,
        pages: &[u64],
        length: usize,
        va: u64,
        flags: u32,
    ) -> Result<(), Failed> {
        let status = call!(
            self.object,
            NdkFastRegister,
            context(number),
            mr.raw(),
            pages.len() as u32,
            pages.as_ptr().cast(),
            0,
            length,
            ptr::without_provenance_mut(va as usize),
            flags,
        );
        check("NdkFastRegister", status)
    }

    /// NdkFlush.
    pub fn flush(&self) {
        call!(self.object, NdkFlush);
    }
}
