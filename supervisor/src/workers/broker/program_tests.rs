use super::*;
use crate::testing::ended;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(60);

fn run_sh(script: &str, limit: Duration) -> Result<(i32, String, String), HostRefusal> {
    let session = Session::new().unwrap();
    let arguments = ["-c".to_owned(), script.to_owned()];
    match run("sh", &arguments, limit, &session, Path::new("/nonexistent"))? {
        HostReply::Ran { code, stdout, stderr } => {
            let text = |bytes| String::from_utf8(bytes).unwrap();
            Ok((code, text(stdout), text(stderr)))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn output_error_output_and_the_exit_code_come_back() {
    assert_eq!(run_sh("echo out; echo err >&2; exit 3", LONG), Ok((3, "out\n".into(), "err\n".into())));
    assert_eq!(run_sh("kill -9 $$", LONG), Ok((137, String::new(), String::new())));
}

#[test]
fn it_has_no_input_a_clean_environment_and_no_descriptors_of_ours() {
    let (_, text, _) =
        run_sh("cat; env | cut -d= -f1 | sort | tr '\\n' ' '; ls /proc/self/fd | tr '\\n' ' '", LONG).unwrap();
    // a shell adds variables of its own
    let told = |word: &&str| !TOLD.contains(word) && !matches!(*word, "PWD" | "OLDPWD" | "SHLVL" | "_");
    let words: Vec<&str> = text.split_whitespace().filter(told).collect();
    // 3 is the listing's own
    assert_eq!(words, ["PATH", "0", "1", "2", "3"]);
}

#[test]
fn it_is_told_where_the_session_is_and_nothing_else_of_the_users_environment() {
    let user =
        [("HOME", "/home/ada"), ("WAYLAND_DISPLAY", "wayland-0"), ("API_TOKEN", "s3cret"), ("LD_PRELOAD", "/x.so")];
    let told = environment(|name| user.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()));
    let path = format!("PATH={PATH}");
    assert_eq!(told, [path.as_str(), "HOME=/home/ada", "WAYLAND_DISPLAY=wayland-0"]);
}

#[test]
fn no_shell_reads_the_arguments() {
    let session = Session::new().unwrap();
    let arguments = ["%s|".to_owned(), "$(id); `id` > /x".to_owned(), "*".to_owned()];
    let reply = run("printf", &arguments, LONG, &session, Path::new("/nonexistent")).unwrap();
    let HostReply::Ran { stdout, .. } = reply else { panic!("{reply:?}") };
    assert_eq!(String::from_utf8(stdout).unwrap(), "$(id); `id` > /x|*|");
}

#[test]
fn output_over_the_limit_is_cut_and_the_program_goes_on() {
    let (code, out, err) = run_sh("head -c 1000000 /dev/zero | tr '\\0' x; echo done >&2; exit 5", LONG).unwrap();
    assert_eq!((code, out.len(), err.as_str()), (5, MAX_OUTPUT, "done\n"));
}

#[test]
fn at_the_deadline_it_is_killed_with_all_it_started() {
    let directory = TempDir::new().unwrap();
    let pid = directory.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; wait", pid.display());
    let error = run_sh(&script, Duration::from_secs(1)).unwrap_err();
    assert_eq!(error.kind, RefusalKind::TimedOut);
    ended(fs::read_to_string(pid).unwrap().trim());
}

#[test]
fn what_it_leaves_behind_holds_nothing_up_and_is_killed() {
    let (code, out, _) = run_sh("sleep 1000 & echo $!", LONG).unwrap();
    assert_eq!(code, 0);
    ended(out.trim());
}

#[test]
fn the_end_of_the_plugins_process_is_its_end() {
    let session = Session::new().unwrap();
    session.end();
    let arguments = ["1000".to_owned()];
    let error = run("sleep", &arguments, LONG, &session, Path::new("/nonexistent")).unwrap_err();
    assert_eq!(error.kind, RefusalKind::Failed);
}

#[test]
fn a_program_is_a_name_in_fixed_places_or_an_absolute_path() {
    let data = Path::new("/nonexistent");
    assert_eq!(resolve("sh", data).unwrap(), fs::canonicalize("/bin/sh").unwrap());
    for odd in ["", "./sh", "bin/sh", "../bin/sh", "..", "."] {
        assert_eq!(resolve(odd, data).unwrap_err().kind, RefusalKind::Invalid, "{odd:?}");
    }
    for missing in ["no-such-program", "/no/such/program", "/etc", "/etc/passwd"] {
        assert_eq!(resolve(missing, data).unwrap_err().kind, RefusalKind::Failed, "{missing}");
    }
}

/// A program in a directory of its own, which only we can write to.
fn program(directory: &TempDir) -> PathBuf {
    let home = directory.path().join("bin");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let path = home.join("tool");
    fs::copy("/bin/true", &path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn what_others_can_write_is_not_run() {
    let directory = TempDir::new().unwrap();
    let (tool, data) = (program(&directory), Path::new("/nonexistent"));
    let kind = || resolve(tool.to_str().unwrap(), data).map_err(|error| error.kind);
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    assert!(kind().is_ok());
    mode(&tool, 0o777);
    assert_eq!(kind(), Err(RefusalKind::NotGranted));
    mode(&tool, 0o755);
    mode(tool.parent().unwrap(), 0o777);
    assert_eq!(kind(), Err(RefusalKind::NotGranted));
    mode(tool.parent().unwrap(), 0o1777);
    assert!(kind().is_ok());
    mode(&tool, 0o644);
    assert_eq!(kind(), Err(RefusalKind::Failed));
}

#[test]
fn what_plugins_can_write_is_not_run_by_whatever_way() {
    let directory = TempDir::new().unwrap();
    let tool = program(&directory);
    let link = directory.path().join("link");
    symlink(&tool, &link).unwrap();
    for path in [&tool, &link] {
        let path = path.to_str().unwrap();
        assert!(resolve(path, Path::new("/nonexistent")).is_ok(), "{path}");
        assert_eq!(resolve(path, tool.parent().unwrap()).unwrap_err().kind, RefusalKind::NotGranted, "{path}");
    }
}
