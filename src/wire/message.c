/* SPDX-License-Identifier: BSD-2-Clause */
/* Sending, receiving and checking of messages. */
#include "proto.h"

#include <base/err.h>
#include <base/retry.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX WIRE_CHILD_FDS

static int bad(const char *what, const char *why)
{
	return err_set(DTPROC_EPROTO, "bad %s between client and keeper: %s", what, why);
}

static int check_magic(const void *msg, size_t len, const char *what)
{
	uint32_t magic;

	if (len < sizeof magic)
		return bad(what, "length");
	memcpy(&magic, msg, sizeof magic);
	return magic == WIRE_MAGIC ? 0 : bad(what, "magic");
}

/* Magic and version come first in each version; all else may differ. */
static int check_head(
	const void *msg, size_t len, size_t want, const char *what, const char *who)
{
	uint32_t head[2];
	int rc = check_magic(msg, len, what);

	if (rc)
		return rc;
	if (len < sizeof head)
		return bad(what, "length");
	memcpy(head, msg, sizeof head);
	if (head[1] != WIRE_VERSION)
		return err_set(DTPROC_EKEEPER,
			"%s speaks version %u, not %u: library and keeper are of two "
			"installations",
			who, head[1], WIRE_VERSION);
	return len == want ? 0 : bad(what, "length");
}

int wire_check_request(const void *msg, size_t len, uint32_t seq_after)
{
	const struct wire_request *r = msg;
	int rc = check_head(msg, len, sizeof *r, "request", "the client");

	if (rc)
		return rc;
	if (r->op == WIRE_OP_NONE || r->op >= WIRE_OP_COUNT)
		return bad("request", "operation");
	if (r->seq != seq_after + 1)
		return bad("request", "sequence");
	return 0;
}

int wire_check_reply(const void *msg, size_t len, uint32_t op, uint32_t seq)
{
	const struct wire_reply *r = msg;
	int rc = check_head(msg, len, sizeof *r, "reply", "the keeper");

	if (rc)
		return rc;
	if (r->op != op || r->seq != seq)
		return bad("reply", "sequence");
	if (r->state >= WIRE_ST_COUNT || r->code > 0)
		return bad("reply", "state or code");
	if (!memchr(r->text, 0, sizeof r->text))
		return bad("reply", "text");
	return 0;
}

int wire_check_event(const void *msg, size_t len)
{
	const struct wire_event *e = msg;
	int rc = check_head(msg, len, sizeof *e, "event", "the keeper");

	if (rc)
		return rc;
	if (e->kind == WIRE_EV_NONE || e->kind >= WIRE_EV_COUNT)
		return bad("event", "kind");
	if (e->state >= WIRE_ST_COUNT)
		return bad("event", "state");
	if (e->kind == WIRE_EV_OBJECTS)
		return e->code > (int)WIRE_RANGES_MAX ? bad("event", "ranges") : 0;
	if (!memchr(e->text, 0, sizeof e->text))
		return bad("event", "text");
	return 0;
}

int wire_check_ack(const void *msg, size_t len, uint32_t seq)
{
	const struct wire_ack *a = msg;

	if (check_magic(msg, len, "acknowledgement"))
		return DTPROC_EPROTO;
	if (len != sizeof *a)
		return bad("acknowledgement", "length");
	return a->seq == seq ? 0 : bad("acknowledgement", "sequence");
}

int wire_send(int sock, const void *msg, size_t len, const int *fds, int nfds, int flags)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {(void *)msg, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (nfds > 0 && nfds <= FDS_MAX) {
		mh.msg_control = control.room;
		mh.msg_controllen = CMSG_SPACE((size_t)nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN((size_t)nfds * sizeof(int));
		memcpy(CMSG_DATA(c), fds, (size_t)nfds * sizeof(int));
	}
	for (unsigned tries = 0; sendmsg(sock, &mh, flags | MSG_NOSIGNAL) < 0;)
		if (!retry_after(errno, &tries))
			return err_errno(
				DTPROC_ESYS, errno, "cannot send to the other side");
	return 0;
}

/* Hands over the descriptors of a message, closing those beyond the room. */
static void take_fds(struct msghdr *mh, int *fds, int *nfds)
{
	int room = nfds ? *nfds : 0, n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
			if (n < room)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	if (nfds)
		*nfds = n;
}

long wire_recv(int sock, void *msg, size_t len, int *fds, int *nfds, int flags)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = {msg, len};

	for (unsigned tries = 0;;) {
		struct msghdr mh = {.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control.room,
			.msg_controllen = sizeof control.room};
		ssize_t n = recvmsg(sock, &mh, flags | MSG_CMSG_CLOEXEC);
		if (n >= 0) {
			/* One that is too long or empty: nothing of it is taken. */
			int sound = n > 0 && !(mh.msg_flags & MSG_TRUNC);
			if (nfds && !sound)
				*nfds = 0;
			take_fds(&mh, fds, nfds);
			return sound || n == 0 ? n : bad("message", "length");
		}
		if (errno == EAGAIN)
			return DTPROC_ETIMEOUT;
		if (errno == ECONNRESET) {
			if (nfds)
				*nfds = 0;
			return 0;
		}
		if (!retry_after(errno, &tries))
			return err_errno(DTPROC_ESYS, errno, "cannot receive");
	}
}
