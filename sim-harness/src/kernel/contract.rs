//! The contract between an NDK consumer and its provider, watched from between them: what NDKPI asks of consumers.
//!
//! Every object that an image opens or makes gets a dispatch table of gates in place of the provider's, which never reads it back
//! (COM-16). A gate notes the call, holds it against the rules, and passes it on. Broken by a consumer, each with the rule's id:
//!
//! * `COM-05`: a function called above the IRQL of its page.
//! * `WR-50`: a post on a queue while another post on it is under way.
//! * `CQ-28`: two processors at one CQ's completions.
//! * `LT-20`: an object used after its close was issued, or closed twice.
//! * `leak`: objects and mappings left open under an adapter that is closed. They are closed then, so that the run goes on.
//!
//! What is made by a create call that pends is not watched; what no image opened is not, either.

mod slots;
#[cfg(test)]
mod tests;

use super::Machine;
use super::irql;
use super::stack::{Gate, Import, outside};
use super::verifier;
use ndk_types::{
    NDK_ADAPTER, NDK_CONNECTOR, NDK_FN_CONNECT_EVENT_CALLBACK, NTSTATUS, STATUS_INVALID_HANDLE, STATUS_SUCCESS,
};
use slots::{Kind, Role, Slot};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

/// The arguments of any slot, each as wide as it is passed.
type Arguments = [usize; 12];
/// Any slot's type as far as the calling convention goes.
type AnySlot = unsafe extern "win64" fn(
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
    usize,
) -> usize;

/// A call that is under way.
#[derive(Clone, Copy, Debug)]
struct UnderWay {
    call: &'static str,
    thread: ThreadId,
}

/// An object that a consumer has.
#[derive(Debug)]
struct Object {
    kind: Kind,
    /// The provider's table.
    table: usize,
    adapter: usize,
    closing: bool,
    /// By the place of [`slots::Queue`].
    under_way: [Option<UnderWay>; 3],
    /// What a listener's events are passed on to.
    _event: Option<Box<Event>>,
}

/// A consumer's connect event.
#[derive(Debug)]
struct Event {
    machine: Arc<Machine>,
    adapter: usize,
    callback: NDK_FN_CONNECT_EVENT_CALLBACK,
    context: usize,
}

// SAFETY: the context is the consumer's, passed back to it.
unsafe impl Send for Event {}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<usize, Object>,
    /// Mappings of NdkBuildLAM: the adapter of each, and a copy of the structure.
    lams: Vec<(usize, Lam)>,
}

/// A mapping: where its structure was, and what it said.
#[derive(Debug)]
struct Lam {
    at: usize,
    copy: Vec<u64>,
}

/// One table of gates for each kind.
struct Tables(Vec<(Vec<Gate>, Box<[usize]>)>);

/// What is watched on one machine.
#[derive(Default)]
pub struct Contract {
    state: Mutex<State>,
    tables: OnceLock<Tables>,
}

impl std::fmt::Debug for Contract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.state().fmt(f)
    }
}

thread_local! {
    /// The slot whose gate this thread has just come through.
    static SLOT: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Contract {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table of gates of a kind, as an object's Dispatch.
    fn table(&self, kind: Kind) -> usize {
        let tables = self.tables.get_or_init(|| {
            let of = |kind: Kind| {
                let gate = |(place, slot): (usize, &Slot)| {
                    Gate::new(slot.name.to_owned(), kind.number(place), watched as *const () as usize, on_slot)
                };
                let gates: Vec<_> = kind.slots().iter().enumerate().map(gate).collect();
                let table = gates.iter().map(Gate::address).collect();
                (gates, table)
            };
            Tables(Kind::ALL.map(of).into())
        });
        tables.0[kind as usize].1.as_ptr().expose_provenance()
    }
}

/// An image has opened an adapter: what it does with it is watched from now on.
pub fn opened(machine: &Arc<Machine>, adapter: *mut NDK_ADAPTER) {
    watch(machine, Kind::Adapter, adapter.expose_provenance(), adapter.addr(), None);
}

/// An adapter is about to be closed: what is open under it is a leak each, and closed.
pub fn closing(machine: &Arc<Machine>, adapter: *mut NDK_ADAPTER) {
    let (left, lams) = {
        let mut state = machine.contract.state();
        let Some(own) = state.objects.get(&adapter.addr()) else { return };
        let table = own.table;
        let mut left = Vec::new();
        for (&at, object) in &mut state.objects {
            if object.adapter == adapter.addr() && object.kind != Kind::Adapter && !object.closing {
                object.closing = true;
                left.push((at, object.kind, object.table));
            }
        }
        let (lams, others) = std::mem::take(&mut state.lams).into_iter().partition(|(of, _)| *of == adapter.addr());
        state.lams = others;
        (left, (table, lams))
    };
    let (own, lams): (usize, Vec<(usize, Lam)>) = lams;
    for (at, kind, table) in left {
        machine.violation("leak", format!("{kind} {at:#x} is open and its NDK_ADAPTER is closed"));
        let completion = closed as *const () as usize;
        let mut arguments = [0; 12];
        (arguments[0], arguments[1]) = (at, completion);
        pass_on(machine, function(table, slots::CLOSE), &arguments);
    }
    for (_, mut lam) in lams {
        let text = format!("the mapping of NdkBuildLAM at {:#x} is not released and its NDK_ADAPTER is closed", lam.at);
        machine.violation("leak", text);
        let mut arguments = [0; 12];
        (arguments[0], arguments[1]) = (adapter.expose_provenance(), lam.copy.as_mut_ptr().expose_provenance());
        pass_on(machine, function(own, slots::RELEASE_LAM), &arguments);
    }
}

/// An adapter is closed, and all that was under it.
pub fn gone(machine: &Machine, adapter: *mut NDK_ADAPTER) {
    machine.contract.state().objects.retain(|_, object| object.adapter != adapter.addr());
}

/// Puts our table in place of the provider's.
fn watch(machine: &Machine, kind: Kind, at: usize, adapter: usize, event: Option<Box<Event>>) {
    // Every object starts with its header, which the pointer to the table follows.
    let place: *mut usize = ptr::with_exposed_provenance_mut::<NDK_ADAPTER>(at).wrapping_byte_add(40).cast();
    // SAFETY: an object that was just handed out; the consumer, in whose place we stand, may write there (COM-16).
    let table = unsafe { place.replace(machine.contract.table(kind)) };
    let object = Object { kind, table, adapter, closing: false, under_way: [None; 3], _event: event };
    machine.contract.state().objects.insert(at, object);
}

/// The function at a place of a provider's table.
fn function(table: usize, place: usize) -> Option<AnySlot> {
    let at: *const Option<AnySlot> = ptr::with_exposed_provenance(table);
    // SAFETY: the provider's table has this slot, and stays as long as the object.
    unsafe { at.wrapping_add(place).read() }
}

/// Calls the provider.
#[expect(clippy::many_single_char_names, reason = "the words of any slot's arguments")]
fn pass_on(machine: &Arc<Machine>, slot: Option<AnySlot>, arguments: &Arguments) -> usize {
    let Some(slot) = slot else { return status(ndk_types::STATUS_NOT_SUPPORTED) };
    let &[a, b, c, d, e, f, g, h, i, j, k, l] = arguments;
    // SAFETY: the consumer's arguments as they came: every parameter of a slot is passed in a word of its own.
    unsafe { crate::call_either!(machine, slot, a, b, c, d, e, f, g, h, i, j, k, l) }
}

/// A status as a slot returns it.
fn status(status: NTSTATUS) -> usize {
    status.cast_unsigned() as usize
}

/// The hook of every gate.
extern "win64" fn on_slot(import: &Import) {
    SLOT.set(import.number);
    let Some((_, slot)) = Kind::slot_of(import.number) else { return };
    verifier::set_call(slot.name);
    if irql::current() > slot.max_irql {
        let text = format!("{} is for {} and below, called at {}", slot.name, slot.max_irql, irql::current());
        Machine::current().violation("COM-05", text);
    }
}

/// What every gate leads to.
#[expect(clippy::many_single_char_names, reason = "the words of any slot's arguments")]
unsafe extern "win64" fn watched(
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
    g: usize,
    h: usize,
    i: usize,
    j: usize,
    k: usize,
    l: usize,
) -> usize {
    let number = SLOT.replace(usize::MAX);
    let machine = Machine::current();
    let Some((kind, place)) = Kind::of(number) else { return status(STATUS_INVALID_HANDLE) };
    call(&machine, kind, place, [a, b, c, d, e, f, g, h, i, j, k, l])
}

/// Holds a call against the rules, passes it on, and looks at what came of it.
fn call(machine: &Arc<Machine>, kind: Kind, place: usize, mut arguments: Arguments) -> usize {
    let slot = &kind.slots()[place];
    let at = arguments[0];
    let (table, adapter) = match before(machine, kind, slot, at) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let event =
        if slot.role == Role::CreateListener { Some(Box::new(listening(machine, adapter, &arguments))) } else { None };
    if let Some(event) = &event {
        step_between(event, &mut arguments);
    }
    let result = pass_on(machine, function(table, place), &arguments);
    verifier::set_call(slot.name);
    let mut state = machine.contract.state();
    if let (Some(queue), Some(object)) = (slot.role.queue(), state.objects.get_mut(&at)) {
        object.under_way[queue as usize] = None;
    }
    if slot.role == Role::ReleaseLam {
        // A consumer may have moved the structure: then any mapping of the adapter is as good as this one.
        let of_adapter = |(of, _): &(usize, Lam)| *of == adapter;
        let named = state.lams.iter().position(|entry| of_adapter(entry) && entry.1.at == arguments[1]);
        let place = named.or_else(|| state.lams.iter().position(of_adapter));
        place.map(|place| state.lams.remove(place));
        return result;
    }
    if result as u32 != 0 {
        return result;
    }
    match slot.role {
        Role::Close => drop(state.objects.remove(&at)),
        Role::Create { kind, out } => {
            drop(state);
            made(machine, kind, arguments[out], adapter, None);
        }
        Role::CreateListener => {
            drop(state);
            made(machine, Kind::Listener, arguments[slots::LISTENER_OUT], adapter, event);
        }
        Role::BuildLam => state.lams.push((adapter, copy_of_lam(arguments[slots::LAM], arguments[slots::LAM_SIZE]))),
        _ => {}
    }
    result
}

/// What may be said before the call; the provider's table and the adapter, or what the consumer gets instead of the call.
fn before(machine: &Arc<Machine>, kind: Kind, slot: &Slot, at: usize) -> Result<(usize, usize), usize> {
    let mut state = machine.contract.state();
    let mut wrong = None;
    let outcome = match state.objects.get_mut(&at) {
        Some(object) if object.kind == kind && !object.closing => {
            if slot.role == Role::Close {
                object.closing = true;
            }
            if let Some(queue) = slot.role.queue() {
                let me = UnderWay { call: slot.name, thread: std::thread::current().id() };
                let other = object.under_way[queue as usize].replace(me);
                wrong = other.and_then(|other| queue.meets(other.thread).then(|| (queue.rule(), other.call)));
            }
            Ok((object.table, object.adapter))
        }
        Some(_) => Err("its close was issued before"),
        None => Err("it is not open"),
    };
    drop(state);
    if let Some((rule, other)) = wrong {
        machine.violation(rule, format!("{} on {kind} {at:#x} while {other} is under way", slot.name));
    }
    outcome.map_err(|why| {
        machine.violation("LT-20", format!("{} on {kind} {at:#x}: {why}", slot.name));
        if slot.role == Role::Close { status(STATUS_SUCCESS) } else { slot.role.refused() }
    })
}

/// What NdkBuildLAM has just written at `at`, of the size that `size` points to.
fn copy_of_lam(at: usize, size: usize) -> Lam {
    let size: *const u32 = ptr::with_exposed_provenance(size);
    // SAFETY: the call succeeded: the size is that of the structure it wrote.
    let words = unsafe { size.read() } as usize / 8;
    let from: *const u64 = ptr::with_exposed_provenance(at);
    // SAFETY: as above: so many bytes were written.
    let copy = (0..words).map(|word| unsafe { from.wrapping_add(word).read_unaligned() }).collect();
    Lam { at, copy }
}

/// The consumer's event, from the arguments of NdkCreateListener.
fn listening(machine: &Arc<Machine>, adapter: usize, arguments: &Arguments) -> Event {
    // SAFETY: the parameter is such a callback, NULL or not, in a word of its own.
    let callback = unsafe { std::mem::transmute::<usize, NDK_FN_CONNECT_EVENT_CALLBACK>(arguments[1]) };
    Event { machine: machine.clone(), adapter, callback, context: arguments[2] }
}

/// Puts ourselves between a listener's events and its consumer.
fn step_between(event: &Event, arguments: &mut Arguments) {
    if event.callback.is_some() {
        arguments[1] = arrived as *const () as usize;
        arguments[2] = ptr::from_ref(event).expose_provenance();
    }
}

/// A create call has stored its object at `out`.
fn made(machine: &Machine, kind: Kind, out: usize, adapter: usize, event: Option<Box<Event>>) {
    let out: *const usize = ptr::with_exposed_provenance(out);
    // SAFETY: the create call succeeded: its out parameter holds the object (COM-01).
    let object = unsafe { out.read() };
    watch(machine, kind, object, adapter, event);
}

ndk_types::abi! {
    /// NDK_FN_CLOSE_COMPLETION of what we close in a consumer's place.
    unsafe extern "C" fn closed(_context: *mut c_void) {}

    /// NDK_FN_CONNECT_EVENT_CALLBACK: the connector is watched before the consumer has it.
    unsafe extern "C" fn arrived(context: *mut c_void, connector: *mut NDK_CONNECTOR) {
        outside(|| {
            // SAFETY: the listener's context, which stays until its adapter is closed.
            let event = unsafe { &*context.cast_const().cast::<Event>() };
            watch(&event.machine, Kind::Connector, connector.expose_provenance(), event.adapter, None);
            let context: *mut c_void = ptr::with_exposed_provenance_mut(event.context);
            if let Some(callback) = event.callback {
                let machine = &event.machine;
                machine.callback("NdkConnectEvent", irql::current(), || {
                    // SAFETY: the consumer's callback with its context and the connector, as the provider called us.
                    unsafe { crate::call_either!(machine, callback, context, connector) }
                });
            }
        });
    }
}
