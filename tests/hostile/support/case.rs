//! One case, run every way.

use super::{Ground, Libraries};
use midimon::workers::status::{WorkerState, WorkerStatus};
use midimon_tests::wait::come_true;
use midimon_tests::{Bed, Config, Daemon, Watch, midi};
use nix::errno::Errno;
use nix::unistd::geteuid;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The honest plugin beside it.
const ECHO: u8 = 120;
/// Longest a control may take.
const CONTROL_LIMIT: Duration = Duration::from_secs(20);
const ASKS: &str = "\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"to keep notes\"\n";

/// When the attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Under both filters.
    Handle,
    /// Under the first filter alone.
    Constructor,
    /// Under both, on a thread that is older than the second.
    Thread,
}

impl Mode {
    pub const ALL: [Self; 3] = [Self::Handle, Self::Constructor, Self::Thread];

    pub const fn letter(self) -> u8 {
        match self {
            Self::Handle => b'h',
            Self::Constructor => b'c',
            Self::Thread => b't',
        }
    }

    pub const fn id(self) -> &'static str {
        match self {
            Self::Handle => "in-handle",
            Self::Constructor => "in-constructor",
            Self::Thread => "on-thread",
        }
    }
}

/// What must come of an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// It fails with one of these, and the plugin lives on.
    Errno(&'static [Errno]),
    /// The plugin dies, and this system call is named.
    Forbidden(&'static str),
    /// Either: EPERM or EACCES, or death by this system call (its name's beginning: libraries choose between `x` and `xat`).
    Refused(&'static str),
    /// The plugin ends for a reason that contains this.
    Ends(&'static str),
    /// It works, and what it did is looked at by the test.
    Works,
}

impl Expected {
    const fn is_an_end(self) -> bool {
        matches!(self, Self::Ends(_))
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Works,
    Errno(Errno),
    Ended(String),
}

/// What the control must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    /// Without the sandbox it works.
    Works,
    /// Without the sandbox it works for root; others may be refused.
    WorksForRoot,
    /// It cannot work, whoever asks: without the sandbox the kernel answers, and that is all.
    Answers,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Case {
    name: &'static str,
    input: String,
    data: bool,
    /// The one server it may connect to.
    server: Option<String>,
    settings: String,
    control: Control,
    /// What a kernel without the thing asked for says, to root too.
    absent: &'static [Errno],
    /// The kernel's own refusal is the sandbox's.
    alike: bool,
    modes: &'static [Mode],
}

impl Case {
    /// The case in `cases/NAME.c`.
    pub fn of(name: &'static str) -> Self {
        Self {
            name,
            input: String::new(),
            data: false,
            server: None,
            settings: String::new(),
            control: Control::Works,
            absent: &[],
            alike: false,
            modes: &Mode::ALL,
        }
    }

    /// The text it works on; `{files}` is a directory of the user's, `{victim}` a process of the user's.
    pub fn on(mut self, input: &str) -> Self {
        input.clone_into(&mut self.input);
        self
    }

    /// With the grant for its data directory.
    pub fn with_data(mut self) -> Self {
        self.data = true;
        self
    }

    /// With the grant for connections to this address and port.
    pub fn with_server(mut self, target: &str) -> Self {
        self.server = Some(target.to_owned());
        self
    }

    /// More lines of its settings.
    pub fn with(mut self, settings: &str) -> Self {
        settings.clone_into(&mut self.settings);
        self
    }

    /// Root can do it without the sandbox; others get the kernel's refusal there.
    pub const fn privileged(mut self) -> Self {
        self.control = Control::WorksForRoot;
        self
    }

    /// A call that is wrong in itself: without the sandbox it is only answered. For what ends the plugin by name.
    pub const fn nonsense(mut self) -> Self {
        self.control = Control::Answers;
        self
    }

    /// Not every kernel has it: one that has not answers so.
    pub const fn absent(mut self, errnos: &'static [Errno]) -> Self {
        self.absent = errnos;
        self
    }

    /// Where the kernel refuses it, it does so with the sandbox's own errno, and the case alone cannot tell the two
    /// apart. Say beside it what does.
    pub const fn alike(mut self) -> Self {
        self.alike = true;
        self
    }

    /// Yama, where it is on, lets only root attach to what is no child of one's own.
    pub fn attaching(mut self) -> Self {
        let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
        if !matches!(scope.trim(), "" | "0") {
            self.control = Control::WorksForRoot;
        }
        self
    }

    /// In these ways only.
    pub const fn only(mut self, modes: &'static [Mode]) -> Self {
        self.modes = modes;
        self
    }

    /// Runs the control, then every way, beside an honest plugin.
    pub fn must(self, expected: Expected) {
        let bed = Bed::new();
        let controls: Vec<String> = self.modes.iter().map(|&mode| self.control(&bed, mode.id(), mode)).collect();
        let ground = Ground::new(bed.path("inside"), &self.input);
        let (mut daemon, watch) = self.start(&bed, &ground);
        let echo = daemon.worker("echo");
        for ((note, &mode), control) in (1..).zip(self.modes).zip(&controls) {
            let mut seen = observe(&mut daemon, &watch, mode.id(), note);
            // what the supervisor ends it for may come after the answer
            if seen == Seen::Works && expected.is_an_end() {
                let down = daemon.wait_worker(mode.id(), "its end", is_down);
                seen = Seen::Ended(down.reason.unwrap_or_default());
            }
            println!("{} {}: {seen:?}", self.name, mode.id());
            check(self.name, mode, expected, &seen, &daemon);
            if let Seen::Errno(errno) = seen {
                let kernels = self.alike || *control != format!("errno {}", errno as i32);
                assert!(kernels, "{} {}: {errno} is what the kernel says without the sandbox", self.name, mode.id());
            }
        }
        daemon.answers("echo", ECHO);
        let after = daemon.worker("echo");
        assert_eq!((after.pid, after.restarts), (echo.pid, 0), "the honest plugin suffered: {after:#?}");
        ground.assert_untouched();
        daemon.stop();
    }

    fn start(&self, bed: &Bed, ground: &Ground) -> (Daemon, Watch) {
        bed.install("echo");
        let mut config = Config::new().note(ECHO, "echo", "quiet");
        let (mut asks, mut grants) = (String::new(), Vec::new());
        if self.data {
            asks += ASKS;
            grants.push("\"filesystem\"".to_owned());
        }
        if let Some(target) = &self.server {
            asks += &format!(
                "\n[[capabilities]]\ncapability = \"network\"\ntargets = [\"{target}\"]\nreason = \"to ask\"\n"
            );
            grants.push(format!("\"network:{target}\""));
        }
        let grants = grants.join(", ");
        for (note, mode) in (1..).zip(self.modes) {
            let code = Libraries::get().patched(self.name, mode.letter(), &ground.fill(&self.input));
            bed.write_plugin(mode.id(), "case.so", &code, &asks);
            // however slow the machine, the attempt is made, and comes to its end
            let patience = if self.settings.contains("timeout_ms") { "" } else { "timeout_ms = 60000\n" };
            let own = &self.settings;
            let settings = format!("restart = \"never\"\nmax_age_ms = 60000\ngrants = [{grants}]\n{patience}{own}");
            config = config.plugin(mode.id(), &settings).note(note, mode.id(), "attempt");
        }
        bed.configure(&config);
        let daemon = bed.start();
        daemon.wait_ready("echo");
        let watch = daemon.watch();
        (daemon, watch)
    }

    /// The same library without the sandbox, on ground of its own. Returns what it said.
    pub fn control(&self, bed: &Bed, place: &str, mode: Mode) -> String {
        let ground = Ground::new(bed.path(&format!("outside-{place}")), &self.input);
        let library = bed.path(&format!("outside-{place}.so"));
        let code = Libraries::get().patched(self.name, mode.letter(), &ground.fill(&self.input));
        std::fs::write(&library, code).expect("a copy of the case");
        let data = bed.path(&format!("outside-data-{place}"));
        std::fs::create_dir(&data).expect("a data directory");
        let said = outside(&library, &data);
        let shown = format!("{} {place} without the sandbox: {said:?}", self.name);
        let Ok(said) = said else { panic!("{shown}") };
        let errno = said.strip_prefix("errno ").and_then(|number| number.parse().ok()).map(Errno::from_raw);
        let fine = match (errno, self.control) {
            (None, Control::Works | Control::WorksForRoot) => said == "done",
            (Some(errno), _) if self.absent.contains(&errno) => true,
            (Some(_), Control::WorksForRoot) => !geteuid().is_root(),
            (Some(_), Control::Works) => false,
            (_, Control::Answers) => true,
        };
        assert!(fine, "{shown}");
        said
    }
}

/// What the control said; how it died when it said nothing.
fn outside(library: &Path, data: &Path) -> Result<String, String> {
    let mut child = Command::new(Libraries::get().outside())
        .arg(library)
        .arg("--data-dir")
        .arg(data)
        .arg("--outside")
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // a file, as a careless host would make it
        .stderr(File::create(library.with_extension("log")).expect("a log"))
        .spawn()
        .expect("the control runs");
    // one that hangs is killed, and that is what is told of it
    if come_true(CONTROL_LIMIT, || child.try_wait().expect("its status").ok_or(())).is_err() {
        child.kill().expect("a child that is not reaped yet");
    }
    let output = child.wait_with_output().expect("its output");
    let text = String::from_utf8_lossy(&output.stdout);
    // what the case printed itself comes before
    let said = text.trim().lines().next_back().unwrap_or_default().to_owned();
    if output.status.success() && !said.is_empty() { Ok(said) } else { Err(format!("{}: {said}", output.status)) }
}

/// Waits until the plugin is loaded or down, makes it act, and waits for what comes of that.
pub fn observe(daemon: &mut Daemon, watch: &Watch, id: &str, note: u8) -> Seen {
    let settled = |worker: &WorkerStatus| worker.state == WorkerState::Ready || is_down(worker);
    let loaded = daemon.wait_worker(id, "loaded or down", settled);
    if is_down(&loaded) {
        return Seen::Ended(loaded.reason.unwrap_or_default());
    }
    daemon.send(&midi::tap(note));
    let acted = |worker: &WorkerStatus| worker.calls.done == 1 || is_down(worker);
    let after = daemon.wait_worker(id, "an answer or its end", acted);
    if after.calls.done == 0 {
        return Seen::Ended(after.reason.unwrap_or_default());
    }
    let answer = watch.answer(id).outcome;
    match answer.strip_prefix("errno ").map(str::parse) {
        Some(Ok(number)) => Seen::Errno(Errno::from_raw(number)),
        _ if answer == "done" => Seen::Works,
        _ => panic!("{id} answered '{answer}'"),
    }
}

fn is_down(worker: &WorkerStatus) -> bool {
    matches!(worker.state, WorkerState::Failed | WorkerState::Quarantined)
}

fn check(name: &str, mode: Mode, expected: Expected, seen: &Seen, daemon: &Daemon) {
    let as_expected = match (expected, seen) {
        (Expected::Works, Seen::Works) => true,
        (Expected::Errno(errnos), Seen::Errno(errno)) => errnos.contains(errno),
        (Expected::Refused(_), Seen::Errno(errno)) => matches!(errno, Errno::EPERM | Errno::EACCES),
        (Expected::Forbidden(call) | Expected::Refused(call), Seen::Ended(reason)) => {
            reason.contains(&format!("forbidden system call {call}"))
        }
        (Expected::Ends(why), Seen::Ended(reason)) => reason.contains(why),
        _ => false,
    };
    assert!(as_expected, "{name} {}: {seen:?}, not {expected:?}\n{}", mode.id(), daemon.log_text());
}
