//! Files and `/proc`: entries 1 to 16 of the catalogue (17 and 18 are in `wasm`).

use crate::support::{Case, Expected, Libraries, Mode, Seen, cases, observe};
use midimon_tests::{Bed, Config};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const EACCES: Expected = Expected::Errno(&[Errno::EACCES]);

fn read(path: &str) -> Case {
    Case::of("read").on(path)
}

fn link(words: &str) -> Case {
    Case::of("link").on(words).with_data()
}

fn change(words: &str) -> Case {
    Case::of("change").on(words)
}

/// From a file system without them.
const NO_ATTRIBUTES: &[Errno] = &[Errno::EOPNOTSUPP];

cases! {
    hostile_001_the_password_file_cannot_be_read: read("/etc/passwd") => EACCES;
    hostile_001_the_users_keys_cannot_be_read: read("{files}/.ssh/id_secret") => EACCES;
    hostile_001_a_grant_for_the_data_directory_opens_nothing_else: read("{files}/.ssh/id_secret").with_data() => EACCES;
    hostile_001_the_root_directory_cannot_be_listed: Case::of("list").on("/") => EACCES;
    hostile_001_the_users_files_cannot_be_listed: Case::of("list").on("{files}").with_data() => EACCES;
    hostile_001_a_file_cannot_be_made_outside: Case::of("write").on("{files}/new") => EACCES;
    hostile_001_a_file_cannot_be_made_outside_with_the_grant: Case::of("write").on("{files}/new").with_data() => EACCES;
    hostile_001_a_file_of_the_users_cannot_be_written: Case::of("write").on("{files}/script").with_data() => EACCES;
    hostile_001_a_file_cannot_be_emptied_by_opening_it: Case::of("truncate").on("open {files}/script").with_data() => EACCES;
    hostile_001_a_file_cannot_be_emptied_by_its_path: Case::of("truncate").on("path {files}/script").with_data()
        => Expected::Refused("truncate");
    hostile_001_devices_cannot_be_opened: read("/dev/zero") => EACCES;
    hostile_002_no_descriptor_leads_anywhere: leaky("descriptors") => Expected::Errno(&[Errno::EBADF]);
    hostile_002_no_directory_is_left_open_to_start_from: leaky("through_leak") => Expected::Errno(&[Errno::EACCES, Errno::EBADF]);
    hostile_003_a_file_cannot_be_probed_by_access: Case::of("stat").on("access {files}/script") => EACCES;
    hostile_003_a_file_cannot_be_probed_by_readlink: Case::of("stat").on("readlink /proc/self/exe") => EACCES;
    hostile_003_a_file_cannot_be_probed_by_statfs: Case::of("stat").on("statfs /") => Expected::Refused("statfs");
    hostile_003_a_file_cannot_be_probed_by_statx: Case::of("stat").on("statx {files}/script") => Expected::Errno(&[Errno::EACCES, Errno::ENOSYS]);
    hostile_003_a_file_cannot_be_probed_by_stat: Case::of("stat").on("stat {files}/script") => EACCES;
    hostile_003_a_file_cannot_be_probed_by_its_path_alone: Case::of("stat").on("path {files}/script") => EACCES;
    hostile_004_modes_cannot_be_changed: change("chmod {files}/script") => Expected::Refused("chmod");
    hostile_004_modes_cannot_be_changed_from_a_directory: change("fchmodat {files}/script") => Expected::Refused("fchmodat");
    hostile_004_modes_cannot_be_changed_with_the_grant: change("chmod {files}/script").with_data() => Expected::Refused("chmod");
    hostile_004_owners_cannot_be_changed: change("chown {files}/script").with_data() => Expected::Refused("lchown");
    hostile_004_times_cannot_be_changed: change("utimensat {files}/script").with_data() => Expected::Refused("utimensat");
    hostile_004_attributes_cannot_be_set: change("setxattr {files}/script").absent(NO_ATTRIBUTES).with_data() => Expected::Refused("setxattr");
    hostile_004_attributes_cannot_be_removed: change("removexattr {files}/script").absent(NO_ATTRIBUTES).with_data()
        => Expected::Refused("removexattr");
    hostile_005_code_cannot_be_patched_through_proc: Case::of("patch_code").absent(&[Errno::EIO]) => EACCES;
    hostile_006_a_process_of_the_users_cannot_be_looked_into: read("/proc/{victim}/environ") => EACCES;
    hostile_006_a_processs_memory_map_cannot_be_read: read("/proc/{victim}/maps") => EACCES;
    hostile_006_the_supervisors_environment_cannot_be_read: read("/proc/%p/environ") => EACCES;
    hostile_006_the_supervisors_memory_map_cannot_be_read: read("/proc/%p/maps") => EACCES;
    hostile_006_the_supervisors_descriptors_cannot_be_listed: Case::of("list").on("/proc/{victim}/fd") => EACCES;
    hostile_006_what_runs_cannot_be_read: read("/proc/{victim}/status").with_data() => EACCES;
    hostile_006_not_even_its_own_map_can_be_read: read("/proc/self/maps") => EACCES;
    hostile_007_its_own_program_cannot_be_opened: read("/proc/self/exe").with_data() => EACCES;
    hostile_009_no_symlink_can_be_planted: link("symlink {files}/script") => Expected::Refused("symlink");
    hostile_010_no_hard_link_can_be_planted: link("link {files}/script") => Expected::Refused("link");
    hostile_010_no_hard_link_can_be_planted_from_a_directory: link("linkat {files}/script") => Expected::Refused("linkat");
    hostile_011_no_pipe_can_be_planted: link("mkfifo x") => Expected::Refused("mknod");
    hostile_011_no_node_can_be_planted: link("mknod x") => Expected::Refused("mknod");
    hostile_012_the_data_directory_cannot_be_swapped: link("swap x") => Expected::Errno(&[Errno::EACCES, Errno::EPERM, Errno::EXDEV]);
    hostile_012_a_file_cannot_be_moved_out: link("out {files}/moved") => Expected::Errno(&[Errno::EACCES, Errno::EPERM, Errno::EXDEV]);
    hostile_012_a_file_of_the_users_cannot_be_moved_in: link("in {files}/script")
        => Expected::Errno(&[Errno::EACCES, Errno::EPERM, Errno::EXDEV]);
    hostile_012_a_file_of_the_users_cannot_be_removed: link("unlink {files}/script") => EACCES;
    hostile_012_no_directory_can_be_made_outside: link("mkdir {files}/new") => EACCES;
    hostile_013_a_full_data_directory_ends_it: Case::of("fill_disk").with_data().with("quota_mib = 16\ntimeout_ms = 60000")
        => Expected::Ends("quota exceeded");
    hostile_014_empty_files_without_number_end_it: Case::of("many_files").with_data().with("quota_files = 500\ntimeout_ms = 60000")
        => Expected::Ends("quota exceeded");
    hostile_015_a_sparse_terabyte_is_refused: Case::of("sparse").on("ftruncate").with_data() => Expected::Errno(&[Errno::EFBIG]);
    hostile_015_a_byte_at_a_terabyte_is_refused: Case::of("sparse").on("write").with_data() => Expected::Errno(&[Errno::EFBIG]);
    hostile_015_room_without_writing_is_refused: Case::of("sparse").on("fallocate").with_data() => Expected::Errno(&[Errno::EOPNOTSUPP]);
    hostile_016_a_program_it_wrote_cannot_be_run: Case::of("exec_own").on("replace").with_data()
        => Expected::Forbidden("execve");
    hostile_016_code_it_wrote_cannot_be_mapped: Case::of("exec_own").on("map").with_data().only(LOADED)
        => Expected::Errno(&[Errno::EPERM, Errno::EACCES]);
    hostile_016_no_new_code_by_mprotect: Case::of("new_code").on("mprotect").only(LOADED)
        => Expected::Errno(&[Errno::EPERM, Errno::EACCES]);
    hostile_016_no_new_code_by_mmap: Case::of("new_code").on("mmap").only(LOADED)
        => Expected::Errno(&[Errno::EPERM, Errno::EACCES]);
    hostile_016_no_new_code_by_pkey_mprotect: Case::of("new_code").on("pkey") => Expected::Refused("pkey_mprotect");
}

/// Where the loader's own calls are gone: the promise of the second filter.
const LOADED: &[Mode] = &[Mode::Handle, Mode::Thread];

/// A case whose parent, daemon or control, has the root directory open for everyone it starts.
fn leaky(name: &'static str) -> Case {
    static LEAK: std::sync::OnceLock<fs::File> = std::sync::OnceLock::new();
    LEAK.get_or_init(|| {
        let root = fs::File::open("/").expect("the root directory");
        // not close-on-exec
        fcntl(&root, FcntlArg::F_DUPFD(200)).expect("a second descriptor");
        root
    });
    Case::of(name)
}

#[test]
fn hostile_008_another_plugins_data_cannot_be_reached() {
    let bed = Bed::new();
    bed.install("echo");
    let secret = bed.home().join("plugin-data/neighbour/secret");
    fs::create_dir_all(secret.parent().expect("a directory")).expect("a neighbour");
    for directory in [bed.home().join("plugin-data"), bed.home().join("plugin-data/neighbour")] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).expect("its mode");
    }
    fs::write(&secret, "a neighbour's secret").expect("a file");
    let own = bed.home().join("plugin-data/in-handle/own");
    let asks = "\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"to keep notes\"\n";
    let mut config = Config::new();
    let paths = [
        ("in-handle", own.clone(), Mode::Handle),
        ("neighbours", secret.clone(), Mode::Handle),
        ("at-load", secret.clone(), Mode::Constructor),
        ("by-dots", bed.home().join("plugin-data/by-dots/../neighbour/secret"), Mode::Handle),
    ];
    for (note, (id, path, mode)) in (1..).zip(&paths) {
        let code = Libraries::get().patched("read", mode.letter(), &path.to_string_lossy());
        bed.write_plugin(id, "case.so", &code, asks);
        config = config
            .plugin(id, "grants = [\"filesystem\"]\nrestart = \"never\"\nmax_age_ms = 60000")
            .note(note, id, "read");
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    paths.iter().for_each(|(id, ..)| drop(daemon.wait_ready(id)));
    fs::write(own, "its own").expect("a file in its directory");
    let watch = daemon.watch();
    // the control: the same library reads the same way what is its own
    assert_eq!(observe(&mut daemon, &watch, "in-handle", 1), Seen::Works);
    for (note, id) in [(2, "neighbours"), (3, "at-load"), (4, "by-dots")] {
        assert_eq!(observe(&mut daemon, &watch, id, note), Seen::Errno(Errno::EACCES), "{id}");
    }
    daemon.stop();
}

#[test]
fn hostile_009_a_symlink_that_is_there_all_the_same_leads_nowhere() {
    let bed = Bed::new();
    bed.install("echo");
    let data = bed.home().join("plugin-data/in-handle");
    let private = bed.path("private");
    fs::write(&private, "the user's").expect("a file");
    let link = data.join("link");
    let code = Libraries::get().patched("read", b'h', &link.to_string_lossy());
    let asks = "\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"to keep notes\"\n";
    bed.write_plugin("in-handle", "case.so", &code, asks);
    let settings = "grants = [\"filesystem\"]\nrestart = \"never\"";
    bed.configure(&Config::new().plugin("in-handle", settings).note(1, "in-handle", "read"));
    let mut daemon = bed.start();
    daemon.wait_ready("in-handle");
    symlink(&private, &link).expect("a symlink");
    let watch = daemon.watch();
    assert_eq!(observe(&mut daemon, &watch, "in-handle", 1), Seen::Errno(Errno::EACCES));
    // what the supervisor counts is the link, not what it leads to
    fs::write(&private, vec![0; 1 << 20]).expect("a larger file");
    assert!(daemon.worker("in-handle").data_bytes < 1 << 20);
    daemon.stop();
}
