package oidc

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
)

// Deps are what the constructors of this package need from outside. The zero value works.
type Deps struct {
	HTTP       *http.Client          // nil: NewHTTPClient without a web proxy; redirects are refused whatever it says (S-50)
	Log        *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: metrics are not registered
	Now        func() time.Time      // nil: time.Now
	Rand       io.Reader             // nil: crypto/rand; must be safe for concurrent use

	Revocations *Revocations // tokens that ended before their time; nil: none
}

func (d Deps) withDefaults() Deps {
	if d.HTTP == nil {
		d.HTTP = NewHTTPClient(config.Outbound{})
	} else {
		own := *d.HTTP
		own.CheckRedirect = refuseRedirect
		d.HTTP = &own
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Rand == nil {
		d.Rand = rand.Reader
	}
	if d.Revocations == nil {
		d.Revocations = NewRevocations(d.Now)
	}
	return d
}

// secretText is 32 random bytes in base64url: state, nonce, verifier, jti.
func (d Deps) secretText() (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(d.Rand, b[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// jitter spreads d by ±20 %, so that replicas that started together do not call together.
func (d Deps) jitter(about time.Duration) time.Duration {
	var b [2]byte
	if _, err := io.ReadFull(d.Rand, b[:]); err != nil {
		return about
	}
	share := float64(binary.BigEndian.Uint16(b[:])) / 65535
	return time.Duration((0.8 + 0.4*share) * float64(about))
}
