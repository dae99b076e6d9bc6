//! What packages cost: installing one, and looking at its files again at each load.

use crate::report::{Bar, Reach};
use crate::stats::median;
use crate::{Effort, Result};
use midimon::home::Home;
use midimon::plugins::install::{Agreed, Choice, Local, Packages, Progress, Step, Stopped, Workshop, look};
use midimon::plugins::minisign::PublicKey;
use midimon::plugins::store::Store;
use midimon::plugins::trust::{How, TrustStore};
use midimon::timestamp::Timestamp;
use midimon_shared::Limits;
use midimon_shared::spawn::MissingLayers;
use midimon_tests::binaries::Binaries;
use midimon_tests::{Bed, Publisher};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

/// Size of the package.
const SIZE: u64 = 2 * 1024 * 1024;
/// Installations and loads in a run.
const TIMES: usize = 8;

/// Nobody watches.
struct Unwatched;

impl Progress for Unwatched {
    fn begin(&self, _: Step) -> std::result::Result<(), Stopped> {
        Ok(())
    }

    fn on_stop(&self, _: Box<dyn Fn() + Send>) {}
}

/// A native plugin, whose code needs no compiling, with a file beside it that cannot be compressed.
fn package(publisher: &Publisher, version: &str) -> Result<std::path::PathBuf> {
    let directory = publisher.plugin("asking", version, "");
    let manifest = directory.join("plugin.toml");
    let text = std::fs::read_to_string(&manifest)?;
    // a key of the top level stands before every table
    std::fs::write(&manifest, format!("include = [\"table.bin\"]\n{text}"))?;
    let mut bytes = Vec::new();
    File::open("/dev/urandom")?.take(SIZE).read_to_end(&mut bytes)?;
    std::fs::write(directory.join("table.bin"), bytes)?;
    let path = publisher.pack(&directory);
    publisher.sign(&path);
    Ok(path)
}

/// Everything `midimon plugin install` does but asking; milliseconds.
fn install(home: &Home, key: &PublicKey, path: &Path) -> Result<f64> {
    let started = Instant::now();
    let store = Store::open(home);
    let trust = TrustStore::load(home)?;
    let contents = Local::new(path).offer()?.read(&trust, Some(key), false)?;
    let plan = look(&store, &trust, &contents, false)?;
    let grants = plan.agree(&[] as &[Choice]);
    let locked = store.lock(|_| {})?;
    let programs = Some(Binaries::get().programs.clone());
    let workshop = Workshop { home, programs, limits: Limits::default(), missing_layers: MissingLayers::Refuse };
    workshop.install(&locked, contents, Agreed { grants, key_name: None, downgrade: false }, &Unwatched)?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// What the daemon does with the files of an installed plugin whenever it loads them; milliseconds.
fn verify_at_load(store: &Store) -> Result<f64> {
    let record = store.get(&"asking".parse()?)?.ok_or("it is installed")?;
    let started = Instant::now();
    let files = store.current_files(&record)?;
    let manifest = files.manifest()?;
    let code = files.code(&manifest)?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    if code.is_empty() { Err("no code".into()) } else { Ok(took) }
}

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let (mut installs, mut loads): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
    for _ in 0..effort.runs() {
        let (bed, publisher) = (Bed::new(), Publisher::new());
        let home = Home::at(&bed.home())?;
        home.prepare()?;
        TrustStore::change(&home, |trust| {
            let name = "Bench".parse()?;
            trust.trust(publisher.key(), name, How::Command, Timestamp::now())?;
            Ok::<_, Box<dyn std::error::Error>>(())
        })?;
        let (mut installing, mut loading) = (Vec::new(), Vec::new());
        for minor in 0..effort.of(TIMES) {
            let path = package(&publisher, &format!("1.{minor}.0"))?;
            installing.push(install(&home, &publisher.key(), &path)?);
            loading.push(verify_at_load(&Store::open(&home))?);
        }
        installs.push(median(installing));
        loads.push(median(loading));
    }
    let longest = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let notes = [longest(&installs), longest(&loads)].map(|worst| format!("slowest run {worst:.1} ms"));
    let [of_installs, of_loads] = notes;
    Ok(vec![
        Bar::new("verify and install 2 MiB, native", median(installs), "ms", Reach::AtMost(150.0)).note(of_installs),
        Bar::new("verify 2 MiB at load", median(loads), "ms", Reach::AtMost(5.0)).note(of_loads),
    ])
}
