//! The daemon notices by itself what was changed of installed plugins, when no command tells it.

use midimon::workers::status::WorkerState;
use midimon_tests::{Bed, Daemon, Publisher, eventually};
use std::fs;
use std::path::PathBuf;

const MORE: &str = "[[capabilities]]\ncapability = \"filesystem\"\nreason = \"keeps a list\"\n";

struct Noticed {
    bed: Bed,
    daemon: Daemon,
}

impl Noticed {
    /// An installed plugin that runs with what it asked for.
    fn new() -> Self {
        let (bed, publisher) = (Bed::new(), Publisher::new());
        publisher.install(&bed, &publisher.package("asking", "1.0.0", MORE), &["--grant", "filesystem"]);
        let daemon = bed.start();
        assert_eq!(daemon.wait_ready("asking").grants, ["filesystem"]);
        Self { bed, daemon }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.bed.home().join(name)
    }

    /// Changes a file as editors and killed commands do; what was in it.
    fn change(&self, name: &str, from: &str, to: &str) -> String {
        let text = fs::read_to_string(self.file(name)).expect("a file of the home");
        assert!(text.contains(from), "{name}: {text}");
        self.write(name, &text.replace(from, to));
        text
    }

    fn write(&self, name: &str, text: &str) {
        let next = self.file(&format!("{name}.next"));
        fs::write(&next, text).expect("written");
        fs::rename(next, self.file(name)).expect("in its place");
    }

    fn wait_stopped(&self, why: &str) {
        self.daemon.wait_status(why, |status| status.problems.iter().any(|problem| problem.contains(why)));
        self.wait_gone();
    }

    fn wait_gone(&self) {
        eventually("its worker is gone", || match self.daemon.workers() {
            left if left.is_empty() => Ok(()),
            left => Err(format!("{left:?}")),
        });
    }

    fn wait_runs(&self) {
        self.daemon.wait_worker("asking", "it runs with its grant", |worker| {
            worker.state == WorkerState::Ready && worker.grants == ["filesystem"]
        });
    }
}

#[test]
fn a_record_changed_by_hand_counts_without_a_command() {
    let noticed = Noticed::new();
    let record = "plugins/asking/installed.toml";
    let good = noticed.change(record, "enabled = true", "enabled = false");
    noticed.wait_gone();
    noticed.write(record, &good);
    noticed.wait_runs();
    // one that cannot be read stops it and is named
    noticed.write(record, "schema = 1\nnot a record");
    noticed.wait_stopped("installed.toml");
    noticed.write(record, &good);
    noticed.wait_runs();
    noticed.daemon.stop();
}

#[test]
fn grants_changed_by_hand_count_without_a_command() {
    let noticed = Noticed::new();
    let grants = "grants/asking.toml";
    let good = noticed.change(grants, "granted = [\"filesystem\"]", "granted = []");
    noticed.daemon.wait_worker("asking", "the grant is gone", |worker| {
        worker.state == WorkerState::Ready && worker.grants.is_empty()
    });
    noticed.write(grants, &good);
    noticed.wait_runs();
    noticed.write(grants, "schema = 1\nnot grants");
    noticed.wait_stopped("asking.toml");
    noticed.write(grants, &good);
    noticed.wait_runs();
    noticed.daemon.stop();
}

#[test]
fn a_list_of_keys_that_cannot_be_read_stops_what_is_signed_until_it_can() {
    let noticed = Noticed::new();
    let good = noticed.change("trusted_keys.toml", "schema = 1", "schema = one");
    noticed.wait_stopped("trusted_keys.toml");
    noticed.write("trusted_keys.toml", &good);
    noticed.wait_runs();
    noticed.daemon.stop();
}

#[test]
fn what_is_changed_by_hand_starts_nothing_in_safe_mode() {
    let noticed = Noticed::new();
    noticed.daemon.stop();
    let bed = noticed.bed;
    let daemon = bed.start_with(&["--input", "stdin", "--safe-mode"]);
    let record = bed.home().join("plugins/asking/installed.toml");
    let text = fs::read_to_string(&record).expect("a record");
    fs::write(&record, &text).expect("written again");
    // also when a command tells it
    bed.works(&["plugin", "disable", "asking"]);
    bed.works(&["plugin", "enable", "asking"]);
    assert!(daemon.status().workers.is_empty() && daemon.workers().is_empty());
    daemon.stop();
    // the control
    let daemon = bed.start();
    daemon.wait_ready("asking");
    daemon.stop();
}
