package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/config"
	"postern/proxy/policy"
)

const (
	policyRecheck = time.Second
	policySettle  = 200 * time.Millisecond // files that are being written, or exchanged one after the other, look the same twice only when done
	policyMissing = 5                      // looks in a row at which the files could not be read: one is only a file that is being exchanged
)

// livePolicy is the access policy in force. It follows its files, and keeps what it has when a newer one cannot be used (S-25). Without
// files it is the policy of an app that has none, for ever. Make it with [newLivePolicy] and run watch once.
type livePolicy struct {
	paths    []string
	settings policy.Settings
	log      *slog.Logger
	audit    *slog.Logger
	now      func() time.Time

	changed func() // told when another policy has come into force; nil: nobody is. Set before watch runs

	inForce atomic.Pointer[policyInForce]
	refused atomic.Bool // a newer one could not be used
}

// policyInForce is replaced as a whole, never changed.
type policyInForce struct {
	policy *policy.Policy
	files  []policy.File
	since  time.Time
}

// policyHealth is what operators see of the policy.
type policyHealth struct {
	Hash    string        // of the files in force; empty without files
	Age     time.Duration // since it was put in force
	Refused bool          // a newer one cannot be used
}

// newLivePolicy reads and compiles the policy files; the error lists all problems. A nil registry registers nothing.
func newLivePolicy(cfg *config.Config, log, audit *slog.Logger, registry prometheus.Registerer) (*livePolicy, error) {
	l := &livePolicy{paths: slices.Clone(cfg.Policy.Files), settings: policySettings(cfg), log: log, audit: audit, now: time.Now}
	if err := l.load(); err != nil {
		return nil, err
	}
	if registry != nil && len(l.paths) > 0 {
		if err := registry.Register(l); err != nil {
			return nil, fmt.Errorf("register metrics of the policy: %w", err)
		}
	}
	return l, nil
}

// load is the first look at the files.
func (l *livePolicy) load() error {
	if len(l.paths) == 0 {
		l.inForce.Store(&policyInForce{policy: policy.WithoutFile(l.settings), since: l.now()})
		return nil
	}
	files, err := readPolicyFiles(l.paths)
	if err == nil {
		err = l.apply(files)
	}
	if err != nil {
		l.record("policy refused", policy.HashFiles(files), "")
	}
	return asPolicyProblems(err)
}

// current is the policy in force.
func (l *livePolicy) current() *policy.Policy { return l.inForce.Load().policy }

func (l *livePolicy) health() policyHealth {
	state := l.inForce.Load()
	return policyHealth{Hash: state.policy.Hash(), Age: l.now().Sub(state.since), Refused: l.refused.Load()}
}

// apply compiles files and puts them in force. Requests under way go on with what they have seen.
func (l *livePolicy) apply(files []policy.File) error {
	compiled, warnings, err := policy.Load(files, l.settings)
	if err != nil {
		return err
	}
	for _, warning := range warnings {
		l.log.Warn("policy", "warning", warning)
	}
	before := ""
	if old := l.inForce.Swap(&policyInForce{policy: compiled, files: files, since: l.now()}); old != nil {
		before = old.policy.Hash()
	}
	if l.changed != nil {
		l.changed()
	}
	l.log.Info("policy loaded", "hash", compiled.Hash(), "hash_before", before, "files", len(files))
	l.record("policy loaded", compiled.Hash(), before)
	return nil
}

// record writes what became of a policy (S-38). The hash is empty for files that cannot be read.
func (l *livePolicy) record(event, hash, before string) {
	l.audit.Info(event, "audit", true, "policy", hash, "policy_before", before) //nolint:sloglint // one of two names, given by the callers
}

// watch follows the files until ctx ends. It compares contents, so that it does not matter how they were exchanged: written over, renamed,
// or by the link of a mounted ConfigMap.
func (l *livePolicy) watch(ctx context.Context) {
	if len(l.paths) == 0 {
		return
	}
	judged, missing := l.inForce.Load().files, 0
	for pause(ctx, policyRecheck) {
		files, err := l.readSettled(ctx, judged)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if missing++; missing == policyMissing {
				judged = nil // whatever comes back is looked at anew
				l.refuse(nil, err)
			}
			continue
		}
		missing = 0
		if sameFiles(files, judged) {
			continue
		}
		judged = files
		if sameFiles(files, l.inForce.Load().files) {
			l.refused.Store(false)
			l.log.InfoContext(ctx, "policy is the one in force again", "hash", l.current().Hash())
			continue
		}
		if err := l.apply(files); err != nil {
			l.refuse(files, err)
			continue
		}
		l.refused.Store(false)
	}
}

// readSettled reads the files. If they are not those that were judged last, it goes on until they look the same twice: half of a file can
// be a valid policy that lacks the rules at its end.
func (l *livePolicy) readSettled(ctx context.Context, judged []policy.File) ([]policy.File, error) {
	files, err := readPolicyFiles(l.paths)
	for err == nil && !sameFiles(files, judged) {
		if !pause(ctx, policySettle) {
			return nil, ctx.Err()
		}
		before := files
		if files, err = readPolicyFiles(l.paths); err == nil && sameFiles(files, before) {
			break
		}
	}
	return files, err
}

func (l *livePolicy) refuse(files []policy.File, err error) {
	l.refused.Store(true)
	l.record("policy refused", policy.HashFiles(files), l.current().Hash())
	l.log.Error("a newer policy cannot be used: the one in force stays", "hash", l.current().Hash(), "error", err.Error())
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

func sameFiles(a, b []policy.File) bool {
	return slices.EqualFunc(a, b, func(a, b policy.File) bool { return a.Name == b.Name && bytes.Equal(a.Data, b.Data) })
}

// Describe implements [prometheus.Collector].
func (l *livePolicy) Describe(descriptions chan<- *prometheus.Desc) {
	info, age, refused := policyMetrics()
	descriptions <- info
	descriptions <- age
	descriptions <- refused
}

// Collect implements [prometheus.Collector].
func (l *livePolicy) Collect(metrics chan<- prometheus.Metric) {
	info, age, refused := policyMetrics()
	state, newerRefused := l.health(), 0.0
	if state.Refused {
		newerRefused = 1
	}
	metrics <- prometheus.MustNewConstMetric(info, prometheus.GaugeValue, 1, state.Hash)
	metrics <- prometheus.MustNewConstMetric(age, prometheus.GaugeValue, state.Age.Seconds())
	metrics <- prometheus.MustNewConstMetric(refused, prometheus.GaugeValue, newerRefused)
}

func policyMetrics() (info, age, refused *prometheus.Desc) {
	return prometheus.NewDesc("postern_policy_info", "Always 1; the label is the hash of the access policy in force.", []string{"hash"}, nil),
		prometheus.NewDesc("postern_policy_age_seconds", "Time since the access policy in force was loaded.", nil, nil),
		prometheus.NewDesc("postern_policy_refused", "1 while a newer access policy is there and cannot be used.", nil, nil)
}
