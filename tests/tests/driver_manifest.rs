//! The drivers are built twice from one source: on Windows by their own manifests, elsewhere by their images', with stand-ins for the
//! wdk crates. Both name the same crates, and the stand-ins have the versions of the real ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines `name = value` of a section.
fn section(manifest: &str, title: &str) -> BTreeMap<String, String> {
    let lines = manifest.lines().skip_while(|line| line.trim() != format!("[{title}]")).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let pairs =
        lines.filter_map(|line| line.split_once('=')).map(|(name, value)| (name.trim().into(), value.trim().into()));
    pairs.filter(|(name, _): &(String, String)| !name.starts_with('#')).collect()
}

/// The manifests of a driver: on Windows, and off it.
const DRIVERS: [(&str, &str); 2] = [
    ("driver/Cargo.toml", "sim-harness/image/Cargo.toml"),
    ("ndkping/Cargo.toml", "sim-harness/image/ndkping/Cargo.toml"),
];

#[test]
fn both_manifests_of_a_driver_name_the_same_crates_and_the_same_model() {
    for (driver, image) in DRIVERS.map(|(driver, image)| (read(driver), read(image))) {
        for title in ["dependencies", "build-dependencies"] {
            let names = |manifest: &str| section(manifest, title).into_keys().collect::<Vec<_>>();
            assert_eq!(names(&driver), names(&image), "[{title}]");
            assert!(!names(&driver).is_empty());
        }
        let model = |manifest: &str| section(manifest, "package.metadata.wdk.driver-model").get("driver-type").cloned();
        assert_eq!(model(&driver), model(&image));
        assert!(model(&driver).is_some());
    }
}

#[test]
fn a_panic_ends_the_machine_in_every_profile() {
    // A member has the profiles of its workspace.
    let image = read("sim-harness/image/Cargo.toml");
    for driver in DRIVERS.map(|(driver, _)| read(driver)) {
        for title in ["profile.dev", "profile.release"] {
            assert_eq!(section(&driver, title).get("panic"), section(&image, title).get("panic"), "[{title}]");
            assert_eq!(section(&driver, title).get("panic").map(String::as_str), Some("\"abort\""), "[{title}]");
        }
    }
}

#[test]
fn the_stand_ins_have_the_versions_of_the_crates_they_stand_in_for() {
    for driver in DRIVERS.map(|(driver, _)| read(driver)) {
        for title in ["dependencies", "build-dependencies"] {
            for (name, wanted) in section(&driver, title).into_iter().filter(|(name, _)| name.starts_with("wdk")) {
                let stand_in = section(&read(&format!("sim-harness/image/{name}/Cargo.toml")), "package");
                assert_eq!(stand_in.get("version"), Some(&wanted), "{name}");
            }
        }
    }
}

/// W-30, and the project's own manifest names neither a stand-in nor a wdk crate.
#[test]
fn the_workspace_leaves_the_driver_and_its_image_out() {
    let workspace = read("Cargo.toml");
    assert!(workspace.contains(r#"exclude = ["driver", "sim-harness/image"]"#));
    assert!(!workspace.contains("wdk-sys ="), "the wdk crates need Windows");
}
