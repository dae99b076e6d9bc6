/* Makes a socket: "DOMAIN TYPE PROTOCOL", in numbers. */
#include "case.h"
#include <sys/socket.h>

static int attempt(const char *data_dir)
{
    int domain = 0, type = 0, protocol = 0, pair[2];
    (void)data_dir;
    if (sscanf(case_input(), "pair %d", &domain) == 1) {
        TRY(socketpair(domain, SOCK_STREAM, 0, pair));
        return 0;
    }
    sscanf(case_input(), "%d %d %d", &domain, &type, &protocol);
    TRY(socket(domain, type, protocol));
    return 0;
}
