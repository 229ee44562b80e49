//! One simulated machine. Imports find theirs in a thread-local ([`Machine::current`]); nothing is global.

use super::contract::Contract;
use super::directory::Directory;
use super::export::ExportTable;
use super::irql::{self, Irql};
use super::kmdf::{self, Kmdf};
use super::loader::{Image, LoadError};
use super::ndis::Ndis;
use super::netio::Netio;
use super::nt::memory::PhysicalMemory;
use super::nt::{MEMORY, Nt};
use super::processors::Processors;
use super::sched::{PATIENCE, Scheduler, Woken};
use super::stack::Import;
use super::verifier::{self, Verifier};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

thread_local! {
    static CURRENT: RefCell<Option<Arc<Machine>>> = const { RefCell::new(None) };
}

/// See the module's text.
pub struct Machine {
    /// What people call it.
    pub name: String,
    /// Its chances come from this.
    pub seed: u64,
    clock: Arc<AtomicU64>,
    /// What it holds against drivers.
    pub verifier: Verifier,
    /// Its kernel threads.
    pub sched: Arc<Scheduler>,
    /// Its processors, if it has several.
    processors: Option<Processors>,
    /// ntoskrnl.
    pub nt: Nt,
    /// NETIO.SYS.
    pub netio: Netio,
    /// NDIS.
    pub ndis: Ndis,
    /// The driver framework.
    pub kmdf: Kmdf,
    /// What consumers owe NDK.
    pub(super) contract: Contract,
    /// Drivers that are loaded.
    pub(super) drivers: AtomicUsize,
    exports: RwLock<ExportTable>,
    images: Directory,
    log: Mutex<Vec<String>>,
    /// Functions of which a call is to fail, and how many calls before that are to succeed.
    failing: Mutex<Vec<(String, u32)>>,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Machine {
    /// A machine on this clock (virtual nanoseconds); its chances come from `seed`. Its memory is that of the scope it is made in
    /// ([`crate::memory::enter`]), or its own.
    pub fn new(name: &str, clock: Arc<AtomicU64>, seed: u64) -> Arc<Self> {
        let memory = crate::memory::shared().unwrap_or_else(|| Arc::new(PhysicalMemory::new(MEMORY)));
        Self::with_memory(name, clock, seed, memory)
    }

    /// The same with physical memory that others have, too: a consumer's buffers are then the same on all of them.
    pub fn with_memory(name: &str, clock: Arc<AtomicU64>, seed: u64, memory: Arc<PhysicalMemory>) -> Arc<Self> {
        Self::build(name, clock, seed, memory, 0)
    }

    /// A machine like [`Machine::new`]'s with so many processors that run at the same time, and kernel threads that do: nothing of
    /// it is the same again from the seed. With 0 it is one that runs one thing at a time.
    pub fn with_processors(name: &str, clock: Arc<AtomicU64>, seed: u64, processors: usize) -> Arc<Self> {
        let memory = crate::memory::shared().unwrap_or_else(|| Arc::new(PhysicalMemory::new(MEMORY)));
        Self::build(name, clock, seed, memory, processors)
    }

    fn build(
        name: &str,
        clock: Arc<AtomicU64>,
        seed: u64,
        memory: Arc<PhysicalMemory>,
        processors: usize,
    ) -> Arc<Self> {
        let mut exports = ExportTable::default();
        exports.add(super::nt::exports());
        exports.add(super::cng::exports());
        exports.add(super::netio::exports());
        exports.add(super::ndis::exports());
        exports.add(kmdf::exports());
        let machine = Arc::new_cyclic(|this| Self {
            name: name.to_owned(),
            seed,
            clock,
            verifier: Verifier::default(),
            sched: if processors > 0 { Scheduler::free() } else { Arc::default() },
            processors: (processors > 0).then(|| Processors::start(name, processors)),
            nt: Nt::new(seed, memory),
            netio: Netio::default(),
            ndis: Ndis::default(),
            kmdf: Kmdf::default(),
            contract: Contract::default(),
            failing: Mutex::default(),
            drivers: AtomicUsize::new(0),
            exports: RwLock::new(exports),
            images: Directory::of(this.clone()),
            log: Mutex::default(),
        });
        super::netio::wsk::start(&machine);
        machine
    }

    /// The machine this thread is a processor of.
    ///
    /// # Panics
    /// When it is none: an import was called outside [`Machine::enter`].
    pub fn current() -> Arc<Self> {
        CURRENT.with_borrow(|current| current.clone().expect("this thread is a processor of a machine"))
    }

    /// The machine this thread is a processor of, if it is one's.
    pub fn entered() -> Option<Arc<Self>> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// Runs `f` with this thread as a processor of this machine.
    pub fn enter<R>(self: &Arc<Self>, f: impl FnOnce() -> R) -> R {
        let before = CURRENT.replace(Some(self.clone()));
        let result = f();
        CURRENT.set(before);
        result
    }

    /// Virtual nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.load(Ordering::SeqCst)
    }

    /// Notes a broken rule.
    pub fn violation(&self, rule: &'static str, text: impl Into<String>) {
        self.verifier.note(rule, self.now(), self.seed, text.into());
    }

    /// A line of the machine's log: debug prints, event-log entries, what the kernel wants known.
    pub fn log(&self, line: impl Into<String>) {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).push(line.into());
    }

    /// The log so far.
    pub fn log_lines(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds functions that images may import.
    pub fn offer(&self, exports: impl IntoIterator<Item = super::export::Export>) {
        self.exports.write().unwrap_or_else(PoisonError::into_inner).add(exports);
    }

    /// The next call of this function fails, once, as its page says it can.
    pub fn fail_once(&self, name: &str) {
        self.fail_after(name, 0);
    }

    /// So many calls of this function succeed, then one fails.
    pub fn fail_after(&self, name: &str, calls: u32) {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), calls));
    }

    /// Calls that were to fail and have not been made; they will not fail any more.
    pub fn forget_failures(&self) -> usize {
        std::mem::take(&mut *self.failing.lock().unwrap_or_else(PoisonError::into_inner)).len()
    }

    /// Whether this call of a function is one that is to fail.
    pub fn take_failure(&self, name: &str) -> bool {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = failing.iter().position(|(one, _)| one == name) else { return false };
        if failing[place].1 > 0 {
            failing[place].1 -= 1;
            return false;
        }
        failing.remove(place);
        true
    }

    /// A function's place in the table of exports and its address.
    pub(crate) fn export_place(&self, library: &str, name: &str) -> Option<(usize, usize)> {
        let exports = self.exports.read().unwrap_or_else(PoisonError::into_inner);
        exports.place(library, name).map(|(place, export)| (place, export.address))
    }

    /// Loads an image; nothing of it runs yet.
    pub fn load(&self, bytes: &[u8]) -> Result<Image, LoadError> {
        let exports = self.exports.read().unwrap_or_else(PoisonError::into_inner);
        let mut image = Image::load(bytes, &exports, on_import, self.nt.random_u64())?;
        image.enter(&self.images);
        Ok(image)
    }

    /// The images that are loaded.
    pub fn images(&self) -> &Directory {
        &self.images
    }

    /// Whether a function is code of a loaded image, to be entered by [`crate::call_image`]; else it is the simulator's own.
    pub fn is_image_code(&self, address: usize) -> bool {
        self.images.contains(address)
    }

    /// Runs a callback of a driver at an IRQL. A callback that comes back at another is a violation.
    pub fn callback<R>(self: &Arc<Self>, what: &'static str, irql: Irql, f: impl FnOnce() -> R) -> R {
        let (call, outer) = (verifier::set_call(""), verifier::set_callback(what));
        self.sched.note_life();
        let (result, left) = self.enter(|| irql::at(irql, f));
        if left != irql {
            self.violation("irql", format!("{what} was called at {irql} and returned at {left}"));
        }
        verifier::set_callback(outer);
        verifier::set_call(call);
        result
    }

    /// Makes a kernel thread at PASSIVE_LEVEL.
    pub fn thread(self: &Arc<Self>, name: &str, body: impl FnOnce() + Send + 'static) {
        let machine = self.clone();
        let what = name.to_owned();
        self.sched.spawn(name, move || {
            machine.enter(|| {
                body();
                let left = irql::set(Irql::Passive);
                if left != Irql::Passive {
                    machine.violation("irql", format!("thread {what} ended at {left}"));
                }
            });
        });
    }

    /// Waits, on a kernel thread or on the world's own, until `over`. A wait above APC_LEVEL, or one that nothing can end, is a
    /// violation.
    pub fn wait(
        self: &Arc<Self>,
        what: &str,
        timeout: Option<u64>,
        over: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Woken {
        if irql::current() > Irql::Apc && timeout != Some(0) {
            self.violation("irql", format!("a wait for {what} at {}", irql::current()));
        }
        let deadline = timeout.map(|timeout| self.now().saturating_add(timeout));
        let call = verifier::call();
        let level = irql::set(Irql::Passive);
        let woken = self.sched.wait(what, deadline, || self.now(), over, || self.run_deferred());
        irql::set(level);
        verifier::set_call(call);
        if woken == Woken::Never {
            self.violation("deadlock", format!("nothing will end the wait for {what}"));
        }
        woken
    }

    /// Its processors, if it has several.
    pub fn processors(&self) -> Option<&Processors> {
        self.processors.as_ref()
    }

    /// Has a processor of a machine that has several do something at DISPATCH_LEVEL: the one this number falls to, or any.
    /// False on a machine without.
    pub fn post(self: &Arc<Self>, number: Option<usize>, job: impl FnOnce(&Arc<Self>) + Send + 'static) -> bool {
        let Some(processors) = &self.processors else { return false };
        let machine = self.clone();
        let job = move || {
            machine.enter(|| irql::at(Irql::Dispatch, || job(&machine)));
            machine.sched.note();
        };
        match number {
            Some(number) => processors.post_to(number, job),
            None => processors.post(job),
        }
        true
    }

    /// Whether the processors and kernel threads of a machine that has several have nothing to do at this moment. What the caller
    /// itself does is not counted.
    pub fn is_idle(&self) -> bool {
        // Processors before and after: either may give work to the other.
        let are_idle = || self.processors.as_ref().is_none_or(Processors::are_idle);
        are_idle() && self.sched.is_idle(self.now()) && are_idle()
    }

    /// Lets the processors and kernel threads of a machine that has several go on until they have nothing to do at this moment,
    /// or this is over.
    pub fn wait_until_idle(&self, limit: Duration) -> bool {
        let begun = Instant::now();
        while !self.is_idle() {
            if begun.elapsed() > limit {
                return false;
            }
            std::thread::sleep(Duration::from_micros(20));
        }
        true
    }

    /// Runs deferred procedure calls that are queued, and kernel threads that can go on, until there are none. To be called from
    /// outside image code.
    pub fn settle(self: &Arc<Self>) {
        if let Some(processors) = &self.processors {
            if !self.wait_until_idle(PATIENCE) {
                self.violation("hang", "processors or kernel threads do not come to an end");
            }
            if processors.take_panics() > 0 {
                self.violation("panic", "a processor of the simulator panicked");
            }
            return;
        }
        self.enter(|| while self.run_deferred() || self.sched.run_ready(|| self.now()) {});
    }

    /// Runs what is due: timers, then everything that follows from them.
    pub fn run_due(self: &Arc<Self>) {
        if self.processors.is_some() {
            // As many as are due, since each may run beside the others.
            for _ in 0..self.nt.due_timers(self.now()) {
                self.post(None, |machine| machine.nt.run_timer(machine));
            }
            self.sched.note();
            return;
        }
        self.enter(|| self.nt.run_timers(self));
        self.settle();
    }

    /// When [`Machine::run_due`] has something to do, in virtual nanoseconds.
    pub fn next_due(&self) -> Option<u64> {
        let wait = self.sched.next_deadline();
        self.nt.next_timer().into_iter().chain(wait).min()
    }

    fn run_deferred(self: &Arc<Self>) -> bool {
        self.nt.run_dpcs(self)
    }

    /// Looks at what a driver that is gone left behind: blocks, mappings, timers, work items, threads. Each is a violation;
    /// gives their number.
    pub fn check_leaks(&self) -> usize {
        let mut leaks = self.nt.leaks();
        leaks.extend(self.netio.leaks());
        leaks.extend(self.ndis.leaks());
        leaks.extend(self.kmdf.leaks());
        let threads = self.sched.waits();
        for leak in &leaks {
            self.violation("leak", leak.clone());
        }
        for wait in &threads {
            self.violation("leak", format!("a thread still waits for {wait}"));
        }
        leaks.len() + threads.len()
    }
}

/// Hears of every call an image makes.
pub(super) extern "win64" fn on_import(import: &Import) {
    let machine = Machine::current();
    let found = machine.exports.read().unwrap_or_else(PoisonError::into_inner).at(import.number).copied();
    let Some(export) = found else { return };
    verifier::set_call(export.name);
    machine.sched.note_life();
    let irql = irql::current();
    if irql > export.max_irql {
        machine.violation("irql", format!("{} is for {} and below, called at {irql}", export.name, export.max_irql));
    }
}
