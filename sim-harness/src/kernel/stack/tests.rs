//! Image code here is native code that is entered as image code is: the border can't tell.

use super::*;
use crate::kernel::Machine;
use crate::kernel::irql::{self, Irql};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

static CALLS: AtomicUsize = AtomicUsize::new(0);

extern "win64" fn heard(import: &Import) {
    CALLS.fetch_add(import.number, Ordering::SeqCst);
}

type Six = unsafe extern "win64" fn(u64, u64, u64, u64, u64, u64) -> u64;

/// What the simulator offers: it weighs its arguments, and calls the image again when the first is not 0.
#[expect(clippy::many_single_char_names, reason = "six arguments, to be told apart by place")]
unsafe extern "win64" fn offered(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64 {
    assert!(inside_image());
    if a > 1 {
        let image: Six = image;
        // SAFETY: `image` may be called with any numbers.
        return unsafe { call_image!(image, a - 1, b, c, d, e, f) };
    }
    a + 10 * b + 100 * c + 1000 * d + 10_000 * e + 100_000 * f
}

thread_local! {
    static GATE: Cell<usize> = const { Cell::new(0) };
    static SEEN: Cell<usize> = const { Cell::new(0) };
}

/// Image code, as far as the border can tell.
#[expect(clippy::many_single_char_names, reason = "six arguments, to be told apart by place")]
unsafe extern "win64" fn image(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64 {
    let here = 0_u8;
    SEEN.set((&raw const here).addr());
    // SAFETY: the gate leads to a function of this type.
    let import: Six = unsafe { std::mem::transmute(GATE.get()) };
    // SAFETY: it takes any numbers.
    unsafe { import(a, b, c, d, e, f) }
}

/// W-44
#[test]
fn image_code_runs_on_its_own_stack_and_imports_on_ours_with_all_arguments() {
    let target: Six = offered;
    let gate = Gate::new("Offered".into(), 1, target as usize, heard);
    GATE.set(gate.address());
    let function: Six = image;
    for depth in 1..=5 {
        // SAFETY: `image` takes any numbers.
        let answer = unsafe { call_image!(function, depth, 2, 3, 4, 5, 6) };
        assert_eq!(answer, 654_321);
        assert!(!inside_image());
    }
    let here = 0_u8;
    assert!((&raw const here).addr().abs_diff(SEEN.get()) > STACK, "the image ran on our stack");
    assert_eq!(CALLS.load(Ordering::SeqCst), 1 + 2 + 3 + 4 + 5);
    assert!((1..STACK).contains(&deepest()));
    assert_eq!(gate.import().name, "Offered");
}

extern "win64" fn unheard(_: &Import) {}

unsafe extern "win64" fn where_am_i(place: *mut usize) -> u64 {
    let here = 0_u8;
    // SAFETY: the caller's variable.
    unsafe { place.write((&raw const here).addr()) };
    irql::current() as u64
}

type Where = unsafe extern "win64" fn(*mut usize) -> u64;

/// W-44: what the machine knows as an image runs on the image stack, at the level asked for, and what it does not on ours.
#[test]
fn a_driver_is_entered_as_what_it_is() {
    let machine = Machine::new("border", Arc::new(AtomicU64::new(0)), 1);
    let function: Where = where_am_i;
    let seen = || {
        let mut place = 0;
        // SAFETY: our variable.
        let level = unsafe { crate::call_driver!(machine, "Where", Irql::Dispatch, function, &raw mut place) };
        let here = 0_u8;
        (level, (&raw const here).addr().abs_diff(place) > STACK)
    };
    assert_eq!(seen(), (2, false));
    let listing = machine.images().list(std::iter::once(function as usize..function as usize + 1));
    assert_eq!(seen(), (2, true));
    drop(listing);
    assert_eq!(seen(), (2, false));
    assert_eq!((irql::current(), machine.verifier.take()), (Irql::Passive, vec![]));
}

/// An import that calls a gate itself.
unsafe extern "win64" fn between(place: *mut usize) -> u64 {
    // SAFETY: the gate leads to a function of this type.
    let gate: Where = unsafe { std::mem::transmute(GATE.get()) };
    // SAFETY: the caller's variable.
    unsafe { gate(place) }
}

#[test]
fn a_gate_leaves_the_simulator_on_the_stack_it_is_on() {
    let function: Where = where_am_i;
    let inner = Gate::new("Where".into(), 0, function as usize, unheard);
    let between: Where = between;
    let outer = Gate::new("Between".into(), 0, between as usize, unheard);
    GATE.set(inner.address());
    let (mut outside, mut inside) = (0, 0);
    // SAFETY: the gate leads to a function of this type.
    let gate: Where = unsafe { std::mem::transmute(inner.address()) };
    // SAFETY: our variable.
    unsafe { gate(&raw mut outside) };
    // SAFETY: as above.
    let image: Where = unsafe { std::mem::transmute(outer.address()) };
    // SAFETY: our variable.
    unsafe { call_image!(image, &raw mut inside) };
    let here = (&raw const outside).addr();
    assert!(here.abs_diff(outside) < STACK && here.abs_diff(inside) < STACK, "{here:#x}, {outside:#x}, {inside:#x}");
    assert!(!inside_image());
}

/// What an image is told to call, and how deep it is.
struct Told {
    callback: unsafe extern "win64" fn(&Told, u64, u64, u64, u64, u64) -> u64,
    /// Addresses of a local variable, in the image and in the callback, by depth.
    places: std::cell::RefCell<Vec<(u64, usize)>>,
}

/// Image code that calls a pointer it was given, with a frame that must be whole afterwards.
unsafe extern "win64" fn telling(told: &Told, depth: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    let frame = std::hint::black_box([depth; 32]);
    told.places.borrow_mut().push((depth, (&raw const frame).addr()));
    assert!(BORDER.with(|border| border.is_on_image_stack((&raw const frame).addr())), "not on the image stack");
    // SAFETY: the callback takes any numbers.
    let answer = unsafe { (told.callback)(told, depth, b, c, d, e) };
    assert_eq!(std::hint::black_box(frame), [depth; 32], "a frame of the image was overwritten");
    answer + 1_000_000
}

fn answer(told: &Told, depth: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    if depth > 1 {
        let image: unsafe extern "win64" fn(&Told, u64, u64, u64, u64, u64) -> u64 = telling;
        // SAFETY: `telling` takes any numbers.
        return unsafe { call_image!(image, told, depth - 1, b, c, d, e) };
    }
    depth + 10 * b + 100 * c + 1000 * d + 10_000 * e
}

unsafe extern "win64" fn polite(told: &Told, depth: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    outside(|| {
        let here = 0_u8;
        assert!(inside_image() && !BORDER.with(|border| border.is_on_image_stack((&raw const here).addr())));
        outside(|| answer(told, depth, b, c, d, e))
    })
}

unsafe extern "win64" fn impolite(told: &Told, depth: u64, b: u64, c: u64, d: u64, e: u64) -> u64 {
    answer(told, depth, b, c, d, e)
}

/// W-44
#[test]
fn a_callback_runs_outside_and_the_image_goes_on_below_what_it_left() {
    let image: unsafe extern "win64" fn(&Told, u64, u64, u64, u64, u64) -> u64 = telling;
    for callback in [polite, impolite] as [unsafe extern "win64" fn(&Told, u64, u64, u64, u64, u64) -> u64; 2] {
        for depth in 1..=3 {
            let told = Told { callback, places: Vec::new().into() };
            // SAFETY: `telling` takes any numbers.
            let answer = unsafe { call_image!(image, &told, depth, 2, 3, 4, 5) };
            assert_eq!(answer, 54_321 + depth * 1_000_000);
            assert!(!inside_image());
            let places = told.places.into_inner();
            assert_eq!(places.iter().map(|&(a, _)| a).collect::<Vec<_>>(), (1..=depth).rev().collect::<Vec<_>>());
            assert!(places.is_sorted_by(|(_, outer), (_, inner)| outer > inner), "{places:x?}");
        }
    }
    assert_eq!(outside(|| 7), 7, "not called by an image: it just runs");
}
