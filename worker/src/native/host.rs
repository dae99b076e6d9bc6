//! What the worker does for a native plugin: the functions behind `midimon_host`.

use super::{MAX_TEXT, calls, copy, services};
use crate::host::HostClient;
use crate::log::{self, Level};
use midimon_shared::abi::{ABI_VERSION, Host, MAX_LOG, Str};
use std::cell::{Cell, RefCell};
use std::mem::size_of;
use std::thread::{self, ThreadId};

/// Where the plugin is being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nowhere.
    Idle,
    /// In its init.
    Init,
    /// In its handle.
    Handle,
}

/// The table the plugin sees, and behind it what its functions work on.
#[repr(C)]
pub struct HostTable {
    /// First: the plugin's pointer to it is a pointer to the whole.
    table: Host,
    /// Written once; may be read from any thread.
    data_dir: String,
    client: HostClient,
    thread: ThreadId,
    // Touched on `thread` alone, which `answer` and `fail` check.
    phase: Cell<Phase>,
    answer: RefCell<Option<String>>,
    failure: RefCell<String>,
}

impl HostTable {
    /// For the plugin that will be called on this thread; an empty `data_dir` means none.
    pub fn new(data_dir: String, client: HostClient) -> Box<Self> {
        let table = Host {
            struct_size: size_of::<Host>() as u32,
            abi_version: ABI_VERSION,
            log,
            data_dir: directory,
            answer,
            fail,
            refusal: calls::refusal,
            connect: calls::connect,
            datagram_send: calls::datagram_send,
            datagram_receive: calls::datagram_receive,
            midi_send: calls::midi_send,
            run: calls::run,
            keystroke: calls::keystroke,
            type_text: calls::type_text,
            mouse: calls::mouse,
            system_control: calls::system_control,
            notify: calls::notify,
            emit: services::emit,
            set_light: services::set_light,
            set_mode: services::set_mode,
            after: services::after,
            every: services::every,
            cancel: services::cancel,
            usage: services::usage,
            tls_roots: services::tls_roots,
        };
        Box::new(Self {
            table,
            data_dir,
            client,
            thread: thread::current().id(),
            phase: Cell::new(Phase::Idle),
            answer: RefCell::new(None),
            failure: RefCell::new(String::new()),
        })
    }

    /// What asks the supervisor; for any thread.
    pub const fn client(&self) -> &HostClient {
        &self.client
    }

    /// What to hand to the plugin. Valid as long as the box lives.
    pub fn as_ptr(&self) -> *const Host {
        std::ptr::from_ref(self).cast()
    }

    /// Says where the plugin is called from now on.
    pub fn enter(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// The answer of the call that ended; a failure left from it is forgotten.
    pub fn take_answer(&self) -> Option<String> {
        self.failure.borrow_mut().clear();
        self.answer.take()
    }

    /// The failure of the call that ended; an answer left from it is forgotten.
    pub fn take_failure(&self) -> String {
        self.answer.take();
        self.failure.take()
    }
}

/// # Safety
/// `host` is null or what [`HostTable::as_ptr`] gave.
pub unsafe fn table<'a>(host: *const Host) -> Option<&'a HostTable> {
    // SAFETY: the box behind it lives until the process ends.
    unsafe { host.cast::<HostTable>().as_ref() }
}

/// The table, when called where the function is allowed.
///
/// # Safety
/// As [`table`].
unsafe fn called_in<'a>(host: *const Host, phases: &[Phase]) -> Option<&'a HostTable> {
    // SAFETY: as the caller promises.
    let table = unsafe { table(host) }?;
    (thread::current().id() == table.thread && phases.contains(&table.phase.get())).then_some(table)
}

unsafe extern "C" fn log(_host: *const Host, level: i32, message: Str) {
    log::write(Level::from_number(level), &copy(message, MAX_LOG));
}

unsafe extern "C" fn directory(host: *const Host) -> Str {
    // SAFETY: the plugin passes the table it was given.
    unsafe { table(host) }.map_or(Str::EMPTY, |table| Str::new(&table.data_dir))
}

unsafe extern "C" fn answer(host: *const Host, text: Str) {
    // SAFETY: the plugin passes the table it was given.
    if let Some(table) = unsafe { called_in(host, &[Phase::Handle]) } {
        table.answer.replace(Some(copy(text, MAX_TEXT)));
    }
}

unsafe extern "C" fn fail(host: *const Host, message: Str) {
    // SAFETY: the plugin passes the table it was given.
    if let Some(table) = unsafe { called_in(host, &[Phase::Init, Phase::Handle]) } {
        table.failure.replace(copy(message, MAX_TEXT));
    }
}
