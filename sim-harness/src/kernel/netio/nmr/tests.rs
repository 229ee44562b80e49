//! Modules that keep the registrar's rules, and modules that break each of them on purpose.

use super::*;
use ndk_types::{NPI_MODULEID, NPI_MODULEID_NAME, STATUS_NOINTERFACE, prototype};
use std::sync::atomic::AtomicU64;

/// What a module's callbacks answer.
#[derive(Default)]
struct Manners {
    decline: bool,
    attach_without_asking: bool,
    pend: bool,
    complete_early: bool,
    succeed_after_completing: bool,
}

/// One module of a test: its structures, and what has happened to it.
struct Module {
    name: &'static str,
    manners: Manners,
    id: NPI_MODULEID,
    npi: GUID,
    said: Mutex<Vec<String>>,
    /// Whether it ran on the image stack, for each time it said something.
    as_image: Mutex<Vec<bool>>,
    binding: Mutex<usize>,
}

impl Module {
    fn new(name: &'static str, npi: u32, manners: Manners) -> Box<Self> {
        let guid = GUID { Data1: npi, Data2: 0, Data3: 0, Data4: [0; 8] };
        let id = NPI_MODULEID { Length: 24, Type: 1, Anonymous: NPI_MODULEID_NAME { Guid: guid } };
        Box::new(Self {
            name,
            manners,
            id,
            npi: guid,
            said: Mutex::default(),
            as_image: Mutex::default(),
            binding: Mutex::default(),
        })
    }

    fn context(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn say(&self, what: &str) {
        self.as_image.lock().unwrap().push(crate::kernel::stack::on_image_stack());
        self.said.lock().unwrap().push(format!("{} {what}", self.name));
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    fn binding(&self) -> HANDLE {
        ptr::without_provenance_mut(*self.binding.lock().unwrap())
    }

    fn instance(&self) -> NPI_REGISTRATION_INSTANCE {
        NPI_REGISTRATION_INSTANCE {
            Version: 0,
            Size: 40,
            NpiId: &raw const self.npi,
            ModuleId: &raw const self.id,
            Number: 0,
            NpiSpecificCharacteristics: ptr::null(),
        }
    }

    fn client(&self) -> NPI_CLIENT_CHARACTERISTICS {
        NPI_CLIENT_CHARACTERISTICS {
            Version: 0,
            Length: 72,
            ClientAttachProvider: Some(attach_provider),
            ClientDetachProvider: Some(detach_provider),
            ClientCleanupBindingContext: Some(clean),
            ClientRegistrationInstance: self.instance(),
        }
    }

    fn provider(&self) -> NPI_PROVIDER_CHARACTERISTICS {
        NPI_PROVIDER_CHARACTERISTICS {
            Version: 0,
            Length: 72,
            ProviderAttachClient: Some(attach_client),
            ProviderDetachClient: Some(detach_client),
            ProviderCleanupBindingContext: Some(clean),
            ProviderRegistrationInstance: self.instance(),
        }
    }

    fn detach(&self, complete: prototype::NmrClientDetachProviderComplete) -> NTSTATUS {
        self.say("detaches");
        if self.manners.complete_early {
            // SAFETY: the binding is the registrar's; whether it may be completed is what is tested.
            unsafe { complete(self.binding()) };
        }
        if self.manners.pend && !self.manners.succeed_after_completing { STATUS_PENDING } else { STATUS_SUCCESS }
    }
}

/// The module a context is of.
fn module<'a>(context: *mut c_void) -> &'a Module {
    // SAFETY: every context in these tests is a `Module` that outlives its machine's work.
    unsafe { &*context.cast::<Module>() }
}

ndk_types::abi! {
    unsafe extern "C" fn attach_provider(
        binding: HANDLE,
        context: *mut c_void,
        _provider: *mut NPI_REGISTRATION_INSTANCE
    ) -> NTSTATUS {
        let client = module(context);
        assert_eq!(crate::kernel::irql::current(), Irql::Passive);
        *client.binding.lock().unwrap() = binding.addr();
        client.say("is offered");
        if client.manners.decline {
            return STATUS_NOINTERFACE;
        }
        if client.manners.attach_without_asking {
            return STATUS_SUCCESS;
        }
        let (mut provider, mut dispatch) = (ptr::null_mut(), ptr::null());
        // SAFETY: the registrar's function, its binding, our variables.
        unsafe { client_attach(binding, context, ptr::null(), &raw mut provider, &raw mut dispatch) }
    }

    unsafe extern "C" fn detach_provider(context: *mut c_void) -> NTSTATUS {
        module(context).detach(client_detach_complete)
    }

    unsafe extern "C" fn attach_client(
        binding: HANDLE,
        context: *mut c_void,
        _client: *mut NPI_REGISTRATION_INSTANCE,
        _client_context: *mut c_void,
        _client_dispatch: *const c_void,
        provider_context: *mut *mut c_void,
        _provider_dispatch: *mut *const c_void
    ) -> NTSTATUS {
        let provider = module(context);
        *provider.binding.lock().unwrap() = binding.addr();
        provider.say("attaches");
        // SAFETY: the registrar's variable.
        unsafe { provider_context.write(context) };
        if provider.manners.decline { STATUS_NOINTERFACE } else { STATUS_SUCCESS }
    }

    unsafe extern "C" fn detach_client(context: *mut c_void) -> NTSTATUS {
        module(context).detach(provider_detach_complete)
    }

    unsafe extern "C" fn clean(context: *mut c_void) {
        module(context).say("cleans up");
    }
}

fn machine() -> Arc<Machine> {
    Machine::new("registrar", Arc::new(AtomicU64::new(0)), 7)
}

fn rules(machine: &Machine) -> Vec<&'static str> {
    machine.verifier.take().iter().map(|violation| violation.rule).collect()
}

fn add_client(characteristics: &NPI_CLIENT_CHARACTERISTICS, module: &Module) -> HANDLE {
    let mut handle = ptr::null_mut();
    // SAFETY: the structures outlive the registration.
    let status = unsafe { register_client(ptr::from_ref(characteristics), module.context(), &raw mut handle) };
    assert_eq!(status, STATUS_SUCCESS);
    handle
}

fn add_provider(characteristics: &NPI_PROVIDER_CHARACTERISTICS, module: &Module) -> HANDLE {
    let mut handle = ptr::null_mut();
    // SAFETY: the structures outlive the registration.
    let status = unsafe { register_provider(ptr::from_ref(characteristics), module.context(), &raw mut handle) };
    assert_eq!(status, STATUS_SUCCESS);
    handle
}

/// One client and one provider of one interface, attached, and the provider asked to leave.
fn leave(client: Manners, provider: Manners) -> (Arc<Machine>, Box<Module>, Box<Module>, HANDLE) {
    let (machine, client) = (machine(), Module::new("client", 1, client));
    let provider = Module::new("provider", 1, provider);
    // They outlive this function, as registrations do.
    let (of_client, of_provider) = (Box::leak(Box::new(client.client())), Box::leak(Box::new(provider.provider())));
    let handle = machine.enter(|| {
        let handle = add_provider(of_provider, &provider);
        add_client(of_client, &client);
        machine.settle();
        // SAFETY: the handle just given.
        assert_eq!(unsafe { deregister_provider(handle) }, STATUS_PENDING);
        handle
    });
    (machine, client, provider, handle)
}

/// NMR-01, NMR-04: a provider gets each client of its interface in a binding of its own, and nobody else.
#[test]
fn modules_of_one_interface_are_bound_and_others_are_not() {
    let machine = machine();
    let [first, second] = ["first", "second"].map(|name| Module::new(name, 1, Manners::default()));
    let stranger = Module::new("stranger", 2, Manners::default());
    let provider = Module::new("provider", 1, Manners::default());
    let (one, two, three, of_provider) = (first.client(), second.client(), stranger.client(), provider.provider());
    machine.enter(|| {
        add_client(&one, &first);
        add_client(&three, &stranger);
        add_provider(&of_provider, &provider);
        add_client(&two, &second);
        machine.settle();
    });
    assert_eq!((first.said().len(), second.said().len(), stranger.said().len()), (1, 1, 0));
    assert_eq!(provider.said(), ["provider attaches", "provider attaches"]);
    assert_ne!(first.binding(), second.binding());
    assert_eq!(rules(&machine), [""; 0]);
}

/// NMR-03: either side may decline, and then hears no more.
#[test]
fn a_declined_binding_is_over_without_a_detachment() {
    for (client, provider) in [(true, false), (false, true)] {
        let declines = |decline| Manners { decline, ..Manners::default() };
        let (machine, client, provider, _) = leave(declines(client), declines(provider));
        assert_eq!(client.said(), ["client is offered"]);
        assert!(!provider.said().contains(&"provider detaches".to_owned()));
        assert_eq!(rules(&machine), [""; 0]);
    }
}

/// NMR-03, broken: a client claims a binding that it never attached.
#[test]
fn success_without_an_attachment_is_a_violation() {
    let (machine, ..) = leave(Manners { attach_without_asking: true, ..Manners::default() }, Manners::default());
    assert_eq!(rules(&machine), ["NMR-03"]);
}

/// NMR-06, NMR-09: cleanup waits for both sides; a pending detachment is completed once, and the second time is a violation.
#[test]
fn both_sides_clean_up_when_the_last_has_detached() {
    let (machine, client, provider, handle) = leave(Manners::default(), Manners { pend: true, ..Manners::default() });
    assert_eq!(client.said(), ["client is offered", "client detaches"]);
    machine.enter(|| {
        // SAFETY: the binding whose detachment is pending.
        unsafe { provider_detach_complete(provider.binding()) };
        // SAFETY: a handle whose deregistration has begun.
        assert_eq!(unsafe { wait_for_provider(handle) }, STATUS_SUCCESS);
    });
    assert_eq!(client.said().last().unwrap(), "client cleans up");
    assert_eq!(provider.said(), ["provider attaches", "provider detaches", "provider cleans up"]);
    assert_eq!(rules(&machine), [""; 0]);
    // SAFETY: nothing is touched through the binding.
    machine.enter(|| unsafe { provider_detach_complete(provider.binding()) });
    assert_eq!(rules(&machine), ["NMR-06"]);
}

/// W-44: callbacks of a module that is an image's run on the image stack, those of another do not.
#[test]
fn modules_are_entered_as_what_they_are() {
    for image in [false, true] {
        let (machine, client) = (machine(), Module::new("client", 1, Manners::default()));
        let provider = Module::new("provider", 1, Manners::default());
        let (of_client, of_provider) = (client.client(), provider.provider());
        let functions =
            [of_client.ClientAttachProvider.map(|f| f as usize), of_client.ClientDetachProvider.map(|f| f as usize)];
        let code = functions.into_iter().flatten().map(|start| start..start + 1);
        let listed = image.then(|| machine.images().list(code));
        machine.enter(|| {
            add_provider(&of_provider, &provider);
            let handle = add_client(&of_client, &client);
            machine.settle();
            // SAFETY: the handle just given.
            unsafe { deregister_client(handle) };
            // SAFETY: its deregistration has begun.
            unsafe { wait_for_client(handle) };
        });
        drop(listed);
        assert_eq!(client.said(), ["client is offered", "client detaches", "client cleans up"]);
        assert_eq!(*client.as_image.lock().unwrap(), [image, image, false]);
        assert_eq!(provider.as_image.lock().unwrap()[1..], [false, false], "detaches and cleans up");
        assert_eq!(rules(&machine), [""; 0]);
    }
}

/// NMR-06, NMR-08: a detachment may be completed before its callback has returned STATUS_PENDING.
#[test]
fn an_early_completion_counts() {
    let early = Manners { pend: true, complete_early: true, ..Manners::default() };
    let (machine, _, provider, _) = leave(Manners::default(), early);
    assert_eq!(provider.said().last().unwrap(), "provider cleans up");
    assert_eq!(rules(&machine), [""; 0]);
}

/// NMR-06, broken: completed, and STATUS_SUCCESS all the same.
#[test]
fn success_after_a_completion_is_a_violation() {
    let both = Manners { pend: true, complete_early: true, succeed_after_completing: true, ..Manners::default() };
    let (machine, ..) = leave(both, Manners::default());
    assert_eq!(rules(&machine), ["NMR-06"]);
}

/// NMR-07: over many seeds detach callbacks come at both levels that are allowed, and attach callbacks at PASSIVE_LEVEL.
#[test]
fn callbacks_come_at_every_level_they_must_bear() {
    let levels: std::collections::BTreeSet<_> =
        (0..64).map(|seed| any_irql(&Machine::new("levels", Arc::new(AtomicU64::new(0)), seed))).collect();
    assert_eq!(levels.into_iter().collect::<Vec<_>>(), [Irql::Passive, Irql::Dispatch]);
    // Never below whoever caused them.
    let (raised, _) = crate::kernel::irql::at(Irql::Dispatch, || {
        (0..64).all(|seed| any_irql(&Machine::new("levels", Arc::new(AtomicU64::new(0)), seed)) == Irql::Dispatch)
    });
    assert!(raised);
}

/// NMR-10, NMR-11, broken: waits and deregistrations that are not due, and registrations left behind.
#[test]
fn a_registration_ends_once_and_must_end() {
    let (machine, client) = (machine(), Module::new("client", 1, Manners::default()));
    let characteristics = client.client();
    machine.enter(|| {
        let handle = add_client(&characteristics, &client);
        // SAFETY: only looked up.
        assert_eq!(unsafe { wait_for_client(handle) }, STATUS_INVALID_PARAMETER);
        assert_eq!((rules(&machine), machine.netio.leaks().len()), (vec!["NMR-10"], 1));
        // SAFETY: the handle is registered.
        assert_eq!(unsafe { deregister_client(handle) }, STATUS_PENDING);
        assert_eq!(machine.netio.leaks().len(), 1, "the wait is part of it");
        // SAFETY: only looked up.
        assert_eq!(unsafe { deregister_client(handle) }, STATUS_INVALID_HANDLE);
        assert_eq!(rules(&machine), ["NMR-11"]);
        // SAFETY: its deregistration has begun.
        assert_eq!(unsafe { wait_for_client(handle) }, STATUS_SUCCESS);
    });
    assert_eq!((rules(&machine), machine.netio.leaks()), (vec![], vec![]));
}

/// NMR-12, NMR-02, broken: wrong versions and sizes are refused; structures may not change while registered.
#[test]
fn characteristics_are_as_documented_and_stay_so() {
    let (machine, client) = (machine(), Module::new("client", 1, Manners::default()));
    let good = client.client();
    let mut version = good;
    version.Version = 1;
    let mut length = good;
    length.Length = 64;
    let mut size = good;
    size.ClientRegistrationInstance.Size = 32;
    let mut nameless = good;
    nameless.ClientRegistrationInstance.NpiId = ptr::null();
    for (bad, rule) in [(version, "NMR-12"), (length, "NMR-12"), (size, "NMR-12"), (nameless, "NMR-02")] {
        let mut handle = ptr::null_mut();
        // SAFETY: the structure outlives the call, which is refused.
        let status = machine.enter(|| unsafe { register_client(&raw const bad, client.context(), &raw mut handle) });
        assert_eq!((status, handle.is_null(), rules(&machine)), (STATUS_INVALID_PARAMETER, true, vec![rule]));
    }
    let mut changing = good;
    machine.enter(|| {
        let handle = add_client(&changing, &client);
        changing.ClientRegistrationInstance.Number = 9;
        // SAFETY: the handle is registered.
        unsafe { deregister_client(handle) };
    });
    assert_eq!(rules(&machine), ["NMR-02"]);
}
