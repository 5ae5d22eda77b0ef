package tokenapi

import (
	"context"
	"net/http"
	"strconv"

	"postern/obo"
)

// serveGrant answers with a token.
func serveGrant(v *visit, r obo.Request, get func(context.Context, obo.Request) (obo.Token, error)) {
	asked := v.h.deps.Now()
	token, err := get(&v.scope, r)
	v.noteGrant(r, token, err)
	if token.Cached {
		v.counts().hits.Inc()
	} else {
		v.counts().latency.Observe(v.h.deps.Now().Sub(asked).Seconds())
	}
	if err != nil {
		v.fail(obo.Explain(err), kindOf(err), err)
		return
	}
	buffer := v.h.buffers.Get().(*[]byte)
	answer := appendToken((*buffer)[:0], token.Access.Raw(), token.ExpiresIn)
	v.json(http.StatusOK, answer)
	v.h.reuse(buffer, answer)
}

// appendToken writes Texas' three members and no other (tokens.md 1.4).
func appendToken(b []byte, token string, seconds int64) []byte {
	b = append(b, `{"access_token":"`...)
	b = appendEscaped(b, token)
	b = append(b, `","token_type":"Bearer","expires_in":`...)
	return append(strconv.AppendInt(b, seconds, 10), '}')
}

// appendEscaped writes a text between quotes (RFC 8259 §7). Tokens have nothing to escape (RFC 6749 appendix A.12 allows but quote and
// backslash), so they are copied whole.
func appendEscaped(b []byte, text string) []byte {
	if isPlain(text) {
		return append(b, text...)
	}
	const hex = "0123456789abcdef"
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return b
}
