#!/usr/sbin/dtproc -s
/* Some of everything. */
#pragma D option quiet
#pragma D option bufsize=4m
dtrace:::BEGIN { trace("go\n"); @all = count(); }
pid$target:libc*:[mc]alloc:entry, pid$target::*free*:entry
/execname == "ls" && arg0 > 0x10 && (arg1 % 2 || !arg2)/
{
	@a[pid, probefunc, arg0 / 4096] = lquantize(arg1, -10, 100, 5);
	@b[execname == "x" ? "yes" : probemod] = quantize((int8_t)arg0 << 3);
	printf("%-*s|%5.3d|%#x %c%%\n", 9, execname, (int)arg1 ^ ~3, arg2, 'x');
}
tick-1s, profile-97 / timestamp - walltimestamp > 1000000000 / { exit(-$1 + sizeof); }
END { printa("%s %@d\n", @b); clear(@a); trunc(@a, 3); }
