/* replay: main() of a fuzz target when it is not built with libFuzzer: runs every file
 * of the target's corpus, test/fuzz/corpus/<target>/, once. One TAP line each. Files or
 * folders may be given instead. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path, unsigned number)
{
    char *data = NULL;
    size_t size = 0;
    FILE *in = fopen(path, "rb"), *copy = open_memstream(&data, &size);
    if (in == NULL || copy == NULL) {
        printf("not ok %u - %s: cannot be read\n", number, path);
        return 1;
    }
    for (int c; (c = getc(in)) != EOF;) {
        putc(c, copy);
    }
    fclose(in);
    fclose(copy);
    /* A copy of the exact size, so that the sanitizer sees a read past the end. */
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, data, size);
    free(data);
    printf("# %s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    printf("ok %u - %s\n", number, path);
    return 0;
}

static int not_hidden(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay(const char *path, unsigned *number)
{
    struct stat st;
    struct dirent **entries;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode)) {
        return replay_file(path, ++*number);
    }
    int n = scandir(path, &entries, not_hidden, alphasort);
    if (n <= 0) {
        printf("not ok %u - %s: no corpus\n", ++*number, path);
        return 1;
    }
    int failed = 0;
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entries[i]->d_name);
        failed |= replay(file, number);
        free(entries[i]);
    }
    free(entries);
    return failed;
}

int main(int argc, char **argv)
{
    unsigned number = 0;
    int failed = 0;
    for (int i = 1; i < argc; i++) {
        failed |= replay(argv[i], &number);
    }
    if (argc < 2) {
        const char *top = getenv("top_srcdir"), *slash = strrchr(argv[0], '/');
        const char *name = slash != NULL ? slash + 1 : argv[0];
        char corpus[4096];
        if (strncmp(name, "fuzz_", 5) == 0) {
            name += 5;
        }
        snprintf(corpus, sizeof corpus, "%s/test/fuzz/corpus/%s", top != NULL ? top : ".",
                 name);
        failed |= replay(corpus, &number);
    }
    printf("1..%u\n", number);
    return failed;
}
