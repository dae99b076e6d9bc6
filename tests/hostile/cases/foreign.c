/* A system call by another door: 32-bit, x32, the old vsyscall page. */
#include "case.h"

static int attempt(const char *data_dir)
{
    (void)data_dir;
#if defined(__x86_64__)
    if (!strcmp(case_input(), "int80")) {
        long result;
        /* 20 is getpid in the 32-bit table, and writev in the other one */
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L), "b"(0L), "c"(0L), "d"(0L) : "memory", "r8", "r9", "r10", "r11");
        return result == getpid() ? 0 : ENOSYS;
    }
    TRY(syscall(0x40000000 | SYS_getpid));
    return 0;
#else
    return ENOSYS;
#endif
}
