/* SPDX-License-Identifier: BSD-2-Clause */
/* mangled: calls functions that have the symbols of C++ and Rust. */
#include <stdio.h>

int area(int) __asm__("_ZN5shape4areaEi");
int area_of_text(const char *) __asm__("_ZN5shape4areaEPKc");
int bar(int) __asm__("_RNvC3foo3bar");
int plain_area(int);

__attribute__((noinline)) int area(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a;
}

__attribute__((noinline)) int area_of_text(const char *a)
{
	__asm__ volatile("" : "+r"(a));
	return a[0];
}

__attribute__((noinline)) int bar(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a;
}

__attribute__((noinline)) int plain_area(int a)
{
	__asm__ volatile("" : "+r"(a));
	return a;
}

int main(void)
{
	int sum = 0;

	for (int i = 0; i < 3; i++)
		sum += area(i) + bar(i) + plain_area(i);
	printf("%d\n", sum + area_of_text("a"));
	return 0;
}
