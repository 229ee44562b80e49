//! A small intermediate driver: binds to a NIC, has one virtual miniport over it, copies frames both ways, and does what NDIS asks
//! of it. Each of its handlers can be replaced by one that does something wrong ([`Deeds`]).

use super::{handlers, ndis};
use crate::kernel::Machine;
use crate::kernel::irql::{self, Irql};
use crate::kernel::ndis::adapters::handle;
use crate::kernel::ndis::bindings::Counted;
use crate::kernel::ndis::lists::Nbl;
use crate::kernel::ndis::lists::tests::{Own, drop_own, own};
use crate::kernel::ndis::oids::MANDATORY;
use crate::kernel::wdk::DRIVER_OBJECT;
use ndk_types::*;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// The name of its virtual device.
pub(super) const DEVICE: &str = r"\DEVICE\{42414400-0000-0000-0000-000000000001}";
/// NET_LUID.Value of it.
pub(super) const LUID: u64 = 6 << 48 | 10 << 24;

/// What NDIS offers: the operation, the adapter's name, and whose it is.
pub(super) struct Offer {
    pub(super) operation: NDIS_HANDLE,
    pub(super) name: *mut UNICODE_STRING,
    pub(super) luid: u64,
}

/// What MiniportInitializeEx is about to say.
pub(super) struct Attributes {
    pub(super) registration: NDIS_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES,
    pub(super) general: NDIS_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES,
    pub(super) ndk: NDIS_MINIPORT_ADAPTER_NDK_ATTRIBUTES,
    pub(super) capabilities: Box<NDIS_NDK_CAPABILITIES>,
    pub(super) info: Box<NDK_ADAPTER_INFO>,
    pub(super) oids: Vec<NDIS_OID>,
    /// The order it says it in: 0 registration, 1 general, 2 NDK.
    pub(super) order: Vec<usize>,
}

/// What the driver does when it is called; the default is what it should.
#[derive(Clone, Copy)]
pub(super) struct Deeds {
    pub(super) bind: fn(&Driver, &Offer) -> NDIS_STATUS,
    pub(super) unbind: fn(&Driver, NDIS_HANDLE) -> NDIS_STATUS,
    pub(super) event: fn(&Driver, *mut NET_PNP_EVENT_NOTIFICATION) -> NDIS_STATUS,
    pub(super) attributes: fn(&Driver, &mut Attributes),
    pub(super) halt: fn(&Driver),
    pub(super) pause: fn(&Driver) -> NDIS_STATUS,
    pub(super) restart: fn(&Driver) -> NDIS_STATUS,
    pub(super) oid: fn(&Driver, *mut NDIS_OID_REQUEST) -> NDIS_STATUS,
    pub(super) direct: fn(&Driver, *mut NDIS_OID_REQUEST) -> NDIS_STATUS,
    pub(super) send: fn(&Driver, *mut NET_BUFFER_LIST),
    pub(super) receive: fn(&Driver, *mut NET_BUFFER_LIST, u32),
    pub(super) open_ndk: fn(&Driver, *mut *mut NDK_ADAPTER) -> NDIS_STATUS,
}

impl Deeds {
    /// Every rule is kept.
    pub(super) const KEPT: Self = Self {
        bind: |driver, offer| if offer.luid == LUID { NDIS_STATUS_OPEN_FAILED } else { driver.bind(offer) },
        unbind: Driver::unbind,
        event: |_, _| NDIS_STATUS_SUCCESS,
        attributes: |_, _| {},
        halt: |_| {},
        pause: |_| NDIS_STATUS_SUCCESS,
        restart: |_| NDIS_STATUS_SUCCESS,
        oid: |_, _| NDIS_STATUS_SUCCESS,
        direct: |_, _| NDIS_STATUS_SUCCESS,
        send: |driver, chain| driver.pass_down(chain),
        receive: |driver, chain, flags| driver.pass_up(chain, flags),
        open_ndk: Driver::open_ndk,
    };
}

/// A list of the driver's own that is on its way.
struct Frame(Own);

// SAFETY: addresses of the machine's memory, freed by whichever thread completes the list.
unsafe impl Send for Frame {}

/// A request to the NIC with its body.
#[repr(C)]
struct Asking {
    request: NDIS_OID_REQUEST,
    body: u32,
}

/// See the module's text. All handles are numbers; 0: none.
pub(super) struct Driver {
    pub(super) deeds: Deeds,
    pub(super) miniport: AtomicUsize,
    pub(super) protocol: AtomicUsize,
    pub(super) binding: AtomicUsize,
    pub(super) instance: AtomicUsize,
    /// The bind or unbind that pends.
    pub(super) operation: AtomicUsize,
    frames: Mutex<Vec<Frame>>,
    adapter: NDK_ADAPTER,
}

// SAFETY: the adapter's pointers are null.
unsafe impl Send for Driver {}
// SAFETY: as above; nothing writes to it.
unsafe impl Sync for Driver {}

pub(super) fn zeroed<T>() -> T {
    // SAFETY: what this is asked for is integers, pointers and optional handlers: all zeroes is one.
    unsafe { std::mem::zeroed() }
}

pub(super) fn header(object_type: u8, revision: u8, size: u16) -> NDIS_OBJECT_HEADER {
    NDIS_OBJECT_HEADER { Type: object_type, Revision: revision, Size: size }
}

/// The driver behind any of its contexts.
pub(super) fn of<'a>(context: NDIS_HANDLE) -> &'a Driver {
    // SAFETY: the contexts it registers are all its own address, and it lives until its run has ended.
    unsafe { &*context.cast::<Driver>() }
}

impl Driver {
    pub(super) fn new(deeds: Deeds) -> Arc<Self> {
        let none = || AtomicUsize::new(0);
        Arc::new(Self {
            deeds,
            miniport: none(),
            protocol: none(),
            binding: none(),
            instance: none(),
            operation: none(),
            frames: Mutex::default(),
            adapter: zeroed(),
        })
    }

    fn context(&self) -> NDIS_HANDLE {
        ptr::from_ref(self).cast_mut().cast()
    }

    pub(super) fn miniport(&self) -> NDIS_HANDLE {
        handle(self.miniport.load(Ordering::SeqCst))
    }

    pub(super) fn binding(&self) -> NDIS_HANDLE {
        handle(self.binding.load(Ordering::SeqCst))
    }

    pub(super) fn instance(&self) -> NDIS_HANDLE {
        handle(self.instance.load(Ordering::SeqCst))
    }

    /// Registers the miniport.
    pub(super) fn register_miniport(&self) -> NDIS_STATUS {
        self.register_miniport_with(|_| {})
    }

    /// The same with other characteristics.
    pub(super) fn register_miniport_with(&self, change: fn(&mut NDIS_MINIPORT_DRIVER_CHARACTERISTICS)) -> NDIS_STATUS {
        let (mut given, mut object, mut own) =
            (characteristics(), Box::new(zeroed::<DRIVER_OBJECT>()), ptr::null_mut());
        change(&mut given);
        let object: PVOID = (&raw mut *object).cast();
        let none = ptr::null_mut();
        let status = ndis!(NdisMRegisterMiniportDriver, object, none, self.context(), &raw mut given, &raw mut own);
        self.miniport.store(own.addr(), Ordering::SeqCst);
        status
    }

    /// Registers the protocol.
    pub(super) fn register_protocol(&self) -> NDIS_STATUS {
        self.register_protocol_with(|_| {})
    }

    /// The same with other characteristics.
    pub(super) fn register_protocol_with(&self, change: fn(&mut NDIS_PROTOCOL_DRIVER_CHARACTERISTICS)) -> NDIS_STATUS {
        let (name, mut own) = (Counted::new("bad"), ptr::null_mut());
        let mut given = protocol_characteristics(&name);
        change(&mut given);
        let status = ndis!(NdisRegisterProtocolDriver, self.context(), &raw mut given, &raw mut own);
        self.protocol.store(own.addr(), Ordering::SeqCst);
        status
    }

    pub(super) fn associate(&self) {
        ndis!(NdisIMAssociateMiniport, self.miniport(), handle(self.protocol.load(Ordering::SeqCst)));
    }

    pub(super) fn deregister_protocol(&self) {
        ndis!(NdisDeregisterProtocolDriver, handle(self.protocol.load(Ordering::SeqCst)));
    }

    pub(super) fn deregister_miniport(&self) {
        ndis!(NdisMDeregisterMiniportDriver, self.miniport());
    }

    /// Opens an adapter.
    pub(super) fn open(&self, name: *mut UNICODE_STRING, operation: NDIS_HANDLE) -> NDIS_STATUS {
        let (mut media, mut selected) = ([NdisMedium802_3], 0);
        let mut given: NDIS_OPEN_PARAMETERS = zeroed();
        let size = NDIS_SIZEOF_OPEN_PARAMETERS_REVISION_1;
        given.Header = header(NDIS_OBJECT_TYPE_OPEN_PARAMETERS, NDIS_OPEN_PARAMETERS_REVISION_1, size);
        given.AdapterName = name;
        (given.MediumArray, given.MediumArraySize) = (media.as_mut_ptr(), 1);
        given.SelectedMediumIndex = &raw mut selected;
        let protocol = handle(self.protocol.load(Ordering::SeqCst));
        let place: *mut NDIS_HANDLE = self.binding.as_ptr().cast();
        ndis!(NdisOpenAdapterEx, protocol, self.context(), &raw mut given, operation, place)
    }

    /// Opens what is offered and has its virtual miniport initialised.
    pub(super) fn bind(&self, offer: &Offer) -> NDIS_STATUS {
        self.operation.store(offer.operation.addr(), Ordering::SeqCst);
        let status = self.open(offer.name, offer.operation);
        if status == NDIS_STATUS_SUCCESS { self.opened() } else { status }
    }

    pub(super) fn opened(&self) -> NDIS_STATUS {
        self.ask(OID_GEN_CURRENT_PACKET_FILTER, NDIS_PACKET_TYPE_DIRECTED | NDIS_PACKET_TYPE_BROADCAST);
        self.initialise_device()
    }

    pub(super) fn initialise_device(&self) -> NDIS_STATUS {
        named(DEVICE, |name| ndis!(NdisIMInitializeDeviceInstanceEx, self.miniport(), name, self.context()))
    }

    /// Takes the miniport away, or the wish for one.
    pub(super) fn deinitialise(&self) {
        let instance = self.instance.swap(0, Ordering::SeqCst);
        if instance != 0 {
            ndis!(NdisIMDeInitializeDeviceInstance, handle(instance));
            return;
        }
        named(DEVICE, |name| ndis!(NdisIMCancelInitializeDeviceInstance, self.miniport(), name));
    }

    pub(super) fn close(&self) -> NDIS_STATUS {
        ndis!(NdisCloseAdapterEx, self.binding())
    }

    pub(super) fn unbind(&self, operation: NDIS_HANDLE) -> NDIS_STATUS {
        self.operation.store(operation.addr(), Ordering::SeqCst);
        self.deinitialise();
        self.close()
    }

    /// A request to the NIC.
    pub(super) fn ask(&self, oid: NDIS_OID, body: u32) -> NDIS_STATUS {
        let asking = Box::into_raw(Box::new(Asking { request: zeroed(), body }));
        // SAFETY: made just now.
        let given = unsafe { &mut *asking };
        given.request.Header =
            header(NDIS_OBJECT_TYPE_OID_REQUEST, NDIS_OID_REQUEST_REVISION_1, NDIS_SIZEOF_OID_REQUEST_REVISION_1);
        given.request.RequestType = NdisRequestSetInformation;
        given.request.DATA.SET_INFORMATION = NDIS_OID_REQUEST_SET_INFORMATION {
            Oid: oid,
            InformationBuffer: (&raw mut given.body).cast(),
            InformationBufferLength: 4,
            BytesRead: 0,
            BytesNeeded: 0,
        };
        let request = asking.cast::<NDIS_OID_REQUEST>();
        let status = ndis!(NdisOidRequest, self.binding(), request);
        if status != NDIS_STATUS_PENDING {
            answered(request);
        }
        status
    }

    /// A list of the driver's own with a frame, that says it comes from `source`.
    pub(super) fn frame(&self, bytes: &[u8], source: NDIS_HANDLE) -> *mut NET_BUFFER_LIST {
        let made = own(&Machine::current(), bytes);
        let list = made.list.0;
        // SAFETY: a list of this driver's.
        unsafe { (*list).SourceHandle = source };
        self.frames.lock().unwrap().push(Frame(made));
        list
    }

    /// Frees lists of the driver's own that came back.
    pub(super) fn free(&self, chain: *mut NET_BUFFER_LIST) {
        let mut next = chain;
        while !next.is_null() {
            let list = next;
            // SAFETY: a list of this driver's.
            next = unsafe { (*list).Next };
            // SAFETY: as above; freed lists are not linked.
            unsafe { (*list).Next = ptr::null_mut() };
            let mut frames = self.frames.lock().unwrap();
            let Some(place) = frames.iter().position(|frame| frame.0.list == Nbl(list)) else { continue };
            let frame = frames.remove(place);
            drop(frames);
            drop_own(&Machine::current(), &frame.0);
        }
    }

    /// Sends one frame of its own.
    pub(super) fn send(&self, source: NDIS_HANDLE, flags: u32) {
        let list = self.frame(&super::frame(), source);
        ndis!(NdisSendNetBufferLists, self.binding(), list, 0, flags);
    }

    /// Indicates one frame of its own.
    pub(super) fn indicate(&self, source: NDIS_HANDLE, count: u32, flags: u32) -> *mut NET_BUFFER_LIST {
        let list = self.frame(&super::frame(), source);
        ndis!(NdisMIndicateReceiveNetBufferLists, self.instance(), list, 0, count, flags);
        list
    }

    pub(super) fn complete(&self, chain: *mut NET_BUFFER_LIST) {
        ndis!(NdisMSendNetBufferListsComplete, self.instance(), chain, 0);
    }

    fn pass_down(&self, chain: *mut NET_BUFFER_LIST) {
        self.send(self.binding(), at_dispatch(NDIS_SEND_FLAGS_DISPATCH_LEVEL));
        self.complete(chain);
    }

    pub(super) fn give_back(&self, chain: *mut NET_BUFFER_LIST) {
        ndis!(NdisReturnNetBufferLists, self.binding(), chain, 0);
    }

    pub(super) fn pass_up(&self, chain: *mut NET_BUFFER_LIST, flags: u32) {
        self.indicate(self.instance(), 1, at_dispatch(NDIS_RECEIVE_FLAGS_DISPATCH_LEVEL));
        if flags & NDIS_RECEIVE_FLAGS_RESOURCES == 0 {
            self.give_back(chain);
        }
    }

    /// Tells what NDK is.
    pub(super) fn announce(&self, code: NET_PNP_EVENT_CODE, change: fn(&mut NET_PNP_EVENT_NOTIFICATION)) {
        Self::announce_as(self.instance(), code, change);
    }

    /// The same with any handle.
    pub(super) fn announce_as(
        instance: NDIS_HANDLE,
        code: NET_PNP_EVENT_CODE,
        change: fn(&mut NET_PNP_EVENT_NOTIFICATION),
    ) {
        let mut notice: NET_PNP_EVENT_NOTIFICATION = zeroed();
        let size = NDIS_SIZEOF_NET_PNP_EVENT_NOTIFICATION_REVISION_1;
        notice.Header = header(NDIS_OBJECT_TYPE_DEFAULT, NET_PNP_EVENT_NOTIFICATION_REVISION_1, size);
        notice.NetPnPEvent.NetEvent = code;
        change(&mut notice);
        ndis!(NdisMNetPnPEvent, instance, &raw mut notice);
    }

    pub(super) fn open_ndk(&self, place: *mut *mut NDK_ADAPTER) -> NDIS_STATUS {
        let machine = Machine::current();
        if !super::super::pnp::is_ndk_enabled(&machine, self.instance().addr()) {
            return NDIS_STATUS_ADAPTER_NOT_READY;
        }
        self.give_ndk(place)
    }

    /// Opens its NDK_ADAPTER, whether NDK is enabled or not.
    pub(super) fn give_ndk(&self, place: *mut *mut NDK_ADAPTER) -> NDIS_STATUS {
        // SAFETY: the handler's contract: room for an adapter.
        unsafe { place.write(ptr::from_ref(&self.adapter).cast_mut()) };
        NDIS_STATUS_SUCCESS
    }

    /// A status of its own.
    pub(super) fn status(&self, source: NDIS_HANDLE) {
        let mut given: NDIS_STATUS_INDICATION = zeroed();
        let size = NDIS_SIZEOF_STATUS_INDICATION_REVISION_1;
        given.Header = header(NDIS_OBJECT_TYPE_STATUS_INDICATION, NDIS_STATUS_INDICATION_REVISION_1, size);
        (given.SourceHandle, given.StatusCode) = (source, NDIS_STATUS_LINK_STATE);
        ndis!(NdisMIndicateStatusEx, self.instance(), &raw mut given);
    }

    /// What MiniportInitializeEx has to say when it says the right things.
    fn right_attributes(&self) -> Attributes {
        let mut all = Attributes {
            registration: zeroed(),
            general: zeroed(),
            ndk: zeroed(),
            capabilities: Box::new(zeroed()),
            info: Box::new(zeroed()),
            oids: MANDATORY.to_vec(),
            order: vec![0, 1, 2],
        };
        let size = NDIS_SIZEOF_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES_REVISION_1;
        all.registration.Header = header(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_REGISTRATION_ATTRIBUTES, 1, size);
        all.registration.MiniportAdapterContext = self.context();
        all.registration.AttributeFlags = NDIS_MINIPORT_ATTRIBUTES_NO_HALT_ON_SUSPEND;
        let general = &mut all.general;
        let size = NDIS_SIZEOF_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES_REVISION_2;
        general.Header = header(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_GENERAL_ATTRIBUTES, 2, size);
        (general.MediaType, general.IfType, general.MtuSize) = (NdisMedium802_3, IF_TYPE_ETHERNET_CSMACD, 1500);
        general.AccessType = NET_IF_ACCESS_BROADCAST;
        general.DirectionType = NET_IF_DIRECTION_SENDRECEIVE;
        general.ConnectionType = NET_IF_CONNECTION_DEDICATED;
        (general.MacAddressLength, general.MacOptions) = (6, NDIS_MAC_OPTION_NO_LOOPBACK);
        let size = NDIS_SIZEOF_MINIPORT_ADAPTER_NDK_ATTRIBUTES_REVISION_1;
        all.ndk.Header = header(NDIS_OBJECT_TYPE_MINIPORT_ADAPTER_NDK_ATTRIBUTES, 1, size);
        all.ndk.Enabled = 1;
        all.capabilities.Header = header(NDIS_OBJECT_TYPE_DEFAULT, 1, NDIS_SIZEOF_NDK_CAPABILITIES_REVISION_1);
        all.info.FRMRPageCount = 16;
        all.capabilities.NdkInfo = &raw mut *all.info;
        all.ndk.NdkCapabilities = &raw mut *all.capabilities;
        all
    }

    pub(super) fn set_attributes(&self) -> NDIS_STATUS {
        let mut all = self.right_attributes();
        (self.deeds.attributes)(self, &mut all);
        all.general.SupportedOidList = all.oids.as_mut_ptr();
        all.general.SupportedOidListLength = size_of_val(&all.oids[..]) as u32;
        let places: [*mut NDIS_MINIPORT_ADAPTER_ATTRIBUTES; 3] =
            [(&raw mut all.registration).cast(), (&raw mut all.general).cast(), (&raw mut all.ndk).cast()];
        for &one in &all.order {
            let status = ndis!(NdisMSetMiniportAttributes, self.instance(), places[one]);
            if status != NDIS_STATUS_SUCCESS {
                return status;
            }
        }
        NDIS_STATUS_SUCCESS
    }
}

/// Does something with a name.
pub(super) fn named<R>(name: &str, what: impl FnOnce(*mut UNICODE_STRING) -> R) -> R {
    let name = Counted::new(name);
    let mut string = name.string();
    what(&raw mut string)
}

/// A flag, where it is true.
pub(super) fn at_dispatch(flag: u32) -> u32 {
    if irql::current() == Irql::Dispatch { flag } else { 0 }
}

/// A request came back.
pub(super) fn answered(request: *mut NDIS_OID_REQUEST) {
    // SAFETY: made in `Driver::ask`, and nobody else's any more.
    drop(unsafe { Box::from_raw(request.cast::<Asking>()) });
}

fn characteristics() -> NDIS_MINIPORT_DRIVER_CHARACTERISTICS {
    let mut given: NDIS_MINIPORT_DRIVER_CHARACTERISTICS = zeroed();
    let size = NDIS_SIZEOF_MINIPORT_DRIVER_CHARACTERISTICS_REVISION_2;
    given.Header = header(NDIS_OBJECT_TYPE_MINIPORT_DRIVER_CHARACTERISTICS, 2, size);
    (given.MajorNdisVersion, given.MinorNdisVersion, given.Flags) = (6, 50, NDIS_INTERMEDIATE_DRIVER);
    given.SetOptionsHandler = Some(handlers::set_options);
    given.InitializeHandlerEx = Some(handlers::initialise);
    given.HaltHandlerEx = Some(handlers::halt);
    given.UnloadHandler = Some(handlers::unload);
    given.PauseHandler = Some(handlers::pause);
    given.RestartHandler = Some(handlers::restart);
    given.OidRequestHandler = Some(handlers::oid);
    given.SendNetBufferListsHandler = Some(handlers::send);
    given.ReturnNetBufferListsHandler = Some(handlers::returned);
    given.CancelSendHandler = Some(handlers::cancel);
    given.DevicePnPEventNotifyHandler = Some(handlers::device_event);
    given.ShutdownHandlerEx = Some(handlers::shutdown);
    given.CancelOidRequestHandler = Some(handlers::cancel);
    given.DirectOidRequestHandler = Some(handlers::direct);
    given.CancelDirectOidRequestHandler = Some(handlers::cancel);
    given
}

fn protocol_characteristics(name: &Counted) -> NDIS_PROTOCOL_DRIVER_CHARACTERISTICS {
    let mut given: NDIS_PROTOCOL_DRIVER_CHARACTERISTICS = zeroed();
    let size = NDIS_SIZEOF_PROTOCOL_DRIVER_CHARACTERISTICS_REVISION_2;
    given.Header = header(NDIS_OBJECT_TYPE_PROTOCOL_DRIVER_CHARACTERISTICS, 2, size);
    (given.MajorNdisVersion, given.MinorNdisVersion, given.Name) = (6, 50, name.string());
    given.BindAdapterHandlerEx = Some(handlers::bind);
    given.UnbindAdapterHandlerEx = Some(handlers::unbind);
    given.OpenAdapterCompleteHandlerEx = Some(handlers::opened);
    given.CloseAdapterCompleteHandlerEx = Some(handlers::closed);
    given.NetPnPEventHandler = Some(handlers::event);
    given.OidRequestCompleteHandler = Some(handlers::answered);
    given.StatusHandlerEx = Some(handlers::status);
    given.ReceiveNetBufferListsHandler = Some(handlers::receive);
    given.SendNetBufferListsCompleteHandler = Some(handlers::sent);
    given
}
