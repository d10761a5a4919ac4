/* dns_hosts: see dns_hosts.h. The file is read anew for each question: it is small, and
 * nothing then has to notice that it changed. */
#include "router/dns_hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "router/dns_answer.h"

enum { HOSTS_LINE_MAX = 4096 };

/* Whether a word behind the address on the line is name. */
static bool line_names(char *rest, const char *name)
{
    char *save = NULL;
    char *word = strtok_r(rest, " \t\r\n", &save);
    while (word != NULL && strcasecmp(word, name) != 0) {
        word = strtok_r(NULL, " \t\r\n", &save);
    }
    return word != NULL;
}

static void line_read(char *line, const char *name, struct dns_answer *a)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    char *rest = NULL;
    line[strcspn(line, "#")] = '\0';
    char *ip = strtok_r(line, " \t\r\n", &rest);
    if (ip == NULL || !line_names(rest, name)) {
        return;
    }
    if (inet_pton(AF_INET, ip, bytes) == 1) {
        dns_answer_add(a, bytes, sizeof(struct in_addr));
    } else if (inet_pton(AF_INET6, ip, bytes) == 1) {
        dns_answer_add(a, bytes, sizeof(struct in6_addr));
    }
}

static void file_read(FILE *f, const char *name, struct dns_answer *a)
{
    char line[HOSTS_LINE_MAX];
    bool begins = true;
    while (fgets(line, sizeof line, f) != NULL) {
        bool ends = strchr(line, '\n') != NULL;
        if (begins) {
            line_read(line, name, a);
        }
        begins = ends;
    }
}

void dns_hosts_answer(const char *path, const char *name, struct dns_answer *a)
{
    errno = 0;
    FILE *f = fopen(path, "re");
    if (f != NULL) {
        file_read(f, name, a);
    }
    bool failed = f != NULL ? ferror(f) != 0 : errno != ENOENT;
    int error = errno;
    if (f != NULL) {
        fclose(f);
    }
    if (a->address_count > 0) {
        a->status = DNS_OK;
    } else if (failed) {
        dns_answer_fail(a, DNS_TEMPORARY, "%s: %s", path, strerror(error));
    } else {
        a->nxdomain = true;
        dns_answer_fail(a, DNS_NONE, "%s is not in %s", name, path);
    }
}
