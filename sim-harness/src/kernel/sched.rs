//! Kernel threads that run one at a time, in a fixed order: what makes a run of the simulated kernel repeatable.
//!
//! A kernel thread is a thread of this process that runs only while it holds the baton. The world's own thread hands the baton
//! out ([`Scheduler::run_ready`]) and has it back when the thread waits or ends. A wait names what it waits for, so that one
//! that nothing can end is a report and not a hang.
//!
//! On a machine of several processors there is no baton: see `free`.

mod free;

pub(super) use free::PATIENCE;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Tells whether a wait is over.
type Condition = Arc<dyn Fn() -> bool + Send + Sync>;

struct Waiting {
    thread: u64,
    what: String,
    over: Condition,
    /// When it is over whatever happens, in virtual nanoseconds.
    deadline: Option<u64>,
}

#[derive(Default)]
struct State {
    next: u64,
    running: Option<u64>,
    ready: VecDeque<u64>,
    waiting: Vec<Waiting>,
    alive: usize,
    joins: Vec<JoinHandle<()>>,
    /// Waits of threads that are no kernel threads, in free running: their number so far.
    strangers: u64,
}

/// The kernel threads of one machine.
#[derive(Default)]
pub struct Scheduler {
    state: Mutex<State>,
    changed: Condvar,
    abandoned: AtomicBool,
    /// Threads run at once, all at the same time.
    free: bool,
    /// Counts what happens on the machine, in free running.
    happened: AtomicU64,
}

impl std::fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scheduler").field("waiting", &self.waits()).finish_non_exhaustive()
    }
}

thread_local! {
    /// The scheduler and the number of the kernel thread that this is.
    static SELF: RefCell<Option<(Arc<Scheduler>, u64)>> = const { RefCell::new(None) };
}

/// Why a wait came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// What was waited for is there.
    Condition,
    /// The time is over.
    Timeout,
    /// Nothing that can still happen would end it: a deadlock, or the end of the run.
    Never,
}

impl Scheduler {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a kernel thread, which runs when the baton comes to it; none any more when the run is over.
    pub fn spawn(self: &Arc<Self>, name: &str, body: impl FnOnce() + Send + 'static) {
        if self.abandoned.load(Ordering::SeqCst) {
            return;
        }
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        state.alive += 1;
        let this = self.clone();
        if self.free {
            state.joins.retain(|thread| !thread.is_finished());
            self.note_life();
        } else {
            state.ready.push_back(number);
        }
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            SELF.set(Some((this.clone(), number)));
            if !this.free {
                this.wait_for_baton(number);
            }
            if !this.abandoned.load(Ordering::SeqCst) {
                body();
            }
            let mut state = this.state();
            state.alive -= 1;
            if state.running == Some(number) {
                state.running = None;
            }
            drop(state);
            this.changed.notify_all();
        });
        state.joins.push(thread.expect("a thread of this process"));
    }

    /// The number of the kernel thread that this is, if it is one of these.
    fn own_number(&self) -> Option<u64> {
        SELF.with_borrow(|own| {
            own.as_ref().filter(|(sched, _)| std::ptr::eq(Arc::as_ptr(sched), self)).map(|own| own.1)
        })
    }

    fn wait_for_baton(&self, number: u64) {
        let mut state = self.state();
        while state.running != Some(number) && !self.abandoned.load(Ordering::SeqCst) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until `over`, on a kernel thread or on the world's own. `idle` is called on the world's thread when no kernel
    /// thread can go on: it does what is due at this moment (deferred calls) and says whether there was anything.
    pub fn wait(
        self: &Arc<Self>,
        what: &str,
        deadline: Option<u64>,
        now: impl Fn() -> u64,
        over: impl Fn() -> bool + Send + Sync + 'static,
        idle: impl Fn() -> bool,
    ) -> Woken {
        let me = self.own_number();
        if self.free {
            return self.wait_free(me, what, deadline, &now, &(Arc::new(over) as Condition));
        }
        let Some(number) = me else {
            loop {
                if over() {
                    return Woken::Condition;
                }
                if deadline.is_some_and(|deadline| deadline <= now()) {
                    return Woken::Timeout;
                }
                if !self.run_ready(&now) && !idle() {
                    return Woken::Never;
                }
            }
        };
        if over() {
            return Woken::Condition;
        }
        let over = Arc::new(over);
        let mut state = self.state();
        let condition: Condition = over.clone();
        state.waiting.push(Waiting { thread: number, what: what.to_owned(), over: condition, deadline });
        state.running = None;
        drop(state);
        self.changed.notify_all();
        self.wait_for_baton(number);
        if over() {
            Woken::Condition
        } else if self.abandoned.load(Ordering::SeqCst) {
            Woken::Never
        } else {
            Woken::Timeout
        }
    }

    /// Lets every kernel thread that can go on do so, in order, until all wait or are done; says whether there was one. Called on
    /// the world's thread.
    pub fn run_ready(&self, now: impl Fn() -> u64) -> bool {
        let mut any = false;
        loop {
            let mut state = self.state();
            if state.ready.is_empty() {
                let now = now();
                let over = |wait: &Waiting| (wait.over)() || wait.deadline.is_some_and(|deadline| deadline <= now);
                let Some(place) = state.waiting.iter().position(over) else { return any };
                let woken = state.waiting.remove(place).thread;
                state.ready.push_back(woken);
            }
            let Some(next) = state.ready.pop_front() else { return any };
            any = true;
            state.running = Some(next);
            self.changed.notify_all();
            while state.running.is_some() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Whether a kernel thread could go on now.
    pub fn is_ready(&self) -> bool {
        let state = self.state();
        !state.ready.is_empty() || state.waiting.iter().any(|wait| (wait.over)())
    }

    /// The earliest time at which a wait is over whatever happens.
    pub fn next_deadline(&self) -> Option<u64> {
        self.state().waiting.iter().filter_map(|wait| wait.deadline).min()
    }

    /// What kernel threads wait for.
    pub fn waits(&self) -> Vec<String> {
        self.state().waiting.iter().map(|wait| wait.what.clone()).collect()
    }

    /// Kernel threads that have not ended.
    pub fn alive(&self) -> usize {
        self.state().alive
    }

    /// Whether the run is over.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    /// Ends every wait: the run is over.
    pub fn abandon(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        self.changed.notify_all();
        let joins = std::mem::take(&mut self.state().joins);
        for join in joins {
            let _ = join.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn threads_run_one_at_a_time_in_order_and_wait_by_name() {
        let sched = Arc::new(Scheduler::default());
        let (log, flag) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        for number in 0..3 {
            let (inner, log, flag) = (sched.clone(), log.clone(), flag.clone());
            sched.spawn("t", move || {
                log.lock().unwrap().push(number);
                let there = flag.clone();
                let woken = inner.wait("the flag", None, || 0, move || there.load(Ordering::SeqCst), || false);
                assert_eq!(woken, Woken::Condition);
                log.lock().unwrap().push(number + 10);
            });
        }
        assert!(sched.run_ready(|| 0));
        assert_eq!(sched.waits(), ["the flag"; 3]);
        assert!(!sched.run_ready(|| 0));
        flag.store(true, Ordering::SeqCst);
        assert!(sched.run_ready(|| 0));
        assert_eq!(*log.lock().unwrap(), [0, 1, 2, 10, 11, 12]);
        assert_eq!(sched.alive(), 0);
        sched.abandon();
    }

    #[test]
    fn a_wait_ends_with_its_time_and_one_that_nothing_can_end_says_so() {
        let sched = Arc::new(Scheduler::default());
        let clock = Arc::new(AtomicU64::new(0));
        let (inner, time) = (sched.clone(), clock.clone());
        sched.spawn("t", move || {
            let woken = inner.wait("nothing", Some(5), || time.load(Ordering::SeqCst), || false, || false);
            assert_eq!(woken, Woken::Timeout);
        });
        sched.run_ready(|| clock.load(Ordering::SeqCst));
        assert_eq!((sched.alive(), sched.next_deadline()), (1, Some(5)));
        clock.store(5, Ordering::SeqCst);
        sched.run_ready(|| clock.load(Ordering::SeqCst));
        assert_eq!(sched.alive(), 0);
        assert_eq!(sched.wait("never", None, || 5, || false, || false), Woken::Never);
        sched.abandon();
    }
}
