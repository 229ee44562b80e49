//! Runs every conformance case on two natively built providers.

use libtest_mimic::{Arguments, Failed, Trial};
use sim_harness::bed::NativeBed;
use sim_harness::conformance::{AREAS, Case};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = AREAS.iter().flat_map(|(area, cases)| cases.iter().map(|case| trial(area, *case))).collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(area: &str, case: Case) -> Trial {
    let name = format!("native::{area}::{} [{}]", case.name, case.ids);
    Trial::test(name, move || {
        catch_unwind(AssertUnwindSafe(|| (case.run)(&mut NativeBed::new(5)))).map_err(|_| Failed::without_message())
    })
}
