/*
 * Asks the supervisor for something: "WHAT TARGET". Outside there is nobody to ask: the control
 * is the same plugin with the grant.
 */
#include "case.h"
#include <arpa/inet.h>
#include <sys/socket.h>

/* The refusal as an errno, so that the harness can tell them apart. */
static int refused(int32_t answer)
{
    switch (answer) {
    case MIDIMON_OK:
        return 0;
    case MIDIMON_E_NOT_GRANTED:
        return EPERM;
    case MIDIMON_E_INVALID:
        return EINVAL;
    case MIDIMON_E_TOO_MANY:
        return EUSERS;
    case MIDIMON_E_TIMED_OUT:
        return ETIMEDOUT;
    default:
        return EIO;
    }
}

static midimon_str text(const char *of)
{
    midimon_str string = {of, strlen(of)};
    return string;
}

static int attempt(const char *data_dir)
{
    char what[32] = "", target[600] = "", answer[64];
    int32_t line = -1;
    midimon_bytes bytes = {(const uint8_t *)"\x90\x3c\x64", 3};
    (void)data_dir;
    sscanf(case_input(), "%31s %599[^\n]", what, target);
    if (!strcmp(what, "connect")) {
        int error = refused(case_host->connect(case_host, text(target), 3000, &line));
        if (error)
            return error;
        TRY(send(line, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL));
        TRY(recv(line, answer, sizeof answer, 0));
        close(line);
        return strncmp(answer, "HTTP/1.0 200", 12) ? EILSEQ : 0;
    }
    if (!strcmp(what, "drain")) {
        int error = refused(case_host->connect(case_host, text(target), 3000, &line));
        if (error)
            return error;
        TRY(send(line, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL));
        while (recv(line, answer, sizeof answer, 0) > 0) /* to its end, however little comes at a time */
            ;
        close(line);
        return 0;
    }
    if (!strcmp(what, "reconnect") || !strcmp(what, "elsewhere")) {
        /* what was granted, turned to somebody else */
        struct sockaddr_in other = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int error = refused(case_host->connect(case_host, text(target), 3000, &line));
        if (error)
            return error;
        if (*what == 'r')
            TRY(connect(line, (void *)&other, sizeof other));
        else
            TRY(sendto(line, "x", 1, MSG_NOSIGNAL, (void *)&other, sizeof other));
        return 0;
    }
    if (!strcmp(what, "datagram"))
        return refused(case_host->datagram_send(case_host, text(target), bytes));
    if (!strcmp(what, "midi"))
        return refused(case_host->midi_send(case_host, text(target), bytes));
    if (!strcmp(what, "run"))
        return refused(case_host->run(case_host, text(target), NULL, 0, 2000, NULL));
    if (!strcmp(what, "keys"))
        return refused(case_host->keystroke(case_host, text(target)));
    if (!strcmp(what, "type"))
        return refused(case_host->type_text(case_host, text(target)));
    if (!strcmp(what, "mouse"))
        return refused(case_host->mouse(case_host, MIDIMON_MOUSE_LEFT, 0, 0));
    if (!strcmp(what, "system"))
        return refused(case_host->system_control(case_host, MIDIMON_SYSTEM_MUTE));
    if (!strcmp(what, "notify-flood")) {
        for (int n = 0; n < 50; n++) {
            int error = refused(case_host->notify(case_host, text("title"), text("body")));
            if (error)
                return error;
        }
        return 0;
    }
    return ENOMSG;
}
