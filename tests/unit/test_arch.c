/* SPDX-License-Identifier: BSD-2-Clause */
/* Moving instructions: what is moved runs as at its old place, and every boundary of the
   result is a state of the program's own (D6). */
#include "unit.h"

#include <arch/arch.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t *text, *slot;

static int make_memory(void **state)
{
	(void)state;
	text = mmap((void *)0x40000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	slot = mmap((void *)0x50000000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	return text == MAP_FAILED || slot == MAP_FAILED;
}

/* Runs f at `text` once as it is and once by way of the slot; both must agree. */
static void check_both(const void *bytes, size_t n, unsigned first, long arg, long want)
{
	struct arch_moved m = {0};
	long (*plain)(long) = (long (*)(long))(uintptr_t)text;
	long (*moved)(long) = (long (*)(long))(uintptr_t)slot;

	memset(text, 0xcc, 256);
	memcpy(text, bytes, n);
	assert_int_equal(plain(arg), want);
	arch_move(text, 16, (uintptr_t)text, (uintptr_t)slot, &m);
	assert_int_equal(m.way, ARCH_SLOT);
	assert_int_equal(m.len, first);
	memcpy(slot, m.code, sizeof m.code);
	text[0] = 0xcc; /* the displaced instruction is not reached any more */
	assert_int_equal(moved(arg), want);
}

#define CHECK(code, first, arg, want) check_both(code, sizeof(code) - 1, first, arg, want)

static void test_plain(void **state)
{
	(void)state;
	/* push rbp; mov rax, rdi; pop rbp; ret */
	CHECK("\x55\x48\x89\xf8\x5d\xc3", 1, 77, 77);
	/* endbr64; lea rax, [rdi+1]; ret */
	CHECK("\xf3\x0f\x1e\xfa\x48\x8d\x47\x01\xc3", 4, 5, 6);
	/* sub rsp, 8; lea rax, [rdi+rdi]; add rsp, 8; ret */
	CHECK("\x48\x83\xec\x08\x48\x8d\x04\x3f\x48\x83\xc4\x08\xc3", 4, 21, 42);
	/* nop dword [rax+rax]; mov eax, edi; ret */
	CHECK("\x0f\x1f\x44\x00\x00\x89\xf8\xc3", 5, 9, 9);
}

static void test_rip_relative(void **state)
{
	(void)state;
	/* mov rax, [rip+1]; ret; 8 bytes */
	CHECK("\x48\x8b\x05\x01\x00\x00\x00\xc3\x2a\x00\x00\x00\x00\x00\x00\x00", 7, 0,
		42);
	/* cmp dword [rip+13], 7 (an immediate behind it); sete al; movzx eax, al; ret */
	CHECK("\x83\x3d\x09\x00\x00\x00\x07\x0f\x94\xc0\x0f\xb6\xc0\xc3\x90\x90\x07\x00\x00"
	      "\x00",
		7, 0, 1);
	/* lea rax, [rip+0]; sub rax, that; ret */
	CHECK("\x48\x8d\x05\x00\x00\x00\x00\x48\x2d\x07\x00\x00\x40\xc3", 7, 0, 0);
}

static void test_branches(void **state)
{
	(void)state;
	/* jmp +5; mov eax, 1; mov eax, 2; ret */
	CHECK("\xeb\x05\xb8\x01\x00\x00\x00\xb8\x02\x00\x00\x00\xc3", 2, 0, 2);
	CHECK("\xe9\x05\x00\x00\x00\xb8\x01\x00\x00\x00\xb8\x02\x00\x00\x00\xc3", 5, 0,
		2);
	/* jrcxz +6; mov eax, 1; ret; mov eax, 2; ret (rcx is 0 or not: by loop) */
	for (long n = 0; n < 2; n++) {
		/* the flags come from the caller: test edi, edi is run in `want` */
		struct arch_moved m = {0};
		const uint8_t je[] = {0x74, 0x10}, jrcxz[] = {0xe3, 0x10},
			      loop[] = {0xe2, 0xf0};
		const uint8_t *in[] = {je, jrcxz, loop};
		for (size_t i = 0; i < COUNT_OF(in); i++) {
			arch_move(in[i], 2, 0x40000000, 0x50000000, &m);
			assert_int_equal(m.way, ARCH_SLOT);
			assert_int_equal(m.len, 2);
		}
	}
}

/* D6: every boundary of a moved loop is told as a PC of the program. */
static void test_boundaries(void **state)
{
	struct arch_moved m = {0};
	const uint8_t jrcxz[] = {0xe3, 0x10}, push[] = {0x55}, jne[] = {0x75, 0x20};

	(void)state;
	arch_move(jrcxz, 2, 0x1000, 0x2000, &m);
	assert_int_equal(arch_slot_pc(m.code, m.size, 0x2000, 2), 0x1002);
	assert_int_equal(arch_slot_pc(m.code, m.size, 0x2000, 7), 0x1012);
	arch_move(push, 1, 0x1000, 0x2000, &m);
	assert_int_equal(arch_slot_pc(m.code, m.size, 0x2000, 1), 0x1001);
	arch_move(jne, 2, 0x1000, 0x2000, &m);
	assert_int_equal(arch_slot_pc(m.code, m.size, 0x2000, 6), 0x1002);
	assert_int_equal(arch_slot_pc(m.code, m.size, 0x2000, 3), 0);
	/* out of a relative jump's reach */
	arch_move(push, 1, 0x1000, 0x700000000000, &m);
	assert_int_equal(arch_slot_pc(m.code, m.size, 0x700000000000, 1), 0x1001);
	assert_int_equal(m.size, 15);
}

static void test_refused(void **state)
{
	struct arch_moved m = {0};
	const uint8_t trap[] = {0xcc}, junk[] = {0x06},
		      far_mov[] = {0x48, 0x8b, 0x05, 0, 0, 0, 0},
		      call[] = {0xe8, 1, 0, 0, 0}, begin[] = {0xc7, 0xf8, 0, 0, 0, 0};

	(void)state;
	arch_move(trap, 1, 0, 0, &m);
	assert_int_equal(m.way, ARCH_REFUSE_TRAP);
	arch_move(junk, 1, 0, 0, &m);
	assert_int_equal(m.way, ARCH_REFUSE_DECODE);
	arch_move(far_mov, 3, 0, 0, &m); /* cut short */
	assert_int_equal(m.way, ARCH_REFUSE_DECODE);
	arch_move(far_mov, 7, 0x1000, 0x700000000000, &m);
	assert_int_equal(m.way, ARCH_STEP);
	arch_move(begin, 6, 0x1000, 0x2000, &m);
	assert_int_equal(m.way, ARCH_STEP);
	arch_move(call, 5, 0x1000, 0x2000, &m);
	assert_int_equal(m.way, ARCH_EMULATE);
}

/* ------------------------------------------------------------------------- calls */

static int rd(void *cookie, dtproc_addr addr, void *buf, size_t len)
{
	memcpy(buf, (char *)cookie + (addr & 0xfff), len);
	return 0;
}

static int wr(void *cookie, dtproc_addr addr, const void *buf, size_t len)
{
	memcpy((char *)cookie + (addr & 0xfff), buf, len);
	return 0;
}

static void test_calls(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		uint64_t target;
	} calls[] = {
		{"\xe8\x10\x00\x00\x00", 5, 0x1015},         /* call rel32 */
		{"\xff\xd0", 2, 0xaaaa},                     /* call rax */
		{"\x41\xff\xd3", 3, 0xbbbb},                 /* call r11 */
		{"\xff\x54\x24\x08", 4, 0x1111},             /* call [rsp+8] */
		{"\xff\x14\xc5\x00\x00\x00\x00", 7, 0x2222}, /* call [rax*8] */
		{"\xff\x15\x0a\x00\x00\x00", 6, 0x3333},     /* call [rip+10] */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(calls); i++) {
		uint64_t mem[512] = {0}, pushed;
		struct user_regs_struct r = {.rsp = 0x5100, .rax = 0xaaaa, .r11 = 0xbbbb};
		mem[0x108 / 8] = 0x1111;
		mem[0x010 / 8] = 0x3333; /* 0x1006 + 10 */
		if (i == 4)
			r.rax = 0x40, mem[0x200 / 8] = 0x2222;
		assert_int_equal(arch_emulate((const uint8_t *)calls[i].bytes, calls[i].n,
					 0x1000, &r, rd, wr, mem),
			0);
		assert_int_equal(r.rip, calls[i].target);
		assert_int_equal(r.rsp, 0x50f8);
		memcpy(&pushed, (char *)mem + 0xf8, 8);
		assert_int_equal(pushed, 0x1000 + calls[i].n);
	}
}

/* What is carried out instead of being moved. */
static void test_simple(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		uint64_t rax;
	} is[] =
		{
			{"\xf3\x0f\x1e\xfa", 4, 0xaaaa},    /* endbr64 */
			{"\x8d\x47\xff", 3, 0xffffffff},    /* lea -1(%rdi), %eax */
			{"\x48\x8d\x47\xff", 4, ~0ull},     /* lea -1(%rdi), %rax */
			{"\x64\x48\x8d\x47\xff", 5, ~0ull}, /* the same with %fs: */
			{"\x48\x8d\x44\x8e\x02", 5,
				0x5000 + 4 * 0x30 + 2}, /* (%rsi,%rcx,4) */
			{"\x48\x8d\x05\x0a\x00\x00\x00", 7, 0x1007 + 10}, /* 10(%rip) */
		},
	  not [] = {
		  {"\x66\x8d\x47\xff", 4, 0}, /* lea -1(%rdi), %ax */
		  {"\x67\x8d\x47\xff", 4, 0}, /* lea -1(%edi), %eax */
		  {"\x55", 1, 0},             /* push %rbp */
	  };

	(void)state;
	for (size_t i = 0; i < COUNT_OF(is); i++) {
		struct user_regs_struct r = {
			.rax = 0xaaaa, .rsi = 0x5000, .rcx = 0x30, .rsp = 0x5100};
		const uint8_t *bytes = (const uint8_t *)is[i].bytes;
		assert_true(arch_is_simple(bytes, is[i].n));
		assert_int_equal(
			arch_emulate(bytes, is[i].n, 0x1000, &r, rd, wr, NULL), 0);
		assert_int_equal(r.rax, is[i].rax);
		assert_int_equal(r.rip, 0x1000 + is[i].n);
		assert_int_equal(r.rsp, 0x5100);
	}
	for (size_t i = 0; i < COUNT_OF(not ); i++)
		assert_false(arch_is_simple((const uint8_t *)not [i].bytes, not [i].n));
}

/* D4: which calls are made again. */
static void test_rewind(void **state)
{
	struct user_regs_struct r = {
		.orig_rax = 232, .rax = (unsigned long long)-4, .rip = 102};

	(void)state;
	assert_int_equal(arch_rewind_call(&r), 1);
	assert_int_equal(r.rip, 100);
	assert_int_equal(r.rax, 232);
	arch_unrewind_call(&r, 232);
	assert_int_equal(r.rip, 102);
	assert_int_equal((long)r.rax, -4);
	r.orig_rax = 3; /* close(2): must not be made twice */
	assert_int_equal(arch_rewind_call(&r), 0);
	r.orig_rax = -1ULL;
	assert_int_equal(arch_rewind_call(&r), 0);
}

/* --------------------------------------------------------------------- the guard */

/* What is in a victim: the code, and the data that its table is in. */
static struct {
	uint64_t lock;
	struct arch_guard_entry site;
} * guarded;

/* A copy of the guard is the action for SIGTRAP, with one site: `text`. */
static void set_guard(void)
{
	uint8_t *code = slot + 2048;
	struct arch_guard_head head = {.count = 1};
	struct arch_action a = arch_guard_action((uintptr_t)code);

	guarded = (void *)(slot + 1024);
	memset(guarded, 0, sizeof *guarded);
	guarded->site.addr = (uintptr_t)text;
	guarded->site.slot = (uintptr_t)slot;
	guarded->site.orig = 0x55;
	head.table = (uintptr_t)&guarded->site;
	memcpy(code, arch_guard_code, ARCH_GUARD_BYTES);
	memcpy(code, &head, sizeof head);
	assert_int_equal(syscall(SYS_rt_sigaction, SIGTRAP, &a, NULL, 8), 0);
}

/* Calls a function with a trap at its entry that nobody but the guard knows of. */
static void call_trapped(void)
{
	/* push rbp; lea eax, [rdi + 1]; pop rbp; ret */
	static const uint8_t function[] = {0x55, 0x8d, 0x47, 1, 0x5d, 0xc3};
	struct arch_moved m = {0};

	memcpy(text, function, sizeof function);
	arch_move(text, sizeof function, (uintptr_t)text, (uintptr_t)slot, &m);
	memcpy(slot, m.code, sizeof m.code);
	text[0] = 0xcc;
	if (((int (*)(int))(uintptr_t)text)(41) != 42)
		_exit(1);
	mprotect(text, 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
}

/* In a child, since the handler that hangs does so with all signals blocked. */
static void be_guarded(void)
{
	set_guard();
	call_trapped();
	if (text[0] != 0x55 || guarded->lock)
		_exit(2);
	guarded->lock = (uint64_t)getppid();
	call_trapped();
	if (text[0] != 0xcc) /* by way of the slot */
		_exit(3);
	guarded->site.slot = 0;
	call_trapped();
	_exit(text[0] != 0x55 || guarded->lock ? 4 : 0);
}

/*
 * H5: the text is put back where it is hit.  A child that was forked while another
 * thread was at that does not wait for it: there is no such thread there.
 */
static void test_guard(void **state)
{
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		be_guarded();
	for (int ms = 0; ms < 20000 && waitpid(pid, &status, WNOHANG) == 0; ms++)
		usleep(1000);
	kill(pid, SIGKILL);
	assert_int_equal(status, 0);
}

/* Each Jcc with all flags that any looks at: as the CPU has it. */
static void test_conditions(void **state)
{
	/* push rdi; popf; jcc +3; xor eax,eax; ret; mov eax,1; ret */
	uint8_t code[] = {0x57, 0x9d, 0x70, 3, 0x31, 0xc0, 0xc3, 0xb8, 1, 0, 0, 0, 0xc3};
	static const unsigned bits[] = {0, 2, 6, 7, 11};
	struct user_regs_struct r = {0};
	dtproc_addr to = 0;

	for (unsigned n = 0; n < 16 * 32; n++) {
		long flags = 2;
		for (unsigned b = 0; b < 5; b++)
			flags |= (long)(n >> 4 >> b & 1) << bits[b];
		code[2] = (uint8_t)(0x70 | (n & 15));
		memcpy(text, code, sizeof code);
		r.eflags = (unsigned long)flags;
		assert_int_equal(
			arch_jump_target(code + 2, 2, 0x1000, &r, NULL, NULL, &to),
			((long (*)(long))(uintptr_t)text)(flags));
		assert_int_equal(to, 0x1005);
	}
}

static int read_pointer(void *cookie, dtproc_addr addr, void *buf, size_t len)
{
	uint64_t value = addr + 1;

	memcpy(buf, &value, len);
	return addr == 0x66 ? -1 : 0;
}

static int target_of(const char *bytes, size_t n, dtproc_addr *to)
{
	struct user_regs_struct r = {.rax = 0x60, .rcx = 2};

	return arch_jump_target(
		(const uint8_t *)bytes, n, 0x1000, &r, read_pointer, NULL, to);
}

static void test_leads(void **state)
{
	struct arch_lead lead;
	dtproc_addr to = 0;

	assert_int_equal(target_of("\xff\xe0", 2, &to), 1); /* jmp *%rax */
	assert_int_equal(to, 0x60);
	/* jmp *8(%rax,%rcx,8): notrack; jmp *6(%rax): unreadable */
	assert_int_equal(target_of("\x3e\xff\x64\xc8\x08", 5, &to), 1);
	assert_int_equal(to, 0x79);
	assert_true(target_of("\xff\x60\x06", 3, &to) < 0);
	assert_true(target_of("\x06", 1, &to) < 0); /* no instruction */
	assert_int_equal(target_of("\xc3", 1, &to), 0);
	assert_true(target_of("\xe3\x00", 2, &to) < 0); /* jrcxz */
	assert_int_equal(arch_insn_lead((const uint8_t *)"\xf3\xc3", 2, 0, &lead), 2);
	assert_int_equal(lead.flow, ARCH_FLOW_RETURN);
	assert_int_equal(arch_insn_lead((const uint8_t *)"\xc2\x08\x00", 3, 0, &lead), 3);
	assert_int_equal(lead.flow, ARCH_FLOW_RETURN);
	assert_int_equal(arch_insn_lead((const uint8_t *)"\xeb\xfe", 2, 9, &lead), 2);
	assert_int_equal(lead.flow, ARCH_FLOW_JUMP);
	assert_int_equal(lead.target, 9);
	assert_int_equal(arch_insn_lead((const uint8_t *)"\xff\xd0", 2, 0, &lead), 2);
	assert_int_equal(lead.flow, ARCH_FLOW_ON); /* a call */
	assert_int_equal(arch_insn_lead((const uint8_t *)"\x48", 1, 0, &lead), 0);
}

static void test_sdt_operands(void **state)
{
	static const struct {
		const char *text;
		int ok;
		struct arch_operand o;
	} rows[] = {
#define REG(n) (ARCH_REG_FIRST + (n))
		{"-4@%edi", 1,
			{ARCH_OPERAND_REG, 0, 4, 1, REG(5), ARCH_NO_REG, 1, 0, 0, 0}},
		{"1@%dh", 1,
			{ARCH_OPERAND_REG, 0, 1, 0, REG(1), ARCH_NO_REG, 1, 8, 0, 0}},
		{"%r15w", 1,
			{ARCH_OPERAND_REG, 0, 2, 0, REG(15), ARCH_NO_REG, 1, 0, 0, 0}},
		{"-8@$-0x7f", 1,
			{ARCH_OPERAND_CONST, -0x7f, 8, 1, ARCH_NO_REG, ARCH_NO_REG, 1, 0,
				0, 0}},
		{"8@-017(%rsp)", 1,
			{ARCH_OPERAND_MEMORY, -15, 8, 0, REG(7), ARCH_NO_REG, 1, 0, 0,
				0}},
		{"4@16(%rax,%rbx,4)", 1,
			{ARCH_OPERAND_MEMORY, 16, 4, 0, REG(0), REG(3), 4, 0, 0, 0}},
		{"4@(,%rbx)", 1,
			{ARCH_OPERAND_MEMORY, 0, 4, 0, ARCH_NO_REG, REG(3), 1, 0, 0, 0}},
		{"2@4+v.1-2(%rip)", 1,
			{ARCH_OPERAND_MEMORY, 2, 2, 0, ARCH_NO_REG, ARCH_NO_REG, 1, 0, "",
				3}},
		{"8@$v+1", 1,
			{ARCH_OPERAND_CONST, 1, 8, 0, ARCH_NO_REG, ARCH_NO_REG, 1, 0, "",
				1}},
		{"8@v", 1,
			{ARCH_OPERAND_MEMORY, 0, 8, 0, ARCH_NO_REG, ARCH_NO_REG, 1, 0, "",
				1}},
	};
	static const char *const bad[] = {"", "@", "4@", "4f@%xmm0", "8@%xmm0", "3@%eax",
		"16@%rax", "8@%", "8@(%eax)", "8@(%rax", "8@(%rax,", "8@(%rax,%rbx,16)",
		"8@8(%rip)", "8@%fs:8", "8@$", "8@$-", "8@$0x", "8@$08", "8@-v(%rip)",
		"8@v+v(%rip)", "8@$1 ", "8@1+(%rax)", "8@%rax)", "--8@%rax", "8@$1$"};
	struct arch_operand o;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct arch_operand *w = &rows[i].o;

		if (!arch_sdt_operand(rows[i].text, strlen(rows[i].text), &o))
			fail_msg("%s is refused", rows[i].text);
		if (o.kind != w->kind || o.value != w->value || o.size != w->size ||
			o.is_signed != w->is_signed || o.base != w->base ||
			o.index != w->index || o.scale != w->scale ||
			o.shift != w->shift || o.symbol_len != w->symbol_len)
			fail_msg("%s is taken for something else", rows[i].text);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (arch_sdt_operand(bad[i], strlen(bad[i]), &o))
			fail_msg("%s is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_rip_relative),
		cmocka_unit_test(test_branches),
		cmocka_unit_test(test_boundaries),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_calls),
		cmocka_unit_test(test_simple),
		cmocka_unit_test(test_rewind),
		cmocka_unit_test(test_guard),
		cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_leads),
		cmocka_unit_test(test_sdt_operands),
	};

	return cmocka_run_group_tests(tests, make_memory, NULL);
}
