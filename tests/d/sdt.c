/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Static probes of all kinds.  sdt N: N rounds; sdt loop: for ever, a hundred a second.
 * At its end it tells how often it found the semaphore raised.
 *
 * Those of <sys/sdt.h> are what programs have.  Those of forms() are written by hand, so
 * that each form of an argument is there whatever the compiler makes of it.
 */
#define _SDT_HAS_SEMAPHORES 1
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sdt.h>
#include <time.h>

#define PROBED __attribute__((noinline, noipa, used))

#define SEMAPHORE(name)                                                                  \
	unsigned short name##_semaphore __attribute__((section(".probes"), used))

SEMAPHORE(sdt_round__begin);
SEMAPHORE(sdt_guarded);
SEMAPHORE(sdt_twice);
SEMAPHORE(sdt_number);
SEMAPHORE(sdt_ten);

#define NOTE(name, args)                                                                 \
	".pushsection .note.stapsdt,\"\",\"note\"\n.balign 4\n"                          \
	".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"      \
	"993: .8byte 990b, _.stapsdt.base, 0\n.asciz \"forms\"\n.asciz \"" name          \
	"\"\n.asciz \"" args "\"\n994: .balign 4\n.popsection\n"

long forms(long *two);
extern int sdt_pair[2];
int sdt_pair[2] __attribute__((used)) = {-7, 70};

__asm__(".pushsection .text\n.globl forms\n.type forms,@function\nforms:\n"
	"mov $0x1122334455667788, %rax\nmov $-2, %rcx\nmov $1, %esi\n"
	"mov $-3, %r9\nmov %rdi, %r10\n"
	"990: nop\n" /**/
	NOTE("registers",
		"8@%rax 4@%eax 2@%ax 1@%al 1@%ah -8@%rcx -4@%ecx 2@%r9w -1@%r9b "
		"%r9d")                                                              /**/
	NOTE("constants", "4@$-5 -4@$-5 8@$0x10 1@$200 -8@$-9223372036854775808 $7") /**/
	NOTE("memory", "8@(%rdi) -8@8(%rdi) 8@(%r10,%rsi,8) -4@8(%rdi) 1@-8(%rdi,%rsi,8) "
		       "2@8(,%r10,1)")                                              /**/
	NOTE("symbols", "-4@sdt_pair(%rip) 4@sdt_pair+4(%rip) -4@4+sdt_pair(%rip)") /**/
	NOTE("others",
		"8f@%xmm0 8@no_such_symbol(%rip) 4@%fs:0 @ 3@%eax 8@1(%rax 4@$1") /**/
	NOTE("none", "")                                                          /**/
	"lea 1(%rcx), %rax\nret\n.size forms, .-forms\n.popsection\n");

PROBED int number(int n, const char *text)
{
	STAP_PROBE2(sdt, number, n, text);
	return n + 1;
}

static inline __attribute__((always_inline)) void twice(long n)
{
	STAP_PROBE1(sdt, twice, n);
}

PROBED long inlined(long n)
{
	twice(n);
	n *= 2;
	twice(n);
	return n;
}

PROBED int guarded(int n)
{
	if (!sdt_guarded_semaphore)
		return 0;
	STAP_PROBE1(sdt, guarded, n);
	return 1;
}

PROBED void ten(signed char a, unsigned short b, unsigned c, long long d)
{
	STAP_PROBE10(sdt, ten, a, b, c, d, 5, 6, 7, (char)-8, &sdt_pair, 10);
}

static int round_of_probes(int n)
{
	long two[2] = {0x0102030405060708, -2};

	STAP_PROBE1(sdt, round__begin, n);
	forms(two);
	number(n, "some text");
	inlined(n);
	ten((signed char)-1, 65535, 4000000000u, -1);
	return guarded(n);
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1, seen = 0;

	if (argc > 1 && strcmp(argv[1], "loop") == 0) {
		struct timespec nap = {0, 10000000};

		for (int n = 0;; n++, nanosleep(&nap, NULL))
			round_of_probes(n);
	}
	for (int n = 0; n < rounds; n++)
		seen += round_of_probes(n);
	printf("raised %d times\n", seen);
	return 0;
}
