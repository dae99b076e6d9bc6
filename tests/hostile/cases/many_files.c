/* Makes empty files, which no limit of bytes counts; outside, two thousand. */
#include "case.h"

static int attempt(const char *data_dir)
{
    char path[600];
    for (int n = 0; !case_outside || n < 2000; n++) {
        snprintf(path, sizeof path, "%s/many-%c-%d", data_dir, case_mode(), n);
        int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        TRY(file);
        close(file);
    }
    return 0;
}
