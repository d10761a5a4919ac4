#include "test/unit/disk_lab.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"

void lab_start(struct lab *l)
{
    memset(l, 0, sizeof *l);
    fixture_start(&l->f);
    fixture_close(&l->f);
    memcpy(l->home, l->f.directory, sizeof l->home);
    strcpy(l->root, "/dev/shm/pm-disk-XXXXXX");
    if (mkdtemp(l->root) == NULL) {
        strcpy(l->root, "/tmp/pm-disk-XXXXXX");
        check(mkdtemp(l->root) != NULL);
    }
    snprintf(l->f.directory, sizeof l->f.directory, "%s/queue", l->root);
}

void lab_end(struct lab *l)
{
    memcpy(l->f.directory, l->home, sizeof l->home);
    fixture_end(&l->f);
    fixture_remove(l->root);
}

void lab_fresh(struct lab *l)
{
    fixture_remove(l->root);
    check(mkdir(l->root, 0700) == 0);
}

static int wait_for(pid_t child)
{
    int status;
    check(child >= 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

size_t lab_run(struct lab *l, lab_work work, const void *arg, struct load_record *records)
{
    int ends[2];
    check(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        check(uv_loop_fork(&l->f.w->loop) == 0);
        disk_watch(l->root);
        work(&l->f, ends[1], arg);
        _exit(EXIT_FAILURE);
    }
    close(ends[1]);
    size_t count = load_read(ends[0], records);
    close(ends[0]);
    check(wait_for(child) == DISK_CUT_STATUS);
    return count;
}

bool lab_verify(struct lab *l, const struct load_record *records, size_t count)
{
    pid_t child = fork();
    if (child == 0) {
        check(uv_loop_fork(&l->f.w->loop) == 0);
        disk_watch(l->root); /* only because it is fast */
        _exit(load_verify(&l->f, records, count) ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    return wait_for(child) == EXIT_SUCCESS;
}
