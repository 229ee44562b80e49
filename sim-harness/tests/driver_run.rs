//! `sim-harness driver`: the whole run, on good and bad wires, and what the command says of it.

use sim_harness::image;
use sim_harness::kernel::host::exercise::{Options, Report, run};
use std::process::Command;

fn options(seed: u64) -> Options {
    Options {
        image: std::fs::read(image::build(false).unwrap()).unwrap(),
        hosts: 2,
        loss: 0.0,
        mtu: 1500,
        ipv6: false,
        size: 1 << 20,
        tcp_size: 1 << 16,
        seed,
        processors: 0,
        pcap: None,
    }
}

fn assert_good(report: &Report) {
    assert!(report.is_good(), "{:?} {:?} {:?}", report.failures, report.violations, report.leaks);
    let names: Vec<_> = report.steps.iter().map(|step| step.name).collect();
    for name in ["start", "transfer", "switch", "removal", "unload"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(report.moved[0] > 0 && report.moved[1] > 0, "{:?}", report.moved);
}

/// D1, PNP-03, PNP-13, W-07
#[test]
fn the_image_goes_from_load_to_unload_over_both_protocols_and_frame_sizes() {
    for (ipv6, mtu) in [(false, 9000), (true, 1500)] {
        assert_good(&run(Options { ipv6, mtu, ..options(1) }, |_| ()));
    }
}

#[test]
fn three_machines_on_a_wire_that_loses_frames_come_to_the_same_end() {
    assert_good(&run(Options { hosts: 3, loss: 0.03, ..options(2) }, |_| ()));
}

#[test]
fn a_run_is_the_same_again_from_its_seed() {
    let once = |seed| {
        let report = run(Options { loss: 0.02, size: 1 << 18, ..options(seed) }, |_| ());
        (report.frames, report.virtual_ns, report.moved)
    };
    assert_eq!(once(7), once(7));
    assert_ne!(once(7), once(8));
}

#[test]
fn the_command_prints_one_json_object_and_refuses_what_is_no_image() {
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sim-harness"));
        command.arg("driver").args(arguments).output().unwrap()
    };
    let image = image::build(false).unwrap();
    let good = command(&["--image", image.to_str().unwrap(), "--size", "65536", "--json"]);
    let text = String::from_utf8(good.stdout).unwrap();
    let seen: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&seen["verdict"], &seen["violations"], &seen["leaks"]), (&"ok".into(), &0.into(), &0.into()));
    assert!(seen["imports"].as_u64().unwrap() > 50 && good.status.success());
    for bad in [&["--image", "Cargo.toml"][..], &["--image", "there-is-no-such-file"], &["--hosts", "1"]] {
        let refused = command(bad);
        assert_eq!(refused.status.code(), Some(2), "{bad:?}");
        assert!(!refused.stderr.is_empty());
    }
}
