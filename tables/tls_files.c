/* tls_files: tls.cnf, or the two file names PMDF uses. Only names: the files are
 * opened when the configuration is prepared (channels/tls). */
#include "tables/compile.h"

static void read_file(struct compile *c, const struct ast_option *o, str *out,
                      struct span *at)
{
    compile_once(c, at, o);
    if (o->value.len == 0) {
        diag_error(c->diags, o->name_at, "option-empty", "'%.*s' needs a path",
                   STR_ARG(o->name));
        return;
    }
    *out = locate_written(c, o->value);
}

static void read_section(struct compile *c, const struct ast_section *s)
{
    struct tls_files *out = &c->s->tls;
    if (s->name.ptr == NULL && s->options != NULL) {
        diag_error(c->diags, s->options->name_at, "tls-no-profile",
                   "options of this file belong to a profile; write [*] above them");
        return;
    }
    if (s->name.len > 0 && (!str_eq(s->name, STR("*")) || s->value.ptr != NULL)) {
        compile_restriction(c, s->at,
                            "profile '%.*s' is not honoured yet: everybody would be "
                            "served as [*] says",
                            STR_ARG(s->name));
        return;
    }
    for (const struct ast_option *o = s->options; o != NULL; o = o->next) {
        const struct option_row *row = compile_option(c, OPTION_TLS, o);
        if (row != NULL && row->id == OPTION_TLS_server_cert) {
            read_file(c, o, &out->server_cert, &out->server_cert_at);
        } else if (row != NULL) {
            read_file(c, o, &out->server_key, &out->server_key_at);
        }
    }
}

/* PMDF's own names; the pair is taken when either is there, so that one that is
 * missing is told and not passed over. */
static void use_pmdf_names(struct compile *c)
{
    struct tls_files *out = &c->s->tls;
    str cert = locate_beside(c, "server-pub.pem");
    str key = locate_beside(c, "server-priv.pem");
    if (loader_kind_of(c->loader, cert) == LOADER_FILE ||
        loader_kind_of(c->loader, key) == LOADER_FILE) {
        out->server_cert = cert;
        out->server_key = key;
    }
}

void tls_files_compile(struct compile *c, const struct ast *ast)
{
    struct tls_files *out = &c->s->tls;
    *out = (struct tls_files){.server_cert = STR(""), .server_key = STR("")};
    for (const struct ast_section *s = ast != NULL ? ast->sections : NULL; s;
         s = s->next) {
        read_section(c, s);
    }
    if (out->server_cert_at.source == 0 && out->server_key_at.source == 0) {
        use_pmdf_names(c);
    } else if (out->server_cert_at.source == 0) {
        diag_error(c->diags, out->server_key_at, "key-without-certificate",
                   "server_key is set, but server_cert is not");
    } else if (out->server_key_at.source == 0) {
        /* One PEM file may hold both. */
        out->server_key = out->server_cert;
        out->server_key_at = out->server_cert_at;
    }
}
