int a, b; self string s; this uint64_t t; inline int N = 3 + 4; inline string M = "m";
BEGIN { a = N; b += a++ * --a; this->t = timestamp; self->s = execname; x = y = (z = 1); }
BEGIN /self->s == M || x-- > 1/ { p = (char *)arg0; p += 2; trace(*p); self->n <<= 2; self->s = ""; }
