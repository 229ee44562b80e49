//! Lists that pass from hand to hand, and those that are lent for an indication (NDIS_RECEIVE_FLAGS_RESOURCES, W-20).

use super::{Holder, Kind, Lent, Lists, Nbl, Record, Seen, State, data, making};
use crate::kernel::Machine;
use ndk_types::NET_BUFFER_LIST;

impl Nbl {
    /// The link. The list is in the table.
    fn next(self) -> *mut NET_BUFFER_LIST {
        // SAFETY: a list in the table is alive.
        unsafe { (*self.0).Next }
    }

    fn parent(self) -> usize {
        // SAFETY: as above.
        unsafe { (*self.0).ParentNetBufferList }.addr()
    }
}

/// What speaks against a list's going from the driver to somebody, though it goes: the rule and why.
fn faults(state: &State, nbl: Nbl, record: &Record, to: Holder) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    if record.clones > 0 {
        faults.push(("nbl", format!("has {} clones that are alive", record.clones)));
    }
    if let Kind::Clone { parent, copied, .. } = record.kind {
        if copied != Some(to) {
            let name =
                if to == Holder::Nic { "NdisCopySendNetBufferListInfo" } else { "NdisCopyReceiveNetBufferListInfo" };
            faults.push(("W-20", format!("is a clone without {name}")));
        }
        if nbl.parent() != 0 && nbl.parent() != parent {
            faults.push(("nbl", "is a clone with another's parent pointer".to_owned()));
        }
    }
    match state.buffers_of(nbl) {
        Ok(buffers) if buffers.is_empty() => faults.push(("nbl", "has no NET_BUFFER".to_owned())),
        Err(buffer) => faults.push(("nbl", format!("has a NET_BUFFER {buffer:#x} that is none, or twice"))),
        Ok(_) => {}
    }
    faults.extend(unlike_given(state, nbl, record));
    faults
}

/// Whether a list is not as it was given to the driver.
fn unlike_given(state: &State, nbl: Nbl, record: &Record) -> Option<(&'static str, String)> {
    let (shape, parent) = record.given.as_ref()?;
    if *shape != state.shape(nbl) {
        return Some(("nbl", "comes back with other buffers, MDLs, offset or length than it had".to_owned()));
    }
    (*parent != nbl.parent()).then(|| ("nbl", "comes back with another parent pointer".to_owned()))
}

impl Lists {
    /// Takes over a chain that somebody handed to NDIS. Each list must be known, held by `from` and not lent: what is not is a
    /// violation and left out, and behind an unknown one nothing can be followed. Whoever has the lists next is noted; no link
    /// is changed.
    pub fn hand_over(
        &self,
        machine: &Machine,
        chain: *mut NET_BUFFER_LIST,
        from: Holder,
        to: Holder,
        call: &str,
    ) -> Vec<Nbl> {
        let mut passed = self.follow(machine, chain, from, call);
        passed.retain(|&nbl| {
            let mut state = self.state();
            if from == Holder::Driver && state.is_clone_of_lent(nbl) {
                let text =
                    format!("{call}: list {:#x} is a clone, without RESOURCES, of a list that is lent", nbl.address());
                machine.violation("W-20", text);
                return false;
            }
            making::check_end(machine, nbl, call);
            state.pass(machine, nbl, to, call);
            true
        });
        passed
    }

    /// Lends a chain that somebody handed to NDIS for an indication. What is left out, and why, is as in
    /// [`Lists::hand_over`].
    pub fn lend_chain(
        &self,
        machine: &Machine,
        chain: *mut NET_BUFFER_LIST,
        from: Holder,
        to: Holder,
        call: &str,
    ) -> Vec<Nbl> {
        let lists = self.follow(machine, chain, from, call);
        self.lend(machine, &lists, to);
        lists
    }

    /// The lists of a chain that `from` may hand to anybody.
    fn follow(&self, machine: &Machine, chain: *mut NET_BUFFER_LIST, from: Holder, call: &str) -> Vec<Nbl> {
        let (mut lists, mut seen) = (Vec::new(), Seen::new());
        let mut next = Nbl(chain);
        while !next.0.is_null() {
            let nbl = next;
            if !seen.insert(nbl.address()) {
                machine.violation("nbl", format!("{call}: the chain leads back to list {:#x}", nbl.address()));
                break;
            }
            let state = self.state();
            let Some(record) = state.records.get(&nbl.address()) else {
                let text = format!("{call}: {:#x} is no NET_BUFFER_LIST; what follows it is lost", nbl.address());
                machine.violation("nbl", text);
                break;
            };
            next = Nbl(nbl.next());
            match refusal(record, from) {
                Some((rule, why)) => machine.violation(rule, format!("{call}: list {:#x} {why}", nbl.address())),
                None => lists.push(nbl),
            }
        }
        lists
    }

    /// Lends lists for an indication: they stay whose they are, but `to` may look at and clone them.
    pub fn lend(&self, machine: &Machine, lists: &[Nbl], to: Holder) {
        for &nbl in lists {
            let mut state = self.state();
            let Some(record) = state.records.get(&nbl.address()) else {
                machine.violation("nbl", format!("{:#x} is lent and is no NET_BUFFER_LIST", nbl.address()));
                continue;
            };
            if record.lent.is_some() {
                machine.violation("W-20", format!("list {:#x} is lent twice", nbl.address()));
            }
            if record.holder == Holder::Driver {
                for (rule, why) in faults(&state, nbl, record, to) {
                    machine.violation(rule, format!("list {:#x}, lent to {to:?}, {why}", nbl.address()));
                }
            }
            let given = (to == Holder::Driver).then(|| (state.shape(nbl), nbl.parent()));
            let Some(record) = state.records.get_mut(&nbl.address()) else { continue };
            record.lent = Some(Lent { to, next: nbl.next().addr() });
            record.given = given;
        }
    }

    /// The indication is over: what was lent is with its holder alone, as it was before (W-20).
    pub fn take_back(&self, machine: &Machine, lists: &[Nbl], from: Holder) {
        for &nbl in lists {
            let mut state = self.state();
            let Some(record) = state.records.get(&nbl.address()) else {
                machine.violation("W-20", format!("list {:#x} is gone after it was lent", nbl.address()));
                continue;
            };
            let mut why = Vec::new();
            match &record.lent {
                Some(lent) if lent.to == from => {
                    if lent.next != nbl.next().addr() {
                        why.push(("W-20", "comes back with another link".to_owned()));
                    }
                }
                _ => why.push(("W-20", format!("was not lent to {from:?}"))),
            }
            if record.clones > 0 {
                why.push(("W-20", format!("has {} clones that outlive the indication", record.clones)));
            }
            why.extend(unlike_given(&state, nbl, record));
            for (rule, why) in why {
                machine.violation(rule, format!("list {:#x} {why}", nbl.address()));
            }
            if let Some(record) = state.records.get_mut(&nbl.address()) {
                (record.lent, record.given) = (None, None);
            }
        }
    }
}

/// Why a list cannot go at all.
fn refusal(record: &Record, from: Holder) -> Option<(&'static str, String)> {
    if let Some(lent) = &record.lent {
        return Some(("W-20", format!("is lent to {:?} for the indication only", lent.to)));
    }
    (record.holder != from).then(|| ("nbl", format!("is with {:?}, not with {from:?}", record.holder)))
}

impl State {
    fn is_clone_of_lent(&self, nbl: Nbl) -> bool {
        let Some(Kind::Clone { parent, .. }) = self.records.get(&nbl.address()).map(|record| record.kind) else {
            return false;
        };
        self.records.get(&parent).is_some_and(|parent| parent.lent.is_some())
    }

    /// Notes a new holder.
    fn pass(&mut self, machine: &Machine, nbl: Nbl, to: Holder, call: &str) {
        let Some(record) = self.records.get(&nbl.address()) else { return };
        let mut in_flight = Vec::new();
        if record.holder == Holder::Driver {
            for (rule, why) in faults(self, nbl, record, to) {
                machine.violation(rule, format!("{call}: list {:#x} {why}", nbl.address()));
            }
            if record.maker == Holder::Driver {
                in_flight = data::mdls_of(machine, &self.buffers_of(nbl).unwrap_or_default());
            }
        }
        let is_given = to == Holder::Driver && record.maker != Holder::Driver;
        let given = is_given.then(|| (self.shape(nbl), nbl.parent()));
        let Some(record) = self.records.get_mut(&nbl.address()) else { return };
        record.holder = to;
        record.in_flight = in_flight;
        record.given = given;
    }
}
