/* What attacks on the kernel are made of. */
#include "case.h"
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/inotify.h>
#include <sys/mount.h>

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
        TRY(syscall(SYS_bpf, 0 /* MAP_CREATE */, room, 72));
    else if (!strcmp(word, "unshare"))
        TRY(unshare(CLONE_FILES)); /* what needs no privilege; the filter does not look at the argument */
    else if (!strcmp(word, "namespace"))
        TRY(unshare(CLONE_NEWUSER));
    else if (!strcmp(word, "setns")) /* no such descriptor: so it was asked */
        return setns(9999, 0) == -1 && errno != EBADF ? errno : 0;
    else if (!strcmp(word, "inotify")) {
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
    } else if (!strcmp(word, "process_madvise"))
        return syscall(440, 9999, NULL, 0, 0, 0) == -1 && errno != EBADF ? errno : 0;
    else if (!strcmp(word, "kcmp"))
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
