//! Processes, signals, time: entries 19 to 38 of the catalogue.

use crate::support::{Case, Expected, Mode, cases};
use nix::errno::Errno;

const EPERM: Expected = Expected::Errno(&[Errno::EPERM]);
const ENOSYS: Expected = Expected::Errno(&[Errno::ENOSYS]);

fn fork(how: &str) -> Case {
    Case::of("fork").on(how)
}

fn trace(words: &str) -> Case {
    Case::of("trace").on(words)
}

fn signal(words: &str) -> Case {
    Case::of("signal").on(words)
}

fn priority(word: &str) -> Case {
    Case::of("priority").on(word)
}

fn session(word: &str) -> Case {
    Case::of("session").on(word)
}

fn rlimit(words: &str) -> Case {
    Case::of("rlimit").on(words)
}

cases! {
    hostile_019_no_fork_and_the_plugin_lives_on: fork("fork") => EPERM;
    hostile_019_no_vfork: fork("vfork") => Expected::Forbidden("vfork");
    #[cfg(target_arch = "x86_64")]
    hostile_019_no_fork_by_its_own_number: fork("old") => Expected::Forbidden("fork");
    hostile_019_no_process_that_shares_its_memory: fork("memory") => EPERM;
    hostile_019_no_brother: fork("parent") => EPERM;
    hostile_021_no_other_program: Case::of("execve").on("execve") => Expected::Forbidden("execve");
    hostile_021_no_other_program_by_descriptor: Case::of("execve").on("execveat") => Expected::Forbidden("execveat");
    hostile_022_a_process_of_the_users_cannot_be_traced: trace("seize {victim}").attaching() => Expected::Forbidden("ptrace");
    hostile_022_the_supervisor_cannot_be_traced: trace("parent 0").privileged() => Expected::Forbidden("ptrace");
    hostile_022_it_cannot_offer_itself_to_be_traced: trace("traceme 0").only(FIRST_THREAD) => Expected::Forbidden("ptrace");
    hostile_022_no_memory_of_others_can_be_read: trace("readv {victim}").attaching() => Expected::Forbidden("process_vm_readv");
    hostile_022_no_memory_of_others_can_be_written: trace("writev {victim}").attaching() => Expected::Forbidden("process_vm_writev");
    hostile_023_nobody_can_be_killed: signal("kill {victim}") => Expected::Forbidden("kill");
    hostile_023_the_supervisor_cannot_be_signalled: signal("parent 0") => Expected::Forbidden("kill");
    hostile_023_everybody_cannot_be_signalled: signal("everybody 0") => Expected::Forbidden("kill");
    hostile_023_its_group_cannot_be_signalled: signal("group 0") => Expected::Forbidden("kill");
    hostile_023_no_thread_of_others_by_tkill: signal("tkill {victim}") => Expected::Forbidden("tkill");
    hostile_023_no_thread_of_others_by_tgkill: signal("tgkill {victim}") => Expected::Forbidden("tgkill");
    hostile_023_no_queued_signal: signal("queue {victim}") => Expected::Forbidden("rt_sigqueueinfo");
    hostile_023_no_queued_signal_to_a_thread: signal("tgqueue {victim}") => Expected::Forbidden("rt_tgsigqueueinfo");
    hostile_023_no_signal_by_pidfd: signal("pidfd {victim}") => Expected::Forbidden("pidfd_open");
    hostile_023_no_signal_by_a_pipes_owner: signal("owner {victim}") => Expected::Refused("fcntl");
    hostile_024_no_descriptor_can_be_stolen: Case::of("steal_fd").on("{victim}").attaching() => Expected::Forbidden("pidfd_open");
    hostile_024_none_of_the_supervisors_can_be_stolen: Case::of("steal_fd").on("0").privileged() => Expected::Forbidden("pidfd_open");
    hostile_027_it_cannot_stop_itself: Case::of("stop_self").on("tgkill") => Expected::Forbidden("tgkill");
    hostile_034_no_priority: priority("setpriority") => Expected::Refused("setpriority");
    hostile_034_not_the_supervisors_priority: priority("parent") => Expected::Refused("setpriority");
    hostile_034_no_scheduler: priority("scheduler") => Expected::Refused("sched_setscheduler");
    hostile_034_no_scheduling_attributes: priority("attributes") => Expected::Refused("sched_setattr");
    hostile_034_no_processor_of_its_choice: priority("affinity") => Expected::Refused("sched_setaffinity");
    hostile_034_no_disk_priority: priority("ioprio") => Expected::Refused("ioprio_set");
    hostile_037_no_session_of_its_own: session("setsid") => Expected::Refused("setsid");
    hostile_037_no_group_of_its_own: session("setpgid") => Expected::Refused("setpgid");
    hostile_037_its_life_stays_tied_to_the_supervisors: session("pdeathsig") => Expected::Forbidden("prctl");
    hostile_037_no_children_of_others: session("subreaper") => Expected::Refused("prctl");
    // where users may make none the kernel's answer is the filter's; root's control tells them apart
    hostile_048_no_user_namespace_by_clone: fork("namespace").privileged().absent(NO_NAMESPACES).alike() => EPERM;
    hostile_049_clone3_hides_nothing: fork("clone3") => ENOSYS;
    hostile_053_it_stays_closed_to_others: session("dumpable") => Expected::Forbidden("prctl");
    hostile_053_no_capability_is_kept: session("ptracer") => Expected::Refused("prctl");
    hostile_039_no_limit_can_be_raised: rlimit("raise 0") => EPERM;
    hostile_039_the_supervisors_limits_cannot_be_read: rlimit("parent 0") => Expected::Refused("prlimit64");
    hostile_039_nobodys_limits_can_be_read: rlimit("read {victim}") => Expected::Refused("prlimit64");
    hostile_039_nobodys_limits_can_be_lowered: rlimit("choke {victim}") => Expected::Refused("prlimit64");
}

/// From a kernel without user namespaces, or with none left.
const NO_NAMESPACES: &[Errno] = &[Errno::EINVAL, Errno::ENOSPC];

/// A traced thread that is not the first would hold up the control's end.
const FIRST_THREAD: &[Mode] = &[Mode::Handle, Mode::Constructor];
