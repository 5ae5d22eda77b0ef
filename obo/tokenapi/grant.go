package tokenapi

import (
	"context"
	"errors"
	"strconv"
	"time"

	"postern/obo"
	"postern/oidc"
)

// serveGrant answers with a token.
func serveGrant(v *visit, r obo.Request, get func(context.Context, obo.Request) (obo.Token, error)) {
	token, left, err := v.grant(r, get)
	if err != nil {
		v.fail(obo.Explain(err), kindOf(err), err)
		return
	}
	buffer := v.h.buffers.Get().(*[]byte)
	answer := appendToken((*buffer)[:0], token.Access.Raw(), left)
	v.json(200, answer)
	v.h.reuse(buffer, answer)
}

// grant gets a token with at least a second left to use it, counted down to whole ones.
func (v *visit) grant(r obo.Request, get func(context.Context, obo.Request) (obo.Token, error)) (token obo.Token, left int64, err error) {
	for {
		asked := v.h.deps.Now()
		if token, err = get(v.r.Context(), r); err != nil {
			v.counts().latency.Observe(v.h.deps.Now().Sub(asked).Seconds())
			return token, 0, err
		}
		now := v.h.deps.Now()
		if token.Cached {
			v.counts().hits.Inc()
		} else {
			v.counts().latency.Observe(now.Sub(asked).Seconds())
		}
		if left = int64(token.Expiry.Sub(now) / time.Second); left > 0 {
			return token, left, nil
		}
		if !token.Cached {
			return token, 0, &oidc.TroubleError{Provider: r.Provider, Op: "get token", Malformed: true, Err: errEnded}
		}
		r.SkipCache = true // it ended on the way here
	}
}

var errEnded = errors.New("the token has ended already")

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
