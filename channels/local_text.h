/* local_text: how a message looks where it is delivered here: Return-Path in front, lines
 * that end in LF. */
#ifndef CHANNELS_LOCAL_TEXT_H
#define CHANNELS_LOCAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

/* Appends "Return-Path: <sender>" and a line end (RFC 5321 4.4); what is not printable
 * ASCII is written '?'. False: out is full. */
bool local_return_path(struct buf *out, str sender);
/* Turns CRLF into LF in place; a CR at the end is kept back for the next piece, which has
 * to begin with it: *cr. Returns the new length. */
size_t local_to_lf(char *data, size_t len, bool *cr);

#endif
