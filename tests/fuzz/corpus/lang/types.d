struct in { int a[2][3]; char t[8]; unsigned b:3; union { int x; char y; }; }; typedef struct in in_t;
enum e { A, B = 4 }; inline int add[int a, int b] = a + b; inline in_t *here = (in_t *)0x1000;
struct out { int size; string text; }; translator struct out < in_t *p > { size = p->b + sizeof (p->t); text = p->t; };
BEGIN { print(*here); trace(xlate <struct out> (here).text); trace(&here->a[1][2] - here->a[0]); trace(add[B, offsetof(in_t, t)]); trace(args[0]); }
