package main

import (
	"context"
	"log"
	"log/slog"
	"strings"

	"postern/proxy/forward"
)

// libraryLog makes lines of the log of what the standard library says by itself, on servers' ErrorLog and by package log. Such a text may quote
// what a stranger sent, or the value of a panic: it is cut before that (S-37).
type libraryLog struct{ log *slog.Logger }

// logger is for a server's ErrorLog.
func (l libraryLog) logger() *log.Logger { return log.New(l, "", 0) }

// takeOver is for everything that has no such place and goes to standard error otherwise. There is one for the whole process.
func (l libraryLog) takeOver() {
	log.SetFlags(0)
	log.SetOutput(l)
}

// Write takes one message, as [log.Logger] writes them.
func (l libraryLog) Write(message []byte) (int, error) {
	ctx, text := context.Background(), string(message)
	if strings.Contains(text, "panic serving ") { // beyond what handlers recover themselves
		const begin = "\ngoroutine " // of the stack, which comes last: the value may hold anything, this too
		stack := text[max(strings.LastIndex(text, begin), 0):]
		if !strings.HasPrefix(stack, begin) {
			stack = ""
		}
		l.log.ErrorContext(ctx, "panic", "where", "net/http", "stack", strings.TrimPrefix(stack, "\n"))
		return len(message), nil
	}
	level := slog.LevelDebug
	if strings.HasPrefix(text, "http: Accept error: ") { // no connection comes in meanwhile
		level = slog.LevelWarn
	}
	text, _, _ = strings.Cut(text, "\n")
	l.log.Log(ctx, level, "standard library", "message", forward.WithoutQuotes(text))
	return len(message), nil
}
