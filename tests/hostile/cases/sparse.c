/* A file of a terabyte that takes no disk. */
#include "case.h"

static int attempt(const char *data_dir)
{
    char own[600];
    off_t size = (off_t)1 << 40;
    snprintf(own, sizeof own, "%s/sparse-%c", data_dir, case_mode());
    int file = open(own, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    TRY(file);
    if (!strcmp(case_input(), "ftruncate"))
        TRY(ftruncate(file, size));
    else if (!strcmp(case_input(), "write"))
        TRY(pwrite(file, "x", 1, size));
    else /* much at once: no fallocate of a terabyte on a small disk */
        TRY(fallocate(file, 0, 0, (off_t)65 << 20));
    close(file);
    unlink(own);
    return 0;
}
