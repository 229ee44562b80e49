//! The style gate: what CONTRIBUTING.md says of files and functions holds for every one of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// Lines of a file, and of a function.
const FILE_MAX: usize = 600;
const FUNCTION_MAX: usize = 100;
/// Where unsafe code may be; `engine` forbids it itself.
const UNSAFE_IN: [&str; 6] = ["provider/", "ndk-types/", "driver/src", "ndkping/src", "sim-harness/", ".ci/no-panic"];
/// Names that say nothing.
const BANNED: [&str; 6] = ["utils", "util", "helpers", "manager", "misc", "common"];
/// The rules of the transport (`T-nn`) and of Windows (`W-nn`), first and last of each group.
const RULES: [(char, u32, u32); 8] = [
    ('T', 1, 14),
    ('T', 20, 34),
    ('T', 40, 44),
    ('T', 50, 51),
    ('W', 1, 12),
    ('W', 20, 25),
    ('W', 30, 33),
    ('W', 40, 44),
];
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Every Rust file: path from the root, and text.
fn files() -> Vec<(String, String)> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with("target") && name != ".git" && name != "build" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let from_root = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                found.push((from_root, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(found.len() > 100, "the files are where they were");
    found
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_file_says_first_what_it_is() {
    let silent: Vec<_> =
        files().into_iter().filter(|(_, text)| !text.starts_with("//! ")).map(|(path, _)| path).collect();
    assert_none("without a first line that says what they are", &silent);
}

#[test]
fn no_file_is_longer_than_600_lines() {
    let long: Vec<_> = files()
        .into_iter()
        .map(|(path, text)| (text.lines().count(), path))
        .filter(|(lines, _)| *lines > FILE_MAX)
        .map(|(lines, path)| format!("{path}: {lines}"))
        .collect();
    assert_none("too long", &long);
}

#[test]
fn no_module_has_a_name_that_says_nothing() {
    let vague: Vec<_> = files()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| path.split(['/', '.']).any(|part| BANNED.contains(&part)))
        .collect();
    assert_none("names that say nothing", &vague);
}

/// Functions that are too long, and unsafe code.
#[derive(Default)]
struct Seen {
    long: Vec<String>,
    has_unsafe: bool,
}

impl Seen {
    fn function(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let lines = span.end().line - span.start().line + 1;
        if lines > FUNCTION_MAX {
            self.long.push(format!("{name}: {lines} lines"));
        }
    }
}

impl<'ast> Visit<'ast> for Seen {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig.ident, &item.block);
        self.has_unsafe |= item.sig.unsafety.is_some();
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig.ident, &item.block);
        self.has_unsafe |= item.sig.unsafety.is_some();
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.has_unsafe = true;
        syn::visit::visit_expr_unsafe(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.has_unsafe |= item.unsafety.is_some();
        syn::visit::visit_item_impl(self, item);
    }
}

fn look(text: &str) -> Seen {
    let mut seen = Seen::default();
    seen.visit_file(&syn::parse_file(text).expect("Rust"));
    seen
}

#[test]
fn no_function_is_longer_than_a_hundred_lines() {
    let mut long = Vec::new();
    for (path, text) in files() {
        long.extend(look(&text).long.into_iter().map(|found| format!("{path}: {found}")));
    }
    assert_none("too long to be seen at once", &long);
}

#[test]
fn unsafe_code_is_only_where_it_may_be() {
    let mut found = Vec::new();
    for (path, text) in files() {
        let allowed = UNSAFE_IN.iter().any(|place| path.starts_with(place));
        if !allowed && look(&text).has_unsafe {
            found.push(path);
        }
    }
    assert_none("unsafe code", &found);
    let engine = fs::read_to_string(root().join("engine/src/lib.rs")).unwrap();
    assert!(engine.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn the_gate_sees_what_it_looks_for() {
    let long = format!("fn long() {{\n{}}}", "f();\n".repeat(FUNCTION_MAX));
    assert_eq!(look(&long).long.len(), 1);
    assert!(look("impl X { fn f() { unsafe { g() } } }").has_unsafe);
    assert!(!look("/// unsafe { }\nfn f() { \"unsafe\"; }").has_unsafe);
    assert_eq!(rules_in("T-07, T-7, XT-08, W-31), T-09x"), [('T', 7), ('W', 31)]);
}

/// The ids of rules in a text: a letter of its own, a dash, two digits.
fn rules_in(text: &str) -> Vec<(char, u32)> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    for at in 0..bytes.len() {
        let before = at.checked_sub(1).is_some_and(|at| bytes[at].is_ascii_alphanumeric() || bytes[at] == b'-');
        let after = bytes.get(at + 4).is_some_and(u8::is_ascii_alphanumeric);
        if let [letter @ (b'T' | b'W'), b'-', tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] = bytes[at..]
            && !before
            && !after
        {
            found.push((char::from(letter), u32::from((tens - b'0') * 10 + ones - b'0')));
        }
    }
    found
}

fn exists((letter, number): (char, u32)) -> bool {
    RULES.iter().any(|&(group, first, last)| group == letter && (first..=last).contains(&number))
}

#[test]
fn every_rule_that_is_named_exists() {
    let mut unknown = Vec::new();
    for (path, text) in files().into_iter().filter(|(path, _)| path != "tests/tests/style.rs") {
        unknown
            .extend(rules_in(&text).into_iter().filter(|&id| !exists(id)).map(|(l, n)| format!("{path}: {l}-{n:02}")));
    }
    assert_none("rules that nobody wrote", &unknown);
}

/// The rules that the doc comments of tests name.
fn shown() -> BTreeSet<(char, u32)> {
    let mut shown = BTreeSet::new();
    for (_, text) in files() {
        let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
        for (at, _) in lines.iter().enumerate().filter(|(_, line)| **line == "#[test]") {
            let above = lines[..at].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
            above.for_each(|line| shown.extend(rules_in(line)));
        }
    }
    shown
}

#[test]
fn every_rule_of_the_transport_has_a_test_that_names_it() {
    let shown = shown();
    let all = RULES
        .iter()
        .filter(|rule| rule.0 == 'T')
        .flat_map(|&(letter, first, last)| (first..=last).map(move |number| (letter, number)));
    let missing: Vec<_> = all.filter(|id| !shown.contains(id)).map(|(l, n)| format!("{l}-{n:02}")).collect();
    assert_none("no test names", &missing);
}
