//! Which slots of an image's dispatch tables were called, and how they answered: so that a run can say that none was left out.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// How a slot answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// A status that is a success, STATUS_PENDING among them.
    Success,
    /// A status that is an error.
    Error,
    /// It returns no status.
    Other,
}

/// What a slot may return.
pub(crate) trait Answers {
    /// How to read it.
    fn answer(&self) -> Answer;
}

impl Answers for i32 {
    fn answer(&self) -> Answer {
        if *self >= 0 { Answer::Success } else { Answer::Error }
    }
}

impl Answers for u32 {
    fn answer(&self) -> Answer {
        Answer::Other
    }
}

impl Answers for () {
    fn answer(&self) -> Answer {
        Answer::Other
    }
}

static CALLED: Mutex<BTreeSet<(&str, &str, Answer)>> = Mutex::new(BTreeSet::new());

/// The name of a dispatch table's type.
pub(crate) fn table<T>(_table: *const T) -> &'static str {
    std::any::type_name::<T>().rsplit("::").next().unwrap_or_default()
}

/// Notes a call of an image's slot.
pub(crate) fn note(table: &'static str, slot: &'static str, answer: Answer) {
    CALLED.lock().unwrap_or_else(PoisonError::into_inner).insert((table, slot, answer));
}

/// Every slot there is, as table and name, read from the header's translation.
pub fn slots() -> Vec<(&'static str, &'static str)> {
    let (mut table, mut all) = ("", Vec::new());
    for line in include_str!("../../../ndk-types/src/ndkpi/dispatch.rs").lines() {
        if let Some(rest) = line.strip_prefix("pub struct ") {
            table = rest.trim_end_matches(" {");
        } else if let Some((slot, _)) = line.trim().strip_prefix("pub ").and_then(|field| field.split_once(": ")) {
            all.push((table, slot));
        }
    }
    all
}

/// Whether a slot has an answer of this kind: no extension is implemented, so that a query for one never succeeds (COM-18);
/// an open object's close cannot be refused (LT-01).
fn exists(slot: &str, answer: Answer) -> bool {
    match answer {
        Answer::Success => slot != "NdkQueryExtension",
        Answer::Error => !slot.starts_with("NdkClose"),
        Answer::Other => true,
    }
}

/// Slots that were never called with success, or never refused anything, as text.
pub fn missing() -> Vec<String> {
    let called = CALLED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut missing = Vec::new();
    for (table, slot) in slots() {
        let has = |answer| called.contains(&(table, slot, answer));
        if has(Answer::Other) {
            continue;
        }
        for (answer, what) in [(Answer::Success, "with success"), (Answer::Error, "with a wrong parameter")] {
            if !has(answer) && exists(slot, answer) {
                missing.push(format!("{table}.{slot} was never called {what}"));
            }
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_its_slots() {
        let all = slots();
        let of = |name: &str| all.iter().filter(|(table, _)| *table == name).count();
        assert_eq!((of("NDK_CQ_DISPATCH"), of("NDK_MW_DISPATCH")), (7, 3));
        assert!(all.len() > 60 && all.contains(&("NDK_QP_DISPATCH", "NdkSend")), "{}", all.len());
        assert_eq!(table(std::ptr::null::<ndk_types::NDK_CQ_DISPATCH>()), "NDK_CQ_DISPATCH");
    }

    #[test]
    fn a_slot_that_only_ever_succeeded_is_missing() {
        note("NDK_PD_DISPATCH", "NdkCreateMr", Answer::Success);
        let missing = missing();
        assert!(missing.contains(&"NDK_PD_DISPATCH.NdkCreateMr was never called with a wrong parameter".to_owned()));
        assert!(!missing.contains(&"NDK_PD_DISPATCH.NdkCreateMr was never called with success".to_owned()));
        assert!(!missing.iter().any(|one| one.contains("NdkQueryExtension was never called with success")));
    }
}
