//! A test run once more in a mount name space of its own, where it can mount what nobody else sees. Works as root
//! and as an ordinary user, with `unshare` and `mount` of util-linux.

use nix::unistd::geteuid;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set inside the name space.
const INSIDE: &str = "MIDIMON_TEST_WITH_ITS_OWN_MOUNTS";
/// Where programs are looked for first.
const PROGRAMS: &str = "/usr/local/bin";

/// Makes `$1` a root of its own: the whole system again, but for the directory of programs, which is empty, and the
/// programs behind it, which are not to be run. All directories on the way there are the one's who runs this, as
/// they are on a real system.
const OWN_ROOT: &str = r#"
root=$1; shift
mirror() {
    mkdir -p "$root$1"
    for each in "$1"/* "$1"/.[!.]*; do
        name=${each##*/}
        if [ "$name" = "$2" ]; then continue
        elif [ -L "$each" ]; then cp -P "$each" "$root$each"
        elif [ -d "$each" ]; then mkdir "$root$each"; mount --rbind "$each" "$root$each"
        elif [ -e "$each" ]; then : >"$root$each"; mount --bind "$each" "$root$each"
        fi
    done
}
set -e
mount -t tmpfs -o mode=755 tmpfs "$root"
mirror "" usr
mirror /usr local
mirror /usr/local bin
mkdir -m 755 "$root/usr/local/bin"
while [ "$1" != -- ]; do
    for place in "$root/usr/bin/$1" "$root/bin/$1"; do
        if [ -f "$place" ]; then mount --bind /dev/null "$place"; fi
    done
    shift
done
shift
exec chroot "$root" "$@"
"#;

/// Runs a test of this file once more where it can mount a disk that nobody else sees.
///
/// # Panics
/// It fails there, or there is no such place.
pub fn where_disks_can_be_mounted(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    again(test, &[]);
}

/// Runs a test of this file once more where the first place in which programs are looked for, which `body` gets, is
/// empty and its own, and none of `hidden` is to be had elsewhere.
///
/// # Panics
/// It fails there, or there is no such place.
pub fn where_programs_are_its_own(test: &str, hidden: &[&str], body: impl FnOnce(&Path)) {
    if std::env::var_os(INSIDE).is_some() {
        return body(Path::new(PROGRAMS));
    }
    let root: PathBuf = tempfile::tempdir().expect("a temporary directory").keep();
    let launcher = [&["sh", "-c", OWN_ROOT, "sh", root.to_str().expect("UTF-8")], hidden, &["--"]].concat();
    again(test, &launcher);
    std::fs::remove_dir(root).expect("nothing was left in it");
}

fn again(test: &str, launcher: &[&str]) {
    let mut inside = Command::new("unshare");
    if !geteuid().is_root() {
        inside.arg("--map-root-user");
    }
    let this = std::env::current_exe().expect("the test's file");
    let inside = inside.args(["--mount", "--"]).args(launcher).arg(this);
    let output = inside.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output();
    let output = output.expect("unshare (util-linux)");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
