package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"postern/oidc/correlation"
)

// auditRecheck is how soon a file that was renamed or deleted is noticed.
const auditRecheck = time.Second

// auditStream is audit.file: audit events, one JSON object a line, whatever log-level says (S-38). An event that cannot be written goes to standard
// output instead, so requests go on: a full disk, which anybody can bring about who is refused often enough, must not be a way to take the app
// down. It is loud, and no event is lost as long as one of the two can be written.
type auditStream struct {
	path  string
	spare io.Writer // standard output
	log   *slog.Logger

	mu   sync.Mutex
	file *os.File
	torn bool // the last line ends in the middle
	lost bool // what is at the path is another file, and cannot be opened

	trouble atomic.Bool
	errors  prometheus.Counter
}

// openAudit opens the file, which must be a regular one: a pipe that nobody reads would hold every request.
func openAudit(path string, spare io.Writer, log *slog.Logger) (*auditStream, error) {
	a := &auditStream{path: path, spare: spare, log: log, errors: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "postern_audit_file_errors_total", Help: "Audit events that went to standard output because audit.file could not be written.",
	})}
	var err error
	if a.file, err = openAppending(path); err != nil {
		return nil, fmt.Errorf("audit.file: %w", err)
	}
	return a, nil
}

func openAppending(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open: %w", withoutPath(err))
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file")
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// logger writes events to the file.
func (a *auditStream) logger() *slog.Logger {
	return slog.New(correlation.NewHandler(slog.NewJSONHandler(a, nil)))
}

// Write takes one event with its line end, as slog writes them. It fails only if standard output cannot be written either.
func (a *auditStream) Write(event []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	line := event
	if a.torn {
		line = append([]byte{'\n'}, event...)
	}
	n, err := a.file.Write(line)
	if err == nil {
		if a.torn = false; !a.lost {
			a.settle(nil)
		}
		return len(event), nil
	}
	a.torn = a.torn && n == 0 || n > 1 || n == 1 && !a.torn
	a.errors.Inc()
	a.settle(err)
	return a.spare.Write(event)
}

// settle says in the log when trouble begins and when it is over.
func (a *auditStream) settle(err error) {
	switch before := a.trouble.Swap(err != nil); {
	case err != nil && !before:
		a.log.Error("audit.file is in trouble: what cannot be written to it goes to standard output", "error", withoutPath(err).Error())
	case err == nil && before:
		a.log.Info("audit.file is out of trouble")
	}
}

// reopen begins the file anew if another one, or none, is at its path now, as after logrotate. While that cannot be opened events go on into the old one.
func (a *auditStream) reopen() {
	a.mu.Lock()
	defer a.mu.Unlock()
	there, err := os.Stat(a.path)
	if err == nil {
		var ours fs.FileInfo
		if ours, err = a.file.Stat(); err == nil && os.SameFile(there, ours) {
			return
		}
	}
	file, err := openAppending(a.path)
	if a.lost = err != nil; a.lost {
		a.settle(err)
		return
	}
	_ = a.file.Close() // its last line was written before
	a.file, a.torn = file, false
	a.settle(nil)
	a.log.Info("audit.file was opened again")
}

// watch follows the path until ctx ends: at once when told to, and every second by itself.
func (a *auditStream) watch(ctx context.Context, told <-chan os.Signal) {
	tick := time.NewTicker(auditRecheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-told:
		case <-tick.C:
		}
		a.reopen()
	}
}

// reason is a stable code for /readyz while events go elsewhere, else "". A nil stream is that of standard output.
func (a *auditStream) reason() string {
	if a != nil && a.trouble.Load() {
		return "audit_file_unwritable"
	}
	return ""
}

// Close ends the stream.
func (a *auditStream) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.file.Close()
}

// Describe implements [prometheus.Collector].
func (a *auditStream) Describe(descriptions chan<- *prometheus.Desc) {
	a.errors.Describe(descriptions)
	descriptions <- auditTrouble()
}

// Collect implements [prometheus.Collector].
func (a *auditStream) Collect(metrics chan<- prometheus.Metric) {
	a.errors.Collect(metrics)
	trouble := 0.0
	if a.trouble.Load() {
		trouble = 1
	}
	metrics <- prometheus.MustNewConstMetric(auditTrouble(), prometheus.GaugeValue, trouble)
}

func auditTrouble() *prometheus.Desc {
	return prometheus.NewDesc("postern_audit_file_trouble", "1 while audit.file cannot be written, or not be opened again after it was moved.", nil, nil)
}
