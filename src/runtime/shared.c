/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all victims of a session and the client's own clauses share: speculations, global
 * variables and associative arrays.
 *
 *	header | globals | associative arrays
 *
 * Each area begins at a page.  Who attaches copies the sizes once and checks them.
 */
#include "segment.h"

static size_t pages(size_t n)
{
	return (n + RT_PAGE - 1) & ~(size_t)(RT_PAGE - 1);
}

static int normal(const struct rt_shared_params *in, struct rt_shared_params *out)
{
	struct rt_shared_params p = *in;

	p.dyn_bytes = p.dyn_bytes ? p.dyn_bytes : 1u << 20;
	if (p.globals > RT_GLOBALS_MAX || p.dyn_bytes > 1u << 30 ||
		p.dyn_room > RT_DYN_ROOM_MAX || p.specs > RT_SPECS_MAX)
		return RT_EINVAL;
	*out = p;
	return 0;
}

/* Bytes of it all; the table's sizes come out. */
static size_t shape(const struct rt_shared_params *p, struct rt_dyn *dyn)
{
	size_t table = p->dyn_room ? rt_dyn_shape(p->dyn_bytes, p->dyn_room, dyn) : 0;

	return pages(sizeof(struct rt_shared)) + pages(p->globals) + pages(table);
}

size_t rt_shared_size(const struct rt_shared_params *params)
{
	struct rt_shared_params p;
	struct rt_dyn dyn;

	return normal(params, &p) ? 0 : shape(&p, &dyn);
}

int rt_shared_format(void *mem, size_t size, const struct rt_shared_params *params)
{
	struct rt_shared *head = mem;
	struct rt_shared_params p;
	struct rt_dyn dyn;

	if (normal(params, &p))
		return RT_EINVAL;
	if (size < shape(&p, &dyn))
		return RT_ESIZE;
	head->params = p;
	head->version = RT_VERSION;
	RT_PUBLISH(&head->magic, RT_MAGIC_SHARED);
	return 0;
}

int rt_view_shared(struct rt_view *view, void *mem, size_t size)
{
	struct rt_shared *head = mem;
	struct rt_shared_params p;
	struct rt_dyn dyn = {0};

	if (size < sizeof *head)
		return RT_ESIZE;
	if (RT_READ_ACQUIRE(&head->magic) != RT_MAGIC_SHARED ||
		RT_READ(&head->version) != RT_VERSION)
		return RT_EMAGIC;
	p.globals = RT_READ(&head->params.globals);
	p.dyn_bytes = RT_READ(&head->params.dyn_bytes);
	p.dyn_room = RT_READ(&head->params.dyn_room);
	p.specs = RT_READ(&head->params.specs);
	if (normal(&p, &p))
		return RT_EINVAL;
	if (size < shape(&p, &dyn))
		return RT_ESIZE;
	view->globals = (unsigned char *)mem + pages(sizeof *head);
	view->globals_bytes = p.globals;
	view->specs = head->specs;
	view->n_specs = p.specs;
	if (p.dyn_room)
		rt_dyn_at(view->globals + pages(p.globals), &dyn);
	view->arrays = dyn;
	return 0;
}
