BEGIN
{
	trace((unsigned unsigned)1);
	trace((long signed)2);
	printf("\
x\
y");
	trace('a\x41');
}
