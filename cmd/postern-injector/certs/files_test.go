package certs

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestFilesAreReadAgainAndAPairThatDoesNotMatchIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		made := func(at time.Time) *pair {
			t.Helper()
			p, err := makePair(names, at)
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		write := func(file string, text []byte) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		m, err := NewMetrics(prometheus.NewRegistry(), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		one, two := made(time.Now().Add(time.Hour-leafLife)), made(time.Now())
		f := NewFiles(t.Context(), dir, time.Now, slog.New(slog.DiscardHandler), m)
		if _, err := f.Certificate(nil); err == nil || f.Ready() {
			t.Error("there is something to serve in an empty directory")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { f.Run(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		serves := func(want *pair) {
			t.Helper()
			time.Sleep(2 * filesRecheck)
			synctest.Wait()
			if got, err := f.Certificate(nil); err != nil || !got.Leaf.Equal(want.cert.Leaf) {
				t.Errorf("another certificate is in service: %v", err)
			}
		}
		write(keyCert, one.text[keyCert])
		write(keyKey, one.text[keyKey])
		serves(one)
		write(keyCert, two.text[keyCert])
		serves(one) // the key is still the other's
		write(keyKey, two.text[keyKey])
		serves(two)
		write(keyCert, []byte("garbage"))
		serves(two)
		if err := os.Remove(filepath.Join(dir, keyCert)); err != nil {
			t.Fatal(err)
		}
		serves(two)
		write(keyCert, one.text[keyCert])
		write(keyKey, one.text[keyKey])
		serves(one)
		time.Sleep(time.Hour)
		if f.Ready() {
			t.Error("a certificate that has ended is as good as none")
		}
		late := made(time.Now())
		write(keyCert, late.text[keyCert])
		write(keyKey, late.text[keyKey])
		serves(late)
		write(keyCert, one.text[keyCert])
		write(keyKey, one.text[keyKey])
		serves(late) // it has ended
	})
}
