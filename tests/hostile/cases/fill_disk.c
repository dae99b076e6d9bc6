/* Fills its data directory: one file until it takes no more, then the next; outside, a megabyte. */
#include "case.h"

static int attempt(const char *data_dir)
{
    static char block[65536];
    char path[600];
    memset(block, 'x', sizeof block);
    for (int n = 0;; n++) {
        snprintf(path, sizeof path, "%s/fill-%d", data_dir, n);
        int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        TRY(file);
        for (int part = 0; write(file, block, sizeof block) > 0; part++)
            if (case_outside && part == 16)
                return 0;
        close(file);
    }
}
