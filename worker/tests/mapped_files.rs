//! What a native plugin with a data directory gets when it maps a file: a copy, whatever it is running under. A mapping
//! would keep a file on the disk that has neither a name nor a descriptor, where no quota finds it.

mod support;

use midimon_shared::Event;
use midimon_shared::protocol::*;
use support::plugins::Probe;
use support::*;

/// Maps a file, changes it, and looks at the memory.
const MAPPER: Probe = Probe {
    name: "mapper",
    source: r#"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* 0 when the memory is the file's, ESTALE when it is a copy. */
static int probe(const char *path) {
    char *map, seen;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    if (write(fd, "before", 6) != 6) return 250;
    map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) return errno;
    if (memcmp(map, "before", 6) != 0 || pwrite(fd, "after", 5, 0) != 5) return 251;
    seen = map[0];
    munmap(map, 4096);
    close(fd);
    unlink(path);
    return seen == 'a' ? 0 : ESTALE;
}
"#,
};

/// Says what it got, from where only the first filter is in force.
const CONSTRUCTOR: &str = r#"
#include <stdio.h>
__attribute__((constructor)) static void early(int count, char **arguments) {
    char path[4096];
    int n;
    for (n = 1; n + 1 < count; n++)
        if (strcmp(arguments[n], "--data-dir") == 0) {
            snprintf(path, sizeof path, "%s/early", arguments[n + 1]);
            fprintf(stderr, "early=%d\n", probe(path));
        }
}"#;

#[test]
fn a_file_that_a_plugin_maps_is_copied_while_it_is_loaded_and_after() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x");
    let outside = std::process::Command::new(MAPPER.program()).arg(&path).status().unwrap();
    assert_eq!(outside.code(), Some(0));
    let code = sealed_memfd(&MAPPER.plugin(CONSTRUCTOR));
    let mut worker = Worker::ready_with_data(NATIVE, directory.path(), load(CodeKind::Native, limits()), &code);
    worker.bind(0, "map", &format!("{{\"path\":\"{}\"}}", path.display()), 5000);
    worker.trigger(7, 0, stamp());
    match worker.next() {
        Some(Event::Done { outcome: Outcome::Failed { code, .. }, .. }) => assert_eq!(code, libc::ESTALE),
        other => panic!("{other:?}"),
    }
    let log = worker.end().1;
    assert!(log.contains(&format!("early={}\n", libc::ESTALE)), "{log}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_plugin_runs_on_from_its_copy_however_often_it_is_called() {
    // its constants and code must be there after the start's have been let go of
    let directory = tempfile::tempdir().unwrap();
    let handle = "const char *words = \"constants\"; host->answer(host, text(words));";
    let code = sealed_memfd(&support::plugins::plugin("copied", "", "", handle));
    let mut worker = Worker::ready_with_data(NATIVE, directory.path(), load(CodeKind::Native, limits()), &code);
    worker.bind(0, "a", "", 5000);
    for _ in 0..3 {
        assert_eq!(worker.call(stamp()), Outcome::Answer("constants".into()));
    }
}
