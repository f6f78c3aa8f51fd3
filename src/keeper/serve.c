/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests: one function each, in the order of enum wire_op. */
#include "keeper.h"
#include "kin.h"
#include "ptrace.h"
#include "stacks.h"
#include "recall.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BULK_MAX (256u << 20)
#define REACT_MAX_MS 600000u

struct call {
	const struct wire_request *req;
	struct wire_reply *rep;
	int fds[3];
	int nfds;
	int send_fd; /* goes with the reply; borrowed; -1: none */
};

/* ---------------------------------------------------------------------- bulk */

static int bulk_get(struct keeper *k, void *buf, size_t len)
{
	if (text_read(k->bulk, 0, buf, len) == (long)len)
		return 0;
	return err_set(DTPROC_EPROTO, "the bulk file is shorter than the request says");
}

static int bulk_put(struct keeper *k, const void *buf, size_t len)
{
	if (text_write(k->bulk, 0, buf, len) == (long)len)
		return 0;
	return err_errno(DTPROC_ESYS, errno, "cannot write to the bulk file");
}

/* The request's `count` elements of `size` bytes; the caller frees. */
static int bulk_take(
	struct keeper *k, const struct wire_request *req, size_t size, void *out)
{
	size_t len = req->count * size;
	void *buf;

	if (req->count > BULK_MAX / size)
		return err_set(DTPROC_ELIMIT, "the request has too much in bulk");
	buf = malloc(len + 1);
	if (!buf)
		return err_nomem("a request");
	if (bulk_get(k, buf, len)) {
		free(buf);
		return DTPROC_EPROTO;
	}
	*(void **)out = buf;
	return 0;
}

/* --------------------------------------------------------- a moment's stillness */

enum still {
	STILL_MADE,
	STILL_WAS,
	STILL_ONE, /* a thread waits for probes in what it loads; the others run on */
};

static void still_end(struct keeper *k, enum still was)
{
	if (was == STILL_MADE)
		stops_release(k);
	else if (was == STILL_ONE || k->state == WIRE_ST_EVENT)
		sites_plant(k);
}

/* Is the image still the one that the request was made for? */
static int same_image(struct keeper *k, const struct wire_request *req)
{
	if (!req->generation || req->generation == k->generation || !RULE(F1, stale))
		return 0;
	return err_set(
		DTPROC_EIMAGE, "pid %d has executed another program meanwhile", k->pid);
}

/*
 * Stops a victim that runs; *was: to be given to still_end().  It may execute another
 * program while it is being stopped.
 */
static int still_begin(struct keeper *k, const struct wire_request *req, enum still *was)
{
	int code;

	*was = k->held == 1 ? STILL_WAS : STILL_MADE;
	code = *was ? 0 : stops_hold(k);
	if (code)
		return code;
	code = same_image(k, req);
	if (code)
		still_end(k, *was);
	return code;
}

/* ------------------------------------------------------------------ requests */

static int op_start(struct keeper *k, struct call *c)
{
	int code = start_victim(k, c->req, c->nfds ? c->fds[0] : -1, &c->rep->value);

	c->send_fd = code ? -1 : k->mem;
	return code;
}

/* A created victim begins to run: once, behind the stop point where it was armed. */
static void fire_start(struct keeper *k)
{
	struct task *t = task_stopped(k);

	if (!t || !(k->created || k->followed) || k->started ||
		!moment_wanted(k, WIRE_MOMENT_START))
		return;
	k->started = 1;
	moment_fire(k, t, WIRE_MOMENT_START, &(struct moment){0});
}

void serve_continue(struct keeper *k)
{
	k->born_until = 0;
	if (RULE(D1, retry) && sites_prepare(k))
		events_error(k); /* it runs all the same */
	/* Hits that are still to be told, or are being reacted to, come first. */
	if (k->hits.n || k->ev.outstanding == WIRE_EV_BREAKPOINT) {
		keeper_state(k, WIRE_ST_EVENT);
		return;
	}
	fire_start(k);
	keeper_state(k, k->stopped_by ? WIRE_ST_STOPPED : WIRE_ST_RUN);
	stops_release(k);
}

static int op_continue(struct keeper *k, struct call *c)
{
	c->rep->value = 1;
	serve_continue(k);
	return 0;
}

static int op_stop(struct keeper *k, struct call *c)
{
	int code = stops_hold(k);

	if (code || k->state == WIRE_ST_GONE)
		return code;
	if (RULE(C5, lift))
		sites_lift(k);
	STEP(STOP_DONE);
	keeper_state(k, WIRE_ST_IDLE);
	k->born_until = 0;
	c->rep->value = 1;
	return 0;
}

static int op_programs(struct keeper *k, struct call *c)
{
	CLEAN_FREE unsigned char *buf = NULL;
	int code = bulk_take(k, c->req, 1, &buf);

	if (code)
		return code;
	recall_forget(k);
	return output_programs(k->out, buf, c->req->count, c->req->flags);
}

static int op_segment(struct keeper *k, struct call *c)
{
	return output_segment(k->out, c->fds, c->nfds);
}

static void unwant(struct keeper *k, const struct wire_site *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		site_unwant(k, w[i].addr, w[i].user);
}

/*
 * To arm what was loaded nobody is stopped: none can be in it, a trap is one byte that is
 * written when its slot is there, and the thread that waits makes the calls that it
 * takes.  Nor is anybody where all traps are there already.
 */
static int arm_begin(struct keeper *k, const struct wire_request *req,
	const struct wire_site *w, enum still *was)
{
	int waits = k->wait_until && k->ev.outstanding == WIRE_EV_OBJECTS;

	if (k->held || (!waits && !sites_planted(k, w, req->count)))
		return still_begin(k, req, was);
	*was = STILL_ONE;
	return same_image(k, req);
}

/* The sites of a request, and what lies behind them; the caller frees *out. */
static int take_sites(struct keeper *k, const struct wire_request *req,
	struct wire_site **out, struct wire_operands *operands)
{
	const size_t most = BULK_MAX / 2;
	size_t sites = req->count * sizeof **out;
	struct wire_request all = {.count = 0};
	int code;

	if (req->count > most / sizeof **out ||
		req->arg > most / sizeof(struct wire_operand))
		return err_set(DTPROC_ELIMIT, "the request has too much in bulk");
	all.count = sites + req->arg * sizeof(struct wire_operand);
	code = bulk_take(k, &all, 1, out);
	if (code)
		return code;
	operands->at = (const void *)((const char *)*out + sites);
	operands->n = req->arg;
	return 0;
}

static int op_arm(struct keeper *k, struct call *c)
{
	CLEAN_FREE struct wire_site *w = NULL;
	struct wire_operands operands;
	enum still was;
	int code = take_sites(k, c->req, &w, &operands);

	if (code || (code = arm_begin(k, c->req, w, &was)))
		return code;
	for (size_t i = 0; i < c->req->count; i++)
		site_want(k, &w[i], &operands);
	code = sites_prepare(k);
	STEP(ARM_READY);
	if (!code) {
		c->rep->value = sites_judge(k, w, c->req->count);
		code = bulk_put(k, w, c->req->count * sizeof *w);
	}
	if (code) /* the client knows of none */
		unwant(k, w, c->req->count);
	if (!k->trap_handled && was != STILL_ONE)
		signal_learn_trap(k);
	still_end(k, was);
	return code;
}

/* So many sites are better lifted together than one by one. */
#define MANY 32

static int op_disarm(struct keeper *k, struct call *c)
{
	CLEAN_FREE struct wire_site *w = NULL;
	enum still was;
	int code = bulk_take(k, c->req, sizeof *w, &w);

	if (!code)
		code = still_begin(k, c->req, &was);
	if (code) /* an exec has taken them out already */
		return code == DTPROC_EIMAGE ? 0 : code;
	STEP(DISARM_HELD);
	if (c->req->count >= MANY) /* by pages; those that stay are planted again */
		sites_lift(k);
	else
		sites_verify(k);
	unwant(k, w, c->req->count);
	recall_disarm(k, w, c->req->count);
	still_end(k, was);
	return 0;
}

static int op_write(struct keeper *k, struct call *c)
{
	CLEAN_FREE unsigned char *buf = NULL;
	int code = bulk_take(k, c->req, 1, &buf);

	if (!code)
		code = same_image(k, c->req);
	if (code)
		return code;
	long n = sites_write(k, c->req->addr, buf, c->req->count);
	if (n < 0)
		return err_set(DTPROC_ERANGE, "pid %d: no memory to write at %#lx",
			k->pid, (unsigned long)c->req->addr);
	c->rep->value = (uint64_t)n;
	return 0;
}

static int op_threads(struct keeper *k, struct call *c)
{
	enum still was;
	int code = still_begin(k, c->req, &was);
	size_t n = 0;

	if (code)
		return code;
	CLEAN_FREE struct wire_thread *out = calloc(k->tasks.n + 1, sizeof *out);
	if (out)
		threads_list(k, out, &n);
	still_end(k, was);
	if (!out)
		return err_nomem("a list of threads");
	c->rep->count = n;
	return bulk_put(k, out, n * sizeof *out);
}

static int op_regs(struct keeper *k, struct call *c)
{
	struct user_regs_struct regs;
	struct task *t;
	enum still was;
	int code = still_begin(k, c->req, &was);

	if (code)
		return code;
	t = task_get(k, c->req->pid);
	code = t && t->run == TASK_STOPPED ? pt_get_regs(t->tid, &regs) : -ESRCH;
	still_end(k, was);
	if (code)
		return err_set(DTPROC_ENOPROC, "pid %d has no stopped thread %d", k->pid,
			c->req->pid);
	c->rep->count = sizeof regs;
	return bulk_put(k, &regs, sizeof regs);
}

static int op_stacks(struct keeper *k, struct call *c)
{
	CLEAN(stacks_free) struct stacks s = {0};
	enum still was;
	int code = still_begin(k, c->req, &was);

	if (code)
		return code;
	code = stacks_take(k, c->req->arg, &s);
	still_end(k, was);
	if (code)
		return code;
	c->rep->count = s.n;
	c->rep->value = s.used;
	code = bulk_put(k, s.at, s.n * sizeof *s.at);
	if (!code &&
		text_write(k->bulk, s.n * sizeof *s.at, s.bytes, s.used) != (long)s.used)
		code = err_errno(DTPROC_ESYS, errno, "cannot write to the bulk file");
	return code;
}

static int op_linker(struct keeper *k, struct call *c)
{
	enum still was;
	int code = still_begin(k, c->req, &was);

	if (code)
		return code;
	code = linker_follow(k, c->req->addr, c->req->arg);
	still_end(k, was);
	return code;
}

static int op_follow(struct keeper *k, struct call *c)
{
	(void)c;
	k->follow = 1;
	return 0;
}

static int op_detach(struct keeper *k, struct call *c)
{
	if (c->req->arg > WIRE_END_STOPPED)
		return err_set(DTPROC_EINVAL, "no such mode of release");
	end_let_go(k, (enum wire_end)c->req->arg);
	return 0;
}

static int op_finish(struct keeper *k, struct call *c)
{
	(void)c;
	end_client_gone(k);
	return 0;
}

static int (*const ops[WIRE_OP_COUNT])(struct keeper *, struct call *) = {
	[WIRE_START] = op_start,
	[WIRE_CONTINUE] = op_continue,
	[WIRE_STOP] = op_stop,
	[WIRE_PROGRAMS] = op_programs,
	[WIRE_SEGMENT] = op_segment,
	[WIRE_ARM] = op_arm,
	[WIRE_DISARM] = op_disarm,
	[WIRE_WRITE] = op_write,
	[WIRE_THREADS] = op_threads,
	[WIRE_REGS] = op_regs,
	[WIRE_DETACH] = op_detach,
	[WIRE_FINISH] = op_finish,
	[WIRE_LINKER] = op_linker,
	[WIRE_STACKS] = op_stacks,
	[WIRE_FOLLOW] = op_follow,
};

/* --------------------------------------------------------------------- dispatch */

static int how_it_ended(struct keeper *k)
{
	switch (k->ev.end_kind) {
	case WIRE_EV_EXITED:
		return err_set(DTPROC_EEXITED, "%s", k->ev.end_text);
	case WIRE_EV_KILLED:
		return err_set(DTPROC_EKILLED, "%s", k->ev.end_text);
	default:
		return err_set(DTPROC_ELOST, "%s",
			k->ev.end_text[0] ? k->ev.end_text : "the victim was let go");
	}
}

static int serve(struct keeper *k, struct call *c)
{
	enum wire_op op = (enum wire_op)c->req->op;

	switch (wire_request_rule(k->state, op)) {
	case WIRE_DO:
		return ops[op](k, c);
	case WIRE_NOP:
		return RULE(C6, nothing) ? 0 : ops[op](k, c);
	case WIRE_ENDED:
		return how_it_ended(k);
	default:
		return err_set(DTPROC_ESTATE, "pid %d: no '%s' in state '%s'", k->pid,
			wire_op_name(op), wire_state_name(k->state));
	}
}

static void close_call(struct call *c)
{
	for (int i = 0; i < c->nfds; i++)
		if (c->fds[i] >= 0)
			close(c->fds[i]);
}

/* What cannot be understood is answered, so that the client learns of our version. */
static void refuse(
	struct keeper *k, const struct wire_request *req, struct wire_reply *rep)
{
	log_line("keeper", 1, "request: %s", err_text());
	k->client_gone = 1;
	rep->op = req->op;
	rep->seq = req->seq;
	rep->code = DTPROC_EKEEPER;
	snprintf(rep->text, sizeof rep->text, "%s", err_text());
	if (wire_send(k->requests, rep, sizeof *rep, NULL, 0, MSG_DONTWAIT))
		log_line("keeper", 1, "refusal: %s", err_text());
}

void serve_request(struct keeper *k)
{
	struct wire_request req = {0};
	struct wire_reply rep = {.magic = WIRE_MAGIC, .version = WIRE_VERSION};
	struct call c = {.req = &req, .rep = &rep, .nfds = 3, .send_fd = -1};
	long n = wire_recv(k->requests, &req, sizeof req, c.fds, &c.nfds, MSG_DONTWAIT);

	if (n == DTPROC_ETIMEOUT)
		return;
	if (n == 0) {
		k->client_gone = 1;
		return;
	}
	if (n < 0 || wire_check_request(&req, (size_t)n, k->request_seq)) {
		refuse(k, &req, &rep);
		if (n > 0)
			close_call(&c);
		return;
	}
	k->request_seq = req.seq;
	k->react_ms = req.react_ms < REACT_MAX_MS ? req.react_ms : REACT_MAX_MS;
	log_line("keeper", 2, "pid %d: %s", k->pid, wire_op_name(req.op));
	rep.op = req.op;
	rep.seq = req.seq;
	rep.code = serve(k, &c);
	if (rep.code < 0)
		strncpy(rep.text, err_text(), sizeof rep.text - 1);
	rep.state = k->state;
	rep.generation = k->generation;
	if (wire_send(k->requests, &rep, sizeof rep, &c.send_fd, c.send_fd >= 0,
		    MSG_DONTWAIT))
		k->client_gone = 1;
	close_call(&c);
}
