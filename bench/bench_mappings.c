/* bench_mappings: how many probes a second one core runs through large mapping tables:
 * lists of networks, PORT_ACCESS patterns around networks, literal strings, and sender
 * patterns as in ORIG_SEND_ACCESS; three of four probes find an entry of their own, the
 * others the last one. The best and the median of several rounds are shown. The file
 * stands in a folder that is removed.
 *
 *   bench/bench_mappings [ENTRIES]... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "tables/mapping.h"

enum {
    ROUNDS = 15,
    PROBES = 1 << 16,
    PROBE_MAX = 96,
    GOAL = 1000000,      /* probes a second ... */
    GOAL_ENTRIES = 10000 /* ... through tables of that many entries, where there is one */
};

/* A kind of table: its pattern number n, and a probe that this entry matches. `far` makes
 * it one that only the last entry does. */
struct bench_kind {
    const char *name, *table;
    bool goal;
    int (*pattern)(char out[PROBE_MAX], unsigned n);
    int (*probe)(char out[PROBE_MAX], unsigned n, bool far);
};

/* Networks from /16 to /32, spread over 10/8 to 209/8, none within another. */
static unsigned bits_of(unsigned n)
{
    return n % 50 == 0 ? 20 : n % 7 == 0 ? 32 : n % 3 == 0 ? 28 : 24;
}

static unsigned network_of(unsigned n)
{
    return (10 + n % 200) << 24 | (n / 200 / 16 % 256) << 16 | (n / 200 % 16) << 12;
}

static int put_network(char *out, const char *format, unsigned n)
{
    unsigned a = network_of(n);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return snprintf(out, PROBE_MAX, format, a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
                    bits_of(n));
#pragma GCC diagnostic pop
}

static int put_address(char *out, const char *format, unsigned n, bool far)
{
    unsigned host = bits_of(n) == 32 ? 0 : n % 15;
    unsigned a = far ? 217U << 24 | n : network_of(n) | host;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    return snprintf(out, PROBE_MAX, format, a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255,
                    10000 + n % 50000);
#pragma GCC diagnostic pop
}

static int network_pattern(char out[PROBE_MAX], unsigned n)
{
    return put_network(out, "$(%u.%u.%u.%u/%u)", n);
}

static int network_probe(char out[PROBE_MAX], unsigned n, bool far)
{
    return put_address(out, "%u.%u.%u.%u", n, far);
}

static int port_pattern(char out[PROBE_MAX], unsigned n)
{
    return put_network(out, "TCP|*|25|$(%u.%u.%u.%u/%u)|*", n);
}

static int port_probe(char out[PROBE_MAX], unsigned n, bool far)
{
    return put_address(out, "TCP|192.0.2.25|25|%u.%u.%u.%u|%u", n, far);
}

static int literal_pattern(char out[PROBE_MAX], unsigned n)
{
    return snprintf(out, PROBE_MAX, "user%u@customer%u.example", n, n % 997);
}

static int literal_probe(char out[PROBE_MAX], unsigned n, bool far)
{
    return snprintf(out, PROBE_MAX, "user%u@%s%u.example", n, far ? "nobody" : "customer",
                    n % 997);
}

static int sender_pattern(char out[PROBE_MAX], unsigned n)
{
    return snprintf(out, PROBE_MAX, "*|user%u@customer%u.example|tcp_local|*", n,
                    n % 997);
}

static int sender_probe(char out[PROBE_MAX], unsigned n, bool far)
{
    return snprintf(out, PROBE_MAX, "tcp_intranet|user%u@%s%u.example|tcp_local|a@b.test",
                    n, far ? "nobody" : "customer", n % 997);
}

static const struct bench_kind kinds[] = {
    {"networks", "NETWORKS", true, network_pattern, network_probe},
    {"TCP|*|25|network|*", "PORTS", true, port_pattern, port_probe},
    {"literal strings", "LITERALS", true, literal_pattern, literal_probe},
    {"*|sender|channel|*", "SENDERS", false, sender_pattern, sender_probe},
};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

/* Processor time, so that what else the machine does counts little. */
static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void write_tables(const char *folder, unsigned entries)
{
    char path[256], pattern[PROBE_MAX];
    snprintf(path, sizeof path, "%s/pointsman.cnf", folder);
    FILE *out = fopen(path, "w");
    check(out != NULL);
    fputs("\nl\nrouter.example\n", out);
    check(fclose(out) == 0);
    snprintf(path, sizeof path, "%s/mappings", folder);
    out = fopen(path, "w");
    check(out != NULL);
    for (size_t k = 0; k < KIND_COUNT; k++) {
        fprintf(out, "%s%s\n\n", k > 0 ? "\n" : "", kinds[k].table);
        for (unsigned n = 0; n < entries; n++) {
            kinds[k].pattern(pattern, n);
            fprintf(out, "  %s  $Y%u\n", pattern, n);
        }
        fputs("  *  $N\n", out);
    }
    check(fclose(out) == 0);
}

static struct snapshot *load(const char *folder)
{
    struct snapshot_request request = {.path = str_from(folder)};
    struct arena *a = arena_new();
    struct diags *diags;
    bool unreadable;
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    check(s != NULL);
    arena_free(&a);
    return s;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* One round: seconds for all probes. Every answer is looked at. */
static double run_round(const struct snapshot *s, const struct mapping *t,
                        const str *probes, struct arena *a)
{
    unsigned found = 0;
    double start = now();
    for (unsigned i = 0; i < PROBES; i++) {
        struct arena_mark mark = arena_mark(a);
        const struct mapping_input in = {.snapshot = s, .probe = probes[i]};
        struct mapping_output out;
        check(mapping_run(t, &in, a, &out));
        found += (out.flags & mapping_flag('Y')) != 0;
        arena_reset(a, mark);
    }
    double seconds = now() - start;
    check(found == PROBES / 4 * 3);
    return seconds;
}

static void tell(const struct snapshot *s, const struct bench_kind *kind,
                 unsigned entries)
{
    static char texts[PROBES][PROBE_MAX];
    static str probes[PROBES];
    struct arena *a = arena_new();
    const struct mapping *t = mapping_find(s, str_from(kind->table));
    double seconds[ROUNDS];
    check(t != NULL);
    for (unsigned i = 0; i < PROBES; i++) {
        unsigned n = (unsigned)(i * UINT64_C(2654435761) % entries);
        probes[i] = str_n(texts[i], (size_t)kind->probe(texts[i], n, i % 4 == 3));
    }
    for (unsigned i = 0; i < ROUNDS; i++) {
        seconds[i] = run_round(s, t, probes, a);
    }
    qsort(seconds, ROUNDS, sizeof *seconds, compare);
    double best = PROBES / seconds[0], median = PROBES / seconds[ROUNDS / 2];
    bool goal = kind->goal && entries <= GOAL_ENTRIES;
    printf("%-20s %7u entries  %5.2f M/s, best %5.2f%s%s\n", kind->name, entries,
           median / 1e6, best / 1e6, goal ? "  (goal 1)" : "",
           goal && median < GOAL ? "   GOAL MISSED" : "");
    fflush(stdout);
    arena_free(&a);
}

static void bench(unsigned entries)
{
    char folder[128], path[256];
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/bench_mappings.XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    check(entries > 0 && entries <= 800000 && mkdtemp(folder) != NULL);
    write_tables(folder, entries);
    struct snapshot *s = load(folder);
    snprintf(path, sizeof path, "%s/mappings", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/pointsman.cnf", folder);
    unlink(path);
    rmdir(folder);
    for (size_t k = 0; k < KIND_COUNT; k++) {
        tell(s, &kinds[k], entries);
    }
    snapshot_unref(&s);
}

int main(int argc, char **argv)
{
    printf("probes through mapping tables, one core; medians of %d\n", ROUNDS);
    if (argc == 1) {
        bench(10000);
        bench(100000);
    }
    for (int i = 1; i < argc; i++) {
        bench((unsigned)atoi(argv[i]));
    }
    return 0;
}
