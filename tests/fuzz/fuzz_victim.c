/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is read of a victim as text: its maps, stat and status, whose names it chooses;
 * and the words of a command.  The first byte says which.
 */
#include <hold/handle.h>

#include <stdlib.h>
#include <string.h>

static void maps(const char *text, size_t len)
{
	struct victim_maps m;

	if (victim_maps_parse(text, len, &m))
		return;
	for (size_t i = 0; i < m.n; i++) {
		if (m.at[i].start >= m.at[i].end || strlen(m.at[i].path) > len)
			abort();
		if (victim_maps_find(&m, m.at[i].start) != &m.at[i])
			abort();
	}
	victim_maps_free(&m);
}

static void words(const char *text, size_t len)
{
	char **w;
	size_t total = 0;

	if (words_split(text, &w))
		return;
	for (char **it = w; *it; it++)
		total += strlen(*it) + 1;
	if (total > len + 1)
		abort();
	free(w[0]);
	free(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct victim_stat stat;
	struct victim_status status;
	char *text;

	if (size == 0)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	switch (data[0] % 4) {
	case 0:
		maps(text, size - 1);
		break;
	case 1:
		(void)!victim_stat_parse(text, &stat);
		break;
	case 2:
		(void)!victim_status_parse(text, &status);
		break;
	default:
		words(text, size - 1);
	}
	free(text);
	return 0;
}
