//! Between the C interface and the trait. No panic leaves this file.

use super::{Pairs, Raw, context_of, params_of};
use crate::outcome::perform;
use crate::{Error, Host, Params, Plugin, ffi};
use std::any::Any;
use std::borrow::Cow;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The table of functions of one plugin.
#[doc(hidden)]
pub struct Table<P>(PhantomData<P>);

/// What `state` points to.
struct State<P> {
    plugin: P,
    host: Raw,
}

impl<P: Plugin> Table<P> {
    pub const TABLE: ffi::Plugin = ffi::Plugin {
        abi_version: ffi::ABI_VERSION,
        struct_size: size_of::<ffi::Plugin>() as u32,
        describe: Self::describe,
        init: Self::init,
        handle: Self::handle,
        shutdown: Self::shutdown,
    };

    unsafe extern "C" fn describe(metadata: *mut ffi::Metadata) {
        if let Ok(described) = catch_unwind(P::describe) {
            // SAFETY: the header promises a writable struct; the texts are 'static.
            let metadata = unsafe { &mut *metadata };
            metadata.name = ffi::Str::new(described.name);
            metadata.version = ffi::Str::new(described.version);
            metadata.description = ffi::Str::new(described.description);
        }
    }

    unsafe extern "C" fn init(host: *const ffi::Host, settings: ffi::Str, state: *mut *mut c_void) -> i32 {
        // SAFETY: the header promises a table that stays until shutdown returns, when the process ends.
        let host = unsafe { Raw::new(host) };
        // SAFETY: the header promises a text that is valid until this returns.
        let settings = Params::new(Cow::Borrowed(unsafe { settings.get() }), Pairs::NONE);
        let started = guard(|| {
            let mut plugin = P::default();
            plugin.init(Host { raw: host }, &settings).map(|()| plugin)
        });
        match started {
            Ok(plugin) => {
                // SAFETY: the header promises a writable pointer.
                unsafe { *state = Box::into_raw(Box::new(State { plugin, host })).cast() };
                ffi::OK
            }
            Err(error) => report(host, &error),
        }
    }

    unsafe extern "C" fn handle(state: *mut c_void, call: *const ffi::Call) -> i32 {
        // SAFETY: `init` put a `State<P>` there, and calls come one at a time.
        let State { plugin, host } = unsafe { &mut *state.cast::<State<P>>() };
        // SAFETY: the header promises a call with a context, valid until this returns.
        let (action, params, context) = unsafe {
            let call = &*call;
            (call.action.get(), params_of(call), context_of(&*call.context))
        };
        match guard(|| perform(plugin, Host { raw: *host }, action, &params, &context)) {
            Ok(answer) => {
                if let Some(text) = answer {
                    host.answer(&text);
                }
                ffi::OK
            }
            Err(error) => report(*host, &error),
        }
    }

    unsafe extern "C" fn shutdown(state: *mut c_void) {
        // SAFETY: `init` made this box, and after shutdown nothing is called again.
        let mut state = unsafe { Box::from_raw(state.cast::<State<P>>()) };
        // a panic has been printed to the log, and there is nobody left to tell
        let _ = guard(|| {
            state.plugin.shutdown();
            Ok(())
        });
    }
}

fn report(host: Raw, error: &Error) -> i32 {
    host.fail(error.message());
    error.code()
}

/// Runs the plugin's code; a panic becomes an error.
fn guard<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // The plugin may be left half changed by a panic, as by an early return; that is its own affair.
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|payload| {
        Err(Error::new(format_args!("the plugin panicked: {}", panic_message(&*payload))).with_code(Error::PANIC))
    })
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&'static str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
