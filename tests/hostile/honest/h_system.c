/* What programs ask of a system and can live without: names, users, other programs, the network. */
#include "case.h"
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <syslog.h>

static int attempt(const char *data_dir)
{
    struct addrinfo *found = NULL;
    struct utsname name;
    struct sysinfo info;
    struct rusage usage;
    struct rlimit limit;
    char text[256];
    (void)data_dir;
    TRY(uname(&name));
    TRY(sysinfo(&info));
    TRY(getrusage(RUSAGE_SELF, &usage));
    TRY(getrlimit(RLIMIT_NOFILE, &limit));
    if (getpid() <= 0 || getppid() <= 0 || (int)getuid() < 0 || getpagesize() < 4096)
        return EILSEQ;
    gethostname(text, sizeof text);
    (void)!getcwd(text, sizeof text);
    (void)getenv("HOME");
    (void)sysconf(_SC_PHYS_PAGES);
    (void)getloadavg((double[1]){0}, 1);
    /* these need what is not there; none may be fatal. The control has it. */
    (void)getpwuid(getuid());
    (void)getgrgid(getgid());
    (void)getlogin();
    if (getaddrinfo("localhost", "80", NULL, &found) == 0)
        freeaddrinfo(found);
    int line = socket(AF_INET, SOCK_STREAM, 0);
    if (line >= 0)
        close(line);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid(child, NULL, 0);
    else if (errno != EPERM)
        return errno;
    (void)!system("true");
    FILE *other = popen("true", "r");
    if (other)
        pclose(other);
    setrlimit(RLIMIT_CORE, &limit);
    nice(0);
    return 0;
}
