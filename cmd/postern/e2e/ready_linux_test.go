package e2e

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Who is told that the sidecar is ready sends it requests at once: no probe answers before every listener is open. The last one waits here for its
// certificate, which somebody has yet to write.
func TestReadyMeansThatEveryListenerIsOpen(t *testing.T) {
	t.Parallel()
	_, cert, key := tlsFiles(t)
	pipe := filepath.Join(t.TempDir(), "tls.crt")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	p := Launch(t, map[string]string{"POSTERN_UPSTREAM_HOST": App(t, nil).Addr, "POSTERN_TLS_CERT_FILE": pipe, "POSTERN_TLS_KEY_FILE": key})
	certificate, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	ready := func() int {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // a listener that is open and not served yet lets everybody wait
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.ProbeAddr+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		transport := loopback()
		defer transport.CloseIdleConnections()
		answer, err := transport.RoundTrip(request)
		if err != nil {
			return 0
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	reads := 0
	for until := time.Now().Add(Patience); ready() != http.StatusOK; { // each time that it wants to read, it has one
		file, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		switch {
		case err == nil:
			if reads++; ready() == http.StatusOK {
				t.Error("ready before the public listener has its certificate")
			}
			_, err = file.Write(certificate)
			if errors.Is(err, syscall.EPIPE) { // the reader was about to leave
				err = nil
			}
			if err := errors.Join(err, file.Close()); err != nil {
				t.Fatal(err)
			}
		case !errors.Is(err, syscall.ENXIO): // nobody reads
			t.Fatal(err)
		}
		if time.Now().After(until) {
			t.Fatalf("not ready; the certificate was read %d times", reads)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if reads == 0 {
		t.Error("the certificate was never read")
	}
	p.Stop(t)
}
