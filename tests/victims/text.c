/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * text KIND CALLS: programs that do something to the very text that the probe is in.
 * victim_target() here is `mov $N, %eax; ret` at the begin of a page of its own.
 *   patch     writes another N, again and again, behind the first byte
 *   overwrite writes the whole instruction, the first byte too
 *   protect   takes all rights from the page and gives them back
 *   forget    MADV_DONTNEED: the kernel reads the page from the file again
 *   copy      maps a copy of the page over the page, as for huge pages
 *   move      moves the page elsewhere by mremap, calls it there, moves it back
 *   replace   unmaps it and maps data of breakpoint bytes there, then the text again
 * CALLS of 0: until told to quit.  It ends with the page as it was.
 */
#include "page.h"

#include <errno.h>
#include <string.h>

#define SIZE 4096
#define FIRST 0x1234567

extern unsigned char text_page[SIZE];
int victim_target(void);

__asm__(".section .text.own, \"ax\", @progbits\n"
	".balign 4096\n"
	".globl text_page, victim_target\n"
	".type victim_target, @function\n"
	"text_page:\n"
	"victim_target: .byte 0xb8; .long 0x1234567; ret\n"
	".size victim_target, 6\n"
	".fill 4090, 1, 0x90\n"
	".previous\n");

static uint64_t wanted;
static unsigned char saved[SIZE];

static int more(uint64_t n)
{
	return wanted ? n < wanted : !page->quit;
}

static void must(int good, const char *what)
{
	if (!good)
		page_bad("%s: %s", what, strerror(errno));
}

static void call(int (*fn)(void), int want)
{
	int got = fn();

	if (got != want)
		page_bad("%#x instead of %#x", (unsigned)got, (unsigned)want);
	page->slot[0] = atomic_fetch_add(&page->calls, 1) + 1;
}

static void protect(int how)
{
	must(!mprotect(text_page, SIZE, how), "mprotect");
}

static void write_number(int number)
{
	memcpy(text_page + 1, &number, sizeof number);
}

static void patch(uint64_t n)
{
	write_number((int)n);
	call(victim_target, (int)n);
}

static void overwrite(uint64_t n)
{
	if (n % 10 == 5) {
		text_page[0] = 0xb8;
		write_number((int)n);
		call(victim_target, (int)n);
		write_number(FIRST);
	} else {
		call(victim_target, FIRST);
	}
}

static void protects(uint64_t n)
{
	static const int ways[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE | PROT_EXEC, PROT_EXEC};

	protect(ways[n % 5]);
	page_nap(20000);
	protect(PROT_READ | PROT_EXEC);
	call(victim_target, FIRST);
}

static void forget(uint64_t n)
{
	if (n % 10 == 5)
		must(!madvise(text_page, SIZE, MADV_DONTNEED), "madvise");
	call(victim_target, FIRST);
}

static void *fresh(void *at)
{
	void *got = mmap(at, SIZE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0), -1, 0);

	must(got != MAP_FAILED, "mmap");
	return got;
}

static void copy(uint64_t n)
{
	static unsigned char now[SIZE];

	if (n % 10 == 5) {
		memcpy(now, text_page, SIZE);
		fresh(text_page);
		memcpy(text_page, now, SIZE);
		protect(PROT_READ | PROT_EXEC);
	}
	call(victim_target, FIRST);
}

static void move(uint64_t n)
{
	unsigned char *other;
	int (*there)(void);

	call(victim_target, FIRST);
	if (n % 10 != 5)
		return;
	other = fresh(NULL);
	must(mremap(text_page, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, other) == other,
		"mremap there");
	memcpy(&there, &other, sizeof there);
	page_nap(100000);
	if (there() != FIRST)
		page_bad("the text went wrong elsewhere");
	must(mremap(other, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, text_page) ==
			text_page,
		"mremap back");
}

static void replace(uint64_t n)
{
	call(victim_target, FIRST);
	page_nap(100000);
	if (n % 10 != 5)
		return;
	must(!munmap(text_page, SIZE), "munmap");
	page_nap(200000);
	fresh(text_page);
	memset(text_page, 0xcc, SIZE);
	page_nap(2000000);
	for (int i = 0; i < SIZE; i++)
		if (text_page[i] != 0xcc) {
			page_bad("byte %d of the data is %02x", i, text_page[i]);
			break;
		}
	memcpy(text_page, saved, SIZE);
	protect(PROT_READ | PROT_EXEC);
}

static const struct {
	const char *name;
	void (*once)(uint64_t);
	int writable;
} kinds[] = {{"patch", patch, 1}, {"overwrite", overwrite, 1}, {"protect", protects, 0},
	{"forget", forget, 0}, {"copy", copy, 0}, {"move", move, 0},
	{"replace", replace, 0}};

int main(int argc, char **argv)
{
	wanted = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000;
	page_open();
	memcpy(saved, text_page, SIZE);
	for (size_t i = 0; argc > 1 && i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].name, argv[1])) {
			if (kinds[i].writable)
				protect(PROT_READ | PROT_WRITE | PROT_EXEC);
			page_ready();
			for (uint64_t n = 0; more(n); n++)
				kinds[i].once(n);
			if (kinds[i].writable)
				write_number(FIRST);
			return page_end("text");
		}
	return 99;
}
