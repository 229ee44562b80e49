//! docs/CONFORMANCE.md is what the tables of cases say, requirement by requirement.

use sim_harness::conformance::AREAS;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const REQUIREMENTS: &str = include_str!("../../tests/data/ndkpi-requirements.tsv");

/// Requirements that another kind of test shows, and which.
const ELSEWHERE: &[(&str, &str)] = &[
    ("ADP-15 ADP-16 ADP-17 ADP-09 COM-20 CQ-48 QP-11 QP-12 QP-13 WR-50", "sim-harness/tests/threads.rs"),
    ("ADP-06", "provider/tests/scarcity.rs"),
    ("INF-01 INF-02 INF-03 INF-04 INF-05 INF-06", "tests/tests/inf.rs"),
    ("REG-01 REG-02 REG-03 REG-04 REG-05", "sim-harness/tests/image.rs (the loaded image)"),
    ("OID-02 OID-03", "tests/tests/driver_logic.rs (the driver's table of OIDs)"),
    ("NMR-01 NMR-02 NMR-10 NMR-11 NMR-12", "sim-harness/src/kernel/netio (of the registrar)"),
    ("NMR-03 NMR-04 NMR-05 NMR-06 NMR-07 NMR-08 NMR-09", "sim-harness/src/kernel/netio (of the registrar and of WSK)"),
    ("NMR-13", "sim-harness/tests/image_wsk.rs (the loaded image)"),
    (
        "REG-06 REG-07 REG-08 REG-09 REG-10 REG-11 REG-12 REG-13 REG-14 REG-17 REG-18 REG-19 PNP-15",
        "sim-harness/tests/image_reg.rs (the loaded image)",
    ),
    ("REG-17", "sim-harness/tests/image_ndis.rs (the loaded image)"),
    (
        "OID-01 OID-02 OID-03 OID-04 OID-05 OID-06 OID-07 OID-08 OID-09 OID-10 OID-17 REG-04 PNP-01 PNP-05 PNP-07",
        "sim-harness/tests/image_oid.rs (the loaded image)",
    ),
    (
        "OID-10 OID-11 OID-13 OID-15 OID-16 OID-17 OID-18 OID-19 OID-20",
        "sim-harness/tests/image_oid_ndk.rs (the loaded image)",
    ),
    (
        "PNP-01 PNP-02 PNP-03 PNP-04 PNP-05 PNP-06 PNP-07 PNP-08 PNP-09 PNP-10 PNP-11 PNP-12 PNP-13 PNP-14 PNP-15",
        "sim-harness/tests/image_pnp.rs (the loaded image)",
    ),
    ("ADP-06 ADP-09 ADP-14 ADP-15 ADP-16 ADP-17", "sim-harness/tests/image_adp.rs (the loaded image)"),
    ("ADP-19", "provider/src/memory/copy.rs (within a packet)"),
    ("INF-07 INF-08 INF-09 INF-10 INF-11", "sim-harness/tests/image_config.rs (the loaded image)"),
    ("COM-05 COM-09 LT-16 WR-49", "sim-harness/tests/conformance.rs (on the image, at DISPATCH_LEVEL)"),
    ("WR-49", "sim-harness/tests/image_wr.rs (the loaded image)"),
];
/// Requirements that no case here can show, and why.
const NOT_HERE: &[(&str, &str)] = &[
    ("COM-02 COM-04", "every create completes inline"),
    ("COM-19", "no extension is implemented"),
    ("CQ-15 SRQ-08", "no such failure exists in software"),
    ("CQ-31 SRQ-13", "resizing and shared receive queues are supported"),
    ("CN-12", "complete-connect is inline: it cannot time out"),
    ("LAM-16", "needs a machine with DMA remapping"),
];

fn places_of<'t>(table: &'t [(&str, &'t str)], id: &str) -> impl Iterator<Item = &'t str> {
    table.iter().filter(move |(ids, _)| ids.split(' ').any(|one| one == id)).map(|(_, place)| *place)
}

fn place_of<'t>(table: &'t [(&str, &'t str)], id: &str) -> Option<&'t str> {
    places_of(table, id).next()
}

/// A line of the list of requirements: id, mark, text, source.
fn requirements() -> impl Iterator<Item = [&'static str; 4]> {
    REQUIREMENTS.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let fields: Vec<_> = line.split('\t').collect();
        fields.try_into().unwrap_or_else(|_| panic!("four fields: {line}"))
    })
}

/// Which cases show an id.
fn shown_by() -> BTreeMap<&'static str, Vec<String>> {
    let mut shown: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (area, cases) in AREAS {
        for case in *cases {
            for id in case.ids.split(' ') {
                shown.entry(id).or_default().push(format!("{area}::{}", case.name));
            }
        }
    }
    shown
}

fn page() -> String {
    let shown = shown_by();
    let total = requirements().count();
    let with_case =
        requirements().filter(|[id, ..]| shown.contains_key(id) || place_of(ELSEWHERE, id).is_some()).count();
    let mut page = String::from("# Conformance\n\n");
    page += "Written by `sim-harness/tests/requirements.rs` from the tables of cases in `sim-harness/src/conformance`; not by hand.\n\n";
    page += "Marks: D stated by Microsoft's documents, I follows from them, X from the Network Direct v2 SPI, a sample or a header.\n\n";
    let _ = writeln!(
        page,
        "{with_case} of {total} requirements have a test. What has none says so, and why where it cannot have one.\n"
    );
    let mut area = "";
    for [id, mark, text, source] in requirements() {
        let this = id.split('-').next().unwrap_or_default();
        if this != area {
            area = this;
            let _ = write!(page, "\n## {area}\n\n| id | requirement | shown by |\n| --- | --- | --- |\n");
        }
        let mut cases = shown.get(id).cloned().unwrap_or_default();
        cases.extend(places_of(ELSEWHERE, id).map(str::to_owned));
        if cases.is_empty() {
            let why = place_of(NOT_HERE, id).map_or(String::new(), |why| format!(": {why}"));
            cases.push(format!("no case{why}"));
        }
        let cases = cases.join(", ");
        let _ = writeln!(page, "| {id} [{mark}] | {} ({source}) | {cases} |", text.replace('|', "\\|"));
    }
    page
}

#[test]
fn the_page_is_what_the_cases_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CONFORMANCE.md");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, page()).expect("docs can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/CONFORMANCE.md is old: UPDATE=1 cargo test -p sim-harness --test requirements");
}

#[test]
fn no_case_names_a_requirement_that_does_not_exist() {
    let known: Vec<_> = requirements().map(|[id, ..]| id).collect();
    for (id, cases) in shown_by() {
        let other_list = id.starts_with("OQ-") || id.starts_with("T-") || id.starts_with("W-");
        assert!(other_list || known.contains(&id), "{id} in {cases:?}");
    }
}

/// The text of a file, or of every file of a directory.
fn text_of(path: &Path) -> String {
    let Ok(inside) = fs::read_dir(path) else { return fs::read_to_string(path).unwrap_or_default() };
    inside.map(|entry| text_of(&entry.expect("an entry").path())).collect()
}

#[test]
fn what_is_said_to_show_a_requirement_elsewhere_names_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (ids, place) in ELSEWHERE {
        let text = text_of(&root.join(place.split(' ').next().unwrap_or_default()));
        for id in ids.split(' ') {
            assert!(text.contains(id), "{place} does not name {id}");
        }
    }
}

#[test]
fn what_no_case_can_show_is_shown_nowhere() {
    let shown = shown_by();
    for (ids, why) in NOT_HERE {
        for id in ids.split(' ') {
            let elsewhere = places_of(ELSEWHERE, id).next();
            assert!(!shown.contains_key(id) && elsewhere.is_none(), "{id} is shown, yet: {why}");
        }
    }
}
