//! NDK_MR: a memory region, for NdkRegisterMr or for fast registration (MR-01).
//!
//! Registering maps the pages for ourselves and completes inline; the MDL is not looked at again (MR-15). Deregistering
//! and closing revoke at once and are pending while a turn still copies (T-03): what must be completed then waits in the
//! region table as a [`Pending`].

use crate::adapter::ndk_query_extension;
use crate::lam::map_failure;
use crate::limits::{FRMR_PAGE_COUNT_MAX, PAGE_SIZE, REGISTRATION_SIZE_MAX};
use crate::memory::{Deregistered, Domain, InitializeRefused, RegionKind, StageOwner, StageRefused, mdl};
use crate::mw::Mw;
use crate::object::{self, Borrowed, Kind, Object, Ref};
use crate::pd::Pd;
use crate::platform::Platform;
use crate::port::Port;
use crate::sync::{AtomicU32, Ordering};
use crate::translate::{operation_access, region_access};
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::NonNull;
use ndk_types::{
    BOOLEAN, MDL, NDK_FN_CLOSE_COMPLETION, NDK_FN_CREATE_COMPLETION, NDK_FN_REQUEST_COMPLETION, NDK_LOGICAL_ADDRESS,
    NDK_MR, NDK_MR_DISPATCH, NDK_OBJECT_HEADER, NDK_PD, NTSTATUS, NdkObjectTypeMr, STATUS_ACCESS_VIOLATION,
    STATUS_DEVICE_BUSY, STATUS_IMPLEMENTATION_LIMIT, STATUS_INSUFFICIENT_RESOURCES, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_PENDING, STATUS_SUCCESS,
};
use roce_engine::key::LKey;
use roce_engine::memory::{Access, FastRegister};
use roce_engine::work::Operation;

#[cfg(all(test, not(loom)))]
mod tests;

/// The kind of NDK_MR.
pub struct Mr<P>(PhantomData<P>);

// SAFETY: NDK_MR starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Mr<P> {
    type Abi = NDK_MR;
    type State = MrState<P>;

    fn ending(state: &mut Self::State) {
        let port = state.port();
        let _raised = port.platform.raise();
        port.regions.retire(state.index);
    }
}

/// What the provider knows of an MR.
pub struct MrState<P: Platform> {
    pub(crate) pd: Ref<Pd<P>>,
    pub(crate) index: u32,
    fast: bool,
    /// {remote access, page count} of the last NdkInitializeFastRegisterMr.
    initialized: AtomicU32,
}

/// In `initialized`: remote access may be granted.
const REMOTE_ACCESS: u32 = 1 << 31;

impl<P: Platform> MrState<P> {
    pub(crate) fn port(&self) -> &Port<P> {
        &self.pd.adapter.port
    }

    /// Its token, local and remote: MR-19, MR-28.
    pub(crate) fn token(&self) -> LKey {
        self.port().regions.token(self.index)
    }

    /// MR-02 to MR-10.
    ///
    /// # Safety
    /// `mdl` is NULL or heads a chain of locked MDLs that stay valid during the call (NDKPI register_mr).
    unsafe fn register(&self, mdl: *mut MDL, length: usize, flags: u32) -> Result<(), NTSTATUS> {
        if self.fast {
            return Err(STATUS_INVALID_DEVICE_REQUEST);
        }
        if length == 0 || length > REGISTRATION_SIZE_MAX {
            return Err(STATUS_INVALID_PARAMETER);
        }
        // SAFETY: the caller's contract.
        let described = unsafe { mdl::describe(mdl, length) }.ok_or(STATUS_INVALID_PARAMETER)?;
        let head = NonNull::new(mdl).ok_or(STATUS_INVALID_PARAMETER)?;
        let access = region_access(flags);
        let port = self.port();
        // SAFETY: the caller's contract, and `describe` found the chain contiguous and long enough.
        let mapping =
            unsafe { port.platform.map(head, length, access.allows(Access::LOCAL_WRITE)) }.map_err(map_failure)?;
        let _raised = port.platform.raise();
        let registered = port.regions.register(self.index, mapping, described.va, access);
        registered.map_err(|_| STATUS_INVALID_DEVICE_STATE)
    }

    /// MR-20 to MR-25.
    fn initialize(&self, pages: u32, remote: bool) -> Result<(), NTSTATUS> {
        if !self.fast {
            return Err(STATUS_INVALID_DEVICE_REQUEST);
        }
        if pages == 0 || pages > FRMR_PAGE_COUNT_MAX {
            return Err(STATUS_IMPLEMENTATION_LIMIT);
        }
        let port = self.port();
        let _raised = port.platform.raise();
        port.regions.initialize_fast(self.index, pages).map_err(|refused| match refused {
            InitializeRefused::NoMemory => STATUS_INSUFFICIENT_RESOURCES,
            InitializeRefused::InUse => STATUS_INVALID_DEVICE_STATE,
        })?;
        self.initialized.store(pages | if remote { REMOTE_ACCESS } else { 0 }, Ordering::Release);
        Ok(())
    }
}

/// What waits in the region table until the last pin of a region or window is gone.
pub enum Pending<P: Platform> {
    /// A deregistration, to be completed.
    Deregister {
        /// Keeps the region's close from completing first (LT-10).
        mr: Ref<Mr<P>>,
        /// The consumer's completion.
        completion: NDK_FN_REQUEST_COMPLETION,
        /// Its context.
        context: *mut c_void,
    },
    /// A region's close: the reference keeps it pending.
    CloseMr(Ref<Mr<P>>),
    /// A window's close, likewise.
    CloseMw(Ref<Mw<P>>),
}

// SAFETY: the context is a number to us (COM-17); completions run on any thread.
unsafe impl<P: Platform> Send for Pending<P> {}

impl<P: Platform> Pending<P> {
    /// Completes it. Outside every lane and lock, at or below DISPATCH_LEVEL.
    pub(crate) fn complete(self) {
        match self {
            Self::Deregister { mr, completion, context } => {
                if let Some(completion) = completion {
                    // SAFETY: NDKPI deregister_mr: callable once after STATUS_PENDING, at <= DISPATCH_LEVEL.
                    unsafe { completion(context, STATUS_SUCCESS) };
                }
                // After the completion returned: the close completes after the requests' completions have (LT-10).
                drop(mr);
            }
            Self::CloseMr(mr) => drop(mr),
            Self::CloseMw(mw) => drop(mw),
        }
    }
}

/// NdkFastRegister's arguments.
#[derive(Clone, Copy)]
pub(crate) struct PostedFastRegister {
    pub(crate) page_count: u32,
    pub(crate) pages: *const NDK_LOGICAL_ADDRESS,
    pub(crate) fbo: u32,
    pub(crate) length: usize,
    pub(crate) base: *mut c_void,
    pub(crate) flags: u32,
}

/// A fast registration whose pages are captured. Dropped without [`Staged::posted`], it lets them go again.
pub(crate) struct Staged<'a, P: Platform> {
    port: &'a Port<P>,
    owner: StageOwner,
    request: FastRegister,
}

impl<P: Platform> Staged<'_, P> {
    /// The request to post.
    pub(crate) fn operation(&self) -> Operation {
        Operation::FastRegister(self.request)
    }

    /// It was posted: from here on the queue pair sees to the pages.
    pub(crate) fn posted(self) {
        core::mem::forget(self);
    }
}

impl<P: Platform> Drop for Staged<'_, P> {
    fn drop(&mut self) {
        let _raised = self.port.platform.raise();
        self.port.regions.unstage(self.request.key, self.owner);
    }
}

/// What NdkFastRegister checks and captures before it posts: MR-24 to MR-26, WR-32 to WR-36. `owner` is the send-queue
/// position it will get.
///
/// # Safety
/// NDKPI fast_register: `posted.pages` holds `posted.page_count` entries until the call returns.
pub(crate) unsafe fn stage_fast_register<'a, P: Platform>(
    mr: &'a MrState<P>,
    domain: Domain,
    owner: StageOwner,
    posted: &PostedFastRegister,
) -> Result<Staged<'a, P>, NTSTATUS> {
    if !mr.fast || mr.pd.domain != domain {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let initialized = mr.initialized.load(Ordering::Acquire);
    let access = operation_access(posted.flags);
    let is_remote = access.allows(Access::REMOTE_READ) || access.allows(Access::REMOTE_WRITE);
    if is_remote && initialized & REMOTE_ACCESS == 0 {
        return Err(STATUS_ACCESS_VIOLATION);
    }
    let va = posted.base.addr() as u64;
    let first_page = va.checked_sub(u64::from(posted.fbo)).filter(|page| page.is_multiple_of(PAGE_SIZE as u64));
    let ends = va.checked_add(posted.length as u64);
    let has_pages = !posted.pages.is_null() && posted.page_count <= initialized & !REMOTE_ACCESS;
    if first_page.is_none() || ends.is_none() || !has_pages {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let pages = (0..posted.page_count as usize).map(|number| {
        let entry = posted.pages.cast::<u64>().wrapping_add(number);
        // SAFETY: the caller's contract: `page_count` entries are readable; each is eight bytes (ndkpi.h).
        unsafe { entry.read_unaligned() }
    });
    let port = mr.port();
    let _raised = port.platform.raise();
    port.regions.stage(mr.index, owner, pages, posted.fbo, posted.length as u64).map_err(|refused| match refused {
        StageRefused::Occupied => STATUS_INVALID_DEVICE_STATE,
        StageRefused::Pages(_) => STATUS_INVALID_PARAMETER,
    })?;
    let request = FastRegister { key: mr.token(), va, length: posted.length as u64, access };
    Ok(Staged { port, owner, request })
}

/// What NdkInvalidate of an MR checks: a registered one is refused (WR-41).
pub(crate) fn prepare_invalidate<P: Platform>(mr: &MrState<P>, domain: Domain) -> Result<Operation, NTSTATUS> {
    if !mr.fast || mr.pd.domain != domain {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(Operation::LocalInvalidate { key: mr.token() })
}

impl<P: Platform> Mr<P> {
    const DISPATCH: &'static NDK_MR_DISPATCH = &NDK_MR_DISPATCH {
        NdkCloseMr: Some(ndk_close_mr::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkRegisterMr: Some(ndk_register_mr::<P>),
        NdkDeregisterMr: Some(ndk_deregister_mr::<P>),
        NdkInitializeFastRegisterMr: Some(ndk_initialize_fast_register_mr::<P>),
        NdkGetRemoteTokenFromMr: Some(ndk_get_token_from_mr::<P>),
        NdkGetLocalTokenFromMr: Some(ndk_get_token_from_mr::<P>),
    };

    fn try_create(pd: Ref<Pd<P>>, fast: bool) -> Option<Ref<Self>> {
        let adapter = pd.adapter.clone();
        let port = &adapter.port;
        let kind = if fast { RegionKind::Fast } else { RegionKind::Registered };
        let _raised = port.platform.raise();
        let index = port.regions.create(kind, pd.domain)?;
        let abi = NDK_MR { Header: object::header(adapter.version, NdkObjectTypeMr), Dispatch: Self::DISPATCH };
        let made = Object::<Self>::try_new(abi, MrState { pd, index, fast, initialized: AtomicU32::new(0) });
        if made.is_none() {
            port.regions.retire(index);
        }
        made
    }
}

/// The answer of an inline request.
fn ntstatus(result: Result<(), NTSTATUS>) -> NTSTATUS {
    match result {
        Ok(()) => STATUS_SUCCESS,
        Err(status) => status,
    }
}

ndk_types::abi! {
    /// NdkCreateMr: MR-01. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI create_mr.
    pub(crate) unsafe extern "C" fn ndk_create_mr<P: Platform>(
        pd: *mut NDK_PD,
        fast_register: BOOLEAN,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        mr: *mut *mut NDK_MR,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open PD.
        let pd = unsafe { Borrowed::<Pd<P>>::from_handle(pd) };
        let Some(made) = Mr::<P>::try_create(pd.counted(), fast_register != 0) else {
            return STATUS_INSUFFICIENT_RESOURCES;
        };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { mr.write(made.into_handle()) };
        STATUS_SUCCESS
    }

    /// NdkCloseMr: MR-18, MW-11. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_mr<P: Platform>(
        mr: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let handle = mr.cast::<NDK_MR>();
        {
            // SAFETY: NDKPI close_object: an MR not closed before.
            let mr = unsafe { Borrowed::<Mr<P>>::from_handle(handle) };
            let port = mr.port();
            let _raised = port.platform.raise();
            drop(port.regions.close(mr.index, Pending::CloseMr(mr.counted())));
        }
        // SAFETY: as above, and closed here once.
        unsafe { object::close::<Mr<P>>(handle, completion, context) }
    }

    /// NdkRegisterMr: MR-02 to MR-15. At or below DISPATCH_LEVEL; completes inline.
    unsafe extern "C" fn ndk_register_mr<P: Platform>(
        mr: *mut NDK_MR,
        mdl: *mut MDL,
        length: usize,
        flags: u32,
        _completion: NDK_FN_REQUEST_COMPLETION,
        _context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open MR.
        let mr = unsafe { Borrowed::<Mr<P>>::from_handle(mr) };
        // SAFETY: NDKPI: a chain of locked MDLs, valid until the request completed.
        ntstatus(unsafe { mr.register(mdl, length, flags) })
    }

    /// NdkDeregisterMr: MR-16, MR-17. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_deregister_mr<P: Platform>(
        mr: *mut NDK_MR,
        completion: NDK_FN_REQUEST_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open MR.
        let mr = unsafe { Borrowed::<Mr<P>>::from_handle(mr) };
        let pending = Pending::Deregister { mr: mr.counted(), completion, context };
        let port = mr.port();
        let _raised = port.platform.raise();
        match port.regions.deregister(mr.index, pending) {
            Deregistered::Done(_) => STATUS_SUCCESS,
            // The completion may have run already, and the consumer closed the MR: touch it no more.
            Deregistered::Pending => STATUS_PENDING,
            Deregistered::NotRegistered(_) => STATUS_INVALID_DEVICE_STATE,
            // Windows are bound to the region (OQ-32): a warning, so not NT_SUCCESS.
            Deregistered::Bound(_) => STATUS_DEVICE_BUSY,
        }
    }

    /// NdkInitializeFastRegisterMr: MR-20 to MR-24. At or below DISPATCH_LEVEL; completes inline.
    unsafe extern "C" fn ndk_initialize_fast_register_mr<P: Platform>(
        mr: *mut NDK_MR,
        adapter_page_count: u32,
        remote_access: BOOLEAN,
        _completion: NDK_FN_REQUEST_COMPLETION,
        _context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open MR.
        let mr = unsafe { Borrowed::<Mr<P>>::from_handle(mr) };
        ntstatus(mr.initialize(adapter_page_count, remote_access != 0))
    }

    /// NdkGetLocalTokenFromMr and NdkGetRemoteTokenFromMr: one token serves both (MR-19). At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_token_from_mr<P: Platform>(mr: *mut NDK_MR) -> u32 {
        // SAFETY: NDKPI: an open MR.
        let mr = unsafe { Borrowed::<Mr<P>>::from_handle(mr) };
        mr.token().0
    }
}
