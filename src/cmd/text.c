/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * D text from files: through the C preprocessor (-C), and libraries (-L), which are
 * compiled before all scripts.  What a library needs by `#pragma D depends_on library`
 * comes before it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "cmd.h"

#define LIBRARIES_MAX 1024

char *cmd_read_all(FILE *f)
{
	char *text = NULL, chunk[8192];
	size_t size, got;
	FILE *all = open_memstream(&text, &size);

	if (!all)
		return NULL;
	while ((got = fread(chunk, 1, sizeof chunk, f)))
		fwrite(chunk, 1, got, all);
	if (fclose(all) || ferror(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* --------------------------------------------------------------------- preprocessor */

/* One word for the shell. */
static void put_word(FILE *f, const char *option, const char *arg)
{
	fprintf(f, " '%s", option);
	for (; *arg; arg++)
		if (*arg == '\'')
			fputs("'\\''", f);
		else
			fputc(*arg, f);
	fputc('\'', f);
}

/*
 * The command.  What system headers say in GNU C alone is taken out, so that their types
 * can be read.
 */
static char *command_of(const struct cmd_line *l, int fd)
{
	static const char *const own[] = {"__attribute__(x)=", "__extension__=",
		"__asm__(x)=", "__restrict=", "__inline=", "__dtproc=1"};
	char *text = NULL, option[3] = "-D";
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	fputs("exec cpp", f);
	for (size_t i = 0; i < sizeof own / sizeof *own; i++)
		put_word(f, "-D", own[i]);
	for (size_t i = 0; i < l->n; i++) {
		option[1] = (char)l->items[i].letter;
		if (strchr("DUI", option[1]))
			put_word(f, option, l->items[i].arg);
		else if (option[1] == 'H')
			fputs(" -H", f);
	}
	fprintf(f, " - </proc/self/fd/%d", fd);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

/* The text in a file without a name, with a line that names it; -1. */
static int put_away(const char *path, const char *text)
{
	int fd = memfd_create("script", 0), skip = strncmp(text, "#!", 2) == 0;
	FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "w");

	if (!f)
		return -1;
	if (skip)
		text += strcspn(text, "\n");
	/* The line of #! is one, too. */
	fprintf(f, "#line %d \"%s\"%s%s", skip ? 2 : 1, path, skip ? "" : "\n", text);
	if (fclose(f) || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

char *cmd_preprocess(const struct cmd_line *l, const char *path, const char *text)
{
	int fd = put_away(path, text);
	char *command = fd < 0 ? NULL : command_of(l, fd), *out = NULL;
	FILE *f = command ? popen(command, "r") : NULL;
	int status = -1;

	if (f) {
		out = cmd_read_all(f);
		status = pclose(f);
	}
	if (fd >= 0)
		close(fd);
	free(command);
	if (status || !out) {
		cmd_error("failed to compile script %s: preprocessor failed", path);
		free(out);
		return NULL;
	}
	return out;
}

/* ------------------------------------------------------------------------ libraries */

struct library {
	char *path, *text;
	int done;
};

struct libraries {
	struct dtproc *session;
	struct library at[LIBRARIES_MAX];
	int n;
};

static const char *name_of(const struct library *l)
{
	return strrchr(l->path, '/') + 1;
}

static int load(struct libraries *all, struct library *l);

/* Those that the text names. */
static int load_needed(struct libraries *all, const struct library *l)
{
	static const char needs[] = "depends_on library ";
	int err = 0;

	for (const char *at = l->text; !err && (at = strstr(at, needs));) {
		size_t len;

		at += sizeof needs - 1;
		len = strcspn(at, " \t\r\n");
		for (int i = 0; i < all->n && !err; i++)
			if (strlen(name_of(&all->at[i])) == len &&
				!strncmp(name_of(&all->at[i]), at, len))
				err = load(all, &all->at[i]);
	}
	return err;
}

static int load(struct libraries *all, struct library *l)
{
	if (l->done++)
		return 0;
	if (load_needed(all, l))
		return -1;
	if (!dtproc_library(all->session, l->path, l->text))
		return 0;
	cmd_error("%s", dtproc_error_text());
	return -1;
}

static int is_library(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return dot && dot > d->d_name && !strcmp(dot, ".d");
}

static int add_library(struct libraries *all, const char *folder, const char *name)
{
	struct library *l = &all->at[all->n];
	FILE *f;

	if (all->n >= LIBRARIES_MAX || asprintf(&l->path, "%s/%s", folder, name) < 0) {
		cmd_error("%s: too many libraries", folder);
		return -1;
	}
	all->n++;
	f = fopen(l->path, "re");
	l->text = f ? cmd_read_all(f) : NULL;
	if (!l->text)
		cmd_error("failed to open %s: %s", l->path, strerror(errno));
	if (f)
		fclose(f);
	return l->text ? 0 : -1;
}

static int add_folder(struct libraries *all, const char *folder)
{
	struct dirent **names;
	int n = scandir(folder, &names, is_library, alphasort), err = 0;

	if (n < 0) {
		cmd_error(
			"failed to open library folder %s: %s", folder, strerror(errno));
		return -1;
	}
	for (int i = 0; i < n; i++) {
		if (!err)
			err = add_library(all, folder, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return err;
}

int cmd_libraries(struct dtproc *session, const struct cmd_line *l)
{
	struct libraries *all = calloc(1, sizeof *all);
	int err = all ? 0 : -1;

	for (size_t i = 0; i < l->n && !err; i++)
		if (l->items[i].letter == 'L')
			err = add_folder(all, l->items[i].arg);
	if (all)
		all->session = session;
	for (int i = 0; all && i < all->n && !err; i++)
		err = load(all, &all->at[i]);
	for (int i = 0; all && i < all->n; i++) {
		free(all->at[i].path);
		free(all->at[i].text);
	}
	free(all);
	return err;
}
