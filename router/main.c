/* main: the daemon's options and exit codes, and the only place that sees every layer:
 * the list of channel kinds is given to the router here. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "channels/kinds.h"
#include "router/loop.h"
#include "router/start.h"

enum { EXIT_USAGE = 2 };

enum { MAX_WORKERS = 1024, MAX_RETRY_S = 86400, REPORT_MAX = 1024 * 1024 };

struct options {
    struct start_options start;
    unsigned retry_after_s; /* 0: as the channels say */
    bool check_only;
};

static const char HELP[] =
    "usage: pointsmand [options]\n"
    "\n"
    "Routes mail by SMTP. Stays in the foreground, logs to standard error.\n"
    "\n"
    "  -c FILE-or-DIR        configuration (default " POINTSMAN_SYSCONFDIR ")\n"
    "      --check           check the configuration with its certificates and end\n"
    "      --allow-unhonoured\n"
    "                        start although known words that would restrict something\n"
    "                        are not honoured yet\n"
    "      --workers N       threads that serve clients, instead of WORKERS=\n"
    "      --retry-after S   wait S seconds before each new attempt to deliver,\n"
    "                        instead of minutes to hours\n"
    "      --version         print the version and end\n"
    "      --help            print this and end\n"
    "\n"
    "Signals: TERM and INT end it in order (twice: at once), HUP loads the\n"
    "configuration again. Exit codes: 0 ended as asked, 1 error, 2 wrong usage.\n"
    "\n"
    "  pointsmand -c /etc/pointsman --check\n"
    "  pointsmand -c ./etc/demo --retry-after 5\n";

static bool parse_number(const char *text, unsigned max, unsigned *out)
{
    uint64_t value;
    if (!str_u64(str_from(text), max, &value) || value == 0) {
        return false;
    }
    *out = (unsigned)value;
    return true;
}

static int usage(const char *text, const char *word)
{
    fprintf(stderr, "pointsmand: %s%s%s\npointsmand --help shows the options\n", text,
            word != NULL ? ": " : "", word != NULL ? word : "");
    return EXIT_USAGE;
}

enum {
    OPTION_CHECK = 256,
    OPTION_ALLOW,
    OPTION_WORKERS,
    OPTION_RETRY,
    OPTION_VERSION,
    OPTION_HELP
};

static const struct option LONG_OPTIONS[] = {
    {"check", no_argument, NULL, OPTION_CHECK},
    {"allow-unhonoured", no_argument, NULL, OPTION_ALLOW},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"retry-after", required_argument, NULL, OPTION_RETRY},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* One option. -1: go on; else the exit code. */
static int take_option(struct options *o, int option)
{
    switch (option) {
    case 'c':
        o->start.request.path = str_from(optarg);
        return -1;
    case OPTION_CHECK:
        o->check_only = true;
        return -1;
    case OPTION_ALLOW:
        o->start.request.allow_unhonoured = true;
        return -1;
    case OPTION_WORKERS:
        return parse_number(optarg, MAX_WORKERS, &o->start.workers)
                   ? -1
                   : usage("--workers needs a number from 1 to 1024", optarg);
    case OPTION_RETRY:
        return parse_number(optarg, MAX_RETRY_S, &o->retry_after_s)
                   ? -1
                   : usage("--retry-after needs seconds from 1 to 86400", optarg);
    case OPTION_VERSION:
        puts("pointsmand " PACKAGE_VERSION);
        return EXIT_SUCCESS;
    case OPTION_HELP:
        fputs(HELP, stdout);
        return EXIT_SUCCESS;
    default:
        return usage("wrong option", NULL); /* getopt has named it */
    }
}

static int take_options(struct options *o, int argc, char **argv)
{
    int option;
    while ((option = getopt_long(argc, argv, "c:", LONG_OPTIONS, NULL)) != -1) {
        int code = take_option(o, option);
        if (code >= 0) {
            return code;
        }
    }
    return optind < argc ? usage("unexpected argument", argv[optind]) : -1;
}

/* What the process needs before it opens anything. Sockets must never get the numbers of
 * standard streams: a message meant for them would go to a peer. */
static bool set_up_process(void)
{
    struct rlimit files;
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd) {
            return false;
        }
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files); /* with less, fewer sessions are served */
    }
    umask(022); /* folders above ours; ours have their own modes; 077 later */
    /* Large bodies and local delivery sync files on pool threads; the library's default
     * of four would let one slow disk queue up everything. */
    setenv("UV_THREADPOOL_SIZE", "16", 0);
    /* A limit on file sizes is to be an error of one write, not the end of us. */
    return signal(SIGPIPE, SIG_IGN) != SIG_ERR && signal(SIGXFSZ, SIG_IGN) != SIG_ERR;
}

static int report(const struct start *s, int code)
{
    struct buf out;
    buf_init(&out, REPORT_MAX);
    start_report(s, isatty(STDERR_FILENO) && getenv("NO_COLOR") == NULL, &out);
    fwrite(out.data != NULL ? out.data : "", 1, out.len, stderr);
    buf_free(&out);
    return code;
}

static int serve(struct start *s, const struct options *o)
{
    struct daemon daemon = {0};
    if (!start_run(s, &daemon)) {
        return report(s, EXIT_FAILURE);
    }
    struct loop_setup setup = {.daemon = &daemon,
                               .workers = s->workers,
                               .request = &o->start.request,
                               .version = PACKAGE_VERSION,
                               .user = s->privileges.user,
                               .retry_ms = (int64_t)o->retry_after_s * 1000};
    switch (loop_run(&setup, &s->runtime, &s->endpoints, s->reason, sizeof s->reason)) {
    case LOOP_CLEAN:
        log_free(&daemon.log);
        return EXIT_SUCCESS;
    case LOOP_UNFINISHED:
        _exit(EXIT_SUCCESS);
    case LOOP_KILLED:
        _exit(EXIT_FAILURE);
    case LOOP_FAILED:
        fprintf(stderr, "pointsmand: %s\n", s->reason);
        _exit(EXIT_FAILURE);
    }
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct options o = {
        .start = {.request = {.path = STR(POINTSMAN_SYSCONFDIR), .use_image = true},
                  .kinds = channel_kinds}};
    struct start start;
    int code = take_options(&o, argc, argv);
    if (code >= 0) {
        return code;
    }
    if (!set_up_process()) {
        fprintf(stderr, "pointsmand: cannot set up the process: %s\n", strerror(errno));
        return EXIT_FAILURE;
    }
    start_init(&start, &o.start);
    if (!start_load(&start)) {
        code = report(&start, EXIT_FAILURE);
    } else if (o.check_only) {
        bool good = start_check(&start);
        code = report(&start, good ? EXIT_SUCCESS : EXIT_FAILURE);
    } else {
        code = serve(&start, &o);
    }
    start_free(&start);
    return code;
}
