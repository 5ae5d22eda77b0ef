package admin

import (
	"net/http"
	"net/http/pprof" // what it registers with http.DefaultServeMux is served by no listener
)

const profilesPath = "/debug/pprof/"

// profile answers /debug/pprof/ (S-42): a heap holds keys and tokens, so it is for whoever may end all sessions. Its
// "cmdline" is left out: flags may hold secrets, and no profile needs it.
func (h *Handler) profile(c *call, r *http.Request) error {
	switch r.URL.Path[len(profilesPath):] {
	case "profile":
		pprof.Profile(c, r)
	case "symbol":
		pprof.Symbol(c, r)
	case "trace":
		pprof.Trace(c, r)
	default:
		pprof.Index(c, r)
	}
	if c.Status == http.StatusNotFound {
		c.outcome = "not_found"
	}
	return nil
}
