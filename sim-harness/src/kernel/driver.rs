//! A driver on a machine: its image, its driver object, its entry and its unload.

use super::Machine;
use super::irql::{self, Irql};
use super::loader::{Image, LoadError};
use super::wdk::{DRIVER_OBJECT, NTSTATUS, PDRIVER_OBJECT, UNICODE_STRING};
use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

type Entry = unsafe extern "win64" fn(PDRIVER_OBJECT, *mut UNICODE_STRING) -> NTSTATUS;

/// Why a driver did not start.
#[derive(Debug, PartialEq, Eq)]
pub enum StartError {
    /// The image was not loaded.
    Load(LoadError),
    /// Its entry returned this status.
    Entry(NTSTATUS),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => error.fmt(f),
            Self::Entry(status) => write!(f, "the driver's entry returned {status:#010x}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A started driver. To be ended by [`Driver::unload`]; dropped without that, its image stays mapped for whoever still runs in it.
pub struct Driver {
    machine: Arc<Machine>,
    image: Option<Image>,
    object: Box<DRIVER_OBJECT>,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("image", &self.image).finish_non_exhaustive()
    }
}

// SAFETY: the driver object's pointers are the driver's affair, as in a kernel.
unsafe impl Send for Driver {}

impl Driver {
    /// Loads an image and calls its entry, with the registry path of a service of this name. After an entry that fails, what is
    /// left behind is a violation.
    pub fn start(machine: &Arc<Machine>, bytes: &[u8], service: &str) -> Result<Self, StartError> {
        let image = machine.load(bytes).map_err(StartError::Load)?;
        image.name(service);
        // SAFETY: all zeroes is a driver object: integers, null pointers, no unload routine.
        let mut object: Box<DRIVER_OBJECT> = unsafe { Box::new(std::mem::zeroed()) };
        (object.Type, object.Size) = (4, 336);
        object.DriverStart = ptr::without_provenance_mut(image.base());
        object.DriverSize = image.size() as u32;
        let path = format!(r"\REGISTRY\MACHINE\SYSTEM\ControlSet001\Services\{service}");
        machine.nt.registry.create(&path);
        let mut units: Vec<u16> = path.encode_utf16().collect();
        let length = (units.len() * 2) as u16;
        let mut path = UNICODE_STRING { Length: length, MaximumLength: length, Buffer: units.as_mut_ptr() };
        // SAFETY: the image's entry point is a function of this type.
        let entry: Entry = unsafe { std::mem::transmute(image.entry) };
        let status = machine.callback("the entry", Irql::Passive, || {
            // SAFETY: the entry's contract: a driver object that stays until the unload, and a path.
            unsafe { crate::call_image!(entry, &raw mut *object, &raw mut path) }
        });
        let driver = Self { machine: machine.clone(), image: Some(image), object };
        machine.drivers.fetch_add(1, Ordering::SeqCst);
        if status < 0 {
            driver.end();
            return Err(StartError::Entry(status));
        }
        super::nt::io::entered(machine, driver.object());
        machine.settle();
        Ok(driver)
    }

    /// The image.
    ///
    /// # Panics
    /// Never: it is there until the driver is unloaded.
    pub fn image(&self) -> &Image {
        self.image.as_ref().expect("there until the unload")
    }

    /// The driver object, as the driver knows it.
    pub fn object(&self) -> PDRIVER_OBJECT {
        ptr::from_ref(&*self.object).cast_mut()
    }

    /// Calls the unload routine, lets everything settle, and unmaps the image. What it left behind is a violation each; gives
    /// their number.
    pub fn unload(self) -> usize {
        match self.object.DriverUnload {
            None => self.machine.violation("unload", "the driver has no unload routine"),
            Some(unload) => {
                let object = self.object();
                self.machine.callback("the unload routine", Irql::Passive, || {
                    // SAFETY: the routine's contract: its own driver object.
                    unsafe { crate::call_image!(unload, object) }
                });
            }
        }
        self.end()
    }

    /// Looks at what is left, and unmaps the image when nothing can run in it any more.
    fn end(mut self) -> usize {
        self.machine.settle();
        if self.machine.kmdf.is_bound(self.object()) {
            self.machine.violation("W-05", "the driver is gone and still bound to KMDF");
        }
        if irql::current() != Irql::Passive {
            irql::set(Irql::Passive);
        }
        if self.machine.drivers.fetch_sub(1, Ordering::SeqCst) > 1 {
            // What others have cannot be told from what this one left, but for devices: the last to go answers for all, and until
            // then the image stays for whoever still runs in it.
            let devices = super::nt::io::devices(&self.machine, self.object()).len();
            if devices > 0 {
                self.machine.violation("leak", format!("{devices} devices of a driver that is gone"));
            }
            return devices;
        }
        let left = self.machine.check_leaks();
        if left == 0 {
            drop(self.image.take());
        }
        left
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Some(image) = self.image.take() {
            std::mem::forget(image);
        }
    }
}
