// Package correlation ties every log line of a request to it: the request's id and its trace id go with the context, and the [slog.Handler] of
// the process writes them into each line that was given it. No room has to say them, and none can forget to.
package correlation
