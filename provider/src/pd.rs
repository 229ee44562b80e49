//! NDK_PD: a protection domain, the parent of regions, windows, queue pairs and shared receive queues.
//!
//! Creating completes inline. Closing is pending until the last successor is closed (PD-06): each holds a reference.

use crate::adapter::{Adapter, ndk_query_extension};
use crate::memory::Domain;
use crate::object::{self, Borrowed, Kind, Object, Ref};
use crate::platform::Platform;
use core::ffi::c_void;
use core::marker::PhantomData;
use ndk_types::{
    NDK_ADAPTER, NDK_FN_CLOSE_COMPLETION, NDK_FN_CREATE_COMPLETION, NDK_OBJECT_HEADER, NDK_PD, NDK_PD_DISPATCH,
    NTSTATUS, NdkObjectTypePd, STATUS_INSUFFICIENT_RESOURCES, STATUS_SUCCESS,
};
use roce_engine::key::LKey;

/// The kind of NDK_PD.
pub struct Pd<P>(PhantomData<P>);

// SAFETY: NDK_PD starts with its header (ndkpi.h).
unsafe impl<P: Platform> Kind for Pd<P> {
    type Abi = NDK_PD;
    type State = PdState<P>;

    fn ending(state: &mut Self::State) {
        let port = &state.adapter.port;
        let _raised = port.platform.raise();
        port.regions.destroy_domain(state.domain);
    }
}

/// What the provider knows of a PD.
pub struct PdState<P: Platform> {
    pub(crate) adapter: Ref<Adapter<P>>,
    pub(crate) domain: Domain,
}

impl<P: Platform> PdState<P> {
    /// The token that reaches logical addresses: PD-02 to PD-04.
    pub(crate) fn privileged_token(&self) -> LKey {
        self.adapter.port.regions.privileged_token(self.domain)
    }
}

impl<P: Platform> Pd<P> {
    const DISPATCH: &'static NDK_PD_DISPATCH = &NDK_PD_DISPATCH {
        NdkClosePd: Some(ndk_close_pd::<P>),
        NdkQueryExtension: Some(ndk_query_extension),
        NdkCreateMr: Some(crate::mr::ndk_create_mr::<P>),
        NdkCreateMw: Some(crate::mw::ndk_create_mw::<P>),
        NdkCreateSrq: Some(crate::srq::ndk_create_srq::<P>),
        NdkCreateQp: Some(crate::qp::ndk_create_qp::<P>),
        NdkCreateQpWithSrq: Some(crate::qp::ndk_create_qp_with_srq::<P>),
        NdkGetPrivilegedMemoryRegionToken: Some(ndk_get_privileged_memory_region_token::<P>),
    };

    fn try_create(adapter: Ref<Adapter<P>>) -> Option<Ref<Self>> {
        let port = adapter.port.clone();
        let _raised = port.platform.raise();
        let domain = port.regions.create_domain()?;
        let abi = NDK_PD { Header: object::header(adapter.version, NdkObjectTypePd), Dispatch: Self::DISPATCH };
        let made = Object::<Self>::try_new(abi, PdState { adapter, domain });
        if made.is_none() {
            port.regions.destroy_domain(domain);
        }
        made
    }
}

ndk_types::abi! {
    /// NdkCreatePd: PD-01, PD-07. At or below DISPATCH_LEVEL; completes inline.
    ///
    /// # Safety
    /// NDKPI create_pd.
    pub(crate) unsafe extern "C" fn ndk_create_pd<P: Platform>(
        adapter: *mut NDK_ADAPTER,
        _completion: NDK_FN_CREATE_COMPLETION,
        _request_context: *mut c_void,
        pd: *mut *mut NDK_PD,
    ) -> NTSTATUS {
        // SAFETY: NDKPI: an open adapter.
        let adapter = unsafe { Borrowed::<Adapter<P>>::from_handle(adapter) };
        let Some(made) = Pd::<P>::try_create(adapter.counted()) else {
            return STATUS_INSUFFICIENT_RESOURCES;
        };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { pd.write(made.into_handle()) };
        STATUS_SUCCESS
    }

    /// NdkClosePd: PD-06. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_close_pd<P: Platform>(
        pd: *mut NDK_OBJECT_HEADER,
        completion: NDK_FN_CLOSE_COMPLETION,
        context: *mut c_void,
    ) -> NTSTATUS {
        // SAFETY: NDKPI close_object: an open PD, closed once.
        unsafe { object::close::<Pd<P>>(pd.cast(), completion, context) }
    }

    /// NdkGetPrivilegedMemoryRegionToken: PD-02. At or below DISPATCH_LEVEL.
    unsafe extern "C" fn ndk_get_privileged_memory_region_token<P: Platform>(pd: *mut NDK_PD, token: *mut u32) {
        // SAFETY: NDKPI: an open PD.
        let pd = unsafe { Borrowed::<Pd<P>>::from_handle(pd) };
        // SAFETY: NDKPI: the out parameter is writable.
        unsafe { token.write(pd.privileged_token().0) };
    }
}
