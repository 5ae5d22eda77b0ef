package proxy

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"net/http"
	"sync"
	"time"
)

// sessionModule is a module of JavaScript for front-ends. It is the same for everybody, and finds its ingress by its own address.
//
//go:embed session.js
var sessionModule []byte

// sessionScript answers GET /oauth2/session.js (contract 3.1).
func (h *Handler) sessionScript(v *visit, r *http.Request) error {
	serveScript(v, r, sessionModule, sessionModuleTag())
	return nil
}

// sessionModuleTag is the module's ETag.
var sessionModuleTag = sync.OnceValue(func() string {
	sum := sha256.Sum256(sessionModule)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
})

// serveScript answers with a script, or 304 to a browser that has it. Caches ask again after minutes, so that the module fits the endpoints that it asks.
func serveScript(w http.ResponseWriter, r *http.Request, script []byte, tag string) {
	header := w.Header()
	cacheable(header)
	header.Set("Content-Type", "text/javascript; charset=utf-8")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("ETag", tag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(script))
}
