//! Runs every conformance case twice: on two natively built providers, and on two machines with the loaded driver image, which
//! in the end unload it under the verifier. There each call but three is made at DISPATCH_LEVEL, and no callback may come at a
//! higher level (COM-05, COM-09, LT-16, WR-49). With `SOFTNDK_ALL_CASES` set, also on the optimised image, by a consumer that
//! calls at PASSIVE_LEVEL and has its buffers in nonpaged pool.

use libtest_mimic::{Arguments, Failed, Trial};
use sim_harness::bed::NativeBed;
use sim_harness::conformance::{AREAS, Case};
use sim_harness::consumer::calling_at;
use sim_harness::consumer::coverage;
use sim_harness::image;
use sim_harness::kernel::host::bed::ImageBed;
use sim_harness::kernel::irql::Irql;
use sim_harness::memory::from_pool;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

const SEED: u64 = 5;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let all = || AREAS.iter().flat_map(|(area, cases)| cases.iter().map(move |case| (*area, *case)));
    let mut trials: Vec<_> = all().map(|(area, case)| native(area, case)).collect();
    let bytes = match image::build(false).map_err(|error| error.to_string()).and_then(|path| read(&path)) {
        Ok(bytes) => Arc::new(bytes),
        Err(error) => {
            eprintln!("there is no image to run the cases on: {error}");
            return ExitCode::FAILURE;
        }
    };
    trials.extend(all().map(|(area, case)| on_image(area, case, bytes.clone(), Flavour::Plain)));
    if std::env::var_os("SOFTNDK_ALL_CASES").is_some() {
        let optimised = image::build(true).map_err(|error| error.to_string()).and_then(|path| read(&path));
        let bytes = Arc::new(optimised.expect("an optimised image"));
        // A mapping is what that case runs out of, and pool needs none.
        let other = all().filter(|(_, case)| case.name != "more_mappings_than_there_is_room_for_are_refused_inline");
        trials.extend(other.map(|(area, case)| on_image(area, case, bytes.clone(), Flavour::PassiveAndPool)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let everything = arguments.filter.is_none() && arguments.skip.is_empty() && !arguments.list;
    if everything && !conclusion.has_failed() {
        // Every slot of every dispatch table of the image, with success and with a wrong parameter.
        let missing = coverage::missing();
        if !missing.is_empty() {
            eprintln!("{}", missing.join("\n"));
            return ExitCode::FAILURE;
        }
        println!("every one of {} slots of the image's dispatch tables was called", coverage::slots().len());
    }
    conclusion.exit_code()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn native(area: &str, case: Case) -> Trial {
    let name = format!("native::{area}::{} [{}]", case.name, case.ids);
    Trial::test(name, move || {
        catch_unwind(AssertUnwindSafe(|| (case.run)(&mut NativeBed::new(SEED)))).map_err(|_| Failed::without_message())
    })
}

/// What the consumer on the image is like.
#[derive(Clone, Copy)]
enum Flavour {
    /// It calls at DISPATCH_LEVEL, and its buffers are locked pages.
    Plain,
    /// It calls at PASSIVE_LEVEL, and its buffers are nonpaged pool.
    PassiveAndPool,
}

fn on_image(area: &str, case: Case, image: Arc<Vec<u8>>, flavour: Flavour) -> Trial {
    let bed = match flavour {
        Flavour::Plain => "image",
        Flavour::PassiveAndPool => "image-passive-pool",
    };
    let name = format!("{bed}::{area}::{} [{}]", case.name, case.ids);
    Trial::test(name, move || {
        let run = || {
            let mut bed = ImageBed::new(&image, SEED).map_err(|error| error.to_string())?;
            match flavour {
                Flavour::Plain => (case.run)(&mut bed),
                Flavour::PassiveAndPool => from_pool(|| calling_at(Irql::Passive, || (case.run)(&mut bed))),
            }
            let wrong = bed.end();
            if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(result) => result.map_err(Failed::from),
            Err(_) => Err(format!("seed {SEED}").into()),
        }
    })
}
