/* Pushes descriptors to the supervisor through descriptor 5. */
#include "case.h"
#include <sys/socket.h>
#include <sys/uio.h>

static int attempt(const char *data_dir)
{
    char byte = 0, control[CMSG_SPACE(sizeof(int) * 16)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {NULL, 0, &data, 1, control, sizeof control, 0};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    (void)data_dir;
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * 16);
    for (int n = 0; n < 16; n++)
        ((int *)(void *)CMSG_DATA(header))[n] = 0;
    if (!strcmp(case_input(), "sendmmsg")) {
        struct mmsghdr many = {message, 0};
        TRY(sendmmsg(5, &many, 1, 0));
    } else
        TRY(sendmsg(5, &message, 0));
    return 0;
}
