/*
 * Does something to its channels at load and stays: outside it reports at once, inside the
 * constructor never returns, so that no code of the worker's runs again.
 */
#include "case.h"
#include <sys/socket.h>

static int attempt(const char *data_dir)
{
    char word[32] = "", hex[900] = "";
    unsigned char bytes[450];
    size_t length = 0;
    (void)data_dir;
    sscanf(case_input(), "%31s %899s", word, hex);
    for (; sscanf(hex + 2 * length, "%2hhx", &bytes[length]) == 1; length++)
        ;
    if (!strcmp(word, "forge"))
        TRY(write(4, bytes, length));
    else if (!strcmp(word, "close"))
        for (int fd = case_outside ? 3 : 0; fd < 6; fd++)
            close(fd);
    else if (!strcmp(word, "duplicate"))
        TRY(dup2(0, 4));
    else if (!strcmp(word, "exchange")) {
        TRY(dup2(1, 4));
        TRY(dup2(0, 3));
        TRY(dup2(0, 5));
    } else if (!strcmp(word, "half-close"))
        TRY(shutdown(5, SHUT_RDWR));
    else
        return ENOMSG;
    if (!case_outside)
        for (;;)
            pause();
    return 0;
}
