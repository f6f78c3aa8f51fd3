/* SPDX-License-Identifier: BSD-2-Clause */
/* The keepers of this process (rule C2), and which of them have several victims. */
#include "start.h"

#include <base/vec.h>

#include <pthread.h>

/* One for each ctl: a keeper may have several victims, followed children. */
struct keeper_id {
	pid_t pid;
	int pidfd;    /* the ctl's: when it has ended the PID may be anyone's */
	pid_t parent; /* of the keeper where it stays (start.c); else 0 */
};

static pthread_mutex_t keepers_lock = PTHREAD_MUTEX_INITIALIZER;
static VEC(struct keeper_id) keepers;

int keepers_add(pid_t pid, int pidfd, pid_t parent)
{
	struct keeper_id id = {pid, pidfd, parent};

	pthread_mutex_lock(&keepers_lock);
	int rc = vec_push(&keepers, id);
	pthread_mutex_unlock(&keepers_lock);
	return rc ? err_nomem("the list of keepers") : 0;
}

int keepers_join(pid_t pid, int theirs, int pidfd)
{
	pid_t parent = 0;

	pthread_mutex_lock(&keepers_lock);
	for (size_t i = 0; i < keepers.n; i++)
		if (keepers.at[i].pidfd == theirs)
			parent = keepers.at[i].parent;
	pthread_mutex_unlock(&keepers_lock);
	return keepers_add(pid, pidfd, parent);
}

int keepers_share(pid_t pid, int pidfd)
{
	int shared = 0;

	pthread_mutex_lock(&keepers_lock);
	for (size_t i = 0; i < keepers.n; i++)
		shared |= keepers.at[i].pid == pid && keepers.at[i].pidfd != pidfd &&
			  !victim_ended(keepers.at[i].pidfd);
	pthread_mutex_unlock(&keepers_lock);
	return shared;
}

pid_t keepers_drop(int pidfd)
{
	struct keeper_id gone = {0};

	pthread_mutex_lock(&keepers_lock);
	for (size_t i = keepers.n; i-- > 0;)
		if (keepers.at[i].pidfd == pidfd) {
			gone = keepers.at[i];
			vec_drop(&keepers, i);
		}
	for (size_t i = 0; i < keepers.n; i++)
		if (gone.parent && keepers.at[i].parent == gone.parent)
			gone.parent = 0;
	if (keepers.n == 0)
		vec_free(&keepers);
	pthread_mutex_unlock(&keepers_lock);
	return gone.parent;
}

int victim_is_keeper(pid_t pid)
{
	int found = 0;

	pthread_mutex_lock(&keepers_lock);
	for (size_t i = 0; i < keepers.n && !found; i++)
		found = keepers.at[i].pid == pid && !victim_ended(keepers.at[i].pidfd);
	pthread_mutex_unlock(&keepers_lock);
	return found;
}
