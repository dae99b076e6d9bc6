//! What a component can import, defined as far as it does.
//!
//! Each definition takes memory, and those that are used keep the memory around them from being given back: a worker is
//! smaller when it defines only what its component imports.

use super::bindings::midimon::plugin;
use super::state::State;
use super::waits;
use wasmtime::Result;
use wasmtime::component::{Component, HasData, HasSelf, Linker, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sockets, sync as blocking};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};

/// Defines the network for a component.
pub type LinkNetwork = fn(&mut Linker<State>, &Component) -> Result<()>;

/// Whether the component imports an interface whose name begins so.
pub fn imports(component: &Component, name: &str) -> bool {
    component.component_type().imports(component.engine()).any(|(import, _)| import.starts_with(name))
}

/// The functions this component can import.
///
/// # Errors
/// Only when a function is defined twice.
pub fn linker(component: &Component, network: Option<LinkNetwork>) -> Result<Linker<State>> {
    let mut linker = Linker::new(component.engine());
    link_wasi(&mut linker, |name| imports(component, name))?;
    link_midimon(&mut linker, component)?;
    if let Some(link) = network {
        link(&mut linker, component)?;
    }
    Ok(linker)
}

struct HasIoErrors;

impl HasData for HasIoErrors {
    type Data<'a> = &'a mut ResourceTable;
}

/// WASI 0.2, as far as the component imports an interface whose name begins so. No worker can make a socket, but a
/// component may ask.
fn link_wasi(linker: &mut Linker<State>, imports: impl Fn(&str) -> bool) -> Result<()> {
    waits::link(linker)?;
    io::error::add_to_linker::<_, HasIoErrors>(linker, |state| state.ctx().table)?;
    clocks::wall_clock::add_to_linker::<_, WasiClocks>(linker, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<_, WasiClocks>(linker, State::clocks)?;
    random::random::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    if imports("wasi:cli/") {
        cli::stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::stderr::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::environment::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::exit::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::terminal_input::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::terminal_output::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::terminal_stdin::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::terminal_stdout::add_to_linker::<_, WasiCli>(linker, State::cli)?;
        cli::terminal_stderr::add_to_linker::<_, WasiCli>(linker, State::cli)?;
    }
    if imports("wasi:filesystem/") {
        filesystem::preopens::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)?;
        blocking::filesystem::types::add_to_linker::<_, WasiFilesystem>(linker, State::filesystem)?;
    }
    if imports("wasi:random/insecure") {
        random::insecure::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
        random::insecure_seed::add_to_linker::<_, WasiRandom>(linker, |state| state.ctx().ctx.random())?;
    }
    if imports("wasi:sockets/") {
        sockets::instance_network::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
        sockets::network::add_to_linker::<_, WasiSockets>(linker, &Default::default(), State::sockets)?;
        sockets::ip_name_lookup::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
        blocking::sockets::tcp::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
        sockets::tcp_create_socket::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
        blocking::sockets::udp::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
        blocking::sockets::udp_create_socket::add_to_linker::<_, WasiSockets>(linker, State::sockets)?;
    }
    Ok(())
}

type Link = fn(&mut Linker<State>) -> Result<()>;

/// The interfaces of the world `midimon-plugin` but for `net`, which is [`LinkNetwork`]'s.
const INTERFACES: [(&str, Link); 10] = [
    ("log", |linker| plugin::log::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("names", |linker| plugin::names::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("settings", |linker| plugin::settings::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("data", |linker| plugin::data::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("effects", |linker| plugin::effects::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("events", |linker| plugin::events::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("midi", |linker| plugin::midi::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("programs", |linker| plugin::programs::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("system-control", |linker| plugin::system_control::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
    ("timers", |linker| plugin::timers::add_to_linker::<_, HasSelf<_>>(linker, |state| state)),
];

fn link_midimon(linker: &mut Linker<State>, component: &Component) -> Result<()> {
    plugin::types::add_to_linker::<_, HasSelf<_>>(linker, |state| state)?;
    for (interface, link) in INTERFACES {
        if imports(component, &format!("midimon:plugin/{interface}@")) {
            link(linker)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::engine::config;
    use std::collections::BTreeSet;
    use wasmtime::Engine;

    #[test]
    fn what_the_world_imports_is_here_or_is_the_network() {
        let world = include_str!("../../../../plugins/wit/plugin.wit");
        let imported = |line: &'static str| line.trim().strip_prefix("import ")?.strip_suffix(';');
        let world: Vec<_> = world.lines().filter_map(imported).filter(|name| *name != "net").collect();
        assert_eq!(INTERFACES.map(|(name, _)| name)[..], world);
    }

    /// The names of WASI's interfaces in this program: it has wasmtime-wasi in it, and so each that one defines. Where
    /// one ends is not written down: a version is here with one digit and with more.
    fn names() -> BTreeSet<String> {
        const VERSION: &[u8] = b"@0.2.";
        const LONGEST: usize = 64;
        let program = std::fs::read("/proc/self/exe").unwrap();
        let mut names = BTreeSet::new();
        for (at, _) in program.windows(VERSION.len()).enumerate().filter(|(_, bytes)| *bytes == VERSION) {
            let (before, version) = program.split_at(at);
            let before = String::from_utf8_lossy(&before[at.saturating_sub(LONGEST)..]);
            let Some(name) = before.rfind("wasi:").map(|start| &before[start..]) else { continue };
            let digits = version[VERSION.len()..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            for end in (1..=digits.min(2)).map(|count| VERSION.len() + count) {
                names.insert(name.to_owned() + &String::from_utf8_lossy(&version[..end]));
            }
        }
        names
    }

    /// What is there cannot be defined again as something else.
    fn defines(linker: &Linker<State>, name: &str) -> bool {
        linker.clone().root().func_wrap(name, |_, (): ()| Ok(())).is_err()
    }

    #[test]
    fn each_interface_of_wasi_is_here_for_whoever_imports_it_and_no_other() {
        let engine = Engine::new(&config()).unwrap();
        let mut whole = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_sync(&mut whole).unwrap();
        let mut found = BTreeSet::new();
        for name in names() {
            let mut ours = Linker::new(&engine);
            link_wasi(&mut ours, |prefix| name.starts_with(prefix)).unwrap();
            assert_eq!(defines(&ours, &name), defines(&whole, &name), "{name}");
            if defines(&whole, &name) {
                found.insert(name);
            }
        }
        let packages: BTreeSet<_> = found.iter().filter_map(|name| name.split('/').next()).collect();
        let expected = ["cli", "clocks", "filesystem", "io", "random", "sockets"].map(|name| format!("wasi:{name}"));
        assert_eq!(Vec::from_iter(packages), expected, "names are not to be found where they must be");
    }
}
