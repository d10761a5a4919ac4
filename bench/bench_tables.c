/* bench_tables: how long a large configuration takes: a file of 1,000,000 rules and
 * 10,000 channels compiled, written as an image, opened and loaded from it, and asked.
 * Every step runs in a process of its own, so that its memory is its own, and several
 * times; medians are shown beside the goals. The files stand in a folder that is removed.
 *
 *   bench/bench_tables [RULES [CHANNELS]] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "tables/image.h"
#include "tables/route.h"

enum { ROUNDS = 5, LOOKUPS = 200000, BATCH = 100 };

/* What one step measures; shared with the process that runs it. */
struct measured {
    double seconds;
    long peak_kib;
    double lookup_us[LOOKUPS / BATCH]; /* of one, by batches */
};

struct bench {
    char folder[64], main_file[96], image[96];
    unsigned rules, channels;
    struct measured *shared;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Hosts, subdomains and a few stars, as a site with very many customers has them. */
static void write_rules(const struct bench *b, FILE *out)
{
    for (unsigned i = 0; i < b->rules; i++) {
        const char *front = i % 3 == 0 ? "." : i % 10007 == 1 ? "*." : "";
        fprintf(out, "%shost%u.customer%u.example $U%%$H$D@tcp-daemon-%u\n", front, i,
                i % 5000, i % b->channels);
    }
}

static void write_configuration(const struct bench *b)
{
    FILE *out = fopen(b->main_file, "w");
    check(out != NULL);
    write_rules(b, out);
    fputs("\nl\nrouter.example\n", out);
    for (unsigned i = 0; i < b->channels; i++) {
        fprintf(out, "\ntcp_%u smtp mx maytls port %u\ntcp-daemon-%u\n", i,
                2000 + i % 1000, i);
    }
    check(fclose(out) == 0);
}

static struct snapshot *load(const struct bench *b, bool image)
{
    struct snapshot_request request = {.path = str_from(b->main_file),
                                       .use_image = image};
    struct arena *a = arena_new();
    struct diags *diags;
    bool unreadable;
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    check(s != NULL);
    check(s->image.verdict == (image ? IMAGE_FRESH : IMAGE_NONE));
    arena_free(&a);
    return s;
}

/* ---- steps --------------------------------------------------------------------- */

static void step_compile(struct bench *b)
{
    load(b, false);
}

static void step_write(struct bench *b)
{
    struct arena *a = arena_new();
    struct image_pieces pieces;
    str reason;
    struct snapshot *s = load(b, false);
    double start = now();
    check(image_make(s, &loader_files, a, &pieces, &reason));
    FILE *out = fopen(b->image, "w");
    check(out != NULL);
    for (size_t i = 0; i < pieces.count; i++) {
        check(fwrite(pieces.at[i].data, 1, pieces.at[i].size, out) == pieces.at[i].size);
    }
    check(fclose(out) == 0);
    b->shared->seconds = now() - start;
}

static void step_open(struct bench *b)
{
    struct arena *a = arena_new();
    struct image_status status;
    image_look(&loader_files, str_from(b->image), str_from(b->main_file), a, &status);
    check(status.verdict == IMAGE_FRESH);
}

static void step_load(struct bench *b)
{
    load(b, true);
}

/* The addresses asked for: exact hosts, hosts below a rule, hosts of no rule, our own. */
static str address_of(const struct bench *b, char out[96], unsigned n)
{
    unsigned i = (unsigned)((n * UINT64_C(2654435761)) % b->rules);
    const char *const forms[] = {"ann@host%u.customer%u.example",
                                 "ann@a.b.host%u.customer%u.example",
                                 "ann@none%u.nobody%u.example", "ann%u@router.example"};
    unsigned form = n % 4 == 1 ? 1 : n % 16 == 2 ? 2 : n % 16 == 3 ? 3 : 0;
    i = form == 1 ? i - i % 3 : form == 0 && i % 3 == 0 ? i + 1 : i;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    int len = snprintf(out, 96, forms[form], i, i % 5000);
#pragma GCC diagnostic pop
    return str_n(out, (size_t)len);
}

static void step_lookup(struct bench *b)
{
    struct snapshot *s = load(b, true);
    struct rewrite_context ctx = {NULL, ROUTE_FORWARD, ROUTE_ENVELOPE, NULL};
    static char texts[LOOKUPS][96];
    static struct address addresses[LOOKUPS];
    struct arena *a = arena_new();
    unsigned routed = 0;
    for (unsigned i = 0; i < LOOKUPS; i++) {
        check(address_parse(address_of(b, texts[i], i), &addresses[i]) == NULL);
    }
    for (unsigned n = 0; n < LOOKUPS / BATCH; n++) {
        double start = now();
        for (unsigned i = 0; i < BATCH; i++) {
            struct arena_mark mark = arena_mark(a);
            struct route r;
            route_rewrite(s, &ctx, &addresses[n * BATCH + i], false, a, &r);
            routed += r.channel != NULL;
            arena_reset(a, mark);
        }
        b->shared->lookup_us[n] = (now() - start) * 1e6 / BATCH;
    }
    check(routed > LOOKUPS / 2);
}

/* ---- measuring ----------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The value below which the share of them lies. */
static double quantile(double *values, size_t n, double share)
{
    qsort(values, n, sizeof *values, compare);
    return values[(size_t)(share * (double)(n - 1))];
}

/* Runs the step in a process of its own. */
static struct measured run(struct bench *b, void (*step)(struct bench *))
{
    struct rusage usage;
    int status;
    pid_t child = fork();
    check(child >= 0);
    if (child == 0) {
        b->shared->seconds = -1;
        double start = now();
        step(b);
        if (b->shared->seconds < 0) {
            b->shared->seconds = now() - start;
        }
        _exit(0);
    }
    check(wait4(child, &status, 0, &usage) == child && WIFEXITED(status) &&
          WEXITSTATUS(status) == 0);
    b->shared->peak_kib = usage.ru_maxrss;
    return *b->shared;
}

static void tell(struct bench *b, const char *name, void (*step)(struct bench *),
                 double scale, const char *unit, double goal)
{
    double seconds[ROUNDS], peak[ROUNDS];
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct measured m = run(b, step);
        seconds[i] = m.seconds;
        peak[i] = (double)m.peak_kib / 1024;
    }
    double median = quantile(seconds, ROUNDS, 0.5) * scale;
    printf("%-9s %9.2f %-3s", name, median, unit);
    if (goal > 0) {
        printf(" (goal %.0f)", goal);
    }
    printf("   peak %5.0f MiB%s\n", quantile(peak, ROUNDS, 0.5),
           goal > 0 && median > goal ? "   GOAL MISSED" : "");
    fflush(stdout);
}

static void tell_lookups(struct bench *b)
{
    double medians[ROUNDS], late[ROUNDS];
    size_t n = LOOKUPS / BATCH;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct measured m = run(b, step_lookup);
        medians[i] = quantile(m.lookup_us, n, 0.5);
        late[i] = quantile(m.lookup_us, n, 0.99);
    }
    double median = quantile(medians, ROUNDS, 0.5);
    printf(
        "%-9s %9.2f us  (goal 2)   runs %.2f to %.2f, p99 %.2f us, of %d addresses%s\n",
        "look-up", median, medians[0], medians[ROUNDS - 1], quantile(late, ROUNDS, 0.5),
        LOOKUPS, median > 2 ? "   GOAL MISSED" : "");
}

int main(int argc, char **argv)
{
    struct bench b = {.rules = argc > 1 ? (unsigned)atoi(argv[1]) : 1000000,
                      .channels = argc > 2 ? (unsigned)atoi(argv[2]) : 10000};
    const char *temporary = getenv("TMPDIR");
    snprintf(b.folder, sizeof b.folder, "%s/bench_tables.XXXXXX",
             temporary != NULL ? temporary : "/tmp");
    check(b.rules > 10 && b.channels > 0 && mkdtemp(b.folder) != NULL);
    snprintf(b.main_file, sizeof b.main_file, "%s/pointsman.cnf", b.folder);
    snprintf(b.image, sizeof b.image, "%s/pointsman.image", b.folder);
    b.shared = mmap(NULL, sizeof *b.shared, PROT_READ | PROT_WRITE,
                    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(b.shared != MAP_FAILED);
    printf("%u rules, %u channels; medians of %d\n", b.rules, b.channels, ROUNDS);
    fflush(stdout);
    write_configuration(&b);
    tell(&b, "compile", step_compile, 1, "s", 3);
    tell(&b, "write", step_write, 1e3, "ms", 0);
    tell(&b, "open", step_open, 1e3, "ms", 20);
    tell(&b, "load", step_load, 1e3, "ms", 500);
    tell_lookups(&b);
    unlink(b.image);
    unlink(b.main_file);
    rmdir(b.folder);
    return 0;
}
