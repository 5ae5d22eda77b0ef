package session

import (
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc"
)

// Deps is what this room needs from outside. Every zero field has a sane default.
type Deps struct {
	Log        *slog.Logger          // nil: nothing is logged
	Audit      *slog.Logger          // of audit events (S-38); nil: Log
	Registerer prometheus.Registerer // nil: metrics are counted and not shown
	Now        func() time.Time      // nil: time.Now
	Rand       io.Reader             // of session ids and data keys; nil: crypto/rand

	Revocations *oidc.Revocations // told of the access tokens of ended sessions (S-09); nil: nobody is
}

func (d Deps) withDefaults() Deps {
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Audit == nil {
		d.Audit = d.Log
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Rand == nil {
		d.Rand = rand.Reader
	}
	return d
}
