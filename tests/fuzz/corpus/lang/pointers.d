BEGIN { trace(((uint16_t *)0x1010)[1] + *(char *)arg0 - &((int *)8)[3] - (int *)4); }
BEGIN /copyinstr(arg0) >= stringof(0x1000) ^^ strlen((string)4096) == 'a'/ { }
x:y:z: { trace(1 ? 2u : 3L, 017 / arg0 * 0x1fULL % (unsigned long long)arg2); }
