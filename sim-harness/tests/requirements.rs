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
    ("NMR-03 NMR-04 NMR-06 NMR-07 NMR-08 NMR-09", "sim-harness/src/kernel/netio (of the registrar and of WSK)"),
    ("NMR-13", "sim-harness/tests/image_wsk.rs (the loaded image)"),
];
/// Requirements that no case here can show, and why.
const NOT_HERE: &[(&str, &str)] = &[
    ("COM-02 COM-04", "every create completes inline"),
    ("COM-05 LT-16 WR-49", "needs a kernel with IRQLs: the simulated one, when the driver runs in it"),
    ("COM-19", "no extension is implemented"),
    ("CQ-15 SRQ-08", "no such failure exists in software"),
    ("CQ-31 SRQ-13", "resizing and shared receive queues are supported"),
    ("CN-12", "complete-connect is inline: it cannot time out"),
    ("LAM-16", "needs a machine with DMA remapping"),
];

fn place_of<'t>(table: &'t [(&str, &'t str)], id: &str) -> Option<&'t str> {
    table.iter().find(|(ids, _)| ids.split(' ').any(|one| one == id)).map(|(_, place)| *place)
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
        "{with_case} of {total} requirements have a test. What has none says so, and why where it cannot have one; most of those are the driver's.\n"
    );
    let mut area = "";
    for [id, mark, text, source] in requirements() {
        let this = id.split('-').next().unwrap_or_default();
        if this != area {
            area = this;
            let _ = write!(page, "\n## {area}\n\n| id | requirement | shown by |\n| --- | --- | --- |\n");
        }
        let mut cases = shown.get(id).cloned().unwrap_or_default();
        cases.extend(place_of(ELSEWHERE, id).map(str::to_owned));
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
