/* Clocks, time zones, locales, waiting. */
#include "case.h"
#include <locale.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

static int attempt(const char *data_dir)
{
    char text[64];
    struct timespec now, short_while = {0, 1000000};
    struct timeval old, soon = {0, 1000};
    time_t seconds = time(NULL);
    struct tm parts;
    (void)data_dir;
    TRY(clock_gettime(CLOCK_REALTIME, &now));
    TRY(clock_gettime(CLOCK_MONOTONIC_RAW, &now));
    TRY(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now));
    TRY(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
    TRY(clock_getres(CLOCK_BOOTTIME, &now));
    TRY(gettimeofday(&old, NULL));
    setlocale(LC_ALL, "");
    setlocale(LC_ALL, "de_DE.UTF-8"); /* there or not */
    setlocale(LC_ALL, "C");
    tzset();
    if (!localtime_r(&seconds, &parts) || !strftime(text, sizeof text, "%c %Z", &parts) || mktime(&parts) == -1)
        return EILSEQ;
    TRY(nanosleep(&short_while, NULL));
    if (clock_nanosleep(CLOCK_MONOTONIC, 0, &short_while, NULL))
        return EILSEQ;
    TRY(usleep(1000));
    TRY(poll(NULL, 0, 1));
    TRY(select(0, NULL, NULL, NULL, &soon));
    (void)clock();
    return 0;
}
