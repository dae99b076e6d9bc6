/*
 * What root can do. Outside it is done in a process of its own, with mounts and a host name of its own, and is gone
 * with it.
 */
#include "case.h"
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>

/* Mounts and a host name of its own, and memory on /tmp. Inside the step itself is what is tried. */
static int own_place(void)
{
    if (!case_outside)
        return 0;
    TRY(unshare(CLONE_NEWNS | CLONE_NEWUTS));
    TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    TRY(mount("none", "/tmp", "tmpfs", 0, NULL));
    return 0;
}

static int step(void)
{
    const char *word = case_input();
    int error = own_place();
    if (error)
        return error;
    if (!strcmp(word, "mount"))
        TRY(mount("none", "/tmp", "tmpfs", 0, NULL));
    else if (!strcmp(word, "umount2"))
        TRY(umount2("/tmp", 0));
    else if (!strcmp(word, "chroot"))
        TRY(chroot("/tmp"));
    else if (!strcmp(word, "sethostname"))
        TRY(sethostname("elsewhere", 9));
    else if (!strcmp(word, "setuid"))
        TRY(syscall(SYS_setuid, 1));
    else if (!strcmp(word, "setresuid"))
        TRY(syscall(SYS_setresuid, 1, 1, 1));
    else if (!strcmp(word, "setgid"))
        TRY(syscall(SYS_setgid, 1));
    else if (!strcmp(word, "setgroups")) {
        gid_t group = 1;
        TRY(syscall(SYS_setgroups, 1, &group));
    } else if (!strcmp(word, "capset")) {
        /* all but one given up, which takes having it */
        struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
        struct __user_cap_data_struct sets[2] = {{1u << CAP_CHOWN, 1u << CAP_CHOWN, 1u << CAP_CHOWN}, {0, 0, 0}};
        TRY(syscall(SYS_capset, &header, sets));
    } else if (!strcmp(word, "mknodat"))
        TRY(syscall(SYS_mknodat, AT_FDCWD, "/tmp/null", S_IFCHR | 0600, makedev(1, 3)));
    else if (!strcmp(word, "syslog"))
        TRY(syscall(SYS_syslog, 9 /* how much is unread */, NULL, 0));
    else if (!strcmp(word, "open_by_handle_at")) {
        union {
            struct file_handle head;
            char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
        } handle = {.head = {.handle_bytes = MAX_HANDLE_SZ}};
        int mount, root = -1;
        if (case_outside) {
            TRY(root = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            TRY(name_to_handle_at(root, "", &handle.head, &mount, AT_EMPTY_PATH));
        }
        TRY(syscall(SYS_open_by_handle_at, root, &handle, O_RDONLY | O_CLOEXEC));
    } else
        return ENOMSG;
    return 0;
}

static int attempt(const char *data_dir)
{
    (void)data_dir;
    return case_apart(step);
}
