/* Fills the log: without line ends, with control bytes, in the name of others. */
#include "case.h"

static int attempt(const char *data_dir)
{
    static char block[65536];
    (void)data_dir;
    static const char forged[] = "\n\033[2J2026-01-01T00:00:00Z  WARN midimon: echo: its worker ended\r\n\x9b" "31m";
    memset(block, 'x', sizeof block);
    int log = case_outside ? open("/dev/null", O_WRONLY) : 2;
    for (int n = 0; n < 160; n++)
        TRY(write(log, block, sizeof block));
    TRY(write(log, forged, sizeof forged - 1));
    return 0;
}
