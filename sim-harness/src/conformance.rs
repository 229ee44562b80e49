//! The conformance cases: what NDK consumers may count on, each with the ids of the requirements it shows.
//!
//! A case is a function of a [`Bed`]: it speaks only through dispatch tables, so the same body runs on the natively built
//! provider and on a loaded driver image.

pub mod adp;
pub mod basics;
pub mod cn;
pub mod cn_end;
pub mod com;
pub mod cq;
pub mod lam;
pub mod ls;
pub mod lt;
pub mod mr;
pub mod mw;
pub mod oid;
pub mod pair;
pub mod pd;
pub mod qp;
pub mod se;
pub mod srq;
pub mod wr;
pub mod wr_flags;

use crate::bed::Bed;

/// One case.
#[derive(Clone, Copy)]
pub struct Case {
    /// The requirements it shows, separated by spaces.
    pub ids: &'static str,
    /// What is true, as a name.
    pub name: &'static str,
    /// Shows it, or panics.
    pub run: fn(&mut dyn Bed),
}

/// A row of a table of cases.
pub const fn case(ids: &'static str, name: &'static str, run: fn(&mut dyn Bed)) -> Case {
    Case { ids, name, run }
}

/// Every area with its cases.
pub const AREAS: &[(&str, &[Case])] = &[
    ("basics", basics::CASES),
    ("pd", pd::CASES),
    ("mr", mr::CASES),
    ("mw", mw::CASES),
    ("lam", lam::CASES),
    ("wr", wr::CASES),
    ("wr_flags", wr_flags::CASES),
    ("cq", cq::CASES),
    ("srq", srq::CASES),
    ("qp", qp::CASES),
    ("com", com::CASES),
    ("lt", lt::CASES),
    ("cn", cn::CASES),
    ("cn_end", cn_end::CASES),
    ("ls", ls::CASES),
    ("se", se::CASES),
    ("adp", adp::CASES),
    ("oid", oid::CASES),
];
