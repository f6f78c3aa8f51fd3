/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Steps: the places at which a client, a keeper or what becomes one may die, by name.
 *
 * STEP(NAME) costs nothing in what is installed.  In a build with DTPROC_STEPS it counts
 * a pass, and stays there if the page that the environment names asks for that pass:
 * tests/system/steps.c then kills whom it wants.  Its list is this one, and a step that
 * no run of it reaches is a failure; so whoever adds a place adds a line here.
 */
#ifndef BASE_STEP_H
#define BASE_STEP_H

/* X(NAME, what is true there) */
#define STEPS(X)                                                                         \
	/* the client, and the processes that it makes (victim/start.c) */               \
	X(CLIENT_LAUNCH, "client: all is ready for a keeper")                            \
	X(BETWEEN, "between client and keeper: the keeper is not born")                  \
	X(KEEPER_BORN, "keeper: born, its binary does not run")                          \
	X(STUB_BORN, "stub of a created victim: born")                                   \
	X(STUB_GOES, "stub: held by the keeper, about to execute the program")           \
	X(CLIENT_STARTED, "client: the keeper runs, nothing is asked")                   \
	X(CLIENT_ASKED, "client: a request is sent, no answer read")                     \
	X(CLIENT_TOLD, "client: an event has come, no reaction yet")                     \
	X(CLIENT_ACKS, "client: has reacted, not acknowledged")                          \
	X(CLIENT_REPAIRS, "client: the successor of a dead keeper runs")                 \
	X(CLIENT_HANGS_UP, "client: is done, hangs up")                                  \
	/* create and grab */                                                            \
	X(KEEPER_RUNS, "keeper: runs")                                                   \
	X(CREATE_HELD, "create: the stub is seized")                                     \
	X(CREATE_GONE_ON, "create: the stub may execute")                                \
	X(CREATE_DONE, "create: the program is there, stopped")                          \
	X(GRAB_ONE, "grab: one more thread is seized")                                   \
	X(GRAB_SEIZED, "grab: all threads are seized, and run")                          \
	X(GRAB_DONE, "grab: all threads are stopped")                                    \
	/* arm, let run, stop */                                                         \
	X(INJECT_SET, "inject: registers and mask are the call's")                       \
	X(INJECT_IN, "inject: the call has been entered")                                \
	X(INJECT_OUT, "inject: the call is done")                                        \
	X(ARM_READY, "arm: slots are filled, no trap planted")                           \
	X(PLANT_NOTED, "plant: in the ledger, not in the text")                          \
	X(PLANT_DONE, "plant: all traps are in the text, nobody runs")                   \
	X(RESUME_ONE, "resume: one thread runs, others do not")                          \
	X(RESUME_DONE, "resume: all threads run")                                        \
	X(STOP_DONE, "stop: all threads are stopped, text clean")                        \
	X(DISARM_HELD, "disarm: all threads are stopped")                                \
	/* a hit */                                                                      \
	X(HIT_SEEN, "hit: a thread has reported its trap")                               \
	X(HIT_PAST, "hit: its PC is moved on")                                           \
	X(EVENT_HELD, "event: all threads are stopped")                                  \
	X(EVENT_SENT, "event: told to the client")                                       \
	X(EVENT_ACKED, "event: acknowledged")                                            \
	X(STEP_MASKED, "step: its site is lifted, signals held off")                     \
	X(STEP_DONE, "step: done, signals held off still")                               \
	X(SIGNAL_SEEN, "signal: on its way to the victim")                               \
	/* fork and exec */                                                              \
	X(FORK_BORN, "fork: a child with our traps in its text")                         \
	X(FORK_CLEAN, "fork: its text is clean, it is held")                             \
	X(CHILD_ADOPTED, "follow: a child is a victim, the client does not know")        \
	X(CHILD_KNOWN, "follow: the client has its handle, no thread of its own yet")    \
	X(CHILD_ARMED, "follow: the child has its probes, and idles")                    \
	X(EXEC_SEEN, "exec: another program is there")                                   \
	X(EXEC_DONE, "exec: the old image is forgotten")                                 \
	/* the end, and repair */                                                        \
	X(END_HELD, "end: all threads are stopped")                                      \
	X(END_LIFTED, "end: the text is clean")                                          \
	X(END_ONE, "end: one thread is let go")                                          \
	X(END_DONE, "end: all are let go")                                               \
	X(REPAIR_KNOWN, "repair: the traps are known")                                   \
	X(REPAIR_HELD, "repair: all threads are stopped")                                \
	X(REPAIR_LIFTED, "repair: the text is clean")

#define STEP_ENUM(name, text) STEP_##name,
enum step { STEPS(STEP_ENUM) STEP_COUNT };

#ifdef DTPROC_STEPS
#include <stdint.h>

/* What the processes of one run share: a file that DTPROC_STEPS names. */
struct step_page {
	uint32_t target, nth;  /* who comes there for the nth time stays; 0: nobody */
	volatile uint32_t go;  /* a futex: not 0: nobody stays any more */
	volatile int32_t stay; /* PID of who stays there */
	volatile uint32_t passes[STEP_COUNT];
	volatile int32_t pid[STEP_COUNT]; /* who came there last */
};

void step_open(const char *path);
void step_pass(enum step);
#define STEP(name) step_pass(STEP_##name)
#else
#define STEP(name) ((void)0)
#endif

#endif
