/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The victims of this process (F3): the first, and children that are followed, which stay
 * with their parent's keeper from birth on, so that there is no moment in which nobody
 * has them.  What wait(2) reports goes to the victim whose task it is.
 *
 * A newborn's first stop can be reported before its parent tells of it, and then nobody
 * knows whose child it is: its parent in /proc may be another one (CLONE_PARENT), and
 * with the wrong victim's breakpoints its text would not be cleaned.  So it waits as a
 * *stray* until it is told of.  One whose parent was killed first goes, after a while, to
 * the victim that /proc calls its parent.
 */
#include "keeper.h"
#include "kin.h"
#include "unwind.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STRAY_NS 1000000000u

struct stray {
	struct wait_event event;
	uint64_t until;
};

static VEC(struct keeper *) all;
static VEC(struct stray) strays;

int kin_add(struct keeper *k)
{
	return vec_push(&all, k) ? err_nomem("a victim") : 0;
}

size_t kin_count(void)
{
	return all.n;
}

struct keeper *kin_get(size_t i)
{
	return all.at[i];
}

/* ------------------------------------------------------------------ whose is it? */

static int is_told(struct keeper *k, pid_t tid)
{
	return (uintptr_t)hash_get(&k->births, (uint64_t)tid) == FAMILY_TOLD;
}

static int has_task(struct keeper *k, pid_t tid)
{
	return task_get(k, tid) != NULL;
}

/* Is it the process of one of its tasks, or was it, before its first thread ended? */
static int has_process(struct keeper *k, pid_t tgid)
{
	return tgid > 0 && (k->pid == tgid || has_task(k, tgid));
}

static struct keeper *find(int (*is)(struct keeper *, pid_t), pid_t pid)
{
	for (size_t i = 0; i < all.n; i++)
		if (is(all.at[i], pid))
			return all.at[i];
	return NULL;
}

static void wait_for_parent(const struct wait_event *ev)
{
	struct stray s = {*ev, now_ns() + STRAY_NS};

	if (WIFSTOPPED(ev->status) && !(ev->status >> 16))
		wait_take(ev->tid);
	else if (!WIFSTOPPED(ev->status))
		wait_reap(ev);
	s.event.taken = 1;
	for (unsigned tries = 0; vec_push(&strays, s);)
		if (!retry_after(ENOMEM, &tries)) {
			log_line("kin", 1, "%d is left alone: out of memory", ev->tid);
			return;
		}
}

struct keeper *kin_owner(struct keeper *first, const struct wait_event *ev)
{
	struct keeper *k;

	if (all.n <= 1 || has_task(first, ev->tid))
		return first;
	k = find(has_task, ev->tid) ?: find(is_told, ev->tid);
	if (!k && WIFSTOPPED(ev->status))
		k = find(has_process, tgid_of(ev->tid)); /* a thread */
	if (!k)
		wait_for_parent(ev);
	return k;
}

int kin_claim(pid_t tid, struct wait_event *out)
{
	for (size_t i = 0; i < strays.n; i++)
		if (strays.at[i].event.tid == tid) {
			*out = strays.at[i].event;
			vec_drop(&strays, i);
			return 1;
		}
	return 0;
}

int kin_expire(void)
{
	uint64_t now = strays.n ? now_ns() : 0;

	while (strays.n && strays.at[0].until <= now) {
		struct wait_event ev = strays.at[0].event;
		struct keeper *k = find(has_process, (pid_t)task_status(ev.tid, "PPid:"));
		vec_drop(&strays, 0);
		stops_deal(k ? k : all.at[0], &ev);
	}
	return strays.n ? (int)((strays.at[0].until - now) / 1000000 + 1) : -1;
}

/* -------------------------------------------------------------------- the end of one */

static void free_tables(struct keeper *k)
{
	sites_forget(k);
	linker_forget(k);
	unwind_close(k);
	hash_each(&k->tasks, i)
		free(k->tasks.slots[i].value);
	hash_free(&k->tasks);
	hash_free(&k->births);
	for (size_t i = 0; i < k->ev.errors.n; i++)
		free(k->ev.errors.at[i]);
	vec_free(&k->ev.errors);
	for (size_t i = 0; i < k->ev.births.n; i++)
		adopt_close(&k->ev.births.at[i]);
	vec_free(&k->ev.births);
	vec_free(&k->areas);
	vec_free(&k->staged);
	vec_free(&k->hits);
	vec_free(&k->vacant_traps);
}

void kin_free(struct keeper *k)
{
	free_tables(k);
	output_unref(k->out);
	if (k->ledger)
		munmap(k->ledger, WIRE_LEDGER_BYTES);
	clean_fd(&k->requests);
	clean_fd(&k->events);
	clean_fd(&k->bulk);
	clean_fd(&k->mem);
	clean_fd(&k->maps);
	clean_fd(&k->profile.fd);
	free(k);
}

size_t kin_sweep(void)
{
	for (size_t i = all.n; i-- > 0;) {
		struct keeper *k = all.at[i];
		if (!k->finished)
			continue;
		vec_drop(&all, i);
		kin_free(k);
	}
	return all.n;
}
