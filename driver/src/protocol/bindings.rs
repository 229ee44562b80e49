//! Every open binding, in a list that holds one reference on each, from bind to the end of its unbind.

use crate::binding::Binding;
use crate::kernel::Guarded;
use core::ptr::null_mut;
use core::sync::atomic::Ordering;
use ndk_provider::shared::Shared;

struct Head(*mut Binding);

// SAFETY: the list owns a reference on each binding it reaches, and bindings may be used from any thread.
unsafe impl Send for Head {}

static LIST: Guarded<Head> = Guarded::new(Head(null_mut()));

/// Looks at one binding after the other until `of_interest` has an answer; under the list's lock.
fn find<R>(head: &Head, mut of_interest: impl FnMut(&Binding) -> Option<R>) -> Option<R> {
    let mut at = head.0;
    // SAFETY: on the list, so the list's reference keeps it.
    while let Some(binding) = unsafe { at.as_ref() } {
        if let Some(found) = of_interest(binding) {
            return Some(found);
        }
        at = binding.next.load(Ordering::Relaxed);
    }
    None
}

/// Adds a binding; false, if its virtual miniport has one already.
pub fn insert(binding: &Shared<Binding>) -> bool {
    let name = binding.name.with(|name| *name);
    LIST.with(|head| {
        if find(head, |other| other.name.with(|taken| taken.is(name.units())).then_some(())).is_some() {
            return false;
        }
        binding.own.with(|own| *own = Some(binding.clone()));
        binding.next.store(head.0, Ordering::Relaxed);
        head.0 = core::ptr::from_ref::<Binding>(binding).cast_mut();
        true
    })
}

/// Takes a binding off the list, with the list's reference.
pub fn remove(binding: &Binding) -> Option<Shared<Binding>> {
    let gone = core::ptr::from_ref(binding).cast_mut();
    LIST.with(|head| {
        let after = binding.next.load(Ordering::Relaxed);
        if head.0 == gone {
            head.0 = after;
        } else {
            find(head, |other| {
                (other.next.load(Ordering::Relaxed) == gone).then(|| other.next.store(after, Ordering::Relaxed))
            });
        }
        binding.own.with(Option::take)
    })
}

/// A binding whose virtual miniport is still to be started.
pub fn unstarted() -> Option<Shared<Binding>> {
    LIST.with(|head| {
        find(head, |binding| {
            let waiting = binding.unstarted.load(Ordering::Acquire);
            binding.own.with(|own| own.clone().filter(|_| waiting))
        })
    })
}

/// The binding under the virtual miniport of that name.
pub fn under(name: &[u16]) -> Option<Shared<Binding>> {
    LIST.with(|head| {
        find(head, |binding| {
            let is_it = binding.name.with(|own| own.is(name));
            binding.own.with(|own| own.clone().filter(|_| is_it))
        })
    })
}

/// Whether an interface is a virtual miniport of ours, by name or NET_LUID (W-03).
pub fn is_ours(name: &[u16], luid: u64) -> bool {
    LIST.with(|head| {
        find(head, |binding| {
            let named = binding.name.with(|own| own.is(name));
            let known = binding.with_upper(|upper| upper.luid() == luid).unwrap_or(false);
            (named || known).then_some(())
        })
        .is_some()
    })
}
