/* SPDX-License-Identifier: BSD-2-Clause */
/* A program with types to be seen through its debug information. */
#include <string.h>

enum mode { OFF, ON = 7 };
struct part {
	int a;
	char b;
	unsigned c : 3, d : 7;
	int e : 5;
	long f;
};
typedef struct whole {
	struct part part[2];
	char name[16];
	struct whole *next;
	union {
		int as_int;
		unsigned char as_bytes[4];
	};
	enum mode mode;
	double ratio;
	int (*call)(int);
} whole_t;
struct big {
	long words[4];
};

whole_t config = {.name = "config", .mode = ON};
static long table[4] = {1, 2, 3, 4};

__attribute__((noipa)) int take(
	whole_t *w, char *text, enum mode mode, unsigned char small)
{
	return w->part[1].a + (int)strlen(text) + mode + small;
}

/* Only some of these travel in integer registers. */
__attribute__((noipa)) struct big mixed(double d, struct big by_value, struct part *p,
	int two, int three, int four, int five)
{
	by_value.words[0] += p->a + two + three + four + five + (long)d + table[two & 3];
	return by_value;
}

__attribute__((noipa)) int other(int x)
{
	return x + 1;
}

int main(void)
{
	whole_t w = {.name = "first", .mode = OFF, .ratio = 1.5, .next = &config};
	struct big b = {{1, 2, 3, 4}};

	w.part[1] = (struct part){.a = 42, .b = 'x', .c = 5, .d = 77, .e = -3, .f = -1};
	w.as_int = 0x01020304;
	b = mixed(2.5, b, &w.part[1], 2, 3, 4, 5);
	return take(&w, "text", ON, 200) + other(1) + (int)b.words[0] ==
			       (42 + 4 + 7 + 200) + 2 + (1 + 42 + 14 + 2 + 3)
		       ? 0
		       : 1;
}
