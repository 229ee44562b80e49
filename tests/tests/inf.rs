//! The INX files and scripts in `inf/` say what the code says, and what NDK and NDIS ask of an INF.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn inf_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../inf")
}

fn read(name: &str) -> String {
    fs::read_to_string(inf_folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// An INX file: section (lower case) to its lines, comments and blanks gone, a line's fields split at commas.
struct Inx(BTreeMap<String, Vec<Vec<String>>>);

impl Inx {
    fn open(name: &str) -> Self {
        let mut sections: BTreeMap<_, Vec<Vec<String>>> = BTreeMap::new();
        let mut section = String::new();
        for line in read(name).lines() {
            let line = without_comment(line).trim().to_owned();
            if let Some(title) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = title.to_lowercase();
                assert!(sections.insert(section.clone(), Vec::new()).is_none(), "{name}: [{section}] twice");
            } else if !line.is_empty() {
                sections.get_mut(&section).expect("a section before its lines").push(fields(&line));
            }
        }
        Self(sections)
    }

    fn section(&self, name: &str) -> &[Vec<String>] {
        self.0.get(&name.to_lowercase()).unwrap_or_else(|| panic!("no section [{name}]"))
    }

    /// The value of `key = value`.
    fn value(&self, section: &str, key: &str) -> String {
        let lines = self.section(section).iter().map(|fields| fields.join(", "));
        let found = lines.filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            name.trim().eq_ignore_ascii_case(key).then(|| value.trim().to_owned())
        });
        let values: Vec<_> = found.collect();
        assert_eq!(values.len(), 1, "[{section}] {key}: {values:?}");
        values[0].clone()
    }

    /// The data of `HKR, key, value, flags, data` in a section.
    fn registry(&self, section: &str, key: &str, value: &str) -> Option<String> {
        let mut lines = self.section(section).iter();
        let matches =
            |fields: &&Vec<String>| fields.len() >= 5 && fields[0] == "HKR" && fields[1] == key && fields[2] == value;
        lines.find(matches).map(|fields| fields[4].clone())
    }

    /// The values of an enum keyword, in order.
    fn choices(&self, section: &str, keyword: &str) -> Vec<String> {
        let key = format!("Ndi\\Params\\{keyword}\\enum");
        self.section(section).iter().filter(|fields| fields[1] == key).map(|fields| fields[2].clone()).collect()
    }
}

/// A line up to a semicolon that is not in quotes.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, character) in line.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ';' if !quoted => return &line[..at],
            _ => (),
        }
    }
    line
}

fn fields(line: &str) -> Vec<String> {
    line.split(',').map(|field| field.trim().trim_matches('"').to_owned()).collect()
}

fn miniport() -> Inx {
    Inx::open("softndk.inx")
}

fn protocol() -> Inx {
    Inx::open("softndk_protocol.inx")
}

/// INF-01
#[test]
fn windows_finds_the_adapter_by_its_upper_range() {
    let inx = miniport();
    assert_eq!(inx.registry("Miniport.AddReg", "Ndi\\Interfaces", "UpperRange").as_deref(), Some("ndis5"));
    assert_eq!(inx.registry("Miniport.AddReg", "Ndi\\Interfaces", "LowerRange").as_deref(), Some("ethernet"));
}

/// INF-02
#[test]
fn network_direct_can_be_switched_off_and_is_on() {
    let inx = miniport();
    let key = "Ndi\\Params\\*NetworkDirect";
    assert_eq!(inx.registry("NetworkDirect.AddReg", key, "Default").as_deref(), Some("1"));
    assert_eq!(inx.registry("NetworkDirect.AddReg", key, "Type").as_deref(), Some("enum"));
    assert_eq!(inx.choices("NetworkDirect.AddReg", "*NetworkDirect"), ["0", "1"]);
}

/// INF-03, INF-04, INF-05
#[test]
fn the_one_technology_is_the_one_the_provider_reports() {
    let inx = miniport();
    let version = ndk_provider::limits::VERSIONS[1];
    let technology = ndk_provider::limits::adapter_info(version).RdmaTechnology;
    let choices = inx.choices("NetworkDirect.AddReg", "*NetworkDirectTechnology");
    assert_eq!(choices, [technology.to_string()]);
    let default = inx.registry("NetworkDirect.AddReg", "Ndi\\Params\\*NetworkDirectTechnology", "Default");
    assert_eq!(default.as_ref(), choices.first());
}

/// INF-06
#[test]
fn the_frame_sizes_are_roce_s_and_the_default_is_1024() {
    let inx = miniport();
    let keyword = "*NetworkDirectRoCEFrameSize";
    assert_eq!(inx.choices("NetworkDirect.AddReg", keyword), ["256", "512", "1024", "2048", "4096"]);
    let default = inx.registry("NetworkDirect.AddReg", "Ndi\\Params\\*NetworkDirectRoCEFrameSize", "Default");
    assert_eq!(default.as_deref(), Some("1024"));
}

/// W-21: an Ethernet adapter that is virtual.
#[test]
fn the_miniport_is_a_virtual_ethernet_adapter() {
    let inx = miniport();
    assert_eq!(inx.value("Version", "ClassGuid"), "{4d36e972-e325-11ce-bfc1-08002be10318}");
    for section in ["Miniport.Copied.NT", "Miniport.Store.NT"] {
        assert_eq!(inx.value(section, "Characteristics"), "0x1");
        assert_eq!(inx.value(section, "*IfType"), "6");
        assert_eq!(inx.value(section, "*MediaType"), "0");
        assert_eq!(inx.value(section, "*PhysicalMediaType"), "0");
    }
}

/// W-31: both edges are one service with one image, whichever was installed last.
#[test]
fn both_files_name_the_one_service_and_image() {
    let (miniport, protocol) = (miniport(), protocol());
    assert_eq!(protocol.value("Version", "ClassGuid"), "{4d36e975-e325-11ce-bfc1-08002be10318}");
    assert_eq!(miniport.registry("Miniport.AddReg", "Ndi", "Service").as_deref(), Some("softndk"));
    assert_eq!(protocol.registry("Protocol.AddReg", "Ndi", "Service").as_deref(), Some("softndk"));
    for how in ["Copied", "Store"] {
        let of_miniport = miniport.value(&format!("Miniport.{how}.NT.Services"), "AddService");
        let of_protocol = protocol.value(&format!("Protocol.{how}.Services"), "AddService");
        assert!(of_miniport.starts_with("softndk, 2, Service."), "{of_miniport}");
        assert!(of_protocol.starts_with("softndk, , Service."), "{of_protocol}");
        let service = format!("Service.{how}");
        assert_eq!(miniport.section(&service), protocol.section(&service));
    }
    assert_eq!(miniport.value("DestinationDirs", "Driver.Copied"), "12");
    assert_eq!(miniport.value("DestinationDirs", "Driver.Store"), "13");
    assert_eq!(miniport.section("DestinationDirs"), protocol.section("DestinationDirs"));
}

/// W-30: the oldest Windows and framework that both files and the driver's manifest name.
#[test]
fn builds_from_19041_and_kmdf_from_1_31() {
    let manifest = fs::read_to_string(inf_folder().join("../driver/Cargo.toml")).expect("the driver's manifest");
    assert!(manifest.contains("minimum-kmdf-version-minor = 31"));
    for inx in [miniport(), protocol()] {
        assert_eq!(inx.value("Wdf", "KmdfLibraryVersion"), "1.31");
        let models = inx.value("Manufacturer", "%Provider%");
        assert_eq!(models, "Models, NT$ARCH$.10.0...19041, NT$ARCH$.10.0...25341");
    }
}

/// Every section a line points to is there, and every string has a text.
#[test]
fn nothing_points_to_what_is_not_there() {
    for (name, inx) in [("softndk.inx", miniport()), ("softndk_protocol.inx", protocol())] {
        let strings: Vec<_> = inx.section("Strings").iter().map(|fields| fields[0].clone()).collect();
        for line in inx.0.values().flatten().flatten() {
            for word in line.split(|c: char| c.is_whitespace() || c == '=').filter(|word| word.len() > 2) {
                let token = word.strip_prefix('%').and_then(|rest| rest.strip_suffix('%'));
                if let Some(token) = token.filter(|token| !token.contains('%')) {
                    let known = strings.iter().any(|string| string.split('=').next().map(str::trim) == Some(token));
                    assert!(known, "{name}: %{token}% has no text");
                }
            }
        }
        for (section, lines) in &inx.0 {
            for fields in lines {
                let line = fields.join(", ");
                let Some((key, value)) = line.split_once('=') else { continue };
                let points = ["AddReg", "CopyFiles"].contains(&key.trim());
                for target in value.split(',').map(str::trim).filter(|_| points) {
                    assert!(inx.0.contains_key(&target.to_lowercase()), "{name}: [{section}] points to [{target}]");
                }
            }
        }
    }
}

/// The scripts use the ids of the INX files.
#[test]
fn the_scripts_name_what_the_files_name() {
    let (miniport, protocol, script) = (miniport(), protocol(), read("softndk.ps1"));
    let id = |inx: &Inx, section: &str| inx.section(section)[0].last().expect("an id").clone();
    let hardware = id(&miniport, "Models.NT$ARCH$.10.0...25341");
    let component = id(&protocol, "Models.NT$ARCH$.10.0...25341");
    assert!(script.contains(&format!("$SoftndkHardwareId = '{hardware}'")), "{hardware}");
    assert!(script.contains(&format!("$SoftndkProtocolId = '{component}'")), "{component}");
    assert!(script.contains("$SoftndkService = 'softndk'"));
}

/// The scripts' brackets and quotes pair up: what can be told of a PowerShell script without PowerShell.
#[test]
fn the_scripts_are_well_formed() {
    for name in ["install.ps1", "uninstall.ps1", "softndk.ps1", "ndkping.ps1"] {
        let open = check_brackets(&read(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(open.is_empty(), "{name}: not closed: {open:?}");
    }
    assert!(check_brackets("if ($a) { 'x }").is_err());
    assert!(check_brackets("( ]").is_err());
    assert_eq!(check_brackets("{ \"a $(1 + (2)) b\" # }\n").unwrap(), ['{']);
}

/// The commands of a page: the lines of its code blocks that are not comments.
fn commands(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(inf_folder().join("../docs").join(page)).expect(page);
    let mut inside = false;
    let mut commands = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if inside {
            commands.push(line.split(" # ").next().unwrap_or("").trim().to_owned());
        }
    }
    commands
}

/// What the pages tell people to type is what the scripts take, and the scripts' own set-up is not told a second time, otherwise.
#[test]
fn the_pages_call_the_scripts_with_parameters_they_have() {
    let all: Vec<_> = ["INSTALL.md", "NDKPING.md"].into_iter().flat_map(commands).collect();
    let calls: Vec<_> = all.iter().filter_map(|line| line.strip_prefix(".\\")).collect();
    assert!(calls.len() >= 10, "{calls:?}");
    for call in calls {
        let mut words = call.split_whitespace();
        let name = words.next().expect("a script");
        let script = read(name);
        let head = &script[..script.find("Set-StrictMode").expect("every script is strict")];
        for word in words {
            if let Some(parameter) = word.strip_prefix('-') {
                let common = parameter == "WhatIf" && head.contains("SupportsShouldProcess");
                assert!(common || head.contains(&format!("${parameter}")), "{call}: {name} has no -{parameter}");
            }
        }
    }
    for call in all.iter().filter(|line| line.starts_with(".\\ndkping.ps1")) {
        let command = call.split_whitespace().nth(1).expect("a command");
        assert!(read("ndkping.ps1").contains(&format!("'{command}'")), "{call}");
    }
    // Programs that change the system's drivers are the scripts' to run.
    for line in &all {
        assert!(!["netcfg", "pnputil", "devcon"].iter().any(|tool| line.starts_with(tool)), "{line}");
    }
}

/// Reads a script's tokens as far as brackets need it: what stays open, or what is wrong.
fn check_brackets(script: &str) -> Result<Vec<char>, String> {
    let mut open = Vec::new();
    let mut rest = script;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '`' => rest = rest.get(1..).unwrap_or(""),
            '#' => rest = rest.find('\n').map_or("", |end| &rest[end..]),
            '<' if rest.starts_with('#') => rest = after(rest, "#>")?,
            '@' if rest.starts_with("'\n") => rest = after(rest, "\n'@")?,
            '@' if rest.starts_with("\"\n") => rest = after(rest, "\n\"@")?,
            '\'' => rest = after(rest, "'")?,
            '"' => rest = after_string(rest)?,
            '(' | '{' | '[' => open.push(character),
            ')' | '}' | ']' => {
                let wanted = match character {
                    ')' => '(',
                    '}' => '{',
                    _ => '[',
                };
                if open.pop() != Some(wanted) {
                    return Err(format!("'{character}' before: {}", rest.chars().take(40).collect::<String>()));
                }
            }
            _ => (),
        }
    }
    Ok(open)
}

fn after<'s>(text: &'s str, end: &str) -> Result<&'s str, String> {
    let at = text.find(end).ok_or_else(|| format!("no {end} after: {}", text.chars().take(40).collect::<String>()))?;
    Ok(&text[at + end.len()..])
}

/// After the end of a double-quoted string; `$( )` in it may have quotes of its own.
fn after_string(text: &str) -> Result<&str, String> {
    let (mut depth, mut previous) = (0, ' ');
    for (at, character) in text.char_indices() {
        match character {
            '(' if depth > 0 || previous == '$' => depth += 1,
            ')' if depth > 0 => depth -= 1,
            '"' if depth == 0 && previous != '`' => return Ok(&text[at + 1..]),
            _ => (),
        }
        previous = character;
    }
    Err(format!("a string without end: {}", text.chars().take(40).collect::<String>()))
}
