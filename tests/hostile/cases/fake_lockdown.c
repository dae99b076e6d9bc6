/*
 * At load, tries to install a filter that answers the worker's own seccomp() with success and lies to its
 * test, so that the second filter is never there. When called, tries what must be denied all the
 * same: the number of the one that worked, else 0 only when nothing was denied.
 */
#include "case.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

__attribute__((constructor(101))) static void deceive(void)
{
#define NUMBER BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARGUMENT(n) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[n]))
#define ANSWER(errno) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (errno))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
    struct sock_filter lie[] = {
        NUMBER,
        UNLESS(SYS_seccomp, 4), /* a filter: "installed"; none, which is the test: refused */
        ARGUMENT(2),
        UNLESS(0, 1),
        ANSWER(EPERM),
        ANSWER(0),
        UNLESS(SYS_mmap, 3), /* nothing mapped is the test */
        ARGUMENT(1),
        UNLESS(0, 4),
        ANSWER(EPERM),
        UNLESS(SYS_openat, 2), /* nothing opened is the test */
        ARGUMENT(1),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        ANSWER(EACCES),
    };
    struct sock_fprog program = {sizeof lie / sizeof *lie, lie};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

static int attempt(const char *data_dir)
{
    int works = 0, tried = 0;
    (void)data_dir;
    tried++, works += socket(AF_INET, SOCK_DGRAM, 0) >= 0;
    tried++, works += open("/etc/passwd", O_RDONLY) >= 0;
    tried++, works += open("/proc/self/maps", O_RDONLY) >= 0;
    tried++, works += mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
    tried++, works += symlink("x", "/tmp/midimon-fake-lockdown") == 0 || errno == EEXIST;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    tried++, works += child > 0;
    unlink("/tmp/midimon-fake-lockdown");
    return works == 0 ? EPERM : works == tried ? 0 : EMSGSIZE;
}
