//! Memory, descriptors, the kernel's surface: entries 39 to 55 of the catalogue.

use crate::support::{Case, Expected, Mode, cases};
use nix::errno::Errno;

const EPERM: Expected = Expected::Errno(&[Errno::EPERM]);
const ENOMEM: Expected = Expected::Errno(&[Errno::ENOMEM]);

fn take(how: &str) -> Case {
    Case::of("take_memory").on(how)
}

fn kernel(word: &str) -> Case {
    Case::of("kernel").on(word)
}

/// From a kernel that was built without it.
const NO_CALL: &[Errno] = &[Errno::ENOSYS];

fn privilege(word: &str) -> Case {
    Case::of("privilege").on(word).privileged()
}

cases! {
    hostile_039_malloc_ends_at_the_limit: take("malloc") => ENOMEM;
    hostile_039_mmap_ends_at_the_limit: take("mmap") => ENOMEM;
    hostile_039_unreserved_memory_ends_at_the_limit: take("noreserve") => ENOMEM;
    hostile_039_the_heap_ends_at_the_limit: take("brk") => ENOMEM;
    hostile_039_memory_made_writable_later_ends_at_the_limit: take("protect") => ENOMEM;
    hostile_039_grown_memory_ends_at_the_limit: take("grow") => ENOMEM;
    hostile_040_shared_memory_that_would_not_count_is_refused: take("shared") => EPERM;
    hostile_040_no_memory_file: Case::of("memory_file").on("memfd") => Expected::Forbidden("memfd_create");
    hostile_040_no_secret_memory: Case::of("memory_file").on("secret") => Expected::Forbidden("memfd_secret");
    hostile_040_no_system_v_memory: Case::of("memory_file").on("shm") => Expected::Forbidden("shmget");
    hostile_041_no_memory_is_locked: Case::of("lock_memory").on("mlock") => Expected::Refused("mlock");
    hostile_041_no_memory_is_locked_by_mlock2: Case::of("lock_memory").on("mlock2") => Expected::Refused("mlock2");
    hostile_041_not_all_memory_is_locked: Case::of("lock_memory").on("all").privileged() => Expected::Refused("mlockall");
    hostile_041_no_memory_is_locked_by_mmap: Case::of("lock_memory").on("mmap")
        => Expected::Errno(&[Errno::EPERM, Errno::EAGAIN]);
    hostile_042_descriptors_end_at_the_limit: Case::of("many_descriptors") => Expected::Errno(&[Errno::EMFILE]);
    hostile_043_no_descriptor_is_passed: Case::of("pass_fd").on("sendmsg") => Expected::Forbidden("sendmsg");
    hostile_043_no_descriptors_are_passed_in_bulk: Case::of("pass_fd").on("sendmmsg") => Expected::Forbidden("sendmmsg");
    hostile_044_no_io_uring: Case::of("io_uring").privileged().absent(&[Errno::ENOSYS, Errno::EPERM]) => Expected::Forbidden("io_uring_setup");
    hostile_045_no_userfaultfd: kernel("userfaultfd").absent(NO_CALL) => Expected::Forbidden("userfaultfd");
    hostile_045_no_performance_counters: kernel("perf_event_open").privileged().absent(NO_CALL) => Expected::Forbidden("perf_event_open");
    hostile_045_no_bpf: kernel("bpf").privileged().absent(NO_CALL) => Expected::Forbidden("bpf");
    hostile_046_no_keyring: Case::of("keyring").on("keyctl").absent(NO_CALL) => Expected::Forbidden("keyctl");
    hostile_046_no_key_added: Case::of("keyring").on("add_key").absent(NO_CALL) => Expected::Forbidden("add_key");
    hostile_046_no_key_asked_for: Case::of("keyring").on("request_key").absent(NO_CALL) => Expected::Forbidden("request_key");
    hostile_047_a_device_request_fails_as_on_a_file: Case::of("ioctl").on("pipe") => Expected::Errno(&[Errno::ENOTTY]);
    hostile_047_so_does_one_on_its_channels: Case::of("ioctl").on("log") => Expected::Errno(&[Errno::ENOTTY]);
    hostile_047_nothing_is_typed_into_a_terminal: Case::of("ioctl").on("TIOCSTI").absent(&[Errno::ENOENT])
        => Expected::Errno(&[Errno::EACCES]);
    hostile_048_no_unshare: kernel("unshare") => Expected::Forbidden("unshare");
    hostile_048_no_user_namespace: kernel("namespace").privileged().absent(&[Errno::EINVAL, Errno::ENOSPC]) => Expected::Forbidden("unshare");
    hostile_048_nothing_is_mounted: privilege("mount") => Expected::Forbidden("mount");
    hostile_048_nothing_is_unmounted: privilege("umount2") => Expected::Forbidden("umount2");
    hostile_048_no_other_root: privilege("chroot") => Expected::Forbidden("chroot");
    hostile_048_no_other_host_name: privilege("sethostname") => Expected::Forbidden("sethostname");
    hostile_048_no_other_user: privilege("setuid") => Expected::Forbidden("setuid");
    hostile_048_no_other_user_by_setresuid: privilege("setresuid") => Expected::Forbidden("setresuid");
    hostile_048_no_other_group: privilege("setgid") => Expected::Forbidden("setgid");
    hostile_048_no_other_groups: privilege("setgroups") => Expected::Forbidden("setgroups");
    hostile_048_no_capability_is_set: privilege("capset") => Expected::Forbidden("capset");
    hostile_048_no_device_is_made: privilege("mknodat") => Expected::Forbidden("mknodat");
    hostile_048_no_kernel_log: privilege("syslog") => Expected::Forbidden("syslog");
    hostile_048_no_file_by_its_handle: privilege("open_by_handle_at") => Expected::Forbidden("open_by_handle_at");
    hostile_048_no_namespace_entered: kernel("setns").privileged() => Expected::Forbidden("setns");
    #[cfg(target_arch = "x86_64")]
    hostile_050_no_call_by_the_32_bit_door: Case::of("foreign").on("int80").only(LETHAL) => Expected::Forbidden("");
    #[cfg(target_arch = "x86_64")]
    hostile_050_no_call_by_an_x32_number: Case::of("foreign").on("x32").absent(NO_CALL) => Expected::Forbidden("");
    hostile_051_nothing_is_spliced: Case::of("splice").on("splice") => Expected::Errno(&[Errno::ENOSYS]);
    hostile_051_nothing_is_teed: Case::of("splice").on("tee") => Expected::Forbidden("tee");
    hostile_051_no_pages_are_given_to_a_pipe: Case::of("splice").on("vmsplice") => Expected::Forbidden("vmsplice");
    hostile_051_no_pages_are_given_to_its_channel: Case::of("splice").on("vmsplice-log") => Expected::Forbidden("vmsplice");
    hostile_052_the_verified_code_cannot_be_changed: Case::of("sealed") => Expected::Errno(&[Errno::EPERM, Errno::EBADF]);
    hostile_054_no_personality: Case::of("debug").on("personality") => Expected::Forbidden("personality");
    #[cfg(target_arch = "x86_64")]
    hostile_054_no_ldt: Case::of("debug").on("modify_ldt").absent(NO_CALL) => Expected::Forbidden("modify_ldt");
    hostile_032_its_own_filter_does_not_lift_ours: Case::of("filter").on("all") => EPERM;
    hostile_032_no_thread_has_a_filter_that_others_have_not: Case::of("filter").on("one") => EPERM;
    hostile_032_nor_one_by_prctl: Case::of("filter").on("prctl") => Expected::Forbidden("prctl");
    hostile_032_nobody_else_answers_for_the_kernel: Case::of("listener") => Expected::Refused("seccomp");
    hostile_050_its_handler_does_not_catch_forbidden_calls: Case::of("sigsys").on("handler") => Expected::Refused("rt_sigaction");
    hostile_050_forbidden_calls_cannot_be_ignored: Case::of("sigsys").on("ignore") => Expected::Refused("rt_sigaction");
    hostile_050_the_handler_cannot_be_taken_away: Case::of("sigsys").on("default") => Expected::Refused("rt_sigaction");
    hostile_050_a_blocked_signal_still_ends_it: Case::of("sigsys").on("block") => Expected::Forbidden("");
    hostile_050_a_bad_alternate_stack_still_ends_it: Case::of("altstack") => Expected::Ends("killed by SIGSEGV");
    hostile_045_no_watching_of_files: kernel("inotify") => Expected::Refused("inotify");
    hostile_045_no_landlock_of_its_own: kernel("landlock").absent(&[Errno::ENOSYS, Errno::EOPNOTSUPP]) => Expected::Refused("landlock_create_ruleset");
    hostile_045_no_file_handles: kernel("name_to_handle").absent(NO_CALL) => Expected::Refused("name_to_handle_at");
    // older kernels take CAP_SYS_NICE for it, about oneself too
    hostile_045_no_advice_about_others: kernel("process_madvise").privileged().absent(NO_CALL) => Expected::Refused("process_madvise");
    hostile_045_no_comparing_of_kernel_objects: kernel("kcmp").absent(NO_CALL) => Expected::Refused("kcmp");
    hostile_045_no_moving_of_pages: kernel("move_pages").absent(NO_CALL) => Expected::Refused("move_pages");
    hostile_045_no_timers_that_signal: kernel("timer") => Expected::Refused("timer_create");
    hostile_045_no_message_queue: Case::of("system_v").on("msg") => Expected::Refused("msgget");
    hostile_045_no_semaphore: Case::of("system_v").on("sem") => Expected::Refused("semget");
    hostile_045_no_posix_queue: Case::of("system_v").on("mq").absent(NO_CALL) => Expected::Refused("mq_open");
}

/// Another architecture's call kills at once; one way of making it is enough.
const LETHAL: &[Mode] = &[Mode::Handle, Mode::Constructor];
