package egress

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"postern/config"
	"postern/proxy/forward"
)

// A panic about an upgraded connection, which no goroutine of net/http sees any more, is noted as any other.
func TestPanicInAnUpgradedConnectionIsNoted(t *testing.T) {
	t.Parallel()
	s := newSidecar(t, nil, config.EgressRoute{Name: "chat", URL: "http://127.0.0.1:1"})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://sidecar/chat/room", nil)
	v := &visit{h: s.handler, request: r, Answer: forward.Answer{Status: http.StatusSwitchingProtocols}}
	v.ctx.Begin(r.Context(), s.handler.ids, r.Header)
	v.scope.Context = &v.ctx
	v.Opened(nil)(&forward.Ending{Reason: "internal_error", Stack: []byte("where.go:7")})
	if got := s.log.String(); strings.Count(got, `"msg":"panic"`) != 1 || !strings.Contains(got, "where.go:7") || !strings.Contains(got, `"msg":"egress"`) {
		t.Error(got)
	}
}
