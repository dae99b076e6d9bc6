/* Plain HTTP as ordinary code speaks it: two requests on one connection, through the C library's streams. */
#include "case.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

/* A connection to "ADDRESS:PORT": the granted one; without a sandbox one of its own. -1 and an errno for none. */
static int connection(const char *target)
{
    int32_t line = -1;
    if (!case_outside) {
        midimon_str to = {target, strlen(target)};
        int32_t answer = case_host->connect(case_host, to, 3000, &line);
        errno = answer == MIDIMON_E_NOT_GRANTED ? EPERM : ECONNREFUSED;
        return answer == MIDIMON_OK ? line : -1;
    }
    char address[64];
    unsigned short port;
    struct sockaddr_in server = {.sin_family = AF_INET};
    if (sscanf(target, "%63[^:]:%hu", address, &port) != 2 || inet_pton(AF_INET, address, &server.sin_addr) != 1)
        return errno = EINVAL, -1;
    server.sin_port = htons(port);
    line = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return connect(line, (void *)&server, sizeof server) ? -1 : line;
}

/* Asks for a path and reads the answer: status, headers, as many bytes of body as they say. */
static int get(FILE *out, FILE *in, const char *path, const char *expected)
{
    char row[256], body[256];
    size_t length = 0;
    if (fprintf(out, "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: h_http\r\n\r\n", path) < 0 || fflush(out))
        return errno;
    if (!fgets(row, sizeof row, in) || strcmp(row, "HTTP/1.1 200 OK\r\n"))
        return EBADMSG;
    while (fgets(row, sizeof row, in) && strcmp(row, "\r\n"))
        if (!strncasecmp(row, "content-length:", 15))
            length = strtoul(row + 15, NULL, 10);
    if (length >= sizeof body || fread(body, 1, length, in) != length)
        return EBADMSG;
    body[length] = 0;
    return strcmp(body, expected) ? EILSEQ : 0;
}

static int attempt(const char *data_dir)
{
    int line = connection(case_input()), yes = 1, error = 0, result;
    socklen_t size = sizeof error;
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    struct timeval patience = {5, 0};
    (void)data_dir;
    TRY(line);
    TRY(setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes));
    TRY(setsockopt(line, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes));
    TRY(setsockopt(line, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
    TRY(getsockopt(line, SOL_SOCKET, SO_ERROR, &error, &size));
    TRY(getpeername(line, (void *)&peer, &length));
    struct pollfd writable = {line, POLLOUT, 0};
    if (poll(&writable, 1, 3000) != 1 || writable.revents != POLLOUT)
        return EIO;
    FILE *in = fdopen(line, "r"), *out = fdopen(dup(line), "w");
    if (!in || !out)
        return errno;
    result = get(out, in, "/first", "you asked for /first");
    if (!result)
        result = get(out, in, "/second", "you asked for /second");
    TRY(shutdown(line, SHUT_RDWR));
    fclose(out);
    fclose(in);
    return result;
}
