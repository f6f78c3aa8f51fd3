/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * src/wire: every cell of the state table, in the words of the rules and against
 * docs/protocol.md; hostile messages; descriptors that travel.
 */
#include "unit.h"

#include <base/err.h>
#include <wire/proto.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int ends(enum wire_event_kind k)
{
	return k == WIRE_EV_EXITED || k == WIRE_EV_KILLED || k == WIRE_EV_LOST;
}

/* What the rules say of one cell; -1: they leave it open. */
static int request_by_rule(enum wire_state s, enum wire_op op)
{
	if (op == WIRE_OP_NONE)
		return WIRE_BAD;
	if (op == WIRE_FINISH)
		return WIRE_DO; /* a keeper can always be told to go */
	if (op == WIRE_START)
		return s == WIRE_ST_START ? WIRE_DO : WIRE_BAD; /* once */
	if (s == WIRE_ST_GONE) {
		int nothing =
			op == WIRE_CONTINUE || op == WIRE_DISARM || op == WIRE_DETACH;
		return nothing ? WIRE_NOP : WIRE_ENDED; /* H6 */
	}
	if (s == WIRE_ST_START) {
		int early =
			op == WIRE_PROGRAMS || op == WIRE_SEGMENT || op == WIRE_DETACH;
		return early ? WIRE_DO : WIRE_BAD;
	}
	if (op == WIRE_CONTINUE) /* C6: only from a rendezvous */
		return s == WIRE_ST_IDLE ? WIRE_DO : WIRE_NOP;
	if (op == WIRE_STOP)
		return s == WIRE_ST_IDLE ? WIRE_NOP : WIRE_DO;
	if (op == WIRE_REGS && s == WIRE_ST_RUN)
		return WIRE_BAD; /* a running thread has none to show */
	return WIRE_DO;          /* B4: served whatever the victim does */
}

static void every_request_in_every_state(void **state)
{
	for (int s = 0; s < WIRE_ST_COUNT; s++)
		for (int op = 0; op < WIRE_OP_COUNT; op++)
			if ((int)wire_request_rule(s, op) != request_by_rule(s, op))
				fail_msg("%s in state %s", wire_op_name((uint32_t)op),
					wire_state_name((uint32_t)s));
	assert_int_equal(wire_request_rule(WIRE_ST_COUNT, WIRE_STOP), WIRE_BAD);
	assert_int_equal(wire_request_rule(WIRE_ST_RUN, WIRE_OP_COUNT), WIRE_BAD);
	assert_int_equal(wire_request_rule((enum wire_state) - 1, WIRE_STOP), WIRE_BAD);
}

static int event_by_rule(enum wire_state s, enum wire_event_kind k)
{
	if (k == WIRE_EV_NONE)
		return WIRE_ST_COUNT;
	if (k == WIRE_EV_ERROR || (k == WIRE_EV_CHILD && s != WIRE_ST_START))
		return s; /* the victim lives on, or its child outlives it */
	if (s == WIRE_ST_GONE)
		return WIRE_ST_COUNT; /* nothing follows an end */
	if (ends(k))
		return WIRE_ST_GONE;
	if (s == WIRE_ST_START)
		return WIRE_ST_COUNT; /* not held yet: it can only die */
	if (s == WIRE_ST_IDLE)        /* no breakpoint is in its text: C5 */
		return k == WIRE_EV_BREAKPOINT ? WIRE_ST_COUNT : WIRE_ST_IDLE;
	if (k == WIRE_EV_BREAKPOINT)
		return WIRE_ST_EVENT;
	if (s == WIRE_ST_EVENT) /* all threads are stopped: none executes a program */
		return k == WIRE_EV_EXEC ? WIRE_ST_COUNT : WIRE_ST_EVENT;
	if (k == WIRE_EV_STOPPED)
		return WIRE_ST_STOPPED; /* G1 */
	if (k == WIRE_EV_CONTINUED)
		return WIRE_ST_RUN; /* G2 */
	return s;
}

static void every_event_in_every_state(void **state)
{
	for (int s = 0; s < WIRE_ST_COUNT; s++)
		for (int k = 0; k < WIRE_EV_COUNT; k++)
			if ((int)wire_event_next(s, k) != event_by_rule(s, k))
				fail_msg("%s in state %s", wire_event_name((uint32_t)k),
					wire_state_name((uint32_t)s));
	assert_int_equal(wire_event_next(WIRE_ST_COUNT, WIRE_EV_EXITED), WIRE_ST_COUNT);
	assert_int_equal(wire_event_next(WIRE_ST_RUN, WIRE_EV_COUNT), WIRE_ST_COUNT);
}

static void names(void **state)
{
	for (uint32_t i = 0; i < WIRE_ST_COUNT; i++)
		assert_string_not_equal(wire_state_name(i), "?");
	for (uint32_t i = 0; i < WIRE_OP_COUNT; i++)
		assert_string_not_equal(wire_op_name(i), "?");
	for (uint32_t i = 0; i < WIRE_EV_COUNT; i++)
		assert_string_not_equal(wire_event_name(i), "?");
	for (uint32_t i = 0; i < WIRE_REFUSED_COUNT; i++)
		assert_true(strlen(wire_refusal_text(i)) > 8);
	assert_string_equal(wire_state_name(WIRE_ST_COUNT), "?");
	assert_string_equal(wire_op_name(UINT32_MAX), "?");
	assert_string_equal(wire_event_name(WIRE_EV_COUNT), "?");
	assert_string_equal(wire_refusal_text(WIRE_REFUSED_COUNT), "unknown reason");
}

static void print_head(FILE *f, const char *what)
{
	fprintf(f, "| %s |", what);
	for (uint32_t s = 0; s < WIRE_ST_COUNT; s++)
		fprintf(f, " %s |", wire_state_name(s));
	fputs("\n|---|", f);
	for (uint32_t s = 0; s < WIRE_ST_COUNT; s++)
		fputs("---|", f);
	fputc('\n', f);
}

static void print_requests(FILE *f)
{
	static const char *const words[] = {"do", "nothing", "wrong state", "ended"};

	print_head(f, "request");
	for (uint32_t op = 1; op < WIRE_OP_COUNT; op++) {
		fprintf(f, "| %s |", wire_op_name(op));
		for (int s = 0; s < WIRE_ST_COUNT; s++)
			fprintf(f, " %s |", words[wire_request_rule(s, op)]);
		fputc('\n', f);
	}
}

static void print_events(FILE *f)
{
	print_head(f, "event");
	for (uint32_t k = 1; k < WIRE_EV_COUNT; k++) {
		fprintf(f, "| %s |", wire_event_name(k));
		for (int s = 0; s < WIRE_ST_COUNT; s++) {
			enum wire_state next = wire_event_next(s, k);
			fprintf(f, " %s |",
				next == WIRE_ST_COUNT ? "-" : wire_state_name(next));
		}
		fputc('\n', f);
	}
}

/* Does docs/protocol.md show the table that `print` writes? */
static void documented(void (*print)(FILE *))
{
	static char page[1 << 16];
	char *table = NULL;
	size_t len;

	FILE *doc = fopen(PROTOCOL_MD, "r");
	assert_non_null(doc);
	page[fread(page, 1, sizeof page - 1, doc)] = 0;
	fclose(doc);
	FILE *f = open_memstream(&table, &len);
	print(f);
	fclose(f);
	if (!strstr(page, table)) {
		fprintf(stderr, "docs/protocol.md does not show:\n%s", table);
		fail();
	}
	free(table);
}

static void documentation_has_the_table(void **state)
{
	documented(print_requests);
	documented(print_events);
}

static struct wire_request good_request(void)
{
	return (struct wire_request){
		.magic = WIRE_MAGIC, .version = WIRE_VERSION, .op = WIRE_STOP, .seq = 8};
}

static void requests_are_checked(void **state)
{
	struct wire_request r = good_request();

	assert_int_equal(wire_check_request(&r, sizeof r, 7), 0);
	assert_int_equal(wire_check_request(&r, sizeof r, 8), DTPROC_EPROTO);
	assert_int_equal(wire_check_request(&r, sizeof r - 1, 7), DTPROC_EPROTO);
	assert_int_equal(wire_check_request(&r, 0, 7), DTPROC_EPROTO);
	r.op = WIRE_OP_COUNT;
	assert_int_equal(wire_check_request(&r, sizeof r, 7), DTPROC_EPROTO);
	r.op = WIRE_OP_NONE;
	assert_int_equal(wire_check_request(&r, sizeof r, 7), DTPROC_EPROTO);
	r = good_request();
	r.magic ^= 1;
	assert_int_equal(wire_check_request(&r, sizeof r, 7), DTPROC_EPROTO);
	r = good_request();
	r.version++;
	assert_int_equal(wire_check_request(&r, sizeof r, 7), DTPROC_EKEEPER);
	assert_non_null(strstr(err_text(), "two installations"));
	/* of another length, as another version may be */
	assert_int_equal(wire_check_request(&r, sizeof r - 4, 7), DTPROC_EKEEPER);
	assert_int_equal(wire_check_request(&r, 8, 7), DTPROC_EKEEPER);
	assert_int_equal(wire_check_request(&r, 4, 7), DTPROC_EPROTO);
}

static struct wire_reply good_reply(void)
{
	return (struct wire_reply){.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.op = WIRE_STOP,
		.seq = 8,
		.state = WIRE_ST_IDLE};
}

static void replies_are_checked(void **state)
{
	struct wire_reply r = good_reply();

	assert_int_equal(wire_check_reply(&r, sizeof r, WIRE_STOP, 8), 0);
	assert_int_equal(wire_check_reply(&r, sizeof r, WIRE_STOP, 9), DTPROC_EPROTO);
	assert_int_equal(wire_check_reply(&r, sizeof r, WIRE_REGS, 8), DTPROC_EPROTO);
	r.code = 1;
	assert_int_equal(wire_check_reply(&r, sizeof r, WIRE_STOP, 8), DTPROC_EPROTO);
	r = good_reply();
	r.state = WIRE_ST_COUNT;
	assert_int_equal(wire_check_reply(&r, sizeof r, WIRE_STOP, 8), DTPROC_EPROTO);
	r = good_reply();
	memset(r.text, 'x', sizeof r.text);
	assert_int_equal(wire_check_reply(&r, sizeof r, WIRE_STOP, 8), DTPROC_EPROTO);
	r = good_reply();
	r.version = 0;
	assert_int_equal(wire_check_reply(&r, sizeof r, WIRE_STOP, 8), DTPROC_EKEEPER);
}

static void events_and_acks_are_checked(void **state)
{
	struct wire_event good = {.magic = WIRE_MAGIC,
		.version = WIRE_VERSION,
		.kind = WIRE_EV_EXITED,
		.state = WIRE_ST_GONE};
	struct wire_event e = good;
	struct wire_ack a = {WIRE_MAGIC, 3};

	assert_int_equal(wire_check_event(&e, sizeof e), 0);
	assert_int_equal(wire_check_event(&e, sizeof e + 1), DTPROC_EPROTO);
	e.kind = WIRE_EV_COUNT;
	assert_int_equal(wire_check_event(&e, sizeof e), DTPROC_EPROTO);
	e = good;
	e.state = WIRE_ST_COUNT;
	assert_int_equal(wire_check_event(&e, sizeof e), DTPROC_EPROTO);
	e = good;
	memset(e.text, 'x', sizeof e.text);
	assert_int_equal(wire_check_event(&e, sizeof e), DTPROC_EPROTO);
	assert_int_equal(wire_check_ack(&a, sizeof a, 3), 0);
	assert_int_equal(wire_check_ack(&a, sizeof a, 4), DTPROC_EPROTO);
	assert_int_equal(wire_check_ack(&a, sizeof a - 1, 3), DTPROC_EPROTO);
	a.magic = 0;
	assert_int_equal(wire_check_ack(&a, sizeof a, 3), DTPROC_EPROTO);
}

static int pair(int *sock)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock);
}

static int open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void descriptors_travel(void **state)
{
	int sock[2], fds[4], nfds = 4, before;
	struct wire_request r = good_request(), got;

	assert_int_equal(pair(sock), 0);
	before = open_fds();
	int two[2] = {sock[0], sock[1]};
	assert_int_equal(wire_send(sock[0], &r, sizeof r, two, 2, 0), 0);
	assert_int_equal(wire_recv(sock[1], &got, sizeof got, fds, &nfds, 0), sizeof got);
	assert_memory_equal(&got, &r, sizeof r);
	assert_int_equal(nfds, 2);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(open_fds(), before);
	close(sock[0]);
	close(sock[1]);
}

/* Whoever expects none, or fewer, is left with no open descriptor. */
static void unwanted_descriptors_are_closed(void **state)
{
	int sock[2], fds[1], nfds = 1, before;
	struct wire_ack a = {WIRE_MAGIC, 1}, got;

	assert_int_equal(pair(sock), 0);
	before = open_fds();
	int three[3] = {sock[0], sock[0], sock[0]};
	assert_int_equal(wire_send(sock[0], &a, sizeof a, three, 3, 0), 0);
	assert_int_equal(wire_recv(sock[1], &got, sizeof got, NULL, NULL, 0), sizeof got);
	assert_int_equal(open_fds(), before);
	assert_int_equal(wire_send(sock[0], &a, sizeof a, three, 3, 0), 0);
	assert_int_equal(wire_recv(sock[1], &got, sizeof got, fds, &nfds, 0), sizeof got);
	assert_int_equal(nfds, 1);
	close(fds[0]);
	assert_int_equal(open_fds(), before);
	/* An empty message looks like a hang-up, and brings none either. */
	assert_int_equal(wire_send(sock[0], &a, 0, three, 3, 0), 0);
	assert_int_equal(wire_recv(sock[1], &got, sizeof got, fds, &nfds, 0), 0);
	assert_int_equal(nfds, 0);
	assert_int_equal(open_fds(), before);
	close(sock[0]);
	close(sock[1]);
}

/* A message that is too long is not mistaken for a right one with its tail cut off. */
static void too_long_a_message(void **state)
{
	int sock[2];
	struct {
		struct wire_ack ack;
		char more[100];
	} big = {{WIRE_MAGIC, 1}, ""};
	struct wire_ack got;

	assert_int_equal(pair(sock), 0);
	assert_int_equal(wire_send(sock[0], &big, sizeof big, NULL, 0, 0), 0);
	long n = wire_recv(sock[1], &got, sizeof got, NULL, NULL, 0);
	assert_true(n < 0 || wire_check_ack(&got, (size_t)n, 1) != 0);
	close(sock[0]);
	close(sock[1]);
}

static void hang_up_and_nothing_there(void **state)
{
	int sock[2], nfds = 0;
	struct wire_ack a = {WIRE_MAGIC, 1};

	assert_int_equal(pair(sock), 0);
	assert_int_equal(wire_recv(sock[1], &a, sizeof a, NULL, &nfds, MSG_DONTWAIT),
		DTPROC_ETIMEOUT);
	close(sock[0]);
	assert_int_equal(wire_recv(sock[1], &a, sizeof a, NULL, &nfds, 0), 0);
	assert_int_equal(wire_send(sock[1], &a, sizeof a, NULL, 0, 0), DTPROC_ESYS);
	close(sock[1]);
	assert_int_equal(wire_recv(-1, &a, sizeof a, NULL, NULL, 0), DTPROC_ESYS);
}

/* Both sides hold one message of each kind without anybody reading (rule H6). */
static void one_of_each_never_blocks(void **state)
{
	int sock[2];
	static struct wire_event e = {.magic = WIRE_MAGIC};
	static struct wire_reply r = {.magic = WIRE_MAGIC};

	assert_int_equal(pair(sock), 0);
	assert_int_equal(wire_send(sock[0], &e, sizeof e, NULL, 0, MSG_DONTWAIT), 0);
	assert_int_equal(wire_send(sock[0], &r, sizeof r, NULL, 0, MSG_DONTWAIT), 0);
	close(sock[0]);
	close(sock[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_in_every_state),
		cmocka_unit_test(every_event_in_every_state),
		cmocka_unit_test(names),
		cmocka_unit_test(documentation_has_the_table),
		cmocka_unit_test(requests_are_checked),
		cmocka_unit_test(replies_are_checked),
		cmocka_unit_test(events_and_acks_are_checked),
		cmocka_unit_test(descriptors_travel),
		cmocka_unit_test(unwanted_descriptors_are_closed),
		cmocka_unit_test(too_long_a_message),
		cmocka_unit_test(hang_up_and_nothing_there),
		cmocka_unit_test(one_of_each_never_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
