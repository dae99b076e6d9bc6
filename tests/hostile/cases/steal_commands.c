/* Reads what the supervisor sends, in the worker's place: descriptor 3, or messages on 5. */
#include "case.h"
#include <poll.h>
#include <sys/socket.h>

static int attempt(const char *data_dir)
{
    char bytes[4096];
    int fd = atoi(case_input());
    (void)data_dir;
    if (case_outside) { /* the control plays the supervisor's part too: the other ends lie 50 above */
        if (fd == 3)
            TRY(write(53, "x", 1));
        else
            TRY(send(55, "x", 1, 0));
    }
    for (;;) {
        struct pollfd wait = {fd, POLLIN, 0};
        TRY(poll(&wait, 1, -1));
        if (fd == 3)
            TRY(read(3, bytes, sizeof bytes));
        else
            TRY(recv(5, bytes, sizeof bytes, 0));
        if (case_outside)
            return 0;
    }
}
