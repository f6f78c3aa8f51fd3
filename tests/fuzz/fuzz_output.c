/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is printed: formats, pictures and memory, of values from a segment that anybody
 * may have written to.  Whatever they are, they are printed or left out.
 */
#include <trace/histogram.h>

#include <stdlib.h>
#include <string.h>

struct input {
	const uint8_t *at;
	size_t left;
};

static uint64_t take(struct input *in, size_t bytes)
{
	uint64_t v = 0;

	bytes = bytes < in->left ? bytes : in->left;
	memcpy(&v, in->at, bytes);
	in->at += bytes;
	in->left -= bytes;
	return v;
}

static void take_value(struct input *in, struct trace_value *v, char text[32], int kind)
{
	*v = (struct trace_value){.number = take(in, 8),
		.size = (uint8_t)(1 << (take(in, 1) & 3)),
		.is_signed = take(in, 1) & 1};
	memcpy(text, in->at, in->left < 31 ? in->left : 31);
	text[31] = 0;
	if (kind == 1)
		v->text = text;
	if (kind == 2) {
		v->bytes = text;
		v->n_bytes = take(in, 1) & 31;
	}
}

static struct lang_conv take_conv(struct input *in)
{
	static const char letters[] = "aAcCdeEfgGikopsSTuxXYY%", lengths[] = "\0hlqLw";
	uint64_t flags = take(in, 1);

	return (struct lang_conv){.text = "-",
		.conv = letters[take(in, 1) % sizeof letters],
		.length = lengths[take(in, 1) % (sizeof lengths - 1)],
		.minus = flags & 1,
		.plus = flags >> 1 & 1,
		.space = flags >> 2 & 1,
		.alt = flags >> 3 & 1,
		.zero = flags >> 4 & 1,
		.group = flags >> 5 & 1,
		.at = flags >> 6 & 1,
		.width = (int8_t)take(in, 1),
		.precision = (int8_t)take(in, 1),
		.width_arg = (int8_t)take(in, 1) % 6,
		.precision_arg = (int8_t)take(in, 1) % 6,
		.arg = (int8_t)take(in, 1) % 6};
}

static void format(struct input *in, FILE *out)
{
	char texts[8][32] = {{0}};
	struct trace_value values[8];
	struct lang_conv convs[4];
	struct lang_format f = {convs, 4, 4, 4};
	struct trace_values v = {.at = values, .aggs = values + 4};

	v.n = take(in, 1) & 3;
	v.n_aggs = take(in, 1) & 3;
	for (int i = 0; i < 8; i++)
		take_value(in, &values[i], texts[i], (int)(take(in, 1) % 3));
	for (int i = 0; i < 4; i++)
		convs[i] = take_conv(in);
	trace_format(&f, &v, out);
}

static void picture(struct input *in, FILE *out)
{
	uint64_t words[RT_QUANTIZE_BUCKETS] = {0};
	int quantize = take(in, 1) & 1;
	struct trace_picture p = {.func = quantize ? RT_AGG_QUANTIZE : RT_AGG_LQUANTIZE,
		.words = words,
		.n = RT_QUANTIZE_BUCKETS,
		.param = take(in, 8),
		.normal = 1 + take(in, 3),
		.flags = (unsigned)take(in, 1) & 3};

	while (in->left) {
		unsigned i = (unsigned)take(in, 1) % RT_QUANTIZE_BUCKETS;

		words[i] = take(in, 8);
	}
	trace_print_picture(&p, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *out;
	struct input in = {data, size};

	if (!out && !(out = fopen("/dev/null", "we")))
		abort();
	switch (take(&in, 1) % 3) {
	case 0:
		format(&in, out);
		break;
	case 1:
		picture(&in, out);
		break;
	default:
		trace_print_bytes(in.at, in.left, (enum trace_bytes_form)(size % 3), out);
	}
	return 0;
}
