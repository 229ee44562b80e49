//! Whether an image can panic, which would be a bug check: the linker leaves out what nothing reaches, so an image without one of
//! core's panicking functions has no panic anywhere, on the data path or off it (DESIGN D10). Read from the linker's map, which
//! lies beside an image that was built here.

use super::BuildError;
use std::path::Path;

/// Parts of the mangled names of functions that panic, and of the panic handler.
const PANICS: [&str; 9] = [
    "panicking",
    "rust_begin_unwind",
    "unwrap_failed",
    "expect_failed",
    "slice_index_fail",
    "slice_error_fail",
    "handle_alloc_error",
    "handle_error",
    "capacity_overflow",
];

/// The functions of a linker's map that panic.
pub fn listed(map: &str) -> Vec<&str> {
    let symbols = map.lines().filter_map(|line| line.split_whitespace().nth(1));
    symbols.filter(|symbol| PANICS.iter().any(|part| symbol.contains(part))).collect()
}

/// The functions that panic in an image that [`super::build_named`] built.
///
/// # Errors
/// Without its map.
pub fn of(image: &Path) -> Result<Vec<String>, BuildError> {
    let path = image.with_extension("map");
    let map = std::fs::read_to_string(&path).map_err(|error| BuildError::File(path, error))?;
    Ok(listed(&map).into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panicking_functions_are_found_by_their_mangled_names() {
        let map = " 0001:00027520  _RNvNtCs1_4core9panicking9panic_fmt 0000000180028520  softndk.o\n\
                    0001:0002ab40  _ZN11roce_engine2qp9requester9Requester7fail_at17hd6a7E 000000018002bb40  softndk.o\n\
                    0001:0002ab80  _ZN4core6option13unwrap_failed17h11E 000000018002bb80  softndk.o\n";
        assert_eq!(listed(map).len(), 2, "{:?}", listed(map));
    }
}
