/* Changes what is in a pipe after it was looked at. */
#include "case.h"
#include <sys/uio.h>

static int attempt(const char *data_dir)
{
    int one[2], two[2];
    static char page[4096];
    struct iovec gift = {page, sizeof page};
    (void)data_dir;
    if (!strcmp(case_input(), "vmsplice-log"))
        TRY(vmsplice(4, &gift, 1, SPLICE_F_GIFT));
    TRY(pipe(one));
    TRY(pipe(two));
    TRY(write(one[1], "x", 1));
    if (!strcmp(case_input(), "vmsplice"))
        TRY(vmsplice(one[1], &gift, 1, SPLICE_F_GIFT));
    else if (!strcmp(case_input(), "tee"))
        TRY(tee(one[0], two[1], 1, 0));
    else
        TRY(splice(one[0], NULL, two[1], NULL, 1, 0));
    return 0;
}
