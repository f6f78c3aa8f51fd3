/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Functions that return in every way there is, in assembler where the instructions
 * matter.  returns N: N rounds.  Its end tells whether it computed what it should (0),
 * and saw its own stack as it is.
 */
#include <execinfo.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBED __attribute__((noinline, noipa, used))
#define FUNCTION(name, text)                                                             \
	__asm__(".pushsection .text\n.globl " #name "\n.type " #name                     \
		",@function\n" #name ":\n.cfi_startproc\n" text                          \
		".cfi_endproc\n.size " #name ", .-" #name "\n.popsection\n")

long two_rets(long n), tail(long n), tail_pointer(long (*)(long), long n);
long tail_if(long n), by_table(long n), again(long n), moved(long n), framed(long n);
long has_data(long n), has_byte(long n), prefix(long n, long *lock), only_ret(long n),
	wide(long n);

/* ret at 7 when n is odd, at b when it is even */
FUNCTION(two_rets,
	"test $1, %dil\nje 1f\nlea (%rdi), %eax\nret\n1: xor %eax, %eax\nret\n");
/* jmp at 0 */
FUNCTION(tail, "jmp two_rets\n");
/* jmp at 6 */
FUNCTION(tail_pointer, "mov %rdi, %rax\nmov %rsi, %rdi\njmp *%rax\n");
/* je at 4, taken when n is even; ret at d or so */
FUNCTION(tail_if, "test $1, %dil\nje two_rets\nmov $-1, %rax\nret\n");
/* a switch of a function without a frame: its jump does not leave */
FUNCTION(by_table, "lea by_table_cases(%rip), %rax\nand $1, %edi\n"
		   "movslq (%rax,%rdi,4), %rdx\nadd %rdx, %rax\njmp *%rax\n"
		   "1: mov $10, %eax\nret\n2: mov $20, %eax\nret\n"
		   ".pushsection .rodata\n.balign 4\nby_table_cases: .long "
		   "1b-by_table_cases, 2b-by_table_cases\n.popsection\n");
/* goes to its own first instruction n times; ret at the end */
FUNCTION(again, "dec %rdi\njg again\nmov $5, %eax\nret\n");
/* goes to a part of it elsewhere when n is odd, which returns itself or comes back */
FUNCTION(moved, "test $1, %dil\njne moved.cold\n2: mov $1, %eax\nret\n"
		".pushsection .text.unlikely\n.type moved.cold,@function\nmoved.cold:\n"
		"test $2, %dil\nje 2b\nmov $2, %eax\nret\n"
		".size moved.cold, .-moved.cold\n.popsection\n");
/* goes to a place without a symbol with its frame in place: no return */
FUNCTION(framed, "push %rbx\n.cfi_adjust_cfa_offset 8\njmp 9f\n8: pop %rbx\n"
		 ".cfi_adjust_cfa_offset -8\nmov $3, %eax\nret\n"
		 ".pushsection .text.unlikely\n9: jmp 8b\n.popsection\n");
/* a constant amid the instructions: nothing can be said */
FUNCTION(has_data, "mov %rdi, %rax\njmp 1f\n.byte 0x48, 0xb8, 1\n1: ret\n");
/* the same, but what the constant makes of them is an instruction */
FUNCTION(has_byte, "jmp 1f\n.byte 0xb8\n1: mov %rdi, %rax\nret\nnop\n");
/* a jump over a lock prefix is sound */
FUNCTION(prefix, "test %rdi, %rdi\nje 1f\nlock\n1: addq $1, (%rsi)\nmov (%rsi), %rax\n"
		 "ret\n");
/* its first instruction is its last */
FUNCTION(only_ret, "ret\n");
/* both halves of a result, and bytes for the caller to drop */
FUNCTION(wide, "mov %rdi, %rax\nmov $7, %edx\nrepz ret\n");

static jmp_buf out;

PROBED int leaves_by_jump(int n)
{
	if (n % 2)
		longjmp(out, 1);
	return n;
}

PROBED int sees_stack(void)
{
	void *at[16];
	int n = backtrace(at, 16);

	return n >= 3 && n < 16;
}

static int round_of_calls(long n)
{
	static long lock;
	volatile int right = 1;

	right &= two_rets(n) == (n % 2 ? n : 0) && tail(n) == two_rets(n);
	right &= tail_pointer(two_rets, n) == two_rets(n);
	right &= tail_if(n) == (n % 2 ? -1 : 0);
	right &= by_table(n) == (n % 2 ? 20 : 10);
	right &= again(3) == 5 && moved(n) == ((n & 3) == 3 ? 2 : 1);
	right &= framed(n) == 3 && has_data(n) == n && has_byte(n) == n &&
		 prefix(n, &lock) == n + 1;
	lock = n + 1;
	only_ret(n);
	right &= wide(n) == n && sees_stack();
	if (!setjmp(out))
		right &= leaves_by_jump((int)n) == n;
	else
		right &= n % 2;
	return right;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 1, right = 1;

	for (int n = 0; n < rounds; n++)
		right &= round_of_calls(n);
	puts(right ? "all is right" : "something is wrong");
	return !right;
}
