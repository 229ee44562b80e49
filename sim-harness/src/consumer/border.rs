//! Where a consumer's calls and callbacks cross into the driver's image and back, when the adapter is an image's.
//!
//! A slot of the native provider is called as it is; a slot that is image code is called on its machine, on the image stack and at
//! the consumer's IRQL (`call_slot!`). Bodies of callbacks go through [`called_back`].

use crate::kernel::irql::{self, Irql};
use crate::kernel::nt::locks;
use crate::kernel::{Machine, directory, stack, verifier};
use std::cell::Cell;

thread_local! {
    /// The level this thread's consumers call at.
    static LEVEL: Cell<Irql> = const { Cell::new(Irql::Dispatch) };
}

/// Sets [`LEVEL`] back.
struct Before(Irql);

impl Drop for Before {
    fn drop(&mut self) {
        LEVEL.set(self.0);
    }
}

/// Runs `f`, whose calls of image slots are made at this level. Without it they are made at DISPATCH_LEVEL, where NDKPI allows
/// nearly all of them (COM-05).
pub fn calling_at<R>(irql: Irql, f: impl FnOnce() -> R) -> R {
    let _before = Before(LEVEL.replace(irql));
    f()
}

/// The level a slot is called at now: the consumer's, which is no lower than where it is, as in a callback. COM-05:
/// NdkQueryAdapterInfo is for PASSIVE_LEVEL.
pub(crate) fn level_of(slot: &str) -> Irql {
    let level = if slot == "NdkQueryAdapterInfo" { Irql::Passive } else { LEVEL.get() };
    level.max(irql::current())
}

/// Calls a slot of an object's dispatch table with all its arguments: `call_slot!(object, NdkCloseCq => (header, callback, context))`.
/// The object is open and the arguments are as the slot's page wants them.
macro_rules! call_slot {
    ($object:expr, $slot:ident => ($($argument:expr),* $(,)?)) => {{
        // SAFETY: an open object (NDKPI): it has a dispatch table.
        let table = unsafe { (*$object).Dispatch };
        // SAFETY: as above: a table that stays; every slot of it is a function (REG-15).
        let slot = unsafe { (*table).$slot }.expect("every slot is filled");
        match $crate::kernel::owner_of(slot as usize) {
            // SAFETY: the arguments are as the function's page wants them; the object is open.
            None => unsafe { slot($($argument),*) },
            Some(machine) => {
                let level = $crate::consumer::level_of(stringify!($slot));
                let answer = machine.callback(stringify!($slot), level, || {
                    // SAFETY: as above.
                    unsafe { $crate::call_image!(slot, $($argument),*) }
                });
                let how = $crate::consumer::coverage::Answers::answer(&answer);
                $crate::consumer::coverage::note($crate::consumer::coverage::table(table), stringify!($slot), how);
                answer
            }
        }
    }};
}

pub(crate) use call_slot;

/// Runs the body of a callback: on the simulator's stack, if an image called it. COM-09: callbacks come at DISPATCH_LEVEL at most;
/// and with no spin lock held, since a consumer may call the provider from inside.
pub(super) fn called_back<R>(what: &'static str, body: impl FnOnce() -> R) -> R {
    if !directory::any() {
        return body();
    }
    stack::outside(|| {
        let machine = Machine::entered().filter(|_| stack::inside_image());
        let Some(machine) = machine else { return body() };
        let (before, level) = (verifier::set_call(what), irql::current());
        if level > Irql::Dispatch {
            machine.violation("COM-09", format!("{what} is called at {level}"));
        }
        if locks::held() > 0 {
            machine.violation("lock", format!("{what} is called with {} spin locks held", locks::held()));
        }
        let result = body();
        if irql::current() != level {
            machine.violation("irql", format!("{what} came at {level} and returns at {}", irql::current()));
        }
        verifier::set_call(before);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::consumer::{Cq, Failed, Ledger};
    use crate::kernel::stack::inside_image;
    use ndk_types::*;
    use std::cell::RefCell;
    use std::ffi::c_void;
    use std::sync::Arc;

    thread_local! {
        static SEEN: RefCell<Vec<(String, Irql)>> = const { RefCell::new(Vec::new()) };
    }

    fn see() {
        let machine = Machine::entered().map_or(String::new(), |machine| machine.name.clone());
        SEEN.with_borrow_mut(|seen| seen.push((machine, irql::current())));
    }

    ndk_types::abi! {
        unsafe extern "C" fn resize(
            _cq: *mut NDK_CQ,
            depth: u32,
            complete: NDK_FN_REQUEST_COMPLETION,
            context: *mut c_void,
        ) -> NTSTATUS {
            assert!(!inside_image(), "image code is not a function of the simulator");
            see();
            if depth > 8 {
                irql::set(Irql::High);
                // SAFETY: the completion of this request, with its context.
                unsafe { complete.expect("a completion")(context, STATUS_INVALID_PARAMETER) };
                return STATUS_PENDING;
            }
            STATUS_SUCCESS
        }

        unsafe extern "C" fn arm(_cq: *mut NDK_CQ, _arm_type: u32) {
            see();
        }
    }

    /// COM-05, COM-09
    #[test]
    fn a_slot_that_is_image_code_runs_on_its_machine_at_the_consumers_irql() {
        let machine = Machine::new("host", Arc::default(), 1);
        // SAFETY: all zeroes are empty slots.
        let mut table: NDK_CQ_DISPATCH = unsafe { std::mem::zeroed() };
        table.NdkResizeCq = Some(resize);
        table.NdkArmCq = Some(arm);
        // SAFETY: all zeroes is an object without a dispatch table.
        let mut object: NDK_CQ = unsafe { std::mem::zeroed() };
        object.Dispatch = &raw mut table;
        let cq = Cq::new(&raw mut object, Ledger::open());
        let code = [resize as *const () as usize, arm as *const () as usize];
        let listings = code.map(|at| machine.images().list(std::iter::once(at..at + 1)));
        cq.resize(8).unwrap();
        calling_at(Irql::Passive, || cq.arm());
        irql::at(Irql::Dispatch, || calling_at(Irql::Passive, || cq.arm()));
        let host = |level| ("host".to_owned(), level);
        assert_eq!(SEEN.take(), [Irql::Dispatch, Irql::Passive, Irql::Dispatch].map(host));
        assert!(machine.verifier.take().is_empty());
        // A completion from above DISPATCH_LEVEL, and a slot that comes back there.
        assert_eq!(cq.resize(9), Err(Failed("NdkResizeCq", STATUS_PENDING)));
        assert!(irql::current() == Irql::Passive);
        let rules: Vec<_> = machine.verifier.take().iter().map(|broken| (broken.rule, broken.call)).collect();
        assert_eq!(rules, [("COM-09", "NdkRequestCompletion"), ("irql", "")]);
        drop(listings);
        SEEN.take();
        cq.arm();
        assert_eq!(SEEN.take(), [(String::new(), Irql::Passive)], "native code is called as it is");
        assert_eq!(["NdkArmCq", "NdkQueryAdapterInfo"].map(level_of), [Irql::Dispatch, Irql::Passive]);
    }
}
