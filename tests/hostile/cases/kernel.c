/* What attacks on the kernel are made of. */
#include "case.h"
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/uio.h>

/* What one that has threads may not do to itself. */
static int namespace(void)
{
    TRY(unshare(CLONE_NEWUSER));
    return 0;
}

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    char room[256] = {0};
    (void)data_dir;
    if (!strcmp(word, "userfaultfd"))
        TRY(syscall(SYS_userfaultfd, O_CLOEXEC | 1));
    else if (!strcmp(word, "perf_event_open")) {
        struct perf_event_attr event;
        memset(&event, 0, sizeof event);
        event.size = sizeof event;
        event.type = PERF_TYPE_SOFTWARE;
        event.exclude_kernel = 1;
        TRY(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
    } else if (!strcmp(word, "bpf"))
    {
        uint32_t array[18] = {2 /* ARRAY */, 4, 4, 1};
        TRY(syscall(SYS_bpf, 0 /* MAP_CREATE */, array, sizeof array));
    } else if (!strcmp(word, "unshare"))
        TRY(unshare(CLONE_FILES)); /* what needs no privilege; the filter does not look at the argument */
    else if (!strcmp(word, "namespace"))
        return case_apart(namespace);
    else if (!strcmp(word, "setns")) {
        /* inside there is none to be had, and the filter does not look at the argument */
        int own = case_outside ? open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC) : 9999;
        TRY(own);
        TRY(setns(own, CLONE_NEWUTS));
    } else if (!strcmp(word, "inotify")) {
        int fd = inotify_init1(IN_CLOEXEC);
        TRY(fd);
        TRY(inotify_add_watch(fd, "/", IN_OPEN));
    } else if (!strcmp(word, "landlock"))
        TRY(syscall(444 /* create_ruleset */, NULL, 0, 1 /* VERSION */));
    else if (!strcmp(word, "name_to_handle")) {
        int mount;
        struct file_handle *handle = (void *)room;
        handle->handle_bytes = 128;
        return name_to_handle_at(AT_FDCWD, "/", handle, &mount, 0) == -1 && errno != EOPNOTSUPP ? errno : 0;
    } else if (!strcmp(word, "process_madvise")) {
        static char pages[8192];
        struct iovec advised = {(void *)(((uintptr_t)pages + 4095) & ~(uintptr_t)4095), 4096};
        int own = case_outside ? (int)syscall(434 /* pidfd_open */, getpid(), 0) : 9999;
        TRY(own);
        TRY(syscall(440, own, &advised, 1, 20 /* COLD */, 0));
    } else if (!strcmp(word, "kcmp"))
        TRY(syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0));
    else if (!strcmp(word, "rseq-membarrier"))
        TRY(syscall(SYS_membarrier, 0, 0, 0));
    else if (!strcmp(word, "move_pages"))
        TRY(syscall(SYS_move_pages, 0, 0, NULL, NULL, NULL, 0));
    else if (!strcmp(word, "timer")) { /* signals by timer */
        timer_t timer;
        TRY(timer_create(CLOCK_MONOTONIC, NULL, &timer));
    } else
        return ENOMSG;
    return 0;
}
