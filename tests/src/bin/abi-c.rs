//! Prints a C file that asserts, for the compiler of a WDK, every layout and constant that ndk-types asserts for ours.
//!
//! `cargo make check-abi` compiles it on Windows. What C cannot name (the words Rust has for anonymous structures and
//! unions) is left out; the last line says how many assertions there are, so that a silent loss is seen.

use std::fmt::Write;
use std::fs;
use std::path::Path;

const HEADERS: &[&str] =
    &["ntddk.h", "ndis.h", "ndkpi.h", "ndisndk.h", "ndkinfo.h", "netioapi.h", "netioddk.h", "wsk.h", "wskndk.h"];

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../ndk-types/src");
    let mut page = String::from("/* Written by `cargo make check-abi`. */\n");
    for header in HEADERS {
        let _ = writeln!(page, "#include <{header}>");
    }
    let before = page.lines().count();
    for file in sources(&folder) {
        let text = fs::read_to_string(&file).expect("a source file");
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for item in parsed.items {
            match item {
                syn::Item::Macro(item) if item.mac.path.is_ident("layout") => {
                    page += &layout(&item.mac.tokens.to_string());
                }
                syn::Item::Const(item) => page += &constant(&item),
                _ => (),
            }
        }
    }
    let count = page.lines().count() - before;
    println!("{page}/* {count} assertions */");
}

/// Every Rust file under a folder, in order.
fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources of ndk-types").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Whether C has this name: ours for an anonymous member is `Anonymous`, for its type `OUTER_Member`.
fn is_c(name: &str) -> bool {
    let ours = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_uppercase()) && part.contains(|c: char| c.is_ascii_lowercase())
    };
    !name.contains("Anonymous") && !name.rsplit('_').next().is_some_and(|last| name.contains('_') && ours(last))
}

/// `TYPE , size , align , Field offset , …` as assertions.
fn layout(tokens: &str) -> String {
    let mut parts = tokens.split(',').map(str::trim);
    let (name, size) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !is_c(name) {
        return String::new();
    }
    let mut text = format!("C_ASSERT(sizeof({name}) == {size});\n");
    for field in parts.skip(1) {
        let Some((field, offset)) = field.rsplit_once(' ') else { continue };
        let field = field.replace(' ', "");
        if is_c(&field) {
            let _ = writeln!(text, "C_ASSERT(FIELD_OFFSET({name}, {field}) == {offset});");
        }
    }
    text
}

/// A constant whose value is a literal.
fn constant(item: &syn::ItemConst) -> String {
    let literal = match &*item.expr {
        syn::Expr::Lit(literal) => Some((&literal.lit, "")),
        syn::Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Neg(_)) => match &*unary.expr {
            syn::Expr::Lit(literal) => Some((&literal.lit, "-")),
            _ => None,
        },
        _ => None,
    };
    match literal {
        Some((syn::Lit::Int(value), sign)) if item.ident != "_" => {
            format!("C_ASSERT((LONG64)({}) == (LONG64)({sign}{}));\n", item.ident, value.base10_digits())
        }
        _ => String::new(),
    }
}
