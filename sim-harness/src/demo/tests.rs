//! The demo on good and bad wires; the whole provider through its dispatch tables.

use super::*;
use crate::dice::Dice;

fn file(bytes: usize) -> Vec<u8> {
    let mut file = vec![0; bytes];
    Dice::new(42, 0).fill(&mut file);
    file
}

fn run_with(bytes: usize, seed: u64, ip_mtu: u32, ipv6: bool, manners: Manners) -> Report {
    let options = Options { file: file(bytes), manners, seed, ip_mtu, ipv6, pcap: None };
    run(options, |_| ()).unwrap_or_else(|trouble| panic!("seed {seed}: {trouble}"))
}

#[test]
fn a_file_goes_there_and_back_over_a_good_wire() {
    for (ip_mtu, ipv6) in [(1500, false), (9000, true)] {
        let report = run_with(3 * PIECE + 12_345, 1, ip_mtu, ipv6, Manners::GOOD);
        assert!(report.is_good(), "{report:?}");
        assert_eq!(report.bytes, 2 * (3 * PIECE as u64 + 12_345));
        assert_eq!(report.icrc_errors, 0);
    }
}

#[test]
fn a_file_survives_loss_reordering_duplication_and_corruption() {
    for seed in 0..6 {
        let manners = Manners { loss: 0.05, reorder: 0.05, duplicate: 0.03, corrupt: 0.02, ..Manners::GOOD };
        let report = run_with(PIECE + 4_097, seed, 1500, seed % 2 == 1, manners);
        assert!(report.is_good(), "seed {seed}: {report:?}");
        assert!(report.icrc_errors > 0);
    }
}

#[test]
fn a_file_survives_a_tenth_of_everything() {
    let manners = Manners { loss: 0.1, reorder: 0.1, duplicate: 0.1, corrupt: 0.1, ..Manners::GOOD };
    for (seed, ip_mtu, ipv6) in [(100, 1500, false), (101, 1500, true), (102, 9000, false), (103, 9000, true)] {
        let report = run_with(PIECE / 2 + 1, seed, ip_mtu, ipv6, manners);
        assert!(report.is_good(), "seed {seed}: {report:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let manners = Manners { loss: 0.02, reorder: 0.02, ..Manners::GOOD };
    let run = || {
        let report = run_with(PIECE, 9, 1500, false, manners);
        (report.virtual_ns, report.wire)
    };
    assert_eq!(run(), run());
}

#[test]
fn an_empty_file_is_nothing_to_move() {
    let report = run_with(0, 1, 1500, false, Manners::GOOD);
    assert!(report.is_good());
    assert_eq!(report.bytes, 0);
}
