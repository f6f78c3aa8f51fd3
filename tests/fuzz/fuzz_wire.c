/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a message of each kind: judged, never misread. */
#include <wire/proto.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What passes the check holds what the check promises. */
static void promise(int held)
{
	if (!held)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_request q;
	struct wire_reply r;
	struct wire_event e;

	if (wire_check_request(data, size, 6) == 0) {
		memcpy(&q, data, sizeof q);
		promise(q.op > WIRE_OP_NONE && q.op < WIRE_OP_COUNT && q.seq == 7);
	}
	if (wire_check_reply(data, size, WIRE_STOP, 7) == 0) {
		memcpy(&r, data, sizeof r);
		promise(r.code <= 0 && r.state < WIRE_ST_COUNT);
		promise(strlen(r.text) < sizeof r.text);
	}
	if (wire_check_event(data, size) == 0) {
		memcpy(&e, data, sizeof e);
		promise(e.kind > WIRE_EV_NONE && e.kind < WIRE_EV_COUNT);
		promise(strlen(e.text) < sizeof e.text);
	}
	wire_check_ack(data, size, 7);
	return 0;
}
