/* Writes bytes to a descriptor, again and again if told to: "FD TIMES HEX". */
#include "case.h"
#include <sys/socket.h>

static int attempt(const char *data_dir)
{
    char hex[900] = "";
    unsigned char bytes[450];
    int fd = -1, times = 0;
    size_t length = 0;
    (void)data_dir;
    sscanf(case_input(), "%d %d %899s", &fd, &times, hex);
    for (; sscanf(hex + 2 * length, "%2hhx", &bytes[length]) == 1; length++)
        ;
    if (case_outside && times > 100)
        times = 100; /* nobody reads there */
    for (int n = 0; n < times; n++)
        TRY(fd == 5 ? send(fd, bytes, length, MSG_DONTWAIT) : write(fd, bytes, length));
    return 0;
}
