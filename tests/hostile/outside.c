/*
 * The positive control: loads a case as a worker would, with a worker's descriptors
 * 3 to 5, and without any sandbox.
 *
 *     outside CASE.so --data-dir DIR --outside
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* The other ends stay open, out of the way. */
static void channel(int ours, int theirs, int number)
{
    dup2(theirs, number + 50);
    dup2(ours, number);
}

int main(int argc, char **argv)
{
    int commands[2], events[2], requests[2];
    if (argc < 2 || pipe(commands) || pipe(events) || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, requests))
        return 2;
    /* what is above 10 does not get in the way of 3, 4 and 5 */
    for (int n = 0; n < 2; n++) {
        commands[n] = dup2(commands[n], 20 + n);
        events[n] = dup2(events[n], 30 + n);
        requests[n] = dup2(requests[n], 40 + n);
    }
    channel(commands[0], commands[1], 3);
    channel(events[1], events[0], 4);
    channel(requests[0], requests[1], 5);
    for (int fd = 6; fd < 50; fd++)
        close(fd);
    void *library = dlopen(argv[1], RTLD_NOW);
    int (*run)(void) = library ? (int (*)(void))dlsym(library, "midimon_case_run") : NULL;
    if (!run) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    int result = run();
    if (result)
        printf("errno %d\n", result);
    else
        puts("done");
    fflush(stdout);
    _exit(0);
}
