package egress

import (
	"log/slog"
	"net/http"

	"postern/proxy/forward"
)

// Prepare implements [forward.Errand].
func (v *visit) Prepare(out, _ *http.Request) {
	if !v.route.cookies {
		delete(out.Header, "Cookie")
	}
	v.ids[0] = v.id
	out.Header[headerRequestID] = v.ids[:]
	out.Header["Authorization"] = v.authorization[:]
	out.Host = v.route.host
	if v.span != nil {
		v.span.Inject(out.Header)
	} else {
		v.scope.Inject(out.Header)
	}
}

// Answered implements [forward.Errand].
func (v *visit) Answered(*http.Response) { v.answered = true }

// Opened implements [forward.Errand]. The token of a call counts when it begins, and its target knows how long.
func (v *visit) Opened(*forward.Stream) func(*forward.Ending) {
	if !v.Upgraded() {
		return nil
	}
	v.request = forward.Remainder(v.request)
	v.ctx.Settle()
	return func(why *forward.Ending) {
		if why != nil && why.Stack != nil {
			v.h.log.LogAttrs(&v.scope, slog.LevelError, "panic", slog.String("stack", string(why.Stack)))
		}
		v.h.finish(v, v.request)
	}
}

// clean keeps a target from giving the app cookies that it would not get back.
func (e *route) clean(header http.Header) {
	if !e.cookies {
		delete(header, "Set-Cookie")
	}
}
