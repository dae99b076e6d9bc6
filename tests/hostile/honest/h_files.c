/* Ordinary work in the data directory; what is refused there is refused with an error. */
#include "case.h"
#include <dirent.h>
#include <sys/file.h>
#include <sys/statvfs.h>

static char at[16][620];

static const char *in(int slot, const char *directory, const char *name)
{
    snprintf(at[slot], sizeof at[slot], "%.500s/%s-%c", directory, name, case_mode());
    return at[slot];
}

static int attempt(const char *data_dir)
{
    struct stat status;
    char bytes[64], *resolved;
    const char *one = in(0, data_dir, "one"), *two = in(1, data_dir, "two");
    TRY(mkdir(one, 0700));
    TRY(mkdir(two, 0755));
    const char *here = in(2, one, "file"), *there = in(3, two, "file");
    int file = open(here, O_RDWR | O_CREAT | O_EXCL, 0600);
    TRY(file);
    TRY(write(file, "0123456789", 10));
    TRY(pwrite(file, "ab", 2, 100));
    TRY(pread(file, bytes, 10, 0));
    TRY(ftruncate(file, 50));
    TRY(fsync(file));
    TRY(fdatasync(file));
    int error = posix_fallocate(file, 0, 4096);
    if (error)
        return error;
    TRY(fstat(file, &status));
    if (status.st_size != 4096)
        return EILSEQ;
    TRY(flock(file, LOCK_EX | LOCK_NB));
    struct flock part = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    TRY(fcntl(file, F_SETLK, &part));
    posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
    int copy = dup(file);
    TRY(copy);
    close(copy);
    TRY(close(file));
    TRY(rename(here, there)); /* between its own folders */
    TRY(stat(there, &status));
    TRY(lstat(there, &status));
    TRY(access(there, R_OK | W_OK));
    if (access(here, F_OK) == 0)
        return EEXIST;
    resolved = realpath(there, NULL);
    free(resolved);
    DIR *directory = opendir(two);
    TRY(directory ? 0 : -1);
    int found = 0;
    while (readdir(directory))
        found++;
    closedir(directory);
    if (found != 3)
        return EILSEQ;
    /* refused, and survived */
    if (!case_outside &&
        (!chmod(there, 0644) || !symlink(there, here) || !link(there, here) || !utimensat(AT_FDCWD, there, NULL, 0)))
        return EPROTO;
    file = open(there, O_WRONLY | O_TRUNC | O_APPEND);
    TRY(file);
    TRY(write(file, "x", 1));
    TRY(close(file));
    TRY(unlink(there));
    TRY(rmdir(one));
    TRY(rmdir(two));
    return 0;
}
