/* One system call by its number. Every argument is -1: no address, no descriptor, no process. */
#include "case.h"

static int attempt(const char *data_dir)
{
    (void)data_dir;
    TRY(syscall(atol(case_input()), -1L, -1L, -1L, -1L, -1L, -1L));
    return 0;
}
