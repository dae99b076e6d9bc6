/* Locks memory, so that others must give theirs. */
#include "case.h"
#include <sys/mman.h>

static int attempt(const char *data_dir)
{
    static char page[8192];
    (void)data_dir;
    if (!strcmp(case_input(), "mmap")) {
        void *locked = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
        TRY(locked);
        return 0;
    }
    if (!strcmp(case_input(), "all"))
        TRY(mlockall(MCL_CURRENT));
    else if (!strcmp(case_input(), "mlock2"))
        TRY(syscall(SYS_mlock2, page, 4096, 0));
    else
        TRY(mlock(page, 4096));
    return 0;
}
