//! What midimon does for a plugin, the same for native plugins and components.

use crate::{Connection, HostError, backend};
use std::path::PathBuf;
use std::time::Duration;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
}

/// What came of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; 128 + the signal that ended it.
    pub code: i32,
    /// What it wrote (24 KiB at most are kept).
    pub stdout: Vec<u8>,
    /// What it complained about (24 KiB at most are kept).
    pub stderr: Vec<u8>,
}

/// What the mouse can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// Move by so many pixels, to the right and down.
    Move(i16, i16),
    /// Turn the wheel by so many notches, to the right and up.
    Scroll(i8, i8),
    /// Press and release the left button.
    Left,
    /// The middle one.
    Middle,
    /// The right one.
    Right,
}

/// What can be controlled of the system; the numbers are `MIDIMON_SYSTEM_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum System {
    VolumeUp = 1,
    VolumeDown = 2,
    Mute = 3,
    PlayPause = 4,
    Stop = 5,
    Next = 6,
    Previous = 7,
    BrightnessUp = 8,
    BrightnessDown = 9,
}

impl System {
    /// Every one.
    pub const ALL: [Self; 9] = [
        Self::VolumeUp,
        Self::VolumeDown,
        Self::Mute,
        Self::PlayPause,
        Self::Stop,
        Self::Next,
        Self::Previous,
        Self::BrightnessUp,
        Self::BrightnessDown,
    ];
}

/// A light of a controller, named by the message that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    /// A note, 0 to 127.
    Note(u8),
    /// A controller, 0 to 127.
    Control(u8),
}

/// How full the data directory is.
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

/// midimon, as a plugin sees it. Can be kept, copied, and used from any thread.
///
/// All but [`log`](Self::log) and [`data_dir`](Self::data_dir) ask midimon for something
/// outside the sandbox. It is checked against the plugin's grants when it is asked for and
/// written to its audit log; several threads take turns. The time it takes is part of the
/// call it is made in.
///
/// ```
/// use midimon_plugin::test::{Call, Driver, Request};
/// use midimon_plugin::{Context, Error, Host, Light, Metadata, Outcome, Params, Plugin, Trigger};
/// use std::time::Duration;
///
/// /// Lights its pad for a second.
/// #[derive(Default)]
/// struct Flash(Option<Host>);
///
/// impl Plugin for Flash {
///     fn describe() -> Metadata {
///         Metadata { name: "Flash", version: "1.0.0", description: "Lights a pad for a second" }
///     }
///     fn init(&mut self, host: Host, _settings: &Params<'_>) -> Result<(), Error> {
///         self.0 = Some(host);
///         Ok(())
///     }
///     fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
///         let host = self.0.ok_or_else(|| Error::new("not started"))?;
///         let note: u8 = context.note().map_or_else(|| params.within("note", 0..=127), Ok)?;
///         let value = if context.trigger == Trigger::Timer { 0 } else { 127 };
///         host.set_light("pads", 1, Light::Note(note), value)?;
///         if value > 0 {
///             host.after(note.into(), Duration::from_secs(1), action, &format!(r#"{{"note":{note}}}"#))?;
///             host.emit("flash", &note.to_string())?; // a mapping can wait for it
///         }
///         Ok(Outcome::ok())
///     }
/// }
///
/// let mut flash = Driver::<Flash>::start("{}").unwrap();
/// flash.call(&Call::new("flash").note(36, 100)).unwrap();
/// flash.call(&Call::new("flash").params(r#"{"note":36}"#).trigger(Trigger::Timer)).unwrap();
/// let light = |value| Request::SetLight { device: "pads".into(), channel: 1, light: Light::Note(36), value };
/// let requests = flash.requests();
/// assert_eq!((&requests[0], &requests[3]), (&light(127), &light(0)));
/// assert_eq!(requests[2], Request::Emit { event: "flash".into(), value: "36".into() });
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub(crate) raw: backend::Raw,
}

impl Host {
    /// Writes to the plugin's log (`midimon logs ID`); at most 4096 bytes of it are kept.
    pub fn log(&self, level: Level, message: &str) {
        self.raw.log(level, message);
    }

    /// The plugin's own directory; `None` unless `filesystem` was granted.
    #[must_use]
    pub fn data_dir(&self) -> Option<PathBuf> {
        self.raw.data_dir()
    }

    /// Connects by TCP to `host:port` as granted (`network:HOST:PORT`), within 30 s at
    /// most (zero means that).
    ///
    /// # Errors
    /// Not granted, an address that is not public and not granted itself, no connection.
    pub fn connect(&self, target: &str, timeout: Duration) -> Result<Connection, HostError> {
        self.raw.connect(target, millis(timeout)).map(Connection::new)
    }

    /// The same with TLS: the server's certificate must be made out to the target's host by an
    /// authority that midimon trusts. Needs the feature `http`, which brings TLS to native plugins.
    ///
    /// # Errors
    /// As [`Host::connect`], and what is wrong with the certificate.
    ///
    /// ```no_run
    /// # use midimon_plugin::{Error, Host};
    /// # use std::io::{Read, Write};
    /// # use std::time::Duration;
    /// # fn greeting(host: Host) -> Result<String, Error> {
    /// let mut connection = host.connect_tls("irc.example.org:6697", Duration::from_secs(2))?;
    /// connection.write_all(b"NICK pads\r\n")?;
    /// connection.flush()?;
    /// let mut answer = [0; 512];
    /// let length = connection.read(&mut answer)?;
    /// # Ok(String::from_utf8_lossy(&answer[..length]).into_owned()) }
    /// ```
    #[cfg(feature = "http")]
    pub fn connect_tls(&self, target: &str, timeout: Duration) -> Result<Connection, HostError> {
        self.raw.connect_tls(target, millis(timeout)).map(Connection::new)
    }

    /// Sends a datagram to `host:port` as granted (`network:udp:HOST:PORT`).
    ///
    /// # Errors
    /// Not granted, over 8192 bytes, a fifth target, or it cannot be sent.
    pub fn datagram_send(&self, target: &str, payload: &[u8]) -> Result<(), HostError> {
        self.raw.datagram_send(target, payload)
    }

    /// Waits for a datagram from where one was sent to, 30 s at most.
    ///
    /// # Errors
    /// [`Refusal::TimedOut`](crate::Refusal::TimedOut) when none came.
    pub fn datagram_receive(&self, target: &str, timeout: Duration) -> Result<Vec<u8>, HostError> {
        self.raw.datagram_receive(target, millis(timeout))
    }

    /// Sends one MIDI message to an output as granted (`midi:PORT`): a channel message
    /// or a whole SysEx. Notes left on are switched off when the plugin's process ends.
    ///
    /// # Errors
    /// Not granted, not one whole message, or too many.
    pub fn midi_send(&self, port: &str, message: &[u8]) -> Result<(), HostError> {
        self.raw.midi_send(port, message)
    }

    /// Runs a program as granted (`subprocess:PROGRAM`), without a shell or input, and waits
    /// for its end, 30 s at most (zero means that). Of the user's environment it gets the
    /// variables of home, language and session (`HOME`, `LANG`, `DISPLAY` …), and nothing else.
    ///
    /// # Errors
    /// Not granted, a program others can write to, or it was killed at its deadline.
    pub fn run(&self, program: &str, arguments: &[&str], timeout: Duration) -> Result<Ran, HostError> {
        self.raw.run(program, arguments, millis(timeout))
    }

    /// Presses and releases keys, as in a mapping: `ctrl+shift+p`. Grant `input`.
    /// Returns when it is queued, as the next four do.
    ///
    /// # Errors
    /// Not granted, no such key, or too many.
    pub fn keystroke(&self, keys: &str) -> Result<(), HostError> {
        self.raw.keystroke(keys)
    }

    /// Types a text of at most 1024 bytes. Grant `input`.
    ///
    /// # Errors
    /// Not granted, too long, or too many.
    pub fn type_text(&self, text: &str) -> Result<(), HostError> {
        self.raw.type_text(text)
    }

    /// Uses the mouse. Grant `input`.
    ///
    /// # Errors
    /// Not granted, or too many.
    pub fn mouse(&self, mouse: Mouse) -> Result<(), HostError> {
        self.raw.mouse(mouse)
    }

    /// Volume, media, brightness. Grant `system-control`.
    ///
    /// # Errors
    /// Not granted, or too many.
    pub fn system(&self, what: System) -> Result<(), HostError> {
        self.raw.system(what)
    }

    /// Shows a notification, the plugin's id in front of its title (80 bytes at most; the
    /// body 1024). Needs no grant; about one a second.
    ///
    /// # Errors
    /// Too long, or too many.
    pub fn notify(&self, title: &str, body: &str) -> Result<(), HostError> {
        self.raw.notify(title, body)
    }

    /// Emits an event, which mappings can wait for: a name of at most 64 bytes, a value of
    /// at most 1024. Needs no grant; about 100 a second.
    ///
    /// # Errors
    /// Too long, control characters in the name, or too many.
    pub fn emit(&self, event: &str, value: &str) -> Result<(), HostError> {
        self.raw.emit(event, value)
    }

    /// Sets a light of a device, named by its alias in the configuration: value or colour 0
    /// (off) to 127, on channel 1 to 16. The latest value wins; 250 a second are sent at most.
    /// Grant `midi` for the device's output.
    ///
    /// # Errors
    /// Not granted, no such device, or a number out of its range.
    pub fn set_light(&self, device: &str, channel: u8, light: Light, value: u8) -> Result<(), HostError> {
        self.raw.set_light(device, channel, light, value)
    }

    /// Makes a mode the active one. Grant `mode`.
    ///
    /// # Errors
    /// Not granted, no such mode, or too many.
    pub fn set_mode(&self, name: &str) -> Result<(), HostError> {
        self.raw.set_mode(name)
    }

    /// Calls `handle` once, after this time (10 ms to a day), with this action, these
    /// parameters (a JSON object; empty is none) and [`Trigger::Timer`](crate::Trigger::Timer).
    /// An id that is in use is set anew. A plugin has 32 timers at most; they end with its process.
    ///
    /// # Errors
    /// A time out of its range, no JSON object, or a 33rd timer.
    pub fn after(&self, id: u32, time: Duration, action: &str, params: &str) -> Result<(), HostError> {
        self.raw.timer(id, millis(time), false, action, params)
    }

    /// The same every time it has passed. A call that is due while an earlier one has not been
    /// answered is left out.
    ///
    /// # Errors
    /// As [`Host::after`].
    pub fn every(&self, id: u32, time: Duration, action: &str, params: &str) -> Result<(), HostError> {
        self.raw.timer(id, millis(time), true, action, params)
    }

    /// Stops a timer; one that is not there is no error.
    ///
    /// # Errors
    /// Too many requests.
    pub fn cancel(&self, id: u32) -> Result<(), HostError> {
        self.raw.cancel(id)
    }

    /// How full the data directory is. Needs no grant; without `filesystem` all four are 0.
    ///
    /// # Errors
    /// It cannot be read, or too many.
    pub fn usage(&self) -> Result<Usage, HostError> {
        self.raw.usage()
    }

    /// The certificates that TLS servers are checked against, each as DER: the system's, or
    /// Mozilla's where it has none. For native plugins that do TLS themselves.
    ///
    /// # Errors
    /// There are none, or no descriptor can be had.
    #[cfg(not(target_family = "wasm"))]
    pub fn tls_roots(&self) -> Result<Vec<Vec<u8>>, HostError> {
        self.raw.tls_roots()
    }
}

fn millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}
