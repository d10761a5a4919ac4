/* tls_entry: what an entry of TLS_CLIENT_POLICY says: "level=must,verify=host,pinned",
 * read when the configuration is loaded, or when the entry is used. */
#ifndef TABLES_TLS_ENTRY_H
#define TABLES_TLS_ENTRY_H

#include "base/arena.h"
#include "tables/snapshot.h"

enum tls_field {
    TLS_FIELD_PROFILE,
    TLS_FIELD_LEVEL,
    TLS_FIELD_VERIFY,
    TLS_FIELD_FALLBACK,
    TLS_FIELDS
};
/* "profile": as it is written, and shown. */
const char *tls_field_name(enum tls_field f);

struct tls_entry {
    bool has[TLS_FIELDS];
    const struct tls_profile *profile;
    enum tls_level level;
    enum tls_verify verify;
    bool fallback;
    bool pinned; /* nobody behind the mapping may lower what this entry gives */
    bool lower;  /* it may be less than the channel says */
};

/* Why a text is none, and what of it is to blame. */
struct tls_entry_fault {
    str at; /* a slice of the text; empty: the whole */
    str why;
};

/* Reads "name=value,word,...": profile=NAME, level=no|may|must,
 * verify=none|try|ca|host|fp, fallback=yes|no, pinned, lower. Case-blind; blanks around a
 * part do not matter. */
bool tls_entry_read(const struct snapshot *s, str text, struct arena *a,
                    struct tls_entry *out, struct tls_entry_fault *fault);

#endif
