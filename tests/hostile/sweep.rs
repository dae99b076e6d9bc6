//! Calls that no plugin has any business with (entries 44 to 54): each ends it and is named.

use crate::support::{Case, Libraries, Mode, Seen, observe};
use midimon_tests::{Bed, Config};
use nix::libc;

macro_rules! numbers {
    ($($name:ident)*) => { &[$((stringify!($name), libc::$name)),*] };
}

/// As on every processor.
const CALLS: &[(&str, libc::c_long)] = numbers! {
    SYS_acct SYS_add_key SYS_adjtimex SYS_bpf SYS_capset SYS_chroot SYS_clock_adjtime SYS_clock_settime
    SYS_delete_module SYS_execve SYS_execveat SYS_fanotify_init SYS_fanotify_mark SYS_fchown SYS_fchownat SYS_fgetxattr
    SYS_finit_module SYS_fremovexattr SYS_fsconfig SYS_fsetxattr SYS_fsmount SYS_fsopen SYS_fspick SYS_getxattr
    SYS_init_module SYS_inotify_add_watch SYS_inotify_init1 SYS_io_cancel SYS_io_destroy SYS_io_getevents SYS_io_setup
    SYS_io_submit SYS_io_uring_enter SYS_io_uring_register SYS_io_uring_setup SYS_ioprio_set SYS_kcmp
    SYS_kexec_load SYS_keyctl SYS_landlock_add_rule SYS_landlock_create_ruleset SYS_landlock_restrict_self
    SYS_lgetxattr SYS_listxattr SYS_lsetxattr SYS_mbind SYS_memfd_create SYS_memfd_secret SYS_migrate_pages SYS_mknodat
    SYS_mount SYS_mount_setattr SYS_move_mount SYS_move_pages SYS_mq_notify SYS_mq_open SYS_mq_unlink SYS_msgctl
    SYS_msgget SYS_msgrcv SYS_msgsnd SYS_name_to_handle_at SYS_open_by_handle_at SYS_open_tree SYS_perf_event_open
    SYS_personality SYS_pidfd_getfd SYS_pidfd_open SYS_pidfd_send_signal SYS_pivot_root SYS_process_madvise
    SYS_process_vm_readv SYS_process_vm_writev SYS_ptrace SYS_quotactl SYS_readahead SYS_reboot SYS_remap_file_pages
    SYS_removexattr SYS_request_key SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_semctl SYS_semget
    SYS_semtimedop SYS_sendmmsg SYS_sendmsg SYS_set_mempolicy SYS_setdomainname SYS_setfsgid SYS_setfsuid SYS_setgid
    SYS_setgroups SYS_sethostname SYS_setns SYS_setpgid SYS_setregid SYS_setresgid SYS_setresuid SYS_setreuid
    SYS_settimeofday SYS_setuid SYS_setxattr SYS_shmat SYS_shmctl SYS_shmdt SYS_shmget SYS_signalfd4
    SYS_swapoff SYS_swapon SYS_syslog SYS_tee SYS_timer_create SYS_tkill SYS_umount2 SYS_unshare SYS_userfaultfd
    SYS_vmsplice SYS_wait4 SYS_waitid
};

/// Of x86_64 alone.
#[cfg(target_arch = "x86_64")]
const MORE: &[(&str, libc::c_long)] = numbers! {
    SYS_chown SYS_inotify_init SYS_ioperm SYS_iopl SYS_lchown SYS_mknod SYS_modify_ldt SYS_signalfd SYS_uselib SYS_ustat
};
#[cfg(not(target_arch = "x86_64"))]
const MORE: &[(&str, libc::c_long)] = &[];

/// Plugins of one daemon.
const AT_ONCE: usize = 30;

#[test]
fn hostile_044_to_054_every_call_without_an_honest_use_ends_the_plugin_and_is_named() {
    let all: Vec<_> = CALLS.iter().chain(MORE).collect();
    for part in all.chunks(AT_ONCE) {
        let bed = Bed::new();
        let mut config = Config::new();
        for (note, (name, number)) in (1..).zip(part) {
            let id = name.trim_start_matches("SYS_").replace('_', "-");
            let case = Case::of("raw").on(&number.to_string()).nonsense().only(&[Mode::Handle]);
            case.control(&bed, &id, Mode::Handle);
            let code = Libraries::get().patched("raw", Mode::Handle.letter(), &number.to_string());
            bed.write_plugin(&id, "case.so", &code, "");
            config = config.plugin(&id, "restart = \"never\"\nmax_age_ms = 60000").note(note, &id, "attempt");
        }
        bed.configure(&config);
        let mut daemon = bed.start();
        let watch = daemon.watch();
        for (note, (name, _)) in (1..).zip(part) {
            let call = name.trim_start_matches("SYS_");
            let seen = observe(&mut daemon, &watch, &call.replace('_', "-"), note);
            let named = |reason: &String| reason.contains(&format!("forbidden system call {call} ("));
            assert!(matches!(&seen, Seen::Ended(reason) if named(reason)), "{call}: {seen:?}");
        }
        daemon.stop();
    }
    println!("{} calls", all.len());
}
