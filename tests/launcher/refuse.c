/* Runs a program on a kernel that lacks something: `refuse RULE... -- PROGRAM ARGUMENT...`.
 *
 * A rule is "CALL ERRNO" or "CALL ERRNO INDEX VALUE", all numbers: the system call fails with that errno, always or
 * where its argument of that index is that value. An errno of 0 is a lie: the call succeeds and does nothing.
 * Made by a seccomp filter, which the program and all it starts inherit; descriptors, environment and process id are
 * those of the launcher. Ends with 90 to 94 where it cannot do its part: no exit code of midimon's. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* Instructions of the longest rule, and of what stands around all of them. */
enum { RULE = 7, AROUND = 4, MAX_RULES = 16 };

static struct sock_filter code[MAX_RULES * RULE + AROUND];
static unsigned short length;

static void add(unsigned short operation, unsigned char yes, unsigned char no, unsigned k)
{
    struct sock_filter instruction = { operation, yes, no, k };
    code[length++] = instruction;
}

static void load(size_t offset)
{
    add(BPF_LD | BPF_W | BPF_ABS, 0, 0, (unsigned)offset);
}

/* Goes on where the loaded word is `value`; else jumps over so many instructions. */
static void unless(unsigned value, unsigned char over)
{
    add(BPF_JMP | BPF_JEQ | BPF_K, 0, over, value);
}

static int rule(const char *text)
{
    unsigned call, error, index;
    unsigned long long value;
    int read = sscanf(text, "%u %u %u %llu", &call, &error, &index, &value);
    if ((read != 2 && read != 4) || error > 4095 || (read == 4 && index > 5)) return 0;
    load(offsetof(struct seccomp_data, nr));
    if (read == 2) {
        unless(call, 1);
    } else {
        size_t argument = offsetof(struct seccomp_data, args) + index * sizeof(unsigned long long);
        /* the upper half of an int is anything */
        int is_long = value >> 32 != 0;
        unless(call, is_long ? 5 : 3);
        load(argument);
        unless((unsigned)value, is_long ? 3 : 1);
        if (is_long) {
            load(argument + 4);
            unless((unsigned)(value >> 32), 1);
        }
    }
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error);
    return 1;
}

int main(int count, char **arguments)
{
    int at = 1;
    load(offsetof(struct seccomp_data, arch));
    unless(ARCHITECTURE, 0);
    code[length - 1].jt = 1;
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
    for (; at < count && strcmp(arguments[at], "--") != 0; at++) {
        if (at > MAX_RULES || !rule(arguments[at])) return 90;
    }
    if (at + 1 >= count) return 91;
    add(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    struct sock_fprog program = { length, code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 92;
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return 93;
    execv(arguments[at + 1], arguments + at + 1);
    perror(arguments[at + 1]);
    return 94;
}
