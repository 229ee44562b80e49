//! NDK_PD, NDK_MR, NDK_MW and logical addresses: what the demo does not need.

#![expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "wrong pointers are what these functions are for; cases pass good ones or NULL"
)]

use super::{
    Adapter, Failed, Ledger, Mr, Pd, Pending, call, check, close_complete, context, context_of, create_complete,
    handle, request_complete,
};
use crate::memory::Buffer;
use ndk_types::*;
use std::ptr;
use std::sync::atomic::Ordering;

handle!(
    /// An NDK_MW.
    Mw, NDK_MW, NdkCloseMw
);

impl Pd {
    /// NdkCreateMr.
    pub fn create_mr(&self, fast: bool) -> Result<Mr, Failed> {
        let mut mr = ptr::null_mut();
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let status = call!(self.raw(), NdkCreateMr, u8::from(fast), create, ptr::null_mut(), &raw mut mr);
        check("NdkCreateMr", status).map(|()| Mr::new(mr, self.ledger))
    }

    /// NdkCreateMw.
    pub fn create_mw(&self) -> Result<Mw, Failed> {
        let mut mw = ptr::null_mut();
        let create: NDK_FN_CREATE_COMPLETION = Some(create_complete);
        let status = call!(self.raw(), NdkCreateMw, create, ptr::null_mut(), &raw mut mw);
        check("NdkCreateMw", status).map(|()| Mw::new(mw, self.ledger))
    }
}

impl Mr {
    /// NdkRegisterMr of the first `length` bytes of an MDL chain.
    pub fn register_mdl(&self, mdl: *mut MDL, length: usize, flags: u32) -> Result<(), Failed> {
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let pending = Pending::leak();
        let status = call!(self.raw(), NdkRegisterMr, mdl, length, flags, complete, pending.context());
        check("NdkRegisterMr", status)
    }

    /// NdkRegisterMr of a whole buffer; its MDL is gone when this returns (MR-15).
    pub fn register(&self, buffer: &Buffer, flags: u32) -> Result<(), Failed> {
        let mut mdl = buffer.mdl();
        self.register_mdl(mdl.as_mut_ptr(), buffer.len(), flags)
    }

    /// NdkDeregisterMr.
    pub fn deregister(&self) -> &'static Pending {
        let pending = Pending::leak();
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        pending.settle(call!(self.raw(), NdkDeregisterMr, complete, pending.context()))
    }

    /// NdkInitializeFastRegisterMr.
    pub fn initialize(&self, pages: u32, remote: bool) -> Result<(), Failed> {
        let complete: NDK_FN_REQUEST_COMPLETION = Some(request_complete);
        let context = Pending::leak().context();
        let status = call!(self.raw(), NdkInitializeFastRegisterMr, pages, u8::from(remote), complete, context);
        check("NdkInitializeFastRegisterMr", status)
    }

    /// NdkGetLocalTokenFromMr.
    pub fn local_token(&self) -> u32 {
        call!(self.raw(), NdkGetLocalTokenFromMr)
    }
}

impl Mw {
    /// NdkGetRemoteTokenFromMw.
    pub fn remote_token(&self) -> u32 {
        call!(self.raw(), NdkGetRemoteTokenFromMw)
    }
}

impl super::Qp {
    /// NdkBind.
    pub fn bind(&self, number: usize, mr: &Mr, mw: &Mw, va: u64, length: usize, flags: u32) -> Result<(), Failed> {
        let va = ptr::without_provenance_mut(va as usize);
        let status = call!(self.raw(), NdkBind, context(number), mr.raw(), mw.raw(), va, length, flags);
        check("NdkBind", status)
    }

    /// NdkInvalidate of a region.
    pub fn invalidate_mr(&self, number: usize, mr: &Mr, flags: u32) -> Result<(), Failed> {
        check("NdkInvalidate", call!(self.raw(), NdkInvalidate, context(number), mr.raw().cast(), flags))
    }

    /// NdkInvalidate of a window.
    pub fn invalidate_mw(&self, number: usize, mw: &Mw, flags: u32) -> Result<(), Failed> {
        check("NdkInvalidate", call!(self.raw(), NdkInvalidate, context(number), mw.raw().cast(), flags))
    }

    /// NdkFastRegister with everything to choose.
    pub fn fast_register_at(
        &self,
        number: usize,
        mr: &Mr,
        pages: &[u64],
        place: (u32, usize, u64),
        flags: u32,
    ) -> Result<(), Failed> {
        let (fbo, length, base) = place;
        let (count, array) = (pages.len() as u32, pages.as_ptr().cast());
        let base = ptr::without_provenance_mut(base as usize);
        let qp = self.raw();
        let status = call!(qp, NdkFastRegister, context(number), mr.raw(), count, array, fbo, length, base, flags);
        check("NdkFastRegister", status)
    }
}

/// What NdkBuildLAM said: status, size, pages with their count, offset of the first byte.
#[derive(Debug)]
pub struct BuiltLam {
    /// The status.
    pub status: NTSTATUS,
    /// `*pLAMSize` after the call, in bytes.
    pub size: u32,
    /// Offset of the first byte in the first page.
    pub fbo: u32,
    /// The structure and its pages, as the provider wrote them.
    pub block: Vec<u64>,
}

impl BuiltLam {
    /// AdapterPageCount.
    pub fn page_count(&self) -> u32 {
        (self.block[1] & 0xffff_ffff) as u32
    }

    /// The pages.
    pub fn pages(&self) -> &[u64] {
        &self.block[2..2 + self.page_count() as usize]
    }
}

impl Adapter {
    /// NdkBuildLAM with a buffer of `room` bytes for the mapping.
    pub fn build_lam_in(&self, mdl: *mut MDL, length: usize, room: u32) -> BuiltLam {
        let mut block = vec![0u64; (room as usize).div_ceil(8).max(4)];
        let (mut size, mut fbo) = (room, 0);
        let lam = if room == 0 { ptr::null_mut() } else { block.as_mut_ptr().cast() };
        let complete: NDK_FN_REQUEST_COMPLETION = None;
        let none = ptr::null_mut();
        let adapter = self.raw();
        let status = call!(adapter, NdkBuildLAM, mdl, length, complete, none, lam, &raw mut size, &raw mut fbo);
        BuiltLam { status, size, fbo, block }
    }

    /// NdkReleaseLAM of what [`Adapter::build_lam_in`] built.
    pub fn release(&self, mut lam: BuiltLam) {
        call!(self.raw(), NdkReleaseLAM, lam.block.as_mut_ptr().cast());
    }
}

/// A piece of a request by virtual address.
pub fn va_sge(token: u32, va: u64, length: u32) -> NDK_SGE {
    let address = ptr::without_provenance_mut(va as usize);
    NDK_SGE { Anonymous: NDK_SGE_ADDRESS { VirtualAddress: address }, Length: length, MemoryRegionToken: token }
}
