//! The supervisor's part of a plugin's requests.

use super::Worker;
use midimon_shared::Event;
use midimon_shared::codec::{self, PREFIX};
use midimon_shared::host::{HostAnswer, HostRefusal, HostReply, HostRequest, RefusalKind};
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use std::io::IoSlice;
use std::os::fd::{AsRawFd, OwnedFd};

pub fn requested(worker: &mut Worker) -> HostRequest {
    match worker.next() {
        Some(Event::Request(request)) => request,
        other => panic!("{other:?} instead of a request; log: {}", worker.end().1),
    }
}

pub fn send(worker: &Worker, bytes: &[u8], descriptor: Option<&OwnedFd>) {
    let numbers: Vec<i32> = descriptor.iter().map(|descriptor| descriptor.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(worker.requests.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None).unwrap();
}

pub fn answer(worker: &Worker, id: u32, result: Result<HostReply, HostRefusal>, descriptor: Option<&OwnedFd>) {
    let mut frame = Vec::new();
    codec::encode(&HostAnswer { id, result }, &mut frame).unwrap();
    send(worker, &frame[PREFIX..], descriptor);
}

pub fn refuse(worker: &Worker, id: u32, kind: RefusalKind, message: &str) {
    answer(worker, id, Err(HostRefusal { kind, message: message.into() }), None);
}
