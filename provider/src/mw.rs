//! NDK_MW: a memory window, a range of a registered region that peers may use by a token of its own.
//!
//! The region is an antecedent of a window that was bound to it: the window holds a reference until it is bound elsewhere
//! or closed (MW-11). The token is drawn when a bind is posted and readable when the post returns (MW-02).

use crate::adapter::ndk_query_extension;
use crate::limits::REGISTRATION_SIZE_MAX;
use crate::lock::SpinLock;
use crate::memory::{Domain, RegionKind};
use crate::mr::{self, Mr, Pending};
use crate::object::{self, Borrowed, Kind, Object, Ref};
use crate::pd::Pd;
use crate::platform::Platform;
use crate::port::Port;
use crate::sync::{AtomicU32, Ordering};
use crate::translate::operation_access;
use core::ffi::c_void;
use core::marker::PhantomData;
use ndk_types::{
    NDK_FN_CLOSE_COMPLETION, NDK_FN_CREATE_COMPLETION, NDK_MR, NDK_MW, NDK_MW_DISPATCH, NDK_OBJECT_HEADER, NDK_PD,
    NTSTATUS, NdkObjectTypeMr, NdkObjectTypeMw, STATUS_ACCESS_VIOLATION, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_STATE, STATUS_INVALID_PARAMETER, STATUS_SUCCESS,
};
use roce_engine::key::{LKey, RKey};
use roce_engine::memory::{Access, Bind, range_within};
use roce_engine::work::Operation;

/// The kind of NDK_MW.
pub struct Mw<P>(PhantomData<P>);

// SAFETY: NDK_MW starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Mw<P> {
    type Abi = NDK_MW;
    type State = MwState<P>;

    fn ending(state: &mut Self::State) {
        let port = state.port();
        let _raised = port.platform.raise();
        port.regions.retire(state.index);
    }
}

/// What the provider knows of an MW.
pub struct MwState<P: Platform> {
    pd: Ref<Pd<P>>,
    index: u32,
    /// The last tag drawn.
    drawn: AtomicU32,
    /// The token of the last bind that was posted.
    token: AtomicU32,
    /// The region of the last bind that was posted.
    region: SpinLock<Option<Ref<Mr<P>>>>,
}

impl<P: Platform> MwState<P> {
    fn port(&self) -> &Port<P> {
        &self.pd.adapter.port
    }

    /// The token of the last bind that was posted: MW-02.
    pub(crate) fn token(&self) -> RKey {
        RKey(self.token.load(Ordering::Acquire))
    }

    fn draw(&self) -> RKey {
        RKey::new(self.index, self.drawn.fetch_add(1, Ordering::AcqRel).wrapping_add(1) as u8)
    }
}

/// NdkBind's arguments.
#[derive(Clone, Copy)]
pub(crate) struct PostedBind {
    pub(crate) va: *mut c_void,
    pub(crate) length: usize,
    pub(crate) flags: u32,
}

/// A bind that may be posted. Nothing of the window changes before [`Prepared::posted`]. It has references of its own:
/// posting may reach a consumer's callback, which may close window and region (LT-14).
pub(crate) struct Prepared<P: Platform> {
    window: Ref<Mw<P>>,
    region: Ref<Mr<P>>,
    request: Bind,
}

impl<P: Platform> Prepared<P> {
    /// The request to post.
    pub(crate) fn operation(&self) -> Operation {
        Operation::Bind(self.request)
    }

    /// It was posted: the token is the window's from here on, the region its antecedent.
    pub(crate) fn posted(self) {
        let Self { window, region, request } = self;
        window.token.store(request.window.0, Ordering::Release);
        let before = {
            let _raised = window.port().platform.raise();
            window.region.with(|place| place.replace(region))
        };
        // Outside the lock: it may complete the region's close.
        drop(before);
    }
}

/// What NdkBind checks before it posts: MW-03 to MW-05, MW-13.
pub(crate) fn prepare_bind<P: Platform>(
    mw: &Borrowed<'_, Mw<P>>,
    mr: &Borrowed<'_, Mr<P>>,
    domain: Domain,
    posted: &PostedBind,
) -> Result<Prepared<P>, NTSTATUS> {
    if mw.pd.domain != domain || mr.pd.domain != domain || posted.length > REGISTRATION_SIZE_MAX {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let port = mw.port();
    let registration = {
        let _raised = port.platform.raise();
        port.regions.registration(mr.index, port).ok_or(STATUS_INVALID_DEVICE_STATE)?
    };
    let access = remote_access(posted.flags);
    if access.allows(Access::REMOTE_WRITE) && !registration.access.allows(Access::LOCAL_WRITE) {
        return Err(STATUS_ACCESS_VIOLATION);
    }
    let (va, length) = (posted.va.addr() as u64, posted.length as u64);
    if range_within(registration.base, registration.size, va, length).is_none() {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let request = Bind { window: mw.draw(), region: registration.key, va, length, access };
    Ok(Prepared { window: mw.counted(), region: mr.counted(), request })
}

/// A window grants peers something and the local side nothing.
fn remote_access(flags: u32) -> Access {
    let granted = operation_access(flags);
    [Access::REMOTE_READ, Access::REMOTE_WRITE]
        .into_iter()
        .filter(|right| granted.allows(*right))
        .fold(Access::LOCAL_READ, Access::and)
}

/// What NdkInvalidate checks before it posts: WR-41.
///
/// # Safety
/// NDKPI invalidate: `object` is the header of an open MR or MW.
pub(crate) unsafe fn prepare_invalidate<P: Platform>(
    object: *mut NDK_OBJECT_HEADER,
    domain: Domain,
) -> Result<Operation, NTSTATUS> {
    // SAFETY: NDKPI: an open object's header.
    let object_type = unsafe { &raw const (*object).ObjectType };
    // SAFETY: it stays readable while the object is open, and nobody changes its type.
    let object_type = unsafe { object_type.read() };
    if object_type == NdkObjectTypeMr {
        // SAFETY: NDKPI: an open MR.
        let mr = unsafe { Borrowed::<Mr<P>>::from_handle(object.cast::<NDK_MR>()) };
        return mr::prepare_invalidate(&mr, domain);
    }
    if object_type != NdkObjectTypeMw {
        return Err(STATUS_INVALID_PARAMETER);
    }
    // SAFETY: NDKPI: an open MW.
    let mw = unsafe { Borrowed::<Mw<P>>::from_handle(object.cast::<NDK_MW>()) };
    if mw.pd.domain != domain {
        return Err(STATUS_INVALID_PARAMETER);
    }
    Ok(Operation::LocalInvalidate { key: LKey(mw.token().0) })
}

impl<P: Platform> Mw<P> {
    const DISPATCH: &'static NDK_MW_DISPATCH = &NDK_MW_DISPATCH {
        NdkCloseMw: Some(ndk_close_mw::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkGetRemoteTokenFromMw: Some(ndk_get_remote_token_from_mw::<P>),
    };

    fn try_create(pd: Ref<Pd<P>>) -> Option<Ref<Self>> {
        let adapter = pd.adapter.clone();
        let port = &adapter.port;
        let _raised = port.platform.raise();
        let index = port.regions.create(RegionKind::Window, pd.domain)?;
        let token = port.regions.token(index);
        let abi = NDK_MW { Header: object::header(adapter.version, NdkObjectTypeMw), Dispatch: Self::DISPATCH };
        let state = MwState {
            pd,
            index,
            drawn: AtomicU32::new(u32::from(token.tag())),
            token: AtomicU32::new(token.0),
            region: SpinLock::new(None),
        };
        let made = Object::<Self>::try_new(abi, state);
        if made.is_none() {
            port.regions.retire(index);
        }
        made
    }
}

ndk_types::abi! {
    /// NdkCreateMw: MW-01. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI create_mw.
    pub(crate) unsafe extern "C" fn ndk_create_mw<P: Platform>(
        pd: *mut NDK_PD,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        mw: *mut *mut NDK_MW,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open PD.
        let pd = unsafe { Borrowed::<Pd<P>>::from_handle(pd) };
        let Some(made) = Mw::<P>::try_create(pd.counted()) else {
            return STATUS_INSUFFICIENT_RESOURCES;
        };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { mw.write(made.into_handle()) };
        STATUS_SUCCESS
    }

    /// NdkCloseMw: MW-11. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_mw<P: Platform>(
        mw: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        let handle = mw.cast::<NDK_MW>();
        {
            // SAFETY: NDKPI close_object: an MW not closed before.
            let mw = unsafe { Borrowed::<Mw<P>>::from_handle(handle) };
            let port = mw.port();
            let _raised = port.platform.raise();
            drop(port.regions.close(mw.index, Pending::CloseMw(mw.counted())));
        }
        // SAFETY: as above, and closed here once.
        unsafe { object::close::<Mw<P>>(handle, completion, context) }
    }

    /// NdkGetRemoteTokenFromMw: MW-02. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_remote_token_from_mw<P: Platform>(mw: *mut NDK_MW) -> u32 {
        // SAFETY: NDKPI: an open MW.
        let mw = unsafe { Borrowed::<Mw<P>>::from_handle(mw) };
        mw.token().0
    }
}
