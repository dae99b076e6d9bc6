/* Loaded in front of the C library of a daemon under test: names below .test have the addresses the test says, one
 * for each question, and one public address is a server of the test. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* The address that the test's server answers for, and where that is. */
#define PUBLIC "93.184.216.34"
#define SERVER "127.0.0.2"

/* The answer to the question of this number; the last one is repeated. */
static void answer(unsigned number, char *address, size_t room) {
    const char *all = getenv("MIDIMON_TEST_ADDRESSES");
    char copy[1024], *rest = copy, *next;
    snprintf(copy, sizeof copy, "%s", all == NULL ? "" : all);
    for (unsigned at = 0; (next = strsep(&rest, " ")) != NULL && at <= number; at++)
        snprintf(address, room, "%s", next);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    static atomic_uint questions;
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    size_t length = node == NULL ? 0 : strlen(node);
    if (length < 5 || strcmp(node + length - 5, ".test") != 0)
        return real(node, service, hints, found);
    char address[64] = "";
    answer(atomic_fetch_add(&questions, 1), address, sizeof address);
    FILE *log = fopen(getenv("MIDIMON_TEST_QUESTIONS"), "a");
    if (log != NULL) {
        fprintf(log, "%s %s\n", node, address);
        fclose(log);
    }
    return real(address, service, hints, found);
}

int connect(int descriptor, const struct sockaddr *address, socklen_t length) {
    int (*real)(int, const struct sockaddr *, socklen_t);
    *(void **)&real = dlsym(RTLD_NEXT, "connect");
    struct sockaddr_in to;
    if (address->sa_family == AF_INET && length >= sizeof to) {
        memcpy(&to, address, sizeof to);
        if (to.sin_addr.s_addr == inet_addr(PUBLIC)) {
            to.sin_addr.s_addr = inet_addr(SERVER);
            return real(descriptor, (struct sockaddr *)&to, sizeof to);
        }
    }
    return real(descriptor, address, length);
}
