/* Uses descriptor 5, the one socket it has, for something else. */
#include "case.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>

static int attempt(const char *data_dir)
{
    const char *word = case_input();
    struct sockaddr_un address = {AF_UNIX, "x"};
    int one = 1;
    (void)data_dir;
    /* what the kernel says to these comes from the socket, so it was asked */
    if (!strcmp(word, "connect"))
        return connect(5, (void *)&address, sizeof address) == -1 && errno != EISCONN && errno != ENOENT && errno != ECONNREFUSED && errno != EINVAL && errno != EPROTOTYPE ? errno : 0;
    if (!strcmp(word, "bind"))
        return bind(5, (void *)&address, 2) == -1 && errno != EINVAL ? errno : 0;
    if (!strcmp(word, "listen"))
        return listen(5, 1) == -1 && errno != EINVAL && errno != EOPNOTSUPP ? errno : 0;
    if (!strcmp(word, "accept"))
        return accept(5, NULL, NULL) == -1 && errno != EINVAL && errno != EOPNOTSUPP ? errno : 0;
    if (!strcmp(word, "sendto"))
        return sendto(5, "x", 1, 0, (void *)&address, sizeof address) == -1 && errno != EISCONN ? errno : 0;
    if (!strcmp(word, "passcred")) {
        TRY(setsockopt(5, SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
        return 0;
    }
    if (!strcmp(word, "buffer")) {
        TRY(setsockopt(5, SOL_SOCKET, SO_SNDBUF, &one, sizeof one));
        return 0;
    }
    return ENOMSG;
}
