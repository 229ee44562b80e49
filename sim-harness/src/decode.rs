//! `decode`: what is in a capture, a line for each RoCEv2 frame and a summary.

use ndk_provider::crc32::HostCrc32;
use pcap_file::pcap::PcapReader;
use pcap_file::pcapng::{Block, PcapNgReader};
use pcap_file::{DataLink, PcapError};
use roce_engine::wire::parse;
use std::collections::BTreeMap;
use std::fmt::{Display, Formatter};
use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

/// Why a capture could not be decoded.
#[derive(Debug)]
pub enum DecodeError {
    /// The file cannot be read.
    Read(std::io::Error),
    /// It is neither pcap nor pcapng.
    Foreign,
    /// It is a capture of something else than Ethernet.
    NotEthernet(DataLink),
    /// It ends in the middle, or is damaged; so many frames were read before.
    Damaged {
        /// Frames read before.
        frames: u64,
        /// What the reader says.
        reason: String,
    },
    /// The output went away.
    Write(std::io::Error),
}

impl Display for DecodeError {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(error) => write!(f, "cannot read it: {error}"),
            Self::Foreign => write!(f, "it is neither pcap nor pcapng"),
            Self::NotEthernet(link) => write!(f, "it is a capture of {link:?}, not of Ethernet"),
            Self::Damaged { frames, reason } => write!(f, "it is damaged or cut off after {frames} frames: {reason}"),
            Self::Write(error) => write!(f, "cannot write: {error}"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// What was counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Frames of any kind.
    pub frames: u64,
    /// RoCEv2 frames that parse.
    pub roce_frames: u64,
    /// Of those, with the right ICRC.
    pub icrc_ok: u64,
    /// And with a wrong one.
    pub icrc_bad: u64,
    /// Frames to the RoCEv2 port that do not parse.
    pub malformed: u64,
    /// RoCEv2 frames by opcode.
    pub opcodes: BTreeMap<&'static str, u64>,
}

impl Summary {
    /// As one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "frames": self.frames,
            "roce_frames": self.roce_frames,
            "icrc_ok": self.icrc_ok,
            "icrc_bad": self.icrc_bad,
            "malformed": self.malformed,
            "opcodes": self.opcodes,
        })
    }

    /// Takes a frame; writes its line if there is somewhere to write.
    fn take(&mut self, at: Duration, frame: &[u8], lines: Option<&mut dyn Write>) -> Result<(), std::io::Error> {
        self.frames += 1;
        let packet = match parse(frame) {
            Ok(packet) => packet,
            Err(error) if error.is_foreign() => return Ok(()),
            Err(error) => {
                self.malformed += 1;
                return match lines {
                    Some(lines) => {
                        writeln!(lines, "{:6}.{:06} malformed: {}", at.as_secs(), at.subsec_micros(), error.reason())
                    }
                    None => Ok(()),
                };
            }
        };
        let good = packet.icrc_ok(HostCrc32::detect());
        self.roce_frames += 1;
        *(if good { &mut self.icrc_ok } else { &mut self.icrc_bad }) += 1;
        *self.opcodes.entry(packet.bth.opcode.name()).or_default() += 1;
        let Some(lines) = lines else { return Ok(()) };
        let (source, destination) = (packet.ip.source(), packet.ip.destination());
        let icrc = if good { "" } else { "  ICRC BAD" };
        writeln!(lines, "{:6}.{:06} {source} > {destination} {packet}{icrc}", at.as_secs(), at.subsec_micros())
    }
}

/// Decodes a capture: lines and a summary, or one JSON object.
pub fn run(path: &Path, json: bool, out: &mut dyn Write) -> Result<Summary, DecodeError> {
    let mut file = BufReader::new(File::open(path).map_err(DecodeError::Read)?);
    let mut magic = [0; 4];
    file.read_exact(&mut magic).map_err(|_| DecodeError::Foreign)?;
    file.rewind().map_err(DecodeError::Read)?;
    let mut summary = Summary::default();
    {
        let mut take = |at, frame: &[u8]| {
            let lines: Option<&mut dyn Write> = if json { None } else { Some(out) };
            summary.take(at, frame, lines).map(|()| summary.frames).map_err(DecodeError::Write)
        };
        if magic == [0x0a, 0x0d, 0x0d, 0x0a] { pcapng(file, &mut take)? } else { pcap(file, &mut take)? }
    }
    let written = if json {
        writeln!(out, "{}", summary.to_json())
    } else {
        let Summary { frames, roce_frames, icrc_ok, icrc_bad, malformed, .. } = &summary;
        writeln!(out, "{frames} frames, {roce_frames} RoCEv2: {icrc_ok} with the right ICRC, {icrc_bad} with a wrong one, {malformed} malformed")
            .and_then(|()| summary.opcodes.iter().try_for_each(|(name, count)| writeln!(out, "{count:8} {name}")))
    };
    written.map_err(DecodeError::Write)?;
    Ok(summary)
}

type Take<'a> = &'a mut dyn FnMut(Duration, &[u8]) -> Result<u64, DecodeError>;

fn damaged(frames: u64, error: &PcapError) -> DecodeError {
    DecodeError::Damaged { frames, reason: error.to_string() }
}

fn pcap(file: BufReader<File>, take: Take<'_>) -> Result<(), DecodeError> {
    let mut reader = PcapReader::new(file).map_err(|_| DecodeError::Foreign)?;
    if reader.header().datalink != DataLink::ETHERNET {
        return Err(DecodeError::NotEthernet(reader.header().datalink));
    }
    let mut frames = 0;
    while let Some(packet) = reader.next_packet() {
        let packet = packet.map_err(|error| damaged(frames, &error))?;
        frames = take(packet.timestamp, &packet.data)?;
    }
    Ok(())
}

fn pcapng(file: BufReader<File>, take: Take<'_>) -> Result<(), DecodeError> {
    let mut reader = PcapNgReader::new(file).map_err(|_| DecodeError::Foreign)?;
    let mut frames = 0;
    while let Some(block) = reader.next_block() {
        let block = block.map_err(|error| damaged(frames, &error))?;
        match block {
            Block::InterfaceDescription(interface) if interface.linktype != DataLink::ETHERNET => {
                return Err(DecodeError::NotEthernet(interface.linktype));
            }
            Block::EnhancedPacket(packet) => frames = take(packet.timestamp, &packet.data)?,
            Block::SimplePacket(packet) => frames = take(Duration::ZERO, &packet.data)?,
            _ => (),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/captures")
    }

    #[test]
    fn a_recorded_rping_decodes_with_every_icrc_right() {
        let mut out = Vec::new();
        let summary = run(&captures().join("a_rping_v4_mtu1024.pcap"), false, &mut out).unwrap();
        assert_eq!((summary.roce_frames, summary.icrc_ok, summary.icrc_bad, summary.malformed), (125, 125, 0, 0));
        assert_eq!(summary.opcodes["SEND_ONLY"], 40);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("CM REQ port=7174"));
        assert!(text.contains("RDMA_READ_REQUEST"));
    }

    #[test]
    fn what_is_no_capture_is_told_apart_from_what_is_cut_off() {
        let folder = std::env::temp_dir().join(format!("softndk-decode-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let whole = std::fs::read(captures().join("a_rping_v4_mtu1024.pcap")).unwrap();
        for (name, bytes, wanted) in [
            ("empty", &[][..], "neither pcap"),
            ("text", &b"this is no capture at all"[..], "neither pcap"),
            ("cut", &whole[..whole.len() - 7], "cut off after"),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = run(&path, true, &mut Vec::new()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{name}: {error}");
        }
        assert!(run(&folder.join("absent"), true, &mut Vec::new()).unwrap_err().to_string().contains("cannot read"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
