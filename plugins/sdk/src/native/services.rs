//! The table's functions for events, lights, modes and timers, and what a plugin can ask about.

use super::Raw;
use crate::{HostError, Light, Refusal, Usage, ffi};
use std::fs::File;
use std::io::Read;
use std::mem::{offset_of, size_of};
use std::os::fd::FromRawFd;

impl Raw {
    pub(crate) fn emit(&self, event: &str, value: &str) -> Result<(), HostError> {
        self.has_services()?;
        // SAFETY: the table has this function; the texts live through the call.
        let code = unsafe { ((*self.table).emit)(self.table, ffi::Str::new(event), ffi::Str::new(value)) };
        self.result(code)
    }

    pub(crate) fn set_light(&self, device: &str, channel: u8, light: Light, value: u8) -> Result<(), HostError> {
        self.has_services()?;
        let (kind, number) = match light {
            Light::Note(number) => (ffi::LIGHT_NOTE, number),
            Light::Control(number) => (ffi::LIGHT_CONTROL, number),
        };
        let device = ffi::Str::new(device);
        // SAFETY: the table has this function; the text lives through the call.
        let code =
            unsafe { ((*self.table).set_light)(self.table, device, channel.into(), kind, number.into(), value.into()) };
        self.result(code)
    }

    pub(crate) fn set_mode(&self, name: &str) -> Result<(), HostError> {
        self.has_services()?;
        // SAFETY: the table has this function; the text lives through the call.
        let code = unsafe { ((*self.table).set_mode)(self.table, ffi::Str::new(name)) };
        self.result(code)
    }

    pub(crate) fn timer(&self, id: u32, ms: u32, every: bool, action: &str, params: &str) -> Result<(), HostError> {
        self.has_services()?;
        // SAFETY: the table has both functions.
        let set = unsafe { if every { (*self.table).every } else { (*self.table).after } };
        // SAFETY: the texts live through the call.
        let code = unsafe { set(self.table, id, ms, ffi::Str::new(action), ffi::Str::new(params)) };
        self.result(code)
    }

    pub(crate) fn cancel(&self, id: u32) -> Result<(), HostError> {
        self.has_services()?;
        // SAFETY: the table has this function.
        let code = unsafe { ((*self.table).cancel)(self.table, id) };
        self.result(code)
    }

    pub(crate) fn usage(&self) -> Result<Usage, HostError> {
        self.has_services()?;
        let mut usage = ffi::Usage { struct_size: size_of::<ffi::Usage>() as u32, ..ffi::Usage::default() };
        // SAFETY: the table has this function; the place lives through the call.
        let code = unsafe { ((*self.table).usage)(self.table, &raw mut usage) };
        self.result(code)?;
        let ffi::Usage { used_bytes, max_bytes, used_files, max_files, .. } = usage;
        Ok(Usage { used_bytes, max_bytes, used_files, max_files })
    }

    pub(crate) fn tls_roots(&self) -> Result<Vec<Vec<u8>>, HostError> {
        self.has_services()?;
        let mut descriptor = -1;
        // SAFETY: the table has this function; the place lives through the call.
        let code = unsafe { ((*self.table).tls_roots)(self.table, &raw mut descriptor) };
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
