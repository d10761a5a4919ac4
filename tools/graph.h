/* graph: how nodes, edges and labels of Graphviz's dot language are written. Everything
 * that comes from the configuration is quoted here, and nowhere else. */
#ifndef TOOLS_GRAPH_H
#define TOOLS_GRAPH_H

#include "tables/snapshot.h"

/* Prints "text" in quotes: '"' and '\' escaped, control bytes as '?'. */
void graph_quote(str text);
/* Prints the name of a node, made of its kind and its own name: "channel tcp_local". */
void graph_node(const char *kind, str name);
/* A label is begun, gets lines, and is ended; it prints label="...". */
void graph_label_begin(void);
void graph_label_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void graph_label_end(void);
/* The nodes and edges of the rewrite rules: one node for the rules that lead to one
 * channel, with some of their patterns. */
void graph_rules(const struct snapshot *s, struct arena *a);
/* The edges of the switches by address, for rules with a literal. */
void graph_ip_switches(const struct snapshot *s, struct arena *a);

#endif
