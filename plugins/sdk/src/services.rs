//! Events, lights, modes, timers, and what a plugin can ask about.

use crate::request::{HostError, Refusal};
use crate::{Host, ffi};
use std::fs::File;
use std::io::Read;
use std::mem::{offset_of, size_of};
use std::os::fd::FromRawFd;
use std::time::Duration;

/// A light of a controller, named by the message that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// A note, 0 to 127.
    Note(u8),
    /// A controller, 0 to 127.
    Control(u8),
}

/// How full a plugin's data directory is, and may become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Most bytes.
    pub max_bytes: u64,
    /// Files and directories in use.
    pub used_files: u64,
    /// Most files and directories.
    pub max_files: u64,
}

/// These too are written to the plugin's audit log and can be called from any thread.
impl Host {
    /// Emits an event, which mappings can wait for: a name of at most 64 bytes, a value of
    /// at most 1024. Needs no grant; about 100 a second.
    ///
    /// # Errors
    /// Too long, control characters in the name, or too many.
    pub fn emit(&self, event: &str, value: &str) -> Result<(), HostError> {
        self.has_services()?;
        // SAFETY: the table has this function; the texts live through the call.
        let code = unsafe { ((*self.table()).emit)(self.table(), ffi::Str::new(event), ffi::Str::new(value)) };
        self.result(code)
    }

    /// Sets a light of a device, named by its alias in the configuration: value or colour 0
    /// (off) to 127, on channel 1 to 16. The latest value wins; 250 a second are sent at most.
    /// Grant `midi` for the device's output.
    ///
    /// # Errors
    /// Not granted, no such device, or a number out of its range.
    pub fn set_light(&self, device: &str, channel: u8, light: Light, value: u8) -> Result<(), HostError> {
        self.has_services()?;
        let (kind, number) = match light {
            Light::Note(number) => (ffi::LIGHT_NOTE, number),
            Light::Control(number) => (ffi::LIGHT_CONTROL, number),
        };
        let device = ffi::Str::new(device);
        // SAFETY: the table has this function; the text lives through the call.
        let code = unsafe {
            ((*self.table()).set_light)(self.table(), device, channel.into(), kind, number.into(), value.into())
        };
        self.result(code)
    }

    /// Makes a mode the active one. Grant `mode`.
    ///
    /// # Errors
    /// Not granted, no such mode, or too many.
    pub fn set_mode(&self, name: &str) -> Result<(), HostError> {
        self.has_services()?;
        // SAFETY: the table has this function; the text lives through the call.
        let code = unsafe { ((*self.table()).set_mode)(self.table(), ffi::Str::new(name)) };
        self.result(code)
    }

    /// Calls `handle` once, after this time (10 ms to a day), with this action, these
    /// parameters (a JSON object; empty is none) and [`Trigger::Timer`](crate::Trigger::Timer).
    /// An id that is in use is set anew. A plugin has 32 timers at most; they end with its process.
    ///
    /// # Errors
    /// A time out of its range, no JSON object, or a 33rd timer.
    pub fn after(&self, id: u32, time: Duration, action: &str, params: &str) -> Result<(), HostError> {
        self.has_services()?;
        let (action, params) = (ffi::Str::new(action), ffi::Str::new(params));
        // SAFETY: the table has this function; the texts live through the call.
        let code = unsafe { ((*self.table()).after)(self.table(), id, millis(time), action, params) };
        self.result(code)
    }

    /// The same every time it has passed. A call that is due while an earlier one has not been
    /// answered is left out.
    ///
    /// # Errors
    /// As [`Host::after`].
    pub fn every(&self, id: u32, time: Duration, action: &str, params: &str) -> Result<(), HostError> {
        self.has_services()?;
        let (action, params) = (ffi::Str::new(action), ffi::Str::new(params));
        // SAFETY: the table has this function; the texts live through the call.
        let code = unsafe { ((*self.table()).every)(self.table(), id, millis(time), action, params) };
        self.result(code)
    }

    /// Stops a timer; one that is not there is no error.
    ///
    /// # Errors
    /// Too many requests.
    pub fn cancel(&self, id: u32) -> Result<(), HostError> {
        self.has_services()?;
        // SAFETY: the table has this function.
        let code = unsafe { ((*self.table()).cancel)(self.table(), id) };
        self.result(code)
    }

    /// How full the data directory is.
    ///
    /// # Errors
    /// It cannot be read, or too many.
    pub fn usage(&self) -> Result<Usage, HostError> {
        self.has_services()?;
        let mut usage = ffi::Usage { struct_size: size_of::<ffi::Usage>() as u32, ..ffi::Usage::default() };
        // SAFETY: the table has this function; the place lives through the call.
        let code = unsafe { ((*self.table()).usage)(self.table(), &raw mut usage) };
        self.result(code)?;
        let ffi::Usage { used_bytes, max_bytes, used_files, max_files, .. } = usage;
        Ok(Usage { used_bytes, max_bytes, used_files, max_files })
    }

    /// The certificates that TLS servers are checked against, each as DER: the system's, or
    /// Mozilla's where it has none.
    ///
    /// # Errors
    /// There are none, or no descriptor can be had.
    pub fn tls_roots(&self) -> Result<Vec<Vec<u8>>, HostError> {
        self.has_services()?;
        let mut descriptor = -1;
        // SAFETY: the table has this function; the place lives through the call.
        let code = unsafe { ((*self.table()).tls_roots)(self.table(), &raw mut descriptor) };
        self.result(code)?;
        // SAFETY: the header promises a file that is now the plugin's own.
        let mut file = unsafe { File::from_raw_fd(descriptor) };
        let failed = |message: String| HostError::new(Refusal::Failed, message);
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| failed(format!("the certificates cannot be read: {error}")))?;
        certificates(&bytes).ok_or_else(|| failed("the certificates are cut off".to_owned()))
    }

    /// Whether the table goes as far as the last of these functions: they came together.
    fn has_services(&self) -> Result<(), HostError> {
        self.reaches(offset_of!(ffi::Host, tls_roots))
    }
}

/// Takes them apart: each has its length in front.
fn certificates(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (certificate, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        all.push(certificate.to_vec());
        bytes = rest;
    }
    Some(all)
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::certificates;

    #[test]
    fn certificates_are_told_apart_and_a_cut_list_is_none() {
        let bytes = [&[2, 0, 0, 0, 7, 8][..], &[0, 0, 0, 0], &[1, 0, 0, 0, 9]].concat();
        assert_eq!(certificates(&bytes), Some(vec![vec![7, 8], vec![], vec![9]]));
        assert_eq!(certificates(&[]), Some(vec![]));
        for length in [1, 5, 8, 14] {
            assert_eq!(certificates(&bytes[..length]), None, "{length}");
        }
    }
}
