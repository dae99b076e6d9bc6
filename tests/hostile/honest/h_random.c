/* Random numbers, from wherever there are some. */
#include "case.h"
#include <sys/random.h>

static int attempt(const char *data_dir)
{
    unsigned char bytes[64] = {0}, more[64] = {0};
    (void)data_dir;
    TRY(getrandom(bytes, sizeof bytes, 0));
    if (getentropy(more, sizeof more) || !memcmp(bytes, more, sizeof bytes))
        return EILSEQ;
    int device = open("/dev/urandom", O_RDONLY | O_CLOEXEC); /* there or not */
    if (device >= 0)
        close(device);
    srand(1);
    return rand() == rand() ? EILSEQ : 0;
}
