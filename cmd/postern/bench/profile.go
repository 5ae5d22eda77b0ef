package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// adminSocket is where a Postern that is to be profiled serves its profiles: in the run's own directory, so that no token is needed.
func (w *world) adminSocket() (path string, env []string) {
	if !w.profiled {
		return "", nil
	}
	w.sockets++
	path = filepath.Join(w.dir, "admin-"+strconv.Itoa(w.sockets)+".sock")
	return path, []string{"POSTERN_ADMIN_BIND_ADDRESS=unix:" + path, "POSTERN_PPROF_ENABLED=true"}
}

// profile takes what a release is compiled with: where the Posterns spend their time under the load of every scenario, each for as long as
// the others, in one file.
func profile(ctx context.Context, s settings, progress io.Writer) error {
	all, callers := scenarios(s)
	if len(all) == 0 {
		return noScenario(s)
	}
	w, err := newWorld(ctx, s.binary, true, nil, progress)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.open(ctx, callers, progress); err != nil {
		return err
	}
	merge := []string{"tool", "pprof", "-proto", "-output", s.profile}
	for i, sc := range all {
		say(progress, "profile %d of %d: %s", i+1, len(all), sc.name)
		taken, err := profileOf(ctx, sc, s)
		if err != nil {
			return fmt.Errorf("%s: %w", sc.name, err)
		}
		file := filepath.Join(w.dir, "profile-"+strconv.Itoa(i))
		if err := os.WriteFile(file, taken, 0o600); err != nil {
			return err
		}
		merge = append(merge, file)
	}
	if out, err := exec.CommandContext(ctx, "go", merge...).CombinedOutput(); err != nil { //nolint:gosec // our own arguments, and the user's file
		return fmt.Errorf("merge the profiles: %w\n%s", err, out)
	}
	return nil
}

// profileOf loads the Postern of a scenario for as long as its CPU profile takes.
func profileOf(ctx context.Context, sc scenario, s settings) (taken []byte, err error) {
	target := sc.caller.postern
	l, err := newLoad(ctx, target.address, sc.caller.requests(sc.path), s.connections)
	if err != nil {
		return nil, err
	}
	defer l.close()
	done := make(chan error, 1)
	began := false
	err = l.run(ctx, s.warmUp, s.duration, func() error {
		if began {
			return <-done // the load goes on until then
		}
		began = true
		go func() {
			var err error
			taken, err = target.cpuProfile(ctx, s.duration)
			done <- err
		}()
		return nil
	})
	if err != nil {
		return nil, err
	}
	if all, ok, _ := l.tally(); all == 0 || int64(ok) < nearlyAll(all) {
		return nil, fmt.Errorf("only %d of %d answers are 200", ok, all)
	}
	return taken, nil
}

// cpuProfile asks a Postern for one of whole seconds.
func (p *process) cpuProfile(ctx context.Context, of time.Duration) ([]byte, error) {
	seconds := max(1, int(of.Round(time.Second)/time.Second))
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/debug/pprof/profile?seconds="+strconv.Itoa(seconds), nil)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", p.admin)
		},
	}}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for a profile: %w", err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the profile: %w", err)
	case response.StatusCode != http.StatusOK:
		return nil, errors.New("ask for a profile: " + response.Status + ": " + strings.TrimSpace(string(body)))
	}
	return body, nil
}
