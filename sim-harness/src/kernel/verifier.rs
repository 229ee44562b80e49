//! What the simulated kernel holds against drivers: every broken rule is noted with the call, the IRQL and the object, and a
//! run ends with none or fails.

use super::irql::{self, Irql};
use std::cell::Cell;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule: a W-nn, a requirement's id, or a word like `pool`.
    pub rule: &'static str,
    /// The import that was running, if the driver called one.
    pub call: &'static str,
    /// Where the processor was.
    pub irql: Irql,
    /// What happened.
    pub text: String,
    /// Virtual nanoseconds.
    pub at: u64,
    /// The machine's seed: a run of the same with it breaks the same rule again (D8).
    pub seed: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let call = if self.call.is_empty() { "no call" } else { self.call };
        write!(f, "[{}] {} ({call} at {}, {} ns, seed {})", self.rule, self.text, self.irql, self.at, self.seed)
    }
}

thread_local! {
    static CALL: Cell<&'static str> = const { Cell::new("") };
    static CALLBACK: Cell<&'static str> = const { Cell::new("no callback") };
}

/// Says which import this processor is in; gives the one before.
pub fn set_call(name: &'static str) -> &'static str {
    CALL.replace(name)
}

/// The import this processor is in.
pub fn call() -> &'static str {
    CALL.get()
}

/// Says which callback of a driver this processor is in; gives the one before.
pub fn set_callback(name: &'static str) -> &'static str {
    CALLBACK.replace(name)
}

/// What a processor does, for whoever waits for it on another.
#[derive(Clone, Debug)]
pub struct Whereabouts {
    thread: std::thread::Thread,
    callback: &'static str,
    call: &'static str,
}

/// What this processor does.
pub fn whereabouts() -> Whereabouts {
    Whereabouts { thread: std::thread::current(), callback: CALLBACK.get(), call: call() }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { thread, callback, call } = self;
        write!(f, "{} in {callback}, by {call}", thread.name().unwrap_or("a thread"))
    }
}

/// The violations of one machine.
#[derive(Debug, Default)]
pub struct Verifier(Mutex<Vec<Violation>>);

impl Verifier {
    fn list(&self) -> MutexGuard<'_, Vec<Violation>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a violation.
    pub fn note(&self, rule: &'static str, at: u64, seed: u64, text: String) {
        let violation = Violation { rule, call: call(), irql: irql::current(), text, at, seed };
        let mut list = self.list();
        // The same mistake in a loop says nothing new.
        if list.len() < 1_000 {
            list.push(violation);
        }
    }

    /// All so far.
    pub fn violations(&self) -> Vec<Violation> {
        self.list().clone()
    }

    /// All so far, which are forgotten.
    pub fn take(&self) -> Vec<Violation> {
        std::mem::take(&mut self.list())
    }
}
