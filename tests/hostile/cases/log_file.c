/* Looks for a log that is a file, in which it could hide data from the quota. */
#include "case.h"

static int attempt(const char *data_dir)
{
    (void)data_dir;
    TRY(lseek(2, 1 << 20, SEEK_CUR));
    TRY(write(2, "", 1));
    return 0;
}
