//! Cancel-safe queues: the driver keeps its pended requests in a list of its own, under a lock of its own, and these functions
//! call it so that a request is taken out once: by the driver, or by whoever cancels it.

use super::irps::{current, fields, location};
use crate::exports;
use crate::kernel::Machine;
use crate::kernel::export::Export;
use crate::kernel::irql::{self, Irql};
use crate::kernel::nt::locks;
use crate::kernel::wdk::{
    IO_CSQ, IO_CSQ_IRP_CONTEXT, NTSTATUS, PDEVICE_OBJECT, PIO_CSQ, PIO_CSQ_ACQUIRE_LOCK, PIO_CSQ_COMPLETE_CANCELED_IRP,
    PIO_CSQ_INSERT_IRP, PIO_CSQ_INSERT_IRP_EX, PIO_CSQ_IRP_CONTEXT, PIO_CSQ_PEEK_NEXT_IRP, PIO_CSQ_RELEASE_LOCK,
    PIO_CSQ_REMOVE_IRP, PIRP, PVOID, SL_PENDING_RETURNED,
};
use ndk_types::STATUS_SUCCESS;
use std::ptr;

/// IO_TYPE_CSQ_IRP_CONTEXT, IO_TYPE_CSQ, IO_TYPE_CSQ_EX.
const CONTEXT: u32 = 1;
const PLAIN: u32 = 2;
const EXTENDED: u32 = 3;

/// The queue's routines; `None` for what is no queue, which is a violation.
fn queue<'q>(csq: PIO_CSQ, call: &str) -> Option<&'q IO_CSQ> {
    // SAFETY: the pages: an initialized queue.
    let queue = unsafe { &*csq };
    let good = matches!(queue.Type, PLAIN | EXTENDED);
    if !good {
        Machine::current().violation("irp", format!("{call} with {:#x}, which is no queue", csq.addr()));
    }
    good.then_some(queue)
}

/// What a request remembers of its queue: DriverContext[3].
fn remembered<'r>(irp: PIRP) -> &'r mut PVOID {
    let tail = &mut fields(irp).Tail;
    // SAFETY: every request the I/O manager gave out has this member of the union.
    let overlay = unsafe { &mut tail.Overlay };
    // SAFETY: as above.
    unsafe { &mut overlay.__bindgen_anon_1.__bindgen_anon_1.DriverContext[3] }
}

/// The driver's lock, with what comes between.
fn locked<R>(csq: PIO_CSQ, queue: &IO_CSQ, body: impl FnOnce() -> R) -> R {
    let (machine, mut level) = (Machine::current(), 0);
    if let Some(acquire) = queue.CsqAcquireLock {
        // SAFETY: the routine's contract: its queue and room for a level.
        unsafe { crate::call_either!(machine, acquire, csq, &raw mut level) }
    }
    let result = body();
    if let Some(release) = queue.CsqReleaseLock {
        // SAFETY: the routine's contract: its queue and the level it gave.
        unsafe { crate::call_either!(machine, release, csq, level) }
    }
    result
}

/// Has the driver take a request out of its list, and its context forget it.
fn take_out(csq: PIO_CSQ, queue: &IO_CSQ, irp: PIRP) {
    if let Some(remove) = queue.CsqRemoveIrp {
        // SAFETY: the routine's contract: its queue and a request that is in it.
        unsafe { crate::call_either!(Machine::current(), remove, csq, irp) }
    }
    let context = std::mem::replace(remembered(irp), ptr::null_mut());
    if !context.is_null() && context != csq.cast() {
        // SAFETY: what was remembered is the queue or a context the driver keeps as long as the request is queued.
        unsafe { (*context.cast::<IO_CSQ_IRP_CONTEXT>()).Irp = ptr::null_mut() };
    }
}

fn complete_cancelled(csq: PIO_CSQ, queue: &IO_CSQ, irp: PIRP) {
    if let Some(complete) = queue.CsqCompleteCanceledIrp {
        // SAFETY: the routine's contract: its queue and a request that is out of it.
        unsafe { crate::call_either!(Machine::current(), complete, csq, irp) }
    }
}

/// The cancel routine of every queued request. It comes with the cancel spin lock held.
unsafe extern "win64" fn cancelled(_: PDEVICE_OBJECT, irp: PIRP) {
    let machine = Machine::current();
    locks::release(machine.nt.io.cancel_lock.as_ptr());
    irql::set(Irql::of(fields(irp).CancelIrql));
    let place = *remembered(irp);
    // SAFETY: what was remembered begins with its type.
    let is_context = unsafe { place.cast::<u32>().read() } == CONTEXT;
    // SAFETY: a context knows its queue.
    let csq = if is_context { unsafe { (*place.cast::<IO_CSQ_IRP_CONTEXT>()).Csq } } else { place.cast() };
    let Some(queue) = queue(csq, "the cancellation of a request") else { return };
    locked(csq, queue, || take_out(csq, queue, irp));
    complete_cancelled(csq, queue, irp);
}

/// Puts a request into a queue: pended from now on, and ended by the driver's routine if it is cancelled already.
fn insert(csq: PIO_CSQ, irp: PIRP, context: PIO_CSQ_IRP_CONTEXT, argument: PVOID, call: &str) -> NTSTATUS {
    let Some(queue) = queue(csq, call) else { return STATUS_SUCCESS };
    let inserted = locked(csq, queue, || {
        if !context.is_null() {
            // SAFETY: the page: NULL or storage for a context.
            unsafe { context.write(IO_CSQ_IRP_CONTEXT { Type: CONTEXT, Irp: irp, Csq: csq }) };
        }
        *remembered(irp) = if context.is_null() { csq.cast() } else { context.cast() };
        if fields(irp).Cancel != 0 {
            return Err(STATUS_SUCCESS);
        }
        let Some(insert) = queue.CsqInsertIrp else { return Ok(STATUS_SUCCESS) };
        let machine = Machine::current();
        let status = if queue.Type == EXTENDED {
            // SAFETY: IoCsqInitializeEx was given a routine of this type.
            let insert = unsafe { std::mem::transmute::<PIO_CSQ_INSERT_IRP, PIO_CSQ_INSERT_IRP_EX>(Some(insert)) };
            // SAFETY: the routine's contract: its queue, a request and the caller's argument.
            insert.map_or(STATUS_SUCCESS, |insert| unsafe { crate::call_either!(machine, insert, csq, irp, argument) })
        } else {
            // SAFETY: the routine's contract: its queue and a request.
            unsafe { crate::call_either!(machine, insert, csq, irp) };
            STATUS_SUCCESS
        };
        if status >= 0 {
            location(current(irp)).Control |= SL_PENDING_RETURNED as u8;
            fields(irp).CancelRoutine = Some(cancelled);
        }
        Ok(status)
    });
    match inserted {
        Ok(status) => status,
        Err(status) => {
            location(current(irp)).Control |= SL_PENDING_RETURNED as u8;
            *remembered(irp) = ptr::null_mut();
            if !context.is_null() {
                // SAFETY: as above.
                unsafe { (*context).Irp = ptr::null_mut() };
            }
            complete_cancelled(csq, queue, irp);
            status
        }
    }
}

fn fill(
    csq: PIO_CSQ,
    kind: u32,
    (insert, remove, peek, acquire, release, complete): (
        PIO_CSQ_INSERT_IRP,
        PIO_CSQ_REMOVE_IRP,
        PIO_CSQ_PEEK_NEXT_IRP,
        PIO_CSQ_ACQUIRE_LOCK,
        PIO_CSQ_RELEASE_LOCK,
        PIO_CSQ_COMPLETE_CANCELED_IRP,
    ),
) -> NTSTATUS {
    let new = IO_CSQ {
        Type: kind,
        CsqInsertIrp: insert,
        CsqRemoveIrp: remove,
        CsqPeekNextIrp: peek,
        CsqAcquireLock: acquire,
        CsqReleaseLock: release,
        CsqCompleteCanceledIrp: complete,
        ReservePointer: ptr::null_mut(),
    };
    // SAFETY: the page: storage for a queue.
    unsafe { csq.write(new) };
    STATUS_SUCCESS
}

ndk_types::abi! {
    unsafe extern "C" fn io_csq_initialize(
        csq: PIO_CSQ,
        insert: PIO_CSQ_INSERT_IRP,
        remove: PIO_CSQ_REMOVE_IRP,
        peek: PIO_CSQ_PEEK_NEXT_IRP,
        acquire: PIO_CSQ_ACQUIRE_LOCK,
        release: PIO_CSQ_RELEASE_LOCK,
        complete: PIO_CSQ_COMPLETE_CANCELED_IRP,
    ) -> NTSTATUS {
        fill(csq, PLAIN, (insert, remove, peek, acquire, release, complete))
    }

    unsafe extern "C" fn io_csq_initialize_ex(
        csq: PIO_CSQ,
        insert: PIO_CSQ_INSERT_IRP_EX,
        remove: PIO_CSQ_REMOVE_IRP,
        peek: PIO_CSQ_PEEK_NEXT_IRP,
        acquire: PIO_CSQ_ACQUIRE_LOCK,
        release: PIO_CSQ_RELEASE_LOCK,
        complete: PIO_CSQ_COMPLETE_CANCELED_IRP,
    ) -> NTSTATUS {
        // SAFETY: kept in the field of the other type, as the real structure does, and called as what it is.
        let insert = unsafe { std::mem::transmute::<PIO_CSQ_INSERT_IRP_EX, PIO_CSQ_INSERT_IRP>(insert) };
        fill(csq, EXTENDED, (insert, remove, peek, acquire, release, complete))
    }

    unsafe extern "C" fn io_csq_insert_irp(csq: PIO_CSQ, irp: PIRP, context: PIO_CSQ_IRP_CONTEXT) {
        insert(csq, irp, context, ptr::null_mut(), "IoCsqInsertIrp");
    }

    unsafe extern "C" fn io_csq_insert_irp_ex(
        csq: PIO_CSQ,
        irp: PIRP,
        context: PIO_CSQ_IRP_CONTEXT,
        argument: PVOID,
    ) -> NTSTATUS {
        insert(csq, irp, context, argument, "IoCsqInsertIrpEx")
    }

    unsafe extern "C" fn io_csq_remove_next_irp(csq: PIO_CSQ, argument: PVOID) -> PIRP {
        let Some(queue) = queue(csq, "IoCsqRemoveNextIrp") else { return ptr::null_mut() };
        let Some(peek) = queue.CsqPeekNextIrp else { return ptr::null_mut() };
        locked(csq, queue, || {
            let mut irp: PIRP = ptr::null_mut();
            loop {
                // SAFETY: the routine's contract: its queue, the request to go on behind, and the caller's argument.
                irp = unsafe { crate::call_either!(Machine::current(), peek, csq, irp, argument) };
                if irp.is_null() {
                    return irp;
                }
                // One without its cancel routine is being cancelled.
                if fields(irp).CancelRoutine.take().is_some() {
                    take_out(csq, queue, irp);
                    return irp;
                }
            }
        })
    }

    unsafe extern "C" fn io_csq_remove_irp(csq: PIO_CSQ, context: PIO_CSQ_IRP_CONTEXT) -> PIRP {
        let Some(queue) = queue(csq, "IoCsqRemoveIrp") else { return ptr::null_mut() };
        locked(csq, queue, || {
            // SAFETY: the page: a context that a request was inserted with.
            let irp = unsafe { (*context).Irp };
            if irp.is_null() || fields(irp).CancelRoutine.take().is_none() {
                return ptr::null_mut();
            }
            take_out(csq, queue, irp);
            irp
        })
    }
}

pub(super) fn exports() -> impl IntoIterator<Item = Export> {
    exports! { "ntoskrnl.exe" in crate::kernel::wdk::ntddk;
        IoCsqInitialize <= High = io_csq_initialize,
        IoCsqInitializeEx <= High = io_csq_initialize_ex,
        IoCsqInsertIrp <= Dispatch = io_csq_insert_irp,
        IoCsqInsertIrpEx <= Dispatch = io_csq_insert_irp_ex,
        IoCsqRemoveNextIrp <= Dispatch = io_csq_remove_next_irp,
        IoCsqRemoveIrp <= Dispatch = io_csq_remove_irp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::bad_drivers::{broken, import};
    use crate::kernel::nt::io::{complete, irps};
    use crate::kernel::wdk::KIRQL;

    /// A driver's queue: the routines know it by the address of its first field.
    #[repr(C)]
    struct Queue {
        csq: IO_CSQ,
        lock: u64,
        held: Vec<PIRP>,
        cancelled: Vec<PIRP>,
        refuses: bool,
    }

    fn own<'o>(csq: PIO_CSQ) -> &'o mut Queue {
        // SAFETY: the test's own queue, which begins with it.
        unsafe { &mut *csq.cast::<Queue>() }
    }

    unsafe extern "win64" fn insert_plain(csq: PIO_CSQ, irp: PIRP) {
        own(csq).held.push(irp);
    }
    unsafe extern "win64" fn insert_extended(csq: PIO_CSQ, irp: PIRP, _: PVOID) -> NTSTATUS {
        if own(csq).refuses {
            return ndk_types::STATUS_DEVICE_BUSY;
        }
        own(csq).held.push(irp);
        STATUS_SUCCESS
    }
    unsafe extern "win64" fn remove(csq: PIO_CSQ, irp: PIRP) {
        own(csq).held.retain(|&held| held != irp);
    }
    unsafe extern "win64" fn peek(csq: PIO_CSQ, after: PIRP, _: PVOID) -> PIRP {
        let held = &own(csq).held;
        let next = held.iter().position(|&one| one == after).map_or(0, |place| place + 1);
        held.get(next).copied().unwrap_or(ptr::null_mut())
    }
    unsafe extern "win64" fn acquire(csq: PIO_CSQ, level: *mut KIRQL) {
        let old = import!(KeAcquireSpinLockRaiseToDpc, &raw mut own(csq).lock);
        // SAFETY: room for the level.
        unsafe { level.write(old) };
    }
    unsafe extern "win64" fn release(csq: PIO_CSQ, level: KIRQL) {
        import!(KeReleaseSpinLock, &raw mut own(csq).lock, level);
    }
    unsafe extern "win64" fn ended(csq: PIO_CSQ, irp: PIRP) {
        assert_eq!(irql::current(), Irql::Passive);
        own(csq).cancelled.push(irp);
    }

    #[expect(clippy::unnecessary_box_returns, reason = "a queue stays where it is")]
    fn new_queue(extended: bool) -> Box<Queue> {
        let none: Vec<PIRP> = Vec::new();
        // SAFETY: all zeroes is a queue without routines.
        let csq = unsafe { std::mem::zeroed() };
        let mut queue = Box::new(Queue { csq, lock: 0, held: none.clone(), cancelled: none, refuses: false });
        let csq = &raw mut queue.csq;
        let (remove, peek, acquire, release, ended) =
            (Some(remove as _), Some(peek as _), Some(acquire as _), Some(release as _), Some(ended as _));
        let status = if extended {
            import!(IoCsqInitializeEx, csq, Some(insert_extended), remove, peek, acquire, release, ended)
        } else {
            import!(IoCsqInitialize, csq, Some(insert_plain), remove, peek, acquire, release, ended)
        };
        assert_eq!(status, STATUS_SUCCESS);
        queue
    }

    /// A request that somebody sent: its first location is the current one.
    fn request() -> PIRP {
        let irp = import!(IoAllocateIrp, 1, 0);
        irps::next_location(irp);
        irp
    }

    #[test]
    fn a_queued_request_is_taken_out_by_its_driver_or_by_its_cancellation() {
        let rules = broken(|_, _| {
            let mut queue = new_queue(false);
            let csq = &raw mut queue.csq;
            let irps = [(); 4].map(|()| request());
            // SAFETY: all zeroes is a context.
            let mut context: IO_CSQ_IRP_CONTEXT = unsafe { std::mem::zeroed() };
            import!(IoCsqInsertIrp, csq, irps[0], ptr::null_mut());
            import!(IoCsqInsertIrp, csq, irps[1], &raw mut context);
            import!(IoCsqInsertIrp, csq, irps[2], ptr::null_mut());
            assert_eq!(u32::from(location(current(irps[0])).Control), SL_PENDING_RETURNED);
            assert_eq!(import!(IoCancelIrp, irps[0]), 1);
            assert_eq!((import!(IoCsqRemoveIrp, csq, &raw mut context), context.Irp), (irps[1], ptr::null_mut()));
            assert!(import!(IoCsqRemoveIrp, csq, &raw mut context).is_null());
            assert_eq!(import!(IoCsqRemoveNextIrp, csq, ptr::null_mut()), irps[2]);
            assert!(import!(IoCsqRemoveNextIrp, csq, ptr::null_mut()).is_null());
            // One that is cancelled before it is queued is never in the list.
            assert_eq!(import!(IoCancelIrp, irps[3]), 0);
            import!(IoCsqInsertIrp, csq, irps[3], &raw mut context);
            assert_eq!((&own(csq).cancelled, own(csq).held.len()), (&vec![irps[0], irps[3]], 0));
            for irp in irps {
                import!(IoFreeIrp, irp);
            }
        });
        assert_eq!(rules, []);
    }

    #[test]
    fn an_extended_queue_may_refuse_and_what_is_no_queue_is_caught() {
        let rules = broken(|machine, _| {
            let mut queue = new_queue(true);
            let csq = &raw mut queue.csq;
            let irp = request();
            own(csq).refuses = true;
            let status = import!(IoCsqInsertIrpEx, csq, irp, ptr::null_mut(), ptr::null_mut());
            assert_eq!((status, location(current(irp)).Control), (ndk_types::STATUS_DEVICE_BUSY, 0));
            own(csq).refuses = false;
            // SAFETY: all zeroes is a context.
            let mut context: IO_CSQ_IRP_CONTEXT = unsafe { std::mem::zeroed() };
            assert_eq!(import!(IoCsqInsertIrpEx, csq, irp, &raw mut context, ptr::null_mut()), STATUS_SUCCESS);
            assert_eq!((import!(IoCancelIrp, irp), context.Irp), (1, ptr::null_mut()));
            assert_eq!((own(csq).cancelled.len(), machine.verifier.take()), (1, vec![]));
            own(csq).csq.Type = 0;
            import!(IoCsqRemoveNextIrp, csq, ptr::null_mut());
            // Queued, and completed without being taken out.
            own(csq).csq.Type = EXTENDED;
            let other = request();
            import!(IoCsqInsertIrpEx, csq, other, ptr::null_mut(), ptr::null_mut());
            complete(machine, other, STATUS_SUCCESS, 0);
        });
        assert_eq!(rules[0], ("irp", "IoCsqRemoveNextIrp"));
        assert!(rules.len() == 3 && rules.iter().all(|&(rule, _)| rule == "irp"), "{rules:?}");
    }
}
