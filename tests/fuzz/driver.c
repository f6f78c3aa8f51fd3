/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver CORPUS [SECONDS [SEED]]: what libFuzzer does, without its eyes.  Gives a fuzzer
 * each file of a folder, then changed copies of them, the same ones for the same seed.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SEEDS_MAX 256
#define SIZE_MOST (64 * 1024)

static struct {
	uint8_t *data;
	size_t size;
} seeds[SEEDS_MAX];
static unsigned nseeds;
static uint64_t random_state;

static uint32_t roll(uint32_t below)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % below;
}

static void read_seed(const char *folder, const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		return;
	uint8_t *data = malloc(SIZE_MOST);
	if (data) {
		seeds[nseeds].size = fread(data, 1, SIZE_MOST, f);
		seeds[nseeds++].data = data;
	}
	fclose(f);
}

static void read_seeds(const char *folder)
{
	DIR *d = opendir(folder);

	for (struct dirent *e; d && nseeds < SEEDS_MAX - 1 && (e = readdir(d));)
		if (e->d_name[0] != '.')
			read_seed(folder, e->d_name);
	if (d)
		closedir(d);
	if (!nseeds) {
		seeds[0].data = calloc(1, 64);
		seeds[0].size = 64;
		nseeds = 1;
	}
}

/* One change of data[0..size), which has room for SIZE_MOST. */
static size_t change(uint8_t *data, size_t size)
{
	static const uint64_t odd[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff,
		0x80000000, 0xffffffff, INT64_MAX, UINT64_MAX};
	static const unsigned widths[] = {1, 2, 4, 8};
	uint32_t at = size ? roll((uint32_t)size) : 0, n = 1 + roll(16);

	switch (size < 16 ? 4 : roll(6)) {
	case 0:
		data[at] ^= (uint8_t)(1 << roll(8));
		break;
	case 1:
		data[at] = (uint8_t)roll(256);
		break;
	case 2:
		memcpy(data + roll((uint32_t)size - 8), &odd[roll(12)], widths[roll(4)]);
		break;
	case 3: /* cut out */
		n = at + n > size ? (uint32_t)size - at : n;
		memmove(data + at, data + at + n, size - at - n);
		return size - n;
	case 4: /* put in */
		if (size + n > SIZE_MOST)
			break;
		memmove(data + at + n, data + at, size - at);
		memset(data + at, (int)roll(256), n);
		return size + n;
	default: /* a piece of itself elsewhere */
		memmove(data + roll((uint32_t)size - 15),
			data + roll((uint32_t)size - 15), 15);
	}
	return size;
}

/* A copy of the exact size, so that ASan sees a read past its end. */
static void run_one(const uint8_t *data, size_t size)
{
	uint8_t *exact = malloc(size ? size : 1);

	if (!exact)
		return;
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
}

int main(int argc, char **argv)
{
	static uint8_t data[SIZE_MOST];
	time_t end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 2);
	unsigned long runs = 0;

	random_state = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	if (argc > 1)
		read_seeds(argv[1]);
	for (unsigned i = 0; i < nseeds; i++)
		run_one(seeds[i].data, seeds[i].size);
	for (; runs < 200000 && time(NULL) < end; runs++) {
		unsigned from = roll(nseeds);
		size_t size = seeds[from].size;
		memcpy(data, seeds[from].data, size);
		for (uint32_t n = 1 + roll(8); n; n--)
			size = change(data, size);
		run_one(data, size);
	}
	printf("%u seeds, %lu changed copies\n", nseeds, runs);
	return 0;
}
