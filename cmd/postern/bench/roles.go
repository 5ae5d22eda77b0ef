package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// roleVariable makes a process of this binary one of those that the benchmark starts.
const roleVariable = "POSTERN_BENCH_ROLE"

const (
	roleApp       = "app"
	roleBare      = "bare"
	roleVerifying = "verifying"
	roleConstant  = "constant"
)

// part is what such a process must know; it comes on standard input.
type part struct {
	Address   string // where to listen
	Bare      bareConfig
	WellKnown string              // of the provider whose tokens it verifies
	Constants map[string]constant // by path
}

// start runs a process of this binary in a role, and returns when it answers.
func start(ctx context.Context, role string, p part, env ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this binary: %w", err)
	}
	if p.Address, err = freeAddress(ctx); err != nil {
		return nil, err
	}
	stdin, told := io.Pipe()
	go func() { _ = told.CloseWithError(json.NewEncoder(told).Encode(p)) }()
	child, err := spawn(ctx, role, p.Address, append(env, roleVariable+"="+role), stdin, self)
	if err != nil {
		return nil, err
	}
	if _, err := child.wait(ctx, "http://"+p.Address+pathCounts, 5*time.Millisecond); err != nil {
		child.stop()
		return nil, err
	}
	return child, nil
}

// play is the life of such a process.
func play(ctx context.Context, role string, stdin io.Reader, stderr io.Writer) int {
	var p part
	err := json.NewDecoder(stdin).Decode(&p)
	var handler http.Handler
	switch {
	case err != nil:
		err = fmt.Errorf("read what to do: %w", err)
	case role == roleApp:
		handler = newApp()
	case role == roleBare:
		handler = newBare(p.Bare)
	case role == roleVerifying:
		handler, err = newVerifying(ctx, p.Bare, p.WellKnown)
	case role == roleConstant:
		handler = newConstant(p.Constants)
	default:
		err = errors.New("unknown role")
	}
	if err == nil {
		err = serve(ctx, p.Address, handler)
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench, as "+role+":", err)
		return exitFailed
	}
	return exitOK
}

func serve(ctx context.Context, address string, handler http.Handler) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
