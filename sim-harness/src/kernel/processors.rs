//! Processors of a machine that has several: threads of their own, which do what interrupts and deferred calls would do there.
//!
//! Work for one processor is done in order; work for any is done by whoever is free, so several pieces of it run at the same
//! time. A machine without processors of its own runs one thread at a time (`sched`), and the same way again from its seed.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A piece of work.
type Job = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    own: Vec<VecDeque<Job>>,
    any: VecDeque<Job>,
    /// Processors that do something.
    busy: usize,
    /// Pieces of work that panicked.
    panics: usize,
    stopped: bool,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

/// See the module's text. They stop when this is dropped, after what they are doing.
pub struct Processors(Arc<Inner>);

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, number: usize) {
        let mut state = self.state();
        loop {
            if state.stopped {
                return;
            }
            // Its own first: a frame is an interrupt, the rest is deferred.
            let job = state.own[number].pop_front().or_else(|| state.any.pop_front());
            let Some(job) = job else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.busy += 1;
            drop(state);
            let panicked = catch_unwind(AssertUnwindSafe(job)).is_err();
            state = self.state();
            state.busy -= 1;
            state.panics += usize::from(panicked);
        }
    }
}

impl Processors {
    /// So many; each starts at once.
    ///
    /// # Panics
    /// When this process cannot have more threads.
    pub fn start(machine: &str, count: usize) -> Self {
        let inner = Arc::new(Inner::default());
        inner.state().own.resize_with(count, VecDeque::new);
        for number in 0..count {
            let inner = inner.clone();
            let name = format!("{machine} CPU {number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || inner.run(number));
            drop(thread.expect("a thread of this process"));
        }
        Self(inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.state().own.len()
    }

    /// Work for the processor that this number falls to.
    pub fn post_to(&self, number: usize, job: impl FnOnce() + Send + 'static) {
        let mut state = self.0.state();
        let count = state.own.len();
        state.own[number % count].push_back(Box::new(job));
        drop(state);
        self.0.changed.notify_all();
    }

    /// Work for any processor.
    pub fn post(&self, job: impl FnOnce() + Send + 'static) {
        self.0.state().any.push_back(Box::new(job));
        self.0.changed.notify_all();
    }

    /// Pieces of work that have not begun.
    pub fn backlog(&self) -> usize {
        let state = self.0.state();
        state.any.len() + state.own.iter().map(VecDeque::len).sum::<usize>()
    }

    /// Whether none does anything, and none has anything to do.
    pub fn are_idle(&self) -> bool {
        let state = self.0.state();
        state.busy == 0 && state.any.is_empty() && state.own.iter().all(VecDeque::is_empty)
    }

    /// Pieces of work that panicked, which are forgotten.
    pub fn take_panics(&self) -> usize {
        std::mem::take(&mut self.0.state().panics)
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        // Perhaps on one of them: nobody waits for the others here.
        self.0.state().stopped = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
