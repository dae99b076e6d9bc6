/* An event loop of its own: pipes, eventfd, epoll, signals that it handles. */
#include "case.h"
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

static int attempt(const char *data_dir)
{
    int ends[2], waiting = 0;
    uint64_t one = 1;
    struct epoll_event event = {.events = EPOLLIN}, found;
    struct sigaction ignore;
    sigset_t set;
    jmp_buf place;
    (void)data_dir;
    TRY(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
    TRY(fcntl(ends[0], F_GETFL));
    TRY(fcntl(ends[0], F_SETFL, O_NONBLOCK));
    TRY(fcntl(ends[0], F_SETFD, FD_CLOEXEC));
    int counter = eventfd(0, EFD_CLOEXEC), loop = epoll_create1(EPOLL_CLOEXEC);
    TRY(counter);
    TRY(loop);
    TRY(epoll_ctl(loop, EPOLL_CTL_ADD, counter, &event));
    TRY(write(counter, &one, sizeof one));
    if (epoll_wait(loop, &found, 1, 1000) != 1)
        return EILSEQ;
    TRY(write(ends[1], "x", 1));
    TRY(ioctl(ends[0], FIONREAD, &waiting));
    if (waiting != 1)
        return EILSEQ;
    memset(&ignore, 0, sizeof ignore);
    ignore.sa_handler = SIG_IGN;
    TRY(sigaction(SIGPIPE, &ignore, NULL));
    TRY(sigaction(SIGUSR1, &ignore, NULL));
    sigfillset(&set); /* all of them, SIGSYS too, as libraries do around a lock */
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    if (!setjmp(place))
        longjmp(place, 1);
    close(loop);
    close(counter);
    close(ends[0]);
    close(ends[1]);
    return 0;
}
