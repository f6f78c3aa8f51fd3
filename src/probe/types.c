/* SPDX-License-Identifier: BSD-2-Clause */
/* Types and variables of a victim's objects, and the parameters of probed functions. */
#include <string.h>
#include "own.h"

static int is_wanted(const struct probe_module *m, const char *module)
{
	return !module || probe_module_matches(m, module);
}

/* The victim, when it is one; its modules are read. */
static struct probe_victim *victim_of(struct probe_table *t, pid_t pid)
{
	struct probe_victim *v;

	return pid > 0 && !probe_victim_find(t, pid, &v) ? v : NULL;
}

int probe_type_find(struct probe_table *t, pid_t pid, const char *module,
	const char *name, struct type_ref *out)
{
	struct probe_victim *v = victim_of(t, pid);

	for (size_t i = 0; v && i < v->modules.n; i++)
		if (is_wanted(v->modules.at[i], module) &&
			object_type_find(v->modules.at[i]->object, name, out) > 0)
			return 1;
	return 0;
}

int probe_symbol(struct probe_table *t, pid_t pid, const char *module, const char *name,
	uint64_t *addr, struct type_ref *type)
{
	struct probe_victim *v = victim_of(t, pid);
	uint64_t value;
	uint32_t size;

	for (size_t i = 0; v && i < v->modules.n; i++) {
		const struct probe_module *m = v->modules.at[i];

		if (!is_wanted(m, module) ||
			object_lookup(m->object, name, &value, &size))
			continue;
		*addr = value + m->bias;
		if (object_variable_type(m->object, name, type) <= 0)
			*type = (struct type_ref){0};
		return 1;
	}
	return 0;
}

int probe_params(struct probe_table *t, const struct probe *p, struct type_params *out,
	const char **why)
{
	const struct probe_module *m = t->entries.at[p->id - 1]->module;

	*why = "only entry probes of pid have them";
	if (p->kind != PROBE_ADDRESS || !m || p->n_places != 1 ||
		strcmp(p->name, "entry") || !probe_pid_behind(p->provider, "pid"))
		return 0;
	*why = "the compiler made a variant of the function, whose parameters are not known";
	if (strchr(p->function, '.'))
		return 0;
	*why = "the debug information does not describe the function";
	return object_function_params(m->object, p->places[0].addr - m->bias, out) > 0;
}
