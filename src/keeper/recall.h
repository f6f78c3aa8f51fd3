/* SPDX-License-Identifier: BSD-2-Clause */
/* Objects that come back get what was armed in them when they left. */
#ifndef KEEPER_RECALL_H
#define KEEPER_RECALL_H

#include "keeper.h"

/*
 * An object came: arms what was armed when its file left last; 1: that is all there is to
 * do, 0: the client has to be asked.
 */
int recall_came(struct keeper *, dtproc_addr from);
/* One left; its sites are still there. */
void recall_left(struct keeper *, dtproc_addr from, dtproc_addr to);
/* The client is told of what it has to be asked about; it has reacted to that. */
void recall_told(struct keeper *);
void recall_reacted(struct keeper *);
/*
 * A site that the client asks for is there already: armed again, or asked for by an
 * earlier request, by a client that is late.  1: it was, and is the client's now.
 */
int recall_claim(struct keeper *, const struct wire_site *);
/* Of the client's sites these go, where they were armed again, too. */
void recall_disarm(struct keeper *, const struct wire_site *, size_t n);
/* Nothing is armed again that was before. */
void recall_forget(struct keeper *);

#endif
