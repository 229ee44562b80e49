//! A program of a host: it has another kernel driver beside softndk.sys, opens its device and sends it control codes.

use super::Host;
use crate::kernel::driver::{Driver, StartError};
use crate::kernel::nt::io::{self, File, Request};
use ndk_types::NTSTATUS;
use std::sync::Arc;

/// A driver on a host, and a handle on its device.
pub struct Program {
    host: Arc<Host>,
    driver: Driver,
    file: File,
}

/// Why there is none.
#[derive(Debug)]
pub enum NoProgram {
    /// The driver did not start.
    Start(StartError),
    /// Its device cannot be opened.
    Open(String, NTSTATUS),
}

impl std::fmt::Display for NoProgram {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Open(device, status) => write!(f, "{device} cannot be opened: {status:#010x}"),
        }
    }
}

impl std::error::Error for NoProgram {}

impl Program {
    /// Starts the driver as the service `service`, and opens `device`.
    ///
    /// # Errors
    /// When it does not start, or its device cannot be opened: the driver is unloaded then.
    pub fn start(host: &Arc<Host>, image: &[u8], service: &str, device: &str) -> Result<Self, NoProgram> {
        let driver = Driver::start(&host.machine, image, service).map_err(NoProgram::Start)?;
        match io::open(&host.machine, device) {
            Ok(file) => Ok(Self { host: host.clone(), driver, file }),
            Err(status) => {
                driver.unload();
                Err(NoProgram::Open(device.to_owned(), status))
            }
        }
    }

    /// The host it is on.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Sends a control code; what it comes to may need the world to go on.
    ///
    /// # Panics
    /// When the file is not open any more, which it is as long as this exists.
    pub fn submit(&self, code: u32, input: &[u8], room: usize) -> Request {
        let request = io::submit(&self.host.machine, &self.file, code, input, room).expect("the file is open");
        self.host.settle();
        request
    }

    /// Sends a control code that is answered without the world.
    ///
    /// # Panics
    /// As [`Program::submit`], and when there is no answer.
    pub fn ask(&self, code: u32, input: &[u8], room: usize) -> (NTSTATUS, Vec<u8>) {
        io::device_io_control(&self.host.machine, &self.file, code, input, room).expect("an answer")
    }

    /// Closes the handle and unloads the driver; what it left behind.
    pub fn end(self) -> usize {
        let (driver, file) = self.into_parts();
        io::close(&driver.1, file);
        driver.0.unload()
    }

    /// The driver with its machine, and the file, for whoever ends them otherwise.
    pub fn into_parts(self) -> ((Driver, Arc<crate::kernel::Machine>), File) {
        ((self.driver, self.host.machine.clone()), self.file)
    }
}
