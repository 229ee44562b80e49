//! What the simulated kernel offers an image to import: a table of functions, each with its highest IRQL and the page that
//! says so. An entry's type is checked against the prototype the driver is compiled with.

use super::irql::Irql;

/// One function that an image may import.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    /// The library, as import tables name it, lower case.
    pub library: &'static str,
    /// The function.
    pub name: &'static str,
    /// Where it is.
    pub address: usize,
    /// The highest IRQL it may be called at.
    pub max_irql: Irql,
}

/// Writes a table of exports: `exports! { "ntoskrnl.exe" in path::of::prototypes; Name <= Irql = function, ... }`. The
/// function must have the type `path::of::prototypes::Name`.
#[macro_export]
macro_rules! exports {
    ($library:literal in $prototypes:path; $($name:ident <= $irql:ident = $function:expr),* $(,)?) => {{
        use $prototypes as prototypes;
        [$({
            let function: prototypes::$name = $function;
            $crate::kernel::export::Export {
                library: $library,
                name: stringify!($name),
                address: function as usize,
                max_irql: $crate::kernel::irql::Irql::$irql,
            }
        }),*]
    }};
}

/// The functions of one machine, by library and name.
#[derive(Debug, Default)]
pub struct ExportTable(Vec<Export>);

impl ExportTable {
    /// Adds functions; a later one takes the place of an earlier one of the same name.
    pub fn add(&mut self, exports: impl IntoIterator<Item = Export>) {
        for export in exports {
            self.0.retain(|there| (there.library, there.name) != (export.library, export.name));
            self.0.push(export);
        }
    }

    /// Finds a function; libraries are compared without case.
    pub fn find(&self, library: &str, name: &str) -> Option<&Export> {
        self.0.iter().find(|export| export.library.eq_ignore_ascii_case(library) && export.name == name)
    }

    /// The same with its place in the table, by which gates call it.
    pub fn place(&self, library: &str, name: &str) -> Option<(usize, &Export)> {
        let mut all = self.0.iter().enumerate();
        all.find(|(_, export)| export.library.eq_ignore_ascii_case(library) && export.name == name)
    }

    /// The function at a place.
    pub fn at(&self, place: usize) -> Option<&Export> {
        self.0.get(place)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Export> {
        self.0.iter()
    }
}
