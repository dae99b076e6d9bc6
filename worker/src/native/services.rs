//! The functions of `midimon_host` for events, lights, modes, timers and what a plugin may ask about.

use super::calls::{ask, done, invalid, out_of_turn, whole};
use crate::host::Answered;
use midimon_shared::abi::{Host, LIGHT_CONTROL, LIGHT_NOTE, Str, Usage};
use midimon_shared::host::{
    DataUsage, HostCall, HostRefusal, HostReply, Light, MAX_ACTION, MAX_EVENT_NAME, MAX_EVENT_VALUE, MAX_TARGET,
    MAX_TIMER_PARAMS,
};
use std::mem::size_of;
use std::os::fd::IntoRawFd;

pub unsafe extern "C" fn emit(host: *const Host, event: Str, value: Str) -> i32 {
    let call = whole("event's name", event, MAX_EVENT_NAME).and_then(|event| {
        let value = whole("event's value", value, MAX_EVENT_VALUE)?;
        Ok(HostCall::Emit { event, value })
    });
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, done) }
}

pub unsafe extern "C" fn set_light(
    host: *const Host,
    device: Str,
    channel: i32,
    light: i32,
    number: i32,
    value: i32,
) -> i32 {
    let call = whole("device's alias", device, MAX_TARGET).and_then(|device| {
        let byte =
            |what: &str, number: i32| u8::try_from(number).map_err(|_| invalid(format!("there is no {what} {number}")));
        let light = match light {
            LIGHT_NOTE => Light::Note(byte("note", number)?),
            LIGHT_CONTROL => Light::Control(byte("controller", number)?),
            _ => return Err(invalid(format!("{light} is no MIDIMON_LIGHT_*"))),
        };
        Ok(HostCall::SetLight { device, channel: byte("channel", channel)?, light, value: byte("value", value)? })
    });
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, done) }
}

pub unsafe extern "C" fn set_mode(host: *const Host, name: Str) -> i32 {
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, whole("mode's name", name, MAX_TARGET).map(HostCall::SetMode), done) }
}

pub unsafe extern "C" fn after(host: *const Host, id: u32, ms: u32, action: Str, params: Str) -> i32 {
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, timer(id, ms, false, action, params), done) }
}

pub unsafe extern "C" fn every(host: *const Host, id: u32, ms: u32, action: Str, params: Str) -> i32 {
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, timer(id, ms, true, action, params), done) }
}

fn timer(id: u32, ms: u32, every: bool, action: Str, params: Str) -> Result<HostCall, HostRefusal> {
    let action = whole("action's name", action, MAX_ACTION)?;
    let params = whole("action's parameters", params, MAX_TIMER_PARAMS)?;
    Ok(HostCall::TimerSet { id, ms, every, action, params })
}

pub unsafe extern "C" fn cancel(host: *const Host, id: u32) -> i32 {
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, Ok(HostCall::TimerCancel { id }), done) }
}

pub unsafe extern "C" fn usage(host: *const Host, usage: *mut Usage) -> i32 {
    // SAFETY: the plugin passes null or a usage as the header says.
    let call = match unsafe { usage.as_ref() } {
        None => Err(invalid("there is no place for the usage")),
        Some(usage) if (usage.struct_size as usize) < size_of::<Usage>() => {
            Err(invalid("the usage's struct_size is too small"))
        }
        Some(_) => Ok(HostCall::Usage),
    };
    let take = |answered: Answered| {
        let HostReply::Usage(DataUsage { used_bytes, max_bytes, used_files, max_files }) = answered.reply else {
            return Err(out_of_turn());
        };
        // SAFETY: looked at above: not null, and the plugin says it can be written to.
        let usage = unsafe { &mut *usage };
        (usage.used_bytes, usage.max_bytes) = (used_bytes, max_bytes);
        (usage.used_files, usage.max_files) = (used_files, max_files);
        Ok(())
    };
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, take) }
}

pub unsafe extern "C" fn tls_roots(host: *const Host, descriptor: *mut i32) -> i32 {
    let call = if descriptor.is_null() {
        Err(invalid("there is no place for the descriptor"))
    } else {
        Ok(HostCall::TlsRoots)
    };
    let take = |answered: Answered| {
        let roots = answered.descriptor.ok_or_else(out_of_turn)?;
        // SAFETY: not null, and the plugin says it can be written to.
        unsafe { *descriptor = roots.into_raw_fd() };
        Ok(())
    };
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, take) }
}
