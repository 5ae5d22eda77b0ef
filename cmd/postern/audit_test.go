package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// auditAt is a stream to a new file, what was written beside it, and the log.
func auditAt(t *testing.T, path string) (a *auditStream, spare, log *output) {
	t.Helper()
	spare, log = new(output), new(output)
	a, err := openAudit(path, spare, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, spare, log
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", filepath.Base(path), got, err, want)
	}
}

// shown is what /metrics says of a stream.
func shown(t *testing.T, a *auditStream) (errors, trouble float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(a)
	families, err := registry.Gather()
	if err != nil || len(families) != 2 {
		t.Fatalf("%d metrics: %v", len(families), err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue(), families[1].GetMetric()[0].GetGauge().GetValue()
}

func write(t *testing.T, a *auditStream, event string) {
	t.Helper()
	if n, err := a.Write([]byte(event)); n != len(event) || err != nil {
		t.Fatalf("wrote %d of %q: %v", n, event, err)
	}
}

// S-38: the file is for its owner, is appended to, and follows logrotate in each of its ways.
func TestS38AuditFileFollowsItsPath(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	a, spare, log := auditAt(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	write(t, a, "1\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, a, "2\n") // before anybody has noticed
	a.reopen()
	write(t, a, "3\n")
	wantFile(t, path+".1", "1\n2\n")
	wantFile(t, path, "3\n")
	a.reopen() // nothing has changed
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, a, "4\n")
	wantFile(t, path, "4\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	a.reopen()
	write(t, a, "5\n")
	wantFile(t, path, "5\n")
	if strings.Count(log.String(), "opened again") != 2 || strings.Contains(log.String(), "ERROR") || spare.String() != "" {
		t.Errorf("log\n%s\nspare %q", log, spare)
	}
	second, _, _ := auditAt(t, path) // a restart
	write(t, second, "6\n")
	wantFile(t, path, "5\n6\n")
}

// S-38: while the file cannot be written nothing is lost and nothing stands still, and everybody hears of it once.
func TestS38AuditFileInTrouble(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	a, spare, log := auditAt(t, path)
	a.file.Close()
	write(t, a, "1\n")
	write(t, a, "2\n")
	if errors, trouble := shown(t, a); errors != 2 || trouble != 1 {
		t.Errorf("%v errors, trouble %v", errors, trouble)
	}
	if spare.String() != "1\n2\n" || a.reason() != "audit_file_unwritable" || strings.Count(log.String(), "ERROR") != 1 {
		t.Errorf("spare %q, reason %q, log\n%s", spare, a.reason(), log)
	}
	a.reopen()
	write(t, a, "3\n")
	wantFile(t, path, "3\n")
	if _, trouble := shown(t, a); trouble != 0 || a.reason() != "" || !strings.Contains(log.String(), "out of trouble") {
		t.Errorf("reason %q, log\n%s", a.reason(), log)
	}
	a.torn = true
	write(t, a, "4\n")
	wantFile(t, path, "3\n\n4\n")
}

// S-38: a file that was moved away and cannot be made again goes on being written, and that is trouble until it can.
func TestS38AuditFileMovedWithItsDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a, spare, log := auditAt(t, dir+"/audit")
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		a.reopen()
		write(t, a, "x\n")
	}
	wantFile(t, dir+".old/audit", "x\nx\nx\n")
	if a.reason() == "" || strings.Count(log.String(), "ERROR") != 1 || spare.String() != "" {
		t.Errorf("reason %q, spare %q, log\n%s", a.reason(), spare, log)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	a.reopen()
	write(t, a, "y\n")
	wantFile(t, dir+"/audit", "y\n")
	if a.reason() != "" {
		t.Error("still in trouble")
	}
}

// What is no file that can be appended to ends the start, and never holds it.
func TestS38AuditFileThatIsNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe, "/dev/full", dir + "/none/audit"} {
		if a, err := openAudit(path, new(output), slog.New(slog.DiscardHandler)); err == nil {
			a.Close()
			t.Errorf("%s was taken", path)
		} else if !strings.HasPrefix(err.Error(), "audit.file: ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
