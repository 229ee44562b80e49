//! The registry of one machine: a tree of keys with named values. Names are compared without case and keep the case they were
//! first written in.
//!
//! Paths are those of kernel mode, `\Registry\Machine\...`, from any thread. `CurrentControlSet` is a link to
//! `ControlSet001`, as on a machine that has booted. Tests and the machine's owner write here what an INF or an install
//! script would; drivers read it through NDIS.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The link in `\Registry\Machine\SYSTEM`, and where it leads.
const LINK: (&str, &str) = ("CURRENTCONTROLSET", "ControlSet001");

/// A value, by its type in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// REG_SZ.
    Sz(String),
    /// REG_MULTI_SZ.
    MultiSz(Vec<String>),
    /// REG_DWORD.
    Dword(u32),
    /// REG_BINARY.
    Binary(Vec<u8>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Sz(text.to_owned())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Dword(number)
    }
}

/// A key: the names as they were written, under the names as they are compared.
#[derive(Debug, Default)]
struct Key {
    values: BTreeMap<String, (String, Value)>,
    keys: BTreeMap<String, (String, Key)>,
}

impl Key {
    fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |key, name| key.keys.get(&folded(name)).map(|(_, key)| key))
    }

    fn find_mut(&mut self, path: &[&str]) -> Option<&mut Self> {
        path.iter().try_fold(self, |key, name| key.keys.get_mut(&folded(name)).map(|(_, key)| key))
    }

    fn make(&mut self, path: &[&str]) -> &mut Self {
        path.iter().fold(self, |key, &name| {
            let (_, below) = key.keys.entry(folded(name)).or_insert_with(|| (name.to_owned(), Self::default()));
            below
        })
    }
}

/// A name as it is compared.
fn folded(name: &str) -> String {
    name.to_uppercase()
}

/// The names along a path, with the link followed.
fn names(path: &str) -> Vec<&str> {
    let mut names: Vec<_> = path.split('\\').filter(|name| !name.is_empty()).collect();
    if let [first, machine, system, set, ..] = names.as_mut_slice()
        && [&*first, &*machine, &*system].map(|name| folded(name)) == ["REGISTRY", "MACHINE", "SYSTEM"]
        && folded(set) == LINK.0
    {
        *set = LINK.1;
    }
    names
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Registry(Mutex<Key>);

impl Registry {
    fn root(&self) -> MutexGuard<'_, Key> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a key, and those above it that are missing.
    pub fn create(&self, key: &str) {
        self.root().make(&names(key));
    }

    /// Whether the key is there.
    pub fn exists(&self, key: &str) -> bool {
        self.root().find(&names(key)).is_some()
    }

    /// Writes a value; the key is made when it is missing.
    pub fn set(&self, key: &str, name: &str, value: impl Into<Value>) {
        let mut root = self.root();
        let values = &mut root.make(&names(key)).values;
        let (_, there) = values.entry(folded(name)).or_insert_with(|| (name.to_owned(), Value::Dword(0)));
        *there = value.into();
    }

    /// A value.
    pub fn get(&self, key: &str, name: &str) -> Option<Value> {
        let root = self.root();
        root.find(&names(key))?.values.get(&folded(name)).map(|(_, value)| value.clone())
    }

    /// Removes a value; says whether it was there.
    pub fn delete_value(&self, key: &str, name: &str) -> bool {
        let mut root = self.root();
        root.find_mut(&names(key)).is_some_and(|key| key.values.remove(&folded(name)).is_some())
    }

    /// Removes a key and everything below it; says whether it was there.
    pub fn delete(&self, key: &str) -> bool {
        let names = names(key);
        let Some((last, above)) = names.split_last() else { return false };
        let mut root = self.root();
        root.find_mut(above).is_some_and(|above| above.keys.remove(&folded(last)).is_some())
    }

    /// The names of the keys right below a key.
    pub fn keys(&self, key: &str) -> Vec<String> {
        let root = self.root();
        let found = root.find(&names(key)).into_iter();
        found.flat_map(|key| key.keys.values().map(|(name, _)| name.clone())).collect()
    }

    /// The names and values of a key.
    pub fn values(&self, key: &str) -> Vec<(String, Value)> {
        let root = self.root();
        root.find(&names(key)).into_iter().flat_map(|key| key.values.values().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r"\Registry\Machine\SYSTEM\ControlSet001\Services\softndk";

    #[test]
    fn names_are_compared_without_case_and_keep_the_case_of_their_first_writing() {
        let registry = Registry::default();
        registry.set(KEY, "ImagePath", "softndk.sys");
        registry.set(&KEY.to_uppercase(), "IMAGEPATH", 7_u32);
        assert_eq!(registry.get(&KEY.to_lowercase(), "imagepath"), Some(Value::Dword(7)));
        assert_eq!(registry.values(KEY), [("ImagePath".to_owned(), Value::Dword(7))]);
        assert_eq!(registry.keys(r"\registry\machine\system\controlset001"), ["Services"]);
    }

    #[test]
    fn the_current_control_set_is_a_link_below_system_and_a_name_like_any_other_elsewhere() {
        let registry = Registry::default();
        registry.set(&KEY.replace("ControlSet001", "CurrentControlSet"), "Start", 3_u32);
        assert_eq!(registry.get(KEY, "Start"), Some(Value::Dword(3)));
        registry.create(r"\Registry\Machine\SOFTWARE\CurrentControlSet");
        assert_eq!(registry.keys(r"\Registry\Machine\SOFTWARE"), ["CurrentControlSet"]);
    }

    #[test]
    fn a_deleted_value_is_gone_and_a_deleted_key_takes_what_is_below_with_it() {
        let registry = Registry::default();
        let below = format!(r"{KEY}\Parameters\Adapters");
        registry.set(&below, "UpperBindings", Value::MultiSz(vec![r"\Device\{1}".to_owned()]));
        registry.set(&below, "Bytes", Value::Binary(vec![1, 2]));
        assert!(registry.delete_value(&below, "bytes") && !registry.delete_value(&below, "bytes"));
        assert!(!registry.delete_value(r"\Registry\Nowhere", "bytes") && registry.exists(&below));
        assert!(registry.delete(KEY) && !registry.delete(KEY) && !registry.delete(r"\"));
        assert!(!registry.exists(&below) && registry.get(&below, "UpperBindings").is_none());
        assert_eq!((registry.keys(KEY).len(), registry.values(KEY).len()), (0, 0));
    }
}
