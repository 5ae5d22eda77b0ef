package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/cmd/postern-injector/inject"
	"postern/config"
)

const (
	settingsRecheck = time.Second
	settingsSettle  = 200 * time.Millisecond // a file that is being written looks the same twice only when done
)

// Settings is the administrator's file, in the newest version that can be used. Make it with [NewSettings] and run [Settings.Run] once.
type Settings struct {
	path    string
	log     *slog.Logger
	parse   func([]byte) (*inject.Settings, error)
	refused func(text string) // told once of each version that cannot be used

	inForce atomic.Pointer[settingsInForce]
	broken  atomic.Bool

	judged []byte // belongs to Run: what was looked at last; nil: it could not be read
	said   string // and how that failed
}

type settingsInForce struct {
	settings *inject.Settings
	hash     string
}

// NewSettings makes settings of a file that is read when Run begins. That it cannot be used is logged and told to refused, and it may be put right.
func NewSettings(path string, parse func([]byte) (*inject.Settings, error), log *slog.Logger, refused func(text string), registry prometheus.Registerer) (*Settings, error) {
	s := &Settings{path: path, parse: parse, log: log, refused: refused}
	if err := registry.Register(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Current is the settings in force, nil before there are any. They must not be changed.
func (s *Settings) Current() *inject.Settings {
	if state := s.inForce.Load(); state != nil {
		return state.settings
	}
	return nil
}

// Run follows the file until ctx ends. It compares contents, so it does not matter how the file is exchanged: written over, renamed, or by the
// link of a mounted ConfigMap.
func (s *Settings) Run(ctx context.Context) {
	for {
		s.look(ctx)
		if !pause(ctx, settingsRecheck) {
			return
		}
	}
}

func (s *Settings) look(ctx context.Context) {
	text, err := s.readSettled(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.refuse(ctx, err)
		s.judged = nil
	case s.judged == nil || !bytes.Equal(text, s.judged):
		s.judged = text
		s.take(ctx, text)
	}
}

// readSettled goes on until a new content is there twice.
func (s *Settings) readSettled(ctx context.Context) ([]byte, error) {
	text, err := config.ReadFile(s.path)
	for err == nil && (s.judged == nil || !bytes.Equal(text, s.judged)) {
		if !pause(ctx, settingsSettle) {
			return nil, ctx.Err()
		}
		before := text
		if text, err = config.ReadFile(s.path); err == nil && bytes.Equal(text, before) {
			break
		}
	}
	return text, err
}

func (s *Settings) take(ctx context.Context, text []byte) {
	parsed, err := s.parse(text)
	if err != nil {
		s.refuse(ctx, err)
		return
	}
	sum := sha256.Sum256(text)
	state := &settingsInForce{settings: parsed, hash: hex.EncodeToString(sum[:6])}
	before := ""
	if old := s.inForce.Swap(state); old != nil {
		before = old.hash
	}
	s.broken.Store(false)
	s.said = ""
	s.log.InfoContext(ctx, "settings loaded", "hash", state.hash, "hash_before", before)
}

// refuse keeps what is in force. The same trouble is said once.
func (s *Settings) refuse(ctx context.Context, err error) {
	s.broken.Store(true)
	said := strings.ReplaceAll(err.Error(), "\n", "; ")
	if said == s.said {
		return
	}
	s.said = said
	hash := ""
	if state := s.inForce.Load(); state != nil {
		hash = state.hash
	}
	s.log.ErrorContext(ctx, "the settings cannot be used: those in force stay", "hash", hash, "error", s.said)
	s.refused(said)
}

// pause waits, and says whether there is reason to go on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Describe implements [prometheus.Collector].
func (s *Settings) Describe(descriptions chan<- *prometheus.Desc) {
	info, refused := settingsMetrics()
	descriptions <- info
	descriptions <- refused
}

// Collect implements [prometheus.Collector].
func (s *Settings) Collect(metrics chan<- prometheus.Metric) {
	info, refused := settingsMetrics()
	if state := s.inForce.Load(); state != nil {
		metrics <- prometheus.MustNewConstMetric(info, prometheus.GaugeValue, 1, state.hash)
	}
	broken := 0.0
	if s.broken.Load() {
		broken = 1
	}
	metrics <- prometheus.MustNewConstMetric(refused, prometheus.GaugeValue, broken)
}

func settingsMetrics() (info, refused *prometheus.Desc) {
	return prometheus.NewDesc("postern_injector_settings_info", "Always 1; the label is the hash of the settings in force.", []string{"hash"}, nil),
		prometheus.NewDesc("postern_injector_settings_refused", "1 while the settings file cannot be used.", nil, nil)
}
