//! What a case works on: files that are none of its business, a process to attack.

use midimon_tests::Process;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Files and a process, made anew for every run.
#[derive(Debug)]
pub struct Ground {
    directory: PathBuf,
    victim: Option<Child>,
    before: BTreeMap<PathBuf, String>,
}

impl Ground {
    /// A directory with a private file, a subdirectory and a script, and a process when the text speaks of one.
    pub fn new(directory: PathBuf, input: &str) -> Self {
        fs::create_dir_all(directory.join(".ssh")).expect("a directory");
        let private = directory.join(".ssh/id_secret");
        fs::write(&private, "the user's key\n").expect("a file");
        fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).expect("its mode");
        let script = directory.join("script");
        fs::write(&script, format!("#!/bin/sh\necho run >{}\n", directory.join("ran").display())).expect("a file");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("its mode");
        let victim = input.contains("{victim}").then(|| {
            Command::new("sleep").arg("1000").stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("sleep runs")
        });
        let before = look(&directory);
        Self { directory, victim, before }
    }

    /// The text with `{files}` and `{victim}` replaced.
    pub fn fill(&self, input: &str) -> String {
        let victim = self.victim.as_ref().map_or(0, Child::id);
        input.replace("{files}", &self.directory.to_string_lossy()).replace("{victim}", &victim.to_string())
    }

    /// Nothing was done to it.
    pub fn assert_untouched(&self) {
        assert_eq!(look(&self.directory), self.before, "files outside were changed");
        if let Some(victim) = &self.victim {
            let pid = i32::try_from(victim.id()).expect("a process id");
            let process = Process::of(pid).expect("the victim is there");
            assert!(process.is_alive(), "the victim was ended");
            let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
            assert!(status.contains("TracerPid:\t0") && !status.contains("T (stopped)"), "{status}");
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Some(victim) = &mut self.victim {
            let _ = victim.kill(); // the control may have done it
            let _ = victim.wait();
        }
    }
}

/// Everything below a directory, with mode, owner, times and content.
fn look(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(path) = rest.pop() {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        if meta.is_dir() {
            rest.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        }
        let content = if meta.is_file() { fs::read(&path).unwrap_or_default() } else { Vec::new() };
        let line = format!(
            "{:o} {}:{} links {} {}.{:09} changed {}.{:09} {}",
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.nlink(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
            String::from_utf8_lossy(&content)
        );
        found.insert(path, line);
    }
    found
}
