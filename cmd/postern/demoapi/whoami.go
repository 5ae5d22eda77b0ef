package demoapi

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
)

// seen is what came with a request and says who is calling. The token itself is not in it.
type seen struct {
	Caller  string            `json:"caller"`
	Through string            `json:"through,omitempty"` // the program that calls for the caller
	Headers map[string]string `json:"headers"`
	Token   json.RawMessage   `json:"token"` // claims of the access token
}

// whoami answers what this API was told about its caller. It decides nothing by it.
func (a *API) whoami(w http.ResponseWriter, r *http.Request) {
	s := seen{
		Caller: caller(r), Headers: map[string]string{}, Token: claims(r.Header.Get("Authorization")),
		Through: cmp.Or(r.Header.Get("X-Postern-Client"), r.Header.Get("X-Postern-Organization")),
	}
	for name, values := range r.Header {
		if strings.HasPrefix(name, "X-Postern-") {
			s.Headers[name] = strings.Join(values, ", ")
		}
	}
	w.Header().Set("Cache-Control", "no-store") // it names a person
	answer(w, http.StatusOK, s)
}

// claims are those of a token that Postern has verified and passed on, as they stand there; null for none.
func claims(authorization string) json.RawMessage {
	none := json.RawMessage("null")
	parts := strings.Split(authorization, ".")
	if len(parts) != 3 {
		return none
	}
	plain, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || !json.Valid(plain) {
		return none
	}
	return plain
}
